"""Between float16 and float32, and whether numbers are finite: as in ``coreml.halves``, by torch."""

from __future__ import annotations

import math

import torch

from mlpublish.coreml import halves
from mlpublish.coreml.mil_ops.tensor import Tensor
from mlpublish.coreml.mil_torch.tensor import is_taken

_LARGE = 1024
"""Elements; below, numpy is as quick."""


def widened(x: Tensor) -> Tensor:
    """float16 as float32."""
    return torch.from_numpy(x).float().numpy() if x.size >= _LARGE and is_taken(x) else halves.widened(x)


def rounded(x: Tensor) -> Tensor:
    """Every number rounded to float16, ties to even."""
    return torch.from_numpy(x).half().float().numpy() if x.size >= _LARGE and is_taken(x) else halves.rounded(x)


def is_finite(x: Tensor) -> bool:
    """Whether no number is infinite or NaN."""
    if x.size < _LARGE or not is_taken(x):
        return halves.is_finite(x)
    return math.isfinite(torch.from_numpy(x).sum().item())
