"""Numbers to try operations on: drawn once, the same in every run."""

from __future__ import annotations

import numpy as np


class Numbers:
    """A family's own source of numbers, so that a new case in one family moves no other's."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def f(self, *shape: int) -> np.ndarray:
        """Normal float32 numbers."""
        return self._random.normal(size=shape).astype(np.float32)

    def positive(self, *shape: int) -> np.ndarray:
        """float32 numbers from 0.5 to 2."""
        return self._random.uniform(0.5, 2, size=shape).astype(np.float32)

    def below(self, limit: int, *shape: int) -> np.ndarray:
        """int32 numbers from 0 on."""
        return self._random.integers(0, limit, size=shape).astype(np.int32)


def i(*values: int) -> np.ndarray:
    """A vector of int32."""
    return np.asarray(values, np.int32)
