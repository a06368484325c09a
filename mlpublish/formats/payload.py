"""Frozen dataclasses to JSON and back, with their JSON Schema: the one source for what a step takes and gives."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from mlpublish.errors import FormatError

T = TypeVar("T")
_SCALARS: dict[object, tuple[str, str]] = {
    str: ("string", "a string"),
    int: ("integer", "a whole number"),
    float: ("number", "a number"),
    bool: ("boolean", "true or false"),
}


def read(kind: type[T], values: object, *, where: str) -> T:
    """Make a dataclass from JSON.

    Args:
        kind: a dataclass whose fields are scalars, dataclasses, tuples of these, or None.
        values: what ``json`` gives.
        where: the place in the payload, for errors.

    Raises:
        FormatError: a field is missing, unknown or of the wrong type; it is named.
    """
    made: T = _read(kind, values, where)
    return made


def write(value: object) -> Any:
    """A dataclass as JSON has it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: write(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [write(each) for each in value]
    return value


def schema(kind: type[object]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a dataclass."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_schema(kind)}


def _read(kind: Any, values: object, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _read_object(kind, values, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        inner = next(each for each in arguments if each is not type(None))
        return None if values is None else _read(inner, values, where)
    if origin is tuple:
        if not isinstance(values, list):
            raise _wrong(where, "a list")
        return tuple(_read(arguments[0], each, f"{where}[{index}]") for index, each in enumerate(values))
    if kind is float and isinstance(values, int) and not isinstance(values, bool):
        return float(values)
    if kind is int and isinstance(values, float) and values.is_integer():
        return int(values)  # JSON has one kind of number: 1.0 is whole, and some engines write it so
    if not isinstance(values, kind) or (isinstance(values, bool) and kind is not bool):
        raise _wrong(where, _SCALARS[kind][1])
    return values


def _read_object(kind: Any, values: object, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise _wrong(where, "an object")
    fields, hints = {field.name: field for field in dataclasses.fields(kind)}, typing.get_type_hints(kind)
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(str(name), fields, n=1)
            meant = f"Did you mean {near[0]!r}? " if near else ""
            raise FormatError(
                f"{where} has the unknown field {name!r}.",
                remedy=f"{meant}Known are: {', '.join(fields)}.",
                field=f"{where}.{name}",
            )
    missing = [name for name, field in fields.items() if name not in values and field.default is dataclasses.MISSING]
    if missing:
        raise FormatError(f"{where} lacks the field {missing[0]!r}.", remedy="Give it.", field=f"{where}.{missing[0]}")
    return kind(**{name: _read(hints[name], value, f"{where}.{name}") for name, value in values.items()})


def _schema(kind: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = dataclasses.fields(kind)
        return {
            "type": "object",
            "properties": {field.name: _schema(hints[field.name]) for field in fields},
            "required": [field.name for field in fields if field.default is dataclasses.MISSING],
            "additionalProperties": False,
        }
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(each) for each in arguments if each is not type(None)] + [{"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0])}
    return {"type": _SCALARS[kind][0]}


def _wrong(where: str, wanted: str) -> FormatError:
    return FormatError(f"{where} must be {wanted}.", remedy="Correct the payload; see mlpublish step --schema.", field=where)
