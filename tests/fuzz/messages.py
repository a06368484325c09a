"""Alter a protobuf message somewhere: every class of field is as likely as any other, however often it occurs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from google.protobuf.descriptor import FieldDescriptor as Field

Message: TypeAlias = Any
Step: TypeAlias = tuple[str, Any]
"""A field's name, and which of several (an index or a key; None for a single one)."""

_ARGUMENTS = (  # what an ML Program's operations are given, and what they are said to give
    "RepeatedInts.values",
    "RepeatedFloats.values",
    "RepeatedBools.values",
    "RepeatedBytes.values",
    "RepeatedStrings.values",
    "ConstantDimension.size",
    "TensorType.dimensions",
    "TensorType.dataType",
    "Binding.name",
    "Operation.type",
    "Operation.inputs",
)
_FEW = 40  # of several messages in one field that are walked
_INTS = (
    0,
    1,
    2,
    3,
    5,
    7,
    64,
    255,
    256,
    4096,
    65536,
    2**20,
    2**28,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**62,
    2**63 - 1,
    2**64 - 1,
)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e38, -1e38, 1e308, math.inf, -math.inf, math.nan, 2.0**31, 2.0**63)
_TEXTS = (
    "",
    "x",
    "main",
    "\0",
    "é",
    "../../etc/passwd",
    "/etc/hostname",
    "@model_path/weights/weight.bin",
    "a" * 5000,
    "0",
    "-1",
)
_LIMITS = {
    Field.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    Field.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    Field.CPPTYPE_UINT32: (0, 2**32 - 1),
    Field.CPPTYPE_UINT64: (0, 2**64 - 1),
}


@dataclass(frozen=True)
class Place:
    """A field of one message."""

    path: tuple[Step, ...]
    field: Field


class Index:
    """Where the fields of a message are, and what stands in them.

    Args:
        message: it is only read.
    """

    def __init__(self, message: Message) -> None:
        self.present: dict[str, list[Place]] = defaultdict(list)
        self.absent: dict[str, list[Place]] = defaultdict(list)
        self.texts: list[str] = []
        for path, each in walk(message):
            known = {field.name for field, _ in each.ListFields()}
            for field in each.DESCRIPTOR.fields:
                places = self.present if field.name in known else self.absent
                places[field.full_name].append(Place(path, field))
                if field.name in known and field.cpp_type == Field.CPPTYPE_STRING and field.type != Field.TYPE_BYTES:
                    self.texts += list(getattr(each, field.name))[:_FEW] if _is_repeated(field) else [getattr(each, field.name)]


def walk(message: Message, path: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], Message]]:
    """Every message in a message, itself first, maps in the order of their keys."""
    yield path, message
    for field, value in message.ListFields():
        if field.cpp_type != Field.CPPTYPE_MESSAGE:
            continue
        if is_map(field):
            if field.message_type.fields_by_name["value"].cpp_type == Field.CPPTYPE_MESSAGE:
                for key in sorted(value)[:_FEW]:
                    yield from walk(value[key], (*path, (field.name, key)))
        elif _is_repeated(field):
            for place, each in enumerate(value[:_FEW]):
                yield from walk(each, (*path, (field.name, place)))
        else:
            yield from walk(value, (*path, (field.name, None)))


def is_map(field: Field) -> bool:
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)


def _is_repeated(field: Field) -> bool:
    return bool(field.is_repeated)


class Alterations:
    """Ways to alter a message.

    Args:
        donors: a type's full name -> messages of it, as bytes, from anywhere.
    """

    def __init__(self, donors: Mapping[str, Sequence[bytes]]) -> None:
        self._donors = donors

    def apply(self, message: Message, index: Index, random: Random) -> str:
        """Alter one field of ``message``.

        Returns:
            The class of the field; empty where an alteration before took its place away.
        """
        known = index.absent if index.absent and random.random() < 0.2 else index.present
        arguments = [name for name in known if name.endswith(_ARGUMENTS)] if random.random() < 0.3 else []
        name = random.choice(arguments or list(known))
        place = random.choice(known[name])
        try:
            self._alter(_at(message, place.path), place.field, index, random)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError):
            return ""
        return name

    def _alter(self, message: Message, field: Field, index: Index, random: Random) -> None:
        if random.random() < 0.1:
            message.ClearField(field.name)
        elif is_map(field):
            self._alter_map(getattr(message, field.name), field, index, random)
        elif _is_repeated(field):
            self._alter_list(message, field, index, random)
        elif field.cpp_type == Field.CPPTYPE_MESSAGE:
            self._alter_message(getattr(message, field.name), random)
        else:
            setattr(message, field.name, _scalar(field, getattr(message, field.name), index, random))

    def _alter_message(self, message: Message, random: Random) -> None:
        donors = self._donors.get(message.DESCRIPTOR.full_name, ())
        if donors and random.random() < 0.7:
            message.ParseFromString(random.choice(donors))
        else:
            message.Clear()
        message.SetInParent()

    def _alter_list(self, message: Message, field: Field, index: Index, random: Random) -> None:
        values = getattr(message, field.name)
        deed = random.choice(("delete", "several", "double", "swap", "many", "change", "change", "add")) if values else "add"
        place = random.randrange(len(values)) if values else 0
        if deed == "delete":
            del values[place]
        elif deed == "several":
            del values[random.randrange(len(values)) :]
        elif deed == "double":
            values.append(values[place])
        elif deed == "many":
            values.extend([values[place]] * random.choice((3, 17, 300)))
        elif deed == "swap":
            self._swap(values, place, random.randrange(len(values)))
        elif field.cpp_type == Field.CPPTYPE_MESSAGE:
            self._alter_message(values[place] if deed == "change" else values.add(), random)
        elif deed == "change":
            values[place] = _scalar(field, values[place], index, random)
        else:
            values.append(_scalar(field, field.default_value or _nothing(field), index, random))

    def _swap(self, values: Any, one: int, other: int) -> None:
        if hasattr(values, "add"):
            kept = values[one].SerializeToString()
            values[one].CopyFrom(values[other])
            values[other].ParseFromString(kept)
        else:
            values[one], values[other] = values[other], values[one]

    def _alter_map(self, values: Any, field: Field, index: Index, random: Random) -> None:
        keys, kinds = sorted(values), field.message_type.fields_by_name
        if keys and random.random() < 0.3:
            del values[random.choice(keys)]
            return
        key = _scalar(kinds["key"], random.choice(keys) if keys else _nothing(kinds["key"]), index, random)
        if kinds["value"].cpp_type != Field.CPPTYPE_MESSAGE:
            values[key] = _scalar(kinds["value"], _nothing(kinds["value"]), index, random)
        elif keys and random.random() < 0.7:  # another's value under another name
            values[random.choice([*keys, key])].CopyFrom(values[random.choice(keys)])
        else:
            self._alter_message(values[key], random)


def donors(messages: Sequence[Message], *, most: int = 60, longest: int = 4000) -> dict[str, list[bytes]]:
    """Parts of messages, by the full names of their types."""
    found: dict[str, dict[bytes, None]] = defaultdict(dict)
    for message in messages:
        for _, each in walk(message):
            kept = found[each.DESCRIPTOR.full_name]
            if len(kept) < most and each.ByteSize() <= longest:
                kept[each.SerializeToString(deterministic=True)] = None
    return {name: list(kept) for name, kept in sorted(found.items())}


def _at(message: Message, path: tuple[Step, ...]) -> Message:
    for name, which in path:
        held = getattr(message, name)
        if which is not None and which not in (held if hasattr(held, "keys") else range(len(held))):
            raise IndexError(name)
        message = held if which is None else held[which]
    return message


def _scalar(field: Field, value: Any, index: Index, random: Random) -> Any:
    kind = field.cpp_type
    if kind in _LIMITS:
        low, high = _LIMITS[kind]
        near = (value + random.choice((-2, -1, 1, 2)), -value, value * 2, value * 1000)
        chosen = random.choice((random.choice(_INTS), -random.choice(_INTS), random.choice(near), random.randint(low, high)))
        return min(max(chosen, low), high)
    if kind in (Field.CPPTYPE_FLOAT, Field.CPPTYPE_DOUBLE):
        return random.choice((random.choice(_FLOATS), -value, value * 1e6, random.uniform(-10, 10)))
    if kind == Field.CPPTYPE_BOOL:
        return not value
    if kind == Field.CPPTYPE_ENUM:
        return random.choice([*(each.number for each in field.enum_type.values), 77])
    if field.type == Field.TYPE_BYTES:
        return noise(value, random)
    return random.choice(index.texts) if index.texts and random.random() < 0.7 else random.choice(_TEXTS)


def _nothing(field: Field) -> Any:
    if field.cpp_type == Field.CPPTYPE_STRING:
        return b"" if field.type == Field.TYPE_BYTES else ""
    return False if field.cpp_type == Field.CPPTYPE_BOOL else 0


def noise(data: bytes, random: Random) -> bytes:
    """Bytes with bits turned, cut off, doubled, or others put in."""
    deed = random.choice(("bits", "bits", "cut", "head", "insert", "empty", "fill", "double", "number"))
    place = random.randrange(len(data) + 1)
    if deed == "empty":
        return b""
    if deed == "cut":
        return data[:place]
    if deed == "head":
        return data[place:]
    if deed == "insert":
        return data[:place] + random.randbytes(random.choice((1, 2, 8, 100))) + data[place:]
    if deed == "double":
        return data[:place] + data[max(0, place - random.choice((1, 16, 200))) :]
    changed = bytearray(data)
    if deed == "fill":
        end = min(len(data), place + random.choice((1, 4, 16, 64)))
        changed[place:end] = random.choice((b"\0", b"\xff", b"\x80")) * (end - place)
    elif deed == "number" and len(data) >= 8:
        start = random.randrange(len(data) - 7)
        changed[start : start + 8] = random.choice(_INTS).to_bytes(8, "little")
    else:
        for _ in range(random.choice((1, 1, 2, 8))):
            if data:
                changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(changed)
