"""A value of a MIL program (``MILSpec.Value``) as numpy holds it."""

from __future__ import annotations

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Tensor, Value
from mlpublish.coreml.schema import Message, schema
from mlpublish.coreml.weights import Weights
from mlpublish.errors import FormatError

DTYPES: dict[str, type[np.generic]] = {
    "BOOL": np.bool_,
    "FLOAT16": np.float16,
    "FLOAT32": np.float32,
    "FLOAT64": np.float64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
}
"""MIL's name of an element type -> numpy's."""

_FIELDS = ("floats", "ints", "bools", "longInts", "doubles")
_REMEDY = "Get the model again from where it was made; it may be cut or altered."


def dtype_name(tensor_type: Message) -> str:
    """MIL's name of a tensor type's elements, such as ``FLOAT16``."""
    return str(schema("MIL").DataType.Name(tensor_type.dataType))


def dimensions(tensor_type: Message) -> tuple[int | None, ...]:
    """A tensor type's dimensions; None where the program leaves one open."""
    return tuple(each.constant.size if each.WhichOneof("dimension") == "constant" else None for each in tensor_type.dimensions)


def value_of(value: Message, weights: Weights, where: str) -> Value:
    """Read a constant.

    Args:
        where: the constant's name, for errors.

    Raises:
        FormatError: it is not one, or its weights are missing or cut.
    """
    if value.type.WhichOneof("type") == "listType":
        return tuple(value_of(each, weights, where) for each in value.immediateValue.list.values)
    if value.type.WhichOneof("type") != "tensorType":
        raise _broken(where, "is neither a tensor nor a list")
    kind, shape = dtype_name(value.type.tensorType), _fixed(value.type.tensorType, where)
    if value.WhichOneof("value") == "blobFileValue":
        held = weights.read(value.blobFileValue.fileName, value.blobFileValue.offset, shape)
        if held.dtype != DTYPES.get(kind):
            raise _broken(where, f"is stored as {held.dtype}, not as {kind}")
        return held
    tensor = value.immediateValue.tensor
    return _texts(tensor, shape) if kind == "STRING" else _immediate(tensor, kind, shape, where)


def _fixed(tensor_type: Message, where: str) -> tuple[int, ...]:
    shape = tuple(size for size in dimensions(tensor_type) if size is not None)
    if len(shape) != len(tensor_type.dimensions):
        raise _broken(where, "is a constant of open size")
    return shape


def _texts(tensor: Message, shape: tuple[int, ...]) -> Value:
    texts = tuple(str(each) for each in tensor.strings.values)
    return texts[0] if shape == () and texts else texts


def _immediate(tensor: Message, kind: str, shape: tuple[int, ...], where: str) -> Tensor:
    dtype, field = DTYPES.get(kind), tensor.WhichOneof("value")
    if dtype is None or (field not in _FIELDS and field != "bytes"):
        raise _broken(where, f"is of type {kind}, which is not read")
    try:
        if field == "bytes":
            return np.frombuffer(tensor.bytes.values, dtype=dtype).reshape(shape)
        return np.asarray(getattr(tensor, field).values).astype(dtype).reshape(shape)
    except ValueError as exc:
        raise _broken(where, f"does not fill its shape {shape}") from exc


def _broken(where: str, what: str) -> FormatError:
    return FormatError(f"The constant {where!r} {what}.", remedy=_REMEDY, field=where)
