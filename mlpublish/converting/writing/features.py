"""Features of a specification: what a stage reads and writes, declared the same way for every kind of stage."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mlpublish.converting.graph.answer import Labels
from mlpublish.converting.source import LABEL, PROBABILITIES
from mlpublish.coreml.schema import Message, schema

_ARRAYS = {"float32 array": 65568, "double array": 65600}  # FeatureTypes.proto, ArrayFeatureType.ArrayDataType
_SPECIFICATION = 1  # iOS 11; classic stages use nothing newer


class Kind(StrEnum):
    """What a feature holds."""

    FLOATS = "float32 array"
    DOUBLES = "double array"
    DOUBLE = "double"
    WHOLE = "whole number"
    TEXT = "text"
    FLOAT_ROW = "float32 row"
    """The (1, 1) of a column that an ML Program reads, or the (1, n) of the one array."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A feature, and how many numbers it holds."""

    name: str
    kind: Kind
    width: int = 1

    @property
    def is_array(self) -> bool:
        return self.kind in (Kind.FLOATS, Kind.DOUBLES)

    @property
    def doubled(self) -> Kind:
        """What holds as many numbers as doubles."""
        return Kind.DOUBLES if self.is_array else Kind.DOUBLE


def new_model() -> Message:
    """An empty ``Model`` that every Core ML system loads."""
    return schema("Model").Model(specificationVersion=_SPECIFICATION)


def declare(side: Message, value: Value) -> None:
    """Add a feature.

    Args:
        side: ``description.input`` or ``description.output``.
    """
    described = side.add(name=value.name).type
    if value.kind is Kind.DOUBLE:
        described.doubleType.SetInParent()
    elif value.kind is Kind.WHOLE:
        described.int64Type.SetInParent()
    elif value.kind is Kind.TEXT:
        described.stringType.SetInParent()
    elif value.kind is Kind.FLOAT_ROW:
        described.multiArrayType.shape.extend([1, value.width])
        described.multiArrayType.dataType = _ARRAYS[Kind.FLOATS]
    else:
        described.multiArrayType.shape.append(value.width)
        described.multiArrayType.dataType = _ARRAYS[value.kind]


def declare_number(description: Message, value: Value) -> None:
    """The output of a regression."""
    declare(description.output, value)
    description.predictedFeatureName = value.name


def declare_classes(
    description: Message, classes: Labels, *, label: str = LABEL, probabilities: str | None = PROBABILITIES
) -> None:
    """The outputs of a classifier.

    Args:
        probabilities: None for a classifier that tells none.
    """
    is_text = isinstance(classes[0], str)
    declare(description.output, Value(name=label, kind=Kind.TEXT if is_text else Kind.WHOLE))
    description.predictedFeatureName = label
    if probabilities is not None:
        held = description.output.add(name=probabilities).type.dictionaryType
        (held.stringKeyType if is_text else held.int64KeyType).SetInParent()
        description.predictedProbabilitiesName = probabilities


def set_labels(classifier: Message, classes: Labels) -> None:
    """The labels of a classifier's own message, in the order of its probabilities."""
    labels = classifier.stringClassLabels if isinstance(classes[0], str) else classifier.int64ClassLabels
    labels.vector.extend(classes)
