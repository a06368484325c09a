"""How much arithmetic a file may ask for: a model is untrusted input, and a loop or a kernel without end is a hang.

Counted in multiplications of a matrix product, the cheapest thing there is; a number that is touched one by one is as dear as
sixty-four of them, a layer as a million.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PER_ROW = 1 << 38
"""Multiplications for one row of a network: three times what the dearest networks for phones need."""

PER_RUN = 1 << 41
"""Multiplications for one run of an ML Program: the dearest are parts of models that make pictures, and need half of it."""

PER_LAYER = 1 << 20
_PER_NUMBER = 64


class TooMuch(ValueError):
    """More arithmetic was asked for than is allowed; fewer rows at once do not help."""


_left: ContextVar[int | None] = ContextVar("left", default=None)


@contextmanager
def allowed(rows: int) -> Iterator[None]:
    """Inside, ``spend`` counts against what is allowed for so many rows of a network."""
    with _within(PER_ROW * rows):
        yield


@contextmanager
def allowed_once() -> Iterator[None]:
    """Inside, ``spend`` counts against what is allowed for one run of an ML Program."""
    with _within(PER_RUN):
        yield


@contextmanager
def _within(multiplications: int) -> Iterator[None]:
    token = _left.set(multiplications)
    try:
        yield
    finally:
        _left.reset(token)


def spend(multiplications: int) -> None:
    """Ask before a matrix product.

    Raises:
        TooMuch: more was asked for than is allowed.
    """
    left = _left.get()
    if left is None:
        return
    if multiplications > left:
        raise TooMuch("the model asks for more arithmetic than any model for a phone")
    _left.set(left - multiplications)


def touch(numbers: int) -> None:
    """Ask before so many numbers are made or looked at one by one.

    Raises:
        TooMuch: more was asked for than is allowed.
    """
    spend(numbers * _PER_NUMBER)
