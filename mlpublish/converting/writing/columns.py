"""Classic stages that prepare numbers: each reads features and writes one (``featureVectorizer``, ``scaler``, …)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlpublish.converting.graph.node import Doubles
from mlpublish.converting.writing.features import Kind, Value, declare, new_model
from mlpublish.coreml.schema import Message


def vectorizer(reads: Sequence[Value], writes: Value) -> Message:
    """All numbers one after the other, as one array."""
    stage = _stage(reads, writes)
    for each in reads:
        stage.featureVectorizer.inputList.add(inputColumn=each.name, inputDimensions=each.width)
    return stage


def extractor(reads: Value, places: Sequence[int], writes: Value) -> Message:
    """Some numbers of an array, in an order."""
    stage = _stage([reads], writes)
    stage.arrayFeatureExtractor.extractIndex.extend(places)
    return stage


def scaler(reads: Value, shift: Doubles, scale: Doubles, writes: Value) -> Message:
    """``(x + shift) * scale``."""
    stage = _stage([reads], writes)
    stage.scaler.shiftValue.extend(shift.tolist())
    stage.scaler.scaleValue.extend(scale.tolist())
    return stage


def imputer(reads: Value, values: Doubles, missing: float, writes: Value) -> Message:
    """Missing numbers replaced."""
    stage = _stage([reads], writes)
    if reads.is_array:
        stage.imputer.imputedDoubleArray.vector.extend(values.tolist())
    else:
        stage.imputer.imputedDoubleValue = float(values[0])
    stage.imputer.replaceDoubleValue = missing  # of NaN too: what is missing where nothing is said, the format leaves open
    return stage


def normalizer(reads: Value, norm: str, writes: Value) -> Message:
    """A row divided by its norm, ``l1`` or ``l2``."""
    stage = _stage([reads], writes)
    stage.normalizer.normType = stage.normalizer.L1 if norm == "l1" else stage.normalizer.L2
    return stage


def one_hot(reads: Value, categories: Sequence[str | int], refuses_unknown: bool, writes: Value) -> Message:
    """1 at the place of a text or a whole number, 0 elsewhere."""
    stage = _stage([reads], writes)
    encoder = stage.oneHotEncoder
    held = encoder.stringCategories if reads.kind is Kind.TEXT else encoder.int64Categories
    held.vector.extend(categories)
    encoder.handleUnknown = encoder.ErrorOnUnknown if refuses_unknown else encoder.IgnoreUnknown
    return stage


def mapping(reads: Value, numbers: Mapping[str, int], unknown: int | None, writes: Value) -> Message:
    """A whole number for a text.

    Args:
        unknown: for a text that is not among them; None if such a row is refused.
    """
    stage = _stage([reads], writes)
    stage.categoricalMapping.stringToInt64Map.map.update(numbers)
    if unknown is not None:
        stage.categoricalMapping.int64Value = unknown
    return stage


def _stage(reads: Sequence[Value], writes: Value) -> Message:
    stage = new_model()
    for each in reads:
        declare(stage.description.input, each)
    declare(stage.description.output, writes)
    return stage
