"""A value of a MIL program (``MILSpec.Value``) as numpy holds it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from mlpublish.coreml.elements import DTYPES, from_bytes, range_of
from mlpublish.coreml.mil_ops.tensor import MAX_ELEMENTS, Tensor, Value
from mlpublish.coreml.schema import Message, schema
from mlpublish.coreml.weights import Weights
from mlpublish.errors import FormatError

__all__ = ["DTYPES", "dimensions", "dtype_name", "value_of"]

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "floats": ("FLOAT", "BFLOAT"),
    "doubles": ("FLOAT", "BFLOAT"),
    "ints": ("INT", "UINT"),
    "longInts": ("INT", "UINT"),
    "bools": ("BOOL",),
    "bytes": tuple(DTYPES),
}
"""A field of ``TensorValue`` -> how the names of the types begin that may stand in it."""
_LISTS = {"listType": "list", "tupleType": "tuple"}
_REMEDY = "Get the model again from where it was made; it may be cut or altered."


def dtype_name(tensor_type: Message) -> str:
    """MIL's name of a tensor type's elements, such as ``FLOAT16``; the number of one that has no name here."""
    number = tensor_type.dataType
    return _names().get(number) or str(number)


@cache
def _names() -> Mapping[int, str]:
    return {number: name for name, number in schema("MIL").DataType.items()}


def dimensions(tensor_type: Message) -> tuple[int | None, ...]:
    """A tensor type's dimensions; None where the program leaves one open."""
    return tuple(each.constant.size if each.WhichOneof("dimension") == "constant" else None for each in tensor_type.dimensions)


def value_of(value: Message, weights: Weights, where: str) -> Value:
    """Read a constant.

    Args:
        where: the constant's name, for errors.

    Returns:
        A tensor in the numpy type of ``elements.DTYPES`` (types below one byte: one byte each), a text, or a tuple of values.

    Raises:
        FormatError: it is not one, or its weights are missing or cut.
    """
    sort = value.type.WhichOneof("type")
    if sort in _LISTS:
        return tuple(value_of(each, weights, where) for each in _several(value, _LISTS[sort], where))
    if sort != "tensorType":
        raise _broken(where, "is neither a tensor nor a list")
    kind, shape = dtype_name(value.type.tensorType), _fixed(value.type.tensorType, where)
    if value.WhichOneof("value") == "blobFileValue":
        return weights.read(value.blobFileValue.fileName, value.blobFileValue.offset, kind, shape)
    tensor = value.immediateValue.tensor
    return _texts(tensor, shape, where) if kind == "STRING" else _immediate(tensor, kind, shape, where)


def _several(value: Message, field: str, where: str) -> Message:
    if value.immediateValue.WhichOneof("value") != field:
        raise _broken(where, f"is no {field}, as its type says")
    return getattr(value.immediateValue, field).values


def _fixed(tensor_type: Message, where: str) -> tuple[int, ...]:
    shape = tuple(size for size in dimensions(tensor_type) if size is not None)
    if len(shape) != len(tensor_type.dimensions):
        raise _broken(where, "is a constant of open size")
    if any(size > MAX_ELEMENTS for size in shape):  # though another dimension may be 0
        raise _broken(where, f"is of the shape {shape}, which is not read")
    return shape


def _texts(tensor: Message, shape: tuple[int, ...], where: str) -> Value:
    texts = tuple(str(each) for each in tensor.strings.values)
    if len(shape) > 1 or len(texts) != math.prod(shape):
        raise _broken(where, f"has {len(texts)} texts, not those of the shape {shape}")
    return texts if shape else texts[0]


def _immediate(tensor: Message, kind: str, shape: tuple[int, ...], where: str) -> Tensor:
    field = tensor.WhichOneof("value")
    if field is None and 0 in shape and kind in DTYPES:
        return np.zeros(shape, DTYPES[kind])
    if kind not in DTYPES or field not in _FIELDS or not kind.startswith(_FIELDS[field]):
        raise _broken(where, f"is of the type {kind} in the field {field}, which is not read")
    try:
        if field == "bytes":
            return from_bytes(tensor.bytes.values, kind, shape)
        return _converted(np.asarray(getattr(tensor, field).values), kind).reshape(shape)
    except ValueError as exc:
        raise _broken(where, f"does not fill its shape {shape} in {kind}: {exc}") from exc


def _converted(values: Tensor, kind: str) -> Tensor:
    if values.size and kind.startswith(("INT", "UINT")):
        lowest, highest = range_of(kind)
        if values.min() < lowest or values.max() > highest:
            raise ValueError(f"a number is outside of {lowest} to {highest}")
    return values.astype(DTYPES[kind])


def _broken(where: str, what: str) -> FormatError:
    return FormatError(f"The constant {where!r} {what}.", remedy=_REMEDY, field=where)
