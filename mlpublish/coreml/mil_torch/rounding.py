"""Between float16 and float32, and whether numbers are finite: as in ``coreml.halves``, by torch."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from mlpublish.coreml import halves
from mlpublish.coreml.mil_ops.tensor import Tensor

_LARGE = 1024
"""Elements; below, numpy is as quick."""


def widened(x: Tensor) -> Tensor:
    """float16 as float32."""
    return torch.from_numpy(x).float().numpy() if x.size >= _LARGE and _is_taken(x) else halves.widened(x)


def rounded(x: Tensor) -> Tensor:
    """Every number rounded to float16, ties to even."""
    return torch.from_numpy(x).half().float().numpy() if x.size >= _LARGE and _is_taken(x) else halves.rounded(x)


def is_finite(x: Tensor) -> bool:
    """Whether no number is infinite or NaN."""
    if x.size < _LARGE or not _is_taken(x):
        return halves.is_finite(x)
    return bool(torch.from_numpy(x).sum().isfinite())


def _is_taken(x: Tensor) -> bool:
    """torch has no negative strides."""
    return all(step >= 0 for step in x.strides)


def _expect_read_only_arrays() -> None:
    """Weights are read-only memory maps, which torch reads and warns of, once in a process: here, where nobody reads it."""
    frozen = np.zeros(1)
    frozen.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.from_numpy(frozen)


_expect_read_only_arrays()
