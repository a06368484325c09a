"""A stand-in for coremltools' ``MLModel`` where there is no macOS: it takes and gives what that takes and gives.

What it is given is held against coremltools' own checks (they run everywhere); what it answers comes from our evaluator, in the
types that Apple's runtime uses. What it cannot show is how Apple's runtime computes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mlpublish.coreml import evaluate
from mlpublish.coreml.images import as_picture


class StandIn:
    """An opened model; ``shift`` is added to every float that it answers."""

    def __init__(self, path: Path, compute_units: str = "ALL", function: str | None = None, *, shift: float = 0.0) -> None:
        import coremltools

        self.compute_units, self.function, self.shift = compute_units, function, shift
        self.ours = evaluate.load(path, function=function)
        self.outputs = self.ours.description.interface.outputs
        self.theirs = coremltools.models.MLModel(str(path), skip_model_load=True, function_name=function)
        self.asked: list[dict[str, Any]] = []

    def predict(self, data: Any, state: Any = None) -> Any:
        if isinstance(data, list):
            return [self.predict(each) for each in data]
        self.theirs._verify_input_dict(data)
        self.asked.append(data)
        if state is None:
            return self._told(self.ours.predict(data))
        found, after = self.ours.predict_with_state(data, state.values)
        state.values = dict(after)
        return self._told(found)

    def make_state(self) -> StandInState:
        return StandInState({name: value + 9 for name, value in self.ours.initial_state().items()})

    def _told(self, found: dict[str, Any]) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        for each in self.outputs:
            value = found[each.name]
            match each.kind:
                case "image":
                    answers[each.name] = as_picture(each, value)
                case "dictionary":
                    pairs = zip(self.ours.classes, value.tolist(), strict=True)
                    answers[each.name] = {label: number + self.shift for label, number in reversed(list(pairs))}
                case "multiArray":
                    answers[each.name] = np.asarray(value) + self.shift if value.dtype.kind == "f" else value
                case _:
                    answers[each.name] = value.item()
        return answers


class StandInState:
    """As coremltools' ``MLState``; it is not empty at first, so a test sees whether it is written."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def write_state(self, name: str, value: Any) -> None:
        assert value.dtype == self.values[name].dtype
        self.values[name] = value

    def read_state(self, name: str) -> Any:
        return self.values[name]
