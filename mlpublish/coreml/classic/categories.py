"""Run what takes a category for a number or a place: ``oneHotEncoder``, ``categoricalMapping``, ``dictVectorizer``.

Source of the rules: OneHotEncoder.proto, CategoricalMapping.proto, DictVectorizer.proto. A dictionary is sparse output where
the description says so: place -> value, as a ``featureVectorizer`` behind it reads it.

What the specification leaves open, and is read here: of a category that is listed twice the first place counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpublish.coreml.classic import dictionaries
from mlpublish.coreml.classic.stage import Array, Label, Places, Rows, Run, answer, input_of, kind_of
from mlpublish.coreml.mil_ops.tensor import room
from mlpublish.coreml.schema import Message

KINDS = ("oneHotEncoder", "categoricalMapping", "dictVectorizer")


def unsupported(stage: Message) -> list[str]:
    """A mapping of sequences; a way of handling what is unknown that the schema does not have."""
    kind = stage.WhichOneof("Type")
    if kind == "oneHotEncoder" and int(stage.oneHotEncoder.handleUnknown) not in range(2):
        return [f"oneHotEncoder with handleUnknown {int(stage.oneHotEncoder.handleUnknown)}"]
    if kind == "categoricalMapping" and "sequenceType" in [kind_of(each) for each in stage.description.input]:
        return ["categoricalMapping of a sequence"]
    return []


def classes(_stage: Message) -> tuple[Label, ...]:
    """None: it is no classifier."""
    return ()


def opened(stage: Message) -> Run:
    """Read an encoder, a mapping or a vectorizer."""
    readers = {"oneHotEncoder": _encoder, "categoricalMapping": _mapping, "dictVectorizer": _vectorizer}
    return readers[str(stage.WhichOneof("Type"))](stage)


def _encoder(stage: Message) -> Run:
    held = stage.oneHotEncoder
    places = _places(held, "CategoryType", {"stringCategories": str, "int64Categories": int})
    size = len(_listed(held, "CategoryType"))

    def run(known: Rows) -> Rows:
        values = _keys(input_of(stage, known))
        found = np.asarray([places.get(each, -1) for each in values], dtype=np.int64)
        if held.handleUnknown == held.ErrorOnUnknown and (found < 0).any():
            raise ValueError(f"{values[int(np.argmin(found))]!r} is none of its {size} categories")
        return answer(stage, _sparse(found) if held.outputSparse else _dense(found, size))

    return run


def _dense(places: Places, size: int) -> Array:
    found = np.zeros(room(len(places), size))
    rows = np.flatnonzero(places >= 0)
    found[rows, places[rows]] = 1
    return found


def _sparse(places: Places) -> Array:
    return dictionaries.column([{place: 1.0} if place >= 0 else {} for place in places.tolist()])


def _mapping(stage: Message) -> Run:
    held = stage.categoricalMapping
    kind, unknown = held.WhichOneof("MappingType"), held.WhichOneof("ValueOnUnknown")
    if kind is None or unknown == ("strValue" if kind == "stringToInt64Map" else "int64Value"):
        raise ValueError(f"it maps by {kind or 'nothing'} and gives {unknown or 'nothing'} for what is unknown")
    mapped: dict[Any, Any] = dict(getattr(held, kind).map)
    default = getattr(held, unknown) if unknown else None
    dtype = np.int64 if kind == "stringToInt64Map" else np.str_

    def run(known: Rows) -> Rows:
        values = _keys(input_of(stage, known))
        strange = [each for each in values if each not in mapped] if default is None else []
        if strange:
            raise ValueError(f"{strange[0]!r} is none of the {len(mapped)} values that it maps")
        return answer(stage, np.asarray([mapped.get(each, default) for each in values], dtype=dtype))

    return run


def _vectorizer(stage: Message) -> Run:
    held = stage.dictVectorizer
    places = _places(held, "Map", {"stringToIndex": str, "int64ToIndex": int})
    size = len(_listed(held, "Map"))
    is_sparse = bool(stage.description.output) and kind_of(stage.description.output[0]) == "dictionaryType"

    def run(known: Rows) -> Rows:
        rows = dictionaries.read(input_of(stage, known))
        strange = [key for each in rows for key in each if key not in places]
        if strange:
            raise ValueError(f"the key {strange[0]!r} is none of its {size}")
        placed = [{places[key]: float(value) for key, value in each.items()} for each in rows]
        return answer(stage, dictionaries.column(placed) if is_sparse else dictionaries.spread(placed, size))

    return run


def _listed(held: Message, oneof: str) -> list[Any]:
    kind = held.WhichOneof(oneof)
    return list(getattr(held, kind).vector) if kind else []


def _places(held: Message, oneof: str, types: dict[str, type]) -> dict[Any, int]:
    """Category -> place; of equal ones the first."""
    if held.WhichOneof(oneof) not in types:
        raise ValueError("it lists no categories")
    return {each: place for place, each in reversed(list(enumerate(_listed(held, oneof))))}


def _keys(values: Array) -> list[Any]:
    """A column as Python's texts and numbers; 2.0 finds 2 in a dictionary, as it is equal and hashes alike."""
    rows = values.reshape(len(values), -1)
    if rows.shape[1] != 1:
        raise ValueError(f"its input has {rows.shape[1]} values per row, not one")
    return list(rows[:, 0].tolist())
