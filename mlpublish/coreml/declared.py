"""The type that a program declares for a value, and how a value is held in it.

float16 travels as float32 arrays: the same numbers, in a type that numpy computes with quickly and that accumulates as wide
as devices do. In the mode ``device`` a float16 result is rounded to float16 first; in the mode ``exact`` it is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlpublish.coreml.mil_ops.tensor import MAX_ELEMENTS, Tensor, Value
from mlpublish.coreml.schema import Message
from mlpublish.coreml.values import DTYPES, dimensions, dtype_name
from mlpublish.errors import FormatError


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared type.

    Args:
        dtype: what arrays of it are held as; None for labels, dictionaries and lists, which are kept as they come.
        shape: its dimensions, None for an open one; None for any rank.
        half: whether the file declares float16.
    """

    name: str
    dtype: np.dtype[np.generic] | None
    shape: tuple[int | None, ...] | None
    half: bool = False

    @classmethod
    def of(cls, named: Message) -> Declared:
        """A ``NamedValueType``; of a state, what it wraps.

        Raises:
            FormatError: a tensor of it would have more than ``MAX_ELEMENTS`` elements.
        """
        kind, sort = named.type, named.type.WhichOneof("type")
        if sort == "stateType":
            kind = kind.stateType.wrappedType
            sort = kind.WhichOneof("type")
        found = DTYPES.get(dtype_name(kind.tensorType)) if sort == "tensorType" else None
        if found is None:
            return cls(named.name, None, None)
        half = found is np.float16
        return cls(named.name, np.dtype(np.float32 if half else found), _shape(named.name, kind.tensorType), half)

    @property
    def size(self) -> int:
        """How many elements it has, an open dimension counted as one."""
        count = 1
        for dimension in self.shape or ():
            count *= 1 if dimension is None else dimension
        return count

    @property
    def nbytes(self) -> int:
        """The bytes of so many elements."""
        return 0 if self.dtype is None else self.size * self.dtype.itemsize

    def held(self, value: Value) -> Value:
        """A value in this type, not rounded to float16.

        Raises:
            ValueError: it is no tensor where one is declared, or has another shape.
        """
        if self.dtype is None:
            return value
        array = value if isinstance(value, np.ndarray) else self._array(value)
        if array.shape != self.shape and not self._is_open_to(array.shape):
            raise ValueError(f"{self.name} has the shape {array.shape}, declared is {self.shape}")
        return array if array.dtype == self.dtype else array.astype(self.dtype)

    def _array(self, value: Value) -> Tensor:
        if isinstance(value, tuple) and len(value) == 1:  # the one part of a split into one
            value = value[0]
        if isinstance(value, str | tuple):
            raise ValueError(f"{self.name} is no tensor, declared is {self.dtype}")  # noqa: TRY004  # the file's fault
        return np.asarray(value)

    def _is_open_to(self, shape: tuple[int, ...]) -> bool:
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            want is None or want == got for want, got in zip(self.shape, shape, strict=True)
        )


def _shape(name: str, tensor: Message) -> tuple[int | None, ...] | None:
    """MIL.proto: a rank of -1, or a variadic dimension, leaves the rank open."""
    if tensor.rank < 0 or any(each.unknown.variadic for each in tensor.dimensions):
        return None
    shape = dimensions(tensor)
    count = 1
    for size in shape:
        count *= 1 if size is None else max(size, 1)
        if count > MAX_ELEMENTS:
            raise FormatError(
                f"{name} is declared with more than {MAX_ELEMENTS} elements.",
                remedy="Get the model again from where it was made; it may be cut or altered.",
                field=name,
            )
    return shape
