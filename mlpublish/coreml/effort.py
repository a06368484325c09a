"""How much arithmetic a file may ask for: a model is untrusted input, and a loop or a kernel without end is a hang.

Counted in multiplications of a matrix product, the cheapest thing there is; a layer of a network is as dear as a million of
them, a number that is touched one by one as sixty-four there and as 256 in an ML Program.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

PER_ROW = 1 << 38
"""Multiplications for one row of a network: three times what the dearest networks for phones need."""

PER_RUN = 1 << 41
"""Multiplications for one run of an ML Program: the dearest are parts of models that make pictures, and need half of it."""

PER_LAYER = 1 << 20
_PER_NUMBER_OF_ROW = 64

PER_NUMBER_OF_RUN = 256
"""Multiplications that a number counts which a program makes: its memory is asked for anew, and it may be a tangent."""


class TooMuch(ValueError):
    """More arithmetic was asked for than is allowed; fewer rows at once do not help."""


@dataclass(slots=True)
class _Allowance:
    """What is left, and what a number that is touched takes of it."""

    left: int
    per_number: int


_allowance: ContextVar[_Allowance | None] = ContextVar("allowance", default=None)


@contextmanager
def allowed(rows: int) -> Iterator[None]:
    """Inside, ``spend`` counts against what is allowed for so many rows of a network."""
    with _within(_Allowance(PER_ROW * rows, _PER_NUMBER_OF_ROW)):
        yield


@contextmanager
def allowed_once() -> Iterator[None]:
    """Inside, ``spend`` counts against what is allowed for one run of an ML Program."""
    with _within(_Allowance(PER_RUN, PER_NUMBER_OF_RUN)):
        yield


@contextmanager
def _within(allowance: _Allowance) -> Iterator[None]:
    token = _allowance.set(allowance)
    try:
        yield
    finally:
        _allowance.reset(token)


def spend(multiplications: int) -> None:
    """Ask before a matrix product.

    Raises:
        TooMuch: more was asked for than is allowed.
    """
    allowance = _allowance.get()
    if allowance is None:
        return
    if multiplications > allowance.left:
        raise TooMuch("the model asks for more arithmetic than any model for a phone")
    allowance.left -= multiplications


def touch(numbers: int) -> None:
    """Ask before so many numbers are made or looked at one by one.

    Raises:
        TooMuch: more was asked for than is allowed.
    """
    allowance = _allowance.get()
    if allowance is not None:
        spend(numbers * allowance.per_number)
