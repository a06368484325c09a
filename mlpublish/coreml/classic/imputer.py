"""Run an ``imputer``: put a value where one is missing.

Source of the rules: Imputer.proto (``Imputer``). ``ReplaceValue`` is what stands for a missing value, of the type of the input;
``ImputedValue`` is what comes in its place: one value, or for an array one per element. An optional input that is left out
is missing as a whole.

What the specification leaves open, and is read here: without a ``ReplaceValue`` NaN is what is missing, and among whole numbers
and texts only what is left out. Of a dictionary every key of the imputed one is put in that is absent or stands for NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlpublish.coreml.classic import dictionaries
from mlpublish.coreml.classic.stage import Array, Label, Rows, Run, answer, doubles, kind_of
from mlpublish.coreml.schema import Message

KINDS = ("imputer",)

_DICTIONARIES = ("imputedStringDictionary", "imputedInt64Dictionary")
_ARRAYS = ("imputedDoubleArray", "imputedInt64Array")
_TYPES = {
    "imputedDoubleValue": ("replaceDoubleValue", ("doubleType", "multiArrayType")),
    "imputedInt64Value": ("replaceInt64Value", ("int64Type",)),
    "imputedStringValue": ("replaceStringValue", ("stringType",)),
    "imputedDoubleArray": ("replaceDoubleValue", ("multiArrayType",)),
    "imputedInt64Array": ("replaceInt64Value", ("multiArrayType",)),
    "imputedStringDictionary": (None, ("dictionaryType",)),
    "imputedInt64Dictionary": (None, ("dictionaryType",)),
}  # ImputedValue -> its ReplaceValue and the inputs that it is for, as Apple's validator has it


def unsupported(_stage: Message) -> list[str]:
    """Nothing: every kind of value is evaluated."""
    return []


def classes(_stage: Message) -> tuple[Label, ...]:
    """None: it is no classifier."""
    return ()


def opened(stage: Message) -> Run:
    """Read an imputer."""
    held = stage.imputer
    kind, replaced = held.WhichOneof("ImputedValue"), held.WhichOneof("ReplaceValue")
    if kind is None or len(stage.description.input) != 1:
        raise ValueError(f"it imputes {kind or 'nothing'} in {len(stage.description.input)} inputs")
    wanted, inputs = _TYPES[kind]
    fed = kind_of(stage.description.input[0])
    if fed not in inputs or replaced not in (None, wanted):
        raise ValueError(f"it puts {kind} for {replaced or 'what is missing'} into an input of {fed or 'no type'}")
    imputed = _value(held, kind)
    missing = getattr(held, replaced) if replaced else math.nan
    name = str(stage.description.input[0].name)

    def run(known: Rows) -> Rows:
        if name not in known:
            return answer(stage, _whole_column(imputed, len(next(iter(known.values()), ()))))
        if kind in _DICTIONARIES:
            return answer(stage, _filled(known[name], imputed))
        return answer(stage, _replaced(known[name], imputed, missing))

    return run


def _value(held: Message, kind: str) -> Any:
    value = getattr(held, kind)
    if kind in _DICTIONARIES:
        return dict(value.map)
    if kind == "imputedDoubleArray":
        return doubles(value.vector, kind)
    return np.asarray(list(value.vector), dtype=np.int64) if kind in _ARRAYS else np.asarray(value)


def _replaced(values: Array, imputed: Array, missing: float | str) -> Array:
    if values.dtype.kind not in ("UO" if imputed.dtype.kind == "U" else "fiub"):
        raise ValueError("its input is not of the type that it imputes")
    rows = values.reshape(len(values), -1)
    if imputed.ndim and rows.shape[1] != len(imputed):
        raise ValueError(f"{len(imputed)} imputed values for rows of the shape {values.shape[1:]}")
    is_missing = rows != rows if isinstance(missing, float) and math.isnan(missing) else rows == np.asarray(missing)
    return np.where(is_missing, imputed, rows).reshape(values.shape)


def _filled(values: Array, imputed: dict[Any, float]) -> Array:
    """Dictionaries, with what they lack."""
    rows = dictionaries.read(values)
    return dictionaries.column(
        imputed | {key: value for key, value in each.items() if key not in imputed or not math.isnan(value)} for each in rows
    )


def _whole_column(imputed: Any, rows: int) -> Array:
    """The value in every row of an input that is left out."""
    if isinstance(imputed, dict):
        return dictionaries.column(dict(imputed) for _ in range(rows))
    return np.broadcast_to(imputed, (rows, *imputed.shape)).copy()
