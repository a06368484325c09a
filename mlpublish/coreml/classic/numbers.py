"""Run what changes numbers and leaves their places: ``scaler``, ``normalizer``.

Source of the rules: Scaler.proto (``Scaler``) and Normalizer.proto (``Normalizer``).

What the specification leaves open, and is read here as scikit-learn has it: a row whose norm is 0 stays as it is. ``LMax``
divides by the largest number, not by the largest size, as scikit-learn does: so the formula says, and for rows without negative
numbers it is the same.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlpublish.coreml.classic.stage import Array, Doubles, Label, Rows, Run, answer, doubles, flat, input_of, kind_of
from mlpublish.coreml.schema import Message

KINDS = ("scaler", "normalizer")


def unsupported(stage: Message) -> list[str]:
    """A norm that the schema does not have."""
    if stage.WhichOneof("Type") == "scaler":
        return []
    norm = int(stage.normalizer.normType)
    return [] if norm in range(3) else [f"normalizer with the norm {norm}"]


def classes(_stage: Message) -> tuple[Label, ...]:
    """None: it is no classifier."""
    return ()


def opened(stage: Message) -> Run:
    """Read a scaler or a normalizer."""
    return _scaler(stage) if stage.WhichOneof("Type") == "scaler" else _normalizer(stage)


def _scaler(stage: Message) -> Run:
    shift, scale = doubles(stage.scaler.shiftValue or [0], "shiftValue"), doubles(stage.scaler.scaleValue or [1], "scaleValue")
    is_whole = kind_of(stage.description.output[0]) == "int64Type"

    def run(known: Rows) -> Rows:
        values = input_of(stage, known)
        rows = flat(values, str(stage.description.input[0].name))
        for what, given in (("shiftValue", shift), ("scaleValue", scale)):
            if len(given) not in (1, rows.shape[1]):
                raise ValueError(f"{len(given)} numbers of {what} for {rows.shape[1]} features")
        scaled = ((rows + shift) * scale).reshape(values.shape)
        return answer(stage, _whole(scaled) if is_whole else scaled)

    return run


def _whole(values: Doubles) -> Array:
    """As whole numbers; the specification has a cast that loses something be an error."""
    if not ((values == np.floor(values)) & (np.abs(values) < 2.0**63)).all():
        raise ValueError("a scaled number is not whole, and its output is")
    return values.astype(np.int64)


def _normalizer(stage: Message) -> Run:
    held = stage.normalizer
    norms: dict[int, Callable[[Doubles], Doubles]] = {
        int(held.LMax): lambda rows: rows.max(axis=1, keepdims=True),
        int(held.L1): lambda rows: np.abs(rows).sum(axis=1, keepdims=True),
        int(held.L2): lambda rows: np.sqrt((rows * rows).sum(axis=1, keepdims=True)),
    }
    norm = norms[int(held.normType)]

    def run(known: Rows) -> Rows:
        values = input_of(stage, known)
        rows = flat(values, str(stage.description.input[0].name))
        size = norm(rows)
        return answer(stage, (rows / np.where(size == 0, 1.0, size)).reshape(values.shape))

    return run
