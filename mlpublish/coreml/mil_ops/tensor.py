"""What the operations pass to each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Tensor: TypeAlias = NDArray[Any]
"""An array, rank 0 for scalars. float16 values travel as float32 arrays that float16 can hold: see ``program.Program``."""

Value: TypeAlias = "Tensor | str | tuple[Value, ...]"
"""A tensor, a text (modes, labels) or a list of values."""

Handler: TypeAlias = Callable[..., "Value"]
"""One operation: its parameters are the MIL operation's, by name; an operation with several results returns a tuple."""


Taken: TypeAlias = tuple[str | bool, ...]
"""The values that a parameter may have where a handler does not take all that a file can say.

Small letters stand for capitals too.
"""


def axes_of(axes: Tensor | None) -> tuple[int, ...] | None:
    """MIL's list of axes as numpy takes it; none given means all."""
    return None if axes is None else tuple(ints(axes))


MAX_INTS = 1 << 20
"""Of one list of axes, sizes or steps: they are counted one by one."""


def ints(values: Tensor) -> list[int]:
    """A vector as Python's whole numbers.

    Raises:
        ValueError: they are of a type that holds others, or more than ``MAX_INTS``.
    """
    if values.dtype.kind not in "iub" or values.size > MAX_INTS:
        raise ValueError(f"at most {MAX_INTS} whole numbers are wanted, not {values.size} of {values.dtype}")
    return [int(value) for value in values.reshape(-1)]


def several(values: Value) -> list[Tensor]:
    """A list argument; a list of one is written like the one."""
    found = values if isinstance(values, tuple) else (values,)
    if any(isinstance(each, str | tuple) for each in found):
        raise ValueError("a list of tensors holds something else")
    return list(found)  # type: ignore[arg-type]


MAX_ELEMENTS = 1 << 28
"""Of one result (1 GiB of float32): a file that asks for more is taken for a hostile one."""


def room(*shape: int) -> tuple[int, ...]:
    """A shape that may be made; every handler whose result can outgrow its arguments asks first.

    Raises:
        ValueError: a dimension is negative, or there are more elements than ``MAX_ELEMENTS``.
    """
    if any(size < 0 for size in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"a result of the shape {shape} is not made: at most {MAX_ELEMENTS} elements are")
    return shape


def spread(*tensors: Tensor) -> None:
    """Ask for the room that a result of broadcasting needs.

    Raises:
        ValueError: the shapes do not fit each other, or the result would have more elements than ``MAX_ELEMENTS``.
    """
    if math.prod(each.size for each in tensors) > MAX_ELEMENTS:  # else it cannot outgrow it: the quick way out
        room(*np.broadcast_shapes(*(each.shape for each in tensors)))


def number(value: Tensor | float) -> np.float32:
    """A parameter that is one number, such as an epsilon.

    Raises:
        ValueError: it holds several.
    """
    return np.float32(np.asarray(value).reshape(()))
