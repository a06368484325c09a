"""A file that lies about itself ends in one error of ours, whatever it made Python, numpy or torch say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpublish.errors import FormatError

FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    LookupError,
    MemoryError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What they make of arguments that do not fit."""


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """Blame the file for what is raised inside.

    Raises:
        FormatError: something was, and it was no error of ours.
    """
    try:
        yield
    except FAILURES as exc:
        raise FormatError(
            f"{path.name} is not a model that holds together ({type(exc).__name__}).",
            remedy="Get it again from where it was made; it may be cut or altered.",
            field=path.name,
        ) from exc
