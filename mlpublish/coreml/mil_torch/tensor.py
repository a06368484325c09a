"""numpy's arrays as torch's tensors, on the same memory."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from mlpublish.coreml.mil_ops.tensor import Tensor


def is_taken(x: Tensor) -> bool:
    """Whether torch takes an array as it lies: it has no negative strides."""
    return all(step >= 0 for step in x.strides)


def taken(x: Tensor) -> Any:
    """An array as torch's tensor on the same memory; a copy only where torch knows no such strides."""
    return torch.from_numpy(x if is_taken(x) else np.ascontiguousarray(x))


def _expect_read_only_arrays() -> None:
    """Weights are read-only memory maps, which torch reads and warns of, once in a process: here, where nobody reads it."""
    frozen = np.zeros(1)
    frozen.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.from_numpy(frozen)


_expect_read_only_arrays()
