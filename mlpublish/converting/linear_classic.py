"""Write a linear model as a classic specification (``.mlmodel``), which every Core ML system loads.

Straight in Apple's schema: a pipeline of ``featureVectorizer`` (for columns), ``scaler`` and ``glmClassifier`` or
``glmRegressor``. coremltools 9.0 refuses scikit-learn after 1.5.1, and its logistic regression takes one setting only.
"""

from __future__ import annotations

from pathlib import Path

from mlpublish.converting.linear import LinearModel, Scaling
from mlpublish.converting.source import INPUT, LABEL, PREDICTION, PROBABILITIES
from mlpublish.coreml.schema import Message, schema

_SPECIFICATION = 1  # iOS 11; nothing newer is used
_FLOAT32, _DOUBLE = 65568, 65600  # FeatureTypes.proto, ArrayFeatureType.ArrayDataType


def write(model: LinearModel, path: Path) -> Path:
    """Write a model for which ``is_classic`` holds."""
    stages: list[Message] = []
    if model.columns is not None:
        stages.append(_vectorizer(model.columns))
    for scaling in model.scalings:
        stages.append(_scaler(scaling, _reads(stages), f"scaled{len(stages)}", _kind(stages)))
    last = _glm(model, _reads(stages), _kind(stages))
    path.write_bytes((_pipeline(model, [*stages, last]) if stages else last).SerializeToString(deterministic=True))
    return path


def _vectorizer(columns: tuple[str, ...]) -> Message:
    stage = _model()
    for column in columns:
        _declare(stage.description.input, column)
        stage.featureVectorizer.inputList.add(inputColumn=column, inputDimensions=1)
    _declare(stage.description.output, "columns", size=len(columns), kind=_DOUBLE)
    return stage


def _scaler(scaling: Scaling, reads: str, writes: str, kind: int) -> Message:
    stage = _model()
    size = len(scaling.shift)
    stage.scaler.shiftValue.extend(scaling.shift.tolist())
    stage.scaler.scaleValue.extend(scaling.scale.tolist())
    _declare(stage.description.input, reads, size=size, kind=kind)
    _declare(stage.description.output, writes, size=size, kind=_DOUBLE)
    return stage


def _glm(model: LinearModel, reads: str, kind: int) -> Message:
    stage = _model()
    glm = stage.glmClassifier if model.classes else stage.glmRegressor
    glm.weights.add().value.extend(model.weights[0].tolist())
    glm.offset.append(float(model.offset[0]))
    if model.classes:
        glm.postEvaluationTransform = glm.Logit
        glm.classEncoding = glm.OneVsRest  # with one row of weights: the second class against the first
        labels = glm.stringClassLabels if isinstance(model.classes[0], str) else glm.int64ClassLabels
        labels.vector.extend(model.classes)
    _declare(stage.description.input, reads, size=model.features, kind=kind)
    _declare_results(stage.description, model)
    return stage


def _pipeline(model: LinearModel, stages: list[Message]) -> Message:
    whole = _model()
    pipeline = whole.pipelineClassifier.pipeline if model.classes else whole.pipelineRegressor.pipeline
    pipeline.models.extend(stages)
    if model.columns is None:
        _declare(whole.description.input, INPUT, size=model.features, kind=_FLOAT32)
    for column in model.columns or ():
        _declare(whole.description.input, column)
    _declare_results(whole.description, model)
    return whole


def _declare_results(description: Message, model: LinearModel) -> None:
    if not model.classes:
        _declare(description.output, PREDICTION)
        description.predictedFeatureName = PREDICTION
        return
    label, probabilities = description.output.add(name=LABEL), description.output.add(name=PROBABILITIES)
    if isinstance(model.classes[0], str):
        label.type.stringType.SetInParent()
        probabilities.type.dictionaryType.stringKeyType.SetInParent()
    else:
        label.type.int64Type.SetInParent()
        probabilities.type.dictionaryType.int64KeyType.SetInParent()
    description.predictedFeatureName = LABEL
    description.predictedProbabilitiesName = PROBABILITIES


def _declare(side: Message, name: str, *, size: int | None = None, kind: int = _DOUBLE) -> None:
    """Add a feature: an array of a size, or without one a double."""
    feature = side.add(name=name)
    if size is None:
        feature.type.doubleType.SetInParent()
    else:
        feature.type.multiArrayType.shape.append(size)
        feature.type.multiArrayType.dataType = kind


def _reads(before: list[Message]) -> str:
    """What the next stage reads: the last result, or the model's own input."""
    return str(before[-1].description.output[0].name) if before else INPUT


def _kind(before: list[Message]) -> int:
    return _DOUBLE if before else _FLOAT32


def _model() -> Message:
    return schema("Model").Model(specificationVersion=_SPECIFICATION)
