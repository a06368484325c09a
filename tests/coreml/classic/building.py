"""Stages of classic specifications, straight in Apple's schema, and what runs one."""

from __future__ import annotations

import numpy as np

from mlpublish.coreml.classic.run import Classic, unsupported
from mlpublish.coreml.schema import Message, schema


def declare(features: Message, types: dict[str, int | str | tuple[int, ...]], optional: tuple[str, ...] = ()) -> None:
    """Name -> a size or shape of an array of doubles, or the type: double, int64, string, names (a dictionary), numbers."""
    for name, kind in types.items():
        described = features.add(name=name).type
        described.isOptional = name in optional
        if kind in ("names", "numbers"):
            key = "stringKeyType" if kind == "names" else "int64KeyType"
            getattr(described.dictionaryType, key).SetInParent()
        elif isinstance(kind, str):
            getattr(described, f"{kind}Type").SetInParent()
        else:
            described.multiArrayType.shape.extend(kind if isinstance(kind, tuple) else (kind,))
            described.multiArrayType.dataType = 65600


def model(kind: str, inputs, outputs, *, optional: tuple[str, ...] = ()) -> Message:
    """A stage of a kind, with nothing set."""
    spec = schema("Model").Model(specificationVersion=4)
    declare(spec.description.input, inputs, optional)
    declare(spec.description.output, outputs)
    getattr(spec, kind).SetInParent()
    return spec


def classifier(kind: str, inputs, labels, *, probabilities: bool = True) -> Message:
    """A classifier with these labels, its outputs ``label`` and ``probabilities``."""
    is_text = bool(labels) and isinstance(labels[0], str)
    outputs = {"label": "string" if is_text else "int64"}
    outputs |= {"probabilities": "names" if is_text else "numbers"} if probabilities else {}
    spec = model(kind, inputs, outputs)
    spec.description.predictedFeatureName = "label"
    spec.description.predictedProbabilitiesName = "probabilities" if probabilities else ""
    held = getattr(spec, kind)
    (held.stringClassLabels if is_text else held.int64ClassLabels).vector.extend(labels)
    return spec


def run(spec: Message, **inputs) -> dict[str, np.ndarray]:
    assert unsupported(spec) == []
    return Classic(spec).run({name: np.asarray(value) for name, value in inputs.items()})


def objects(*rows) -> np.ndarray:
    found = np.empty(len(rows), dtype=object)
    found[:] = rows
    return found
