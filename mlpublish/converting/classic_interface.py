"""Declare the inputs and outputs of a classic specification (``.mlmodel``), the same for every kind of model."""

from __future__ import annotations

from typing import TypeAlias

from mlpublish.converting.source import INPUT, LABEL, PREDICTION, PROBABILITIES
from mlpublish.coreml.schema import Message, schema

Labels: TypeAlias = tuple[int, ...] | tuple[str, ...]

FLOAT32, DOUBLE = 65568, 65600  # FeatureTypes.proto, ArrayFeatureType.ArrayDataType
_SPECIFICATION = 1  # iOS 11; nothing newer is used


def new_model() -> Message:
    """An empty ``Model`` that every Core ML system loads."""
    return schema("Model").Model(specificationVersion=_SPECIFICATION)


def declare(side: Message, name: str, *, size: int | None = None, kind: int = DOUBLE) -> None:
    """Add a feature: an array of a size, or without one a double.

    Args:
        side: ``description.input`` or ``description.output``.
        kind: the array's element type.
    """
    feature = side.add(name=name)
    if size is None:
        feature.type.doubleType.SetInParent()
    else:
        feature.type.multiArrayType.shape.append(size)
        feature.type.multiArrayType.dataType = kind


def declare_inputs(description: Message, columns: tuple[str, ...] | None, features: int) -> None:
    """One double per column, or one float32 array ``input`` for a model that was not fitted on columns."""
    if columns is None:
        declare(description.input, INPUT, size=features, kind=FLOAT32)
    for column in columns or ():
        declare(description.input, column)


def declare_results(description: Message, classes: Labels) -> None:
    """A label and its probabilities for a model with classes, else a number."""
    if not classes:
        declare(description.output, PREDICTION)
        description.predictedFeatureName = PREDICTION
        return
    label, probabilities = description.output.add(name=LABEL), description.output.add(name=PROBABILITIES)
    if isinstance(classes[0], str):
        label.type.stringType.SetInParent()
        probabilities.type.dictionaryType.stringKeyType.SetInParent()
    else:
        label.type.int64Type.SetInParent()
        probabilities.type.dictionaryType.int64KeyType.SetInParent()
    description.predictedFeatureName = LABEL
    description.predictedProbabilitiesName = PROBABILITIES


def set_labels(classifier: Message, classes: Labels) -> None:
    """The labels of a classifier's own message, in the order of its probabilities."""
    labels = classifier.stringClassLabels if isinstance(classes[0], str) else classifier.int64ClassLabels
    labels.vector.extend(classes)
