"""Write a linear model as a classic specification (``.mlmodel``), which every Core ML system loads.

Straight in Apple's schema: a pipeline of ``featureVectorizer`` (for columns), ``scaler`` and ``glmClassifier`` or
``glmRegressor``. coremltools 9.0 refuses scikit-learn after 1.5.1, and its logistic regression takes one setting only.
"""

from __future__ import annotations

from pathlib import Path

from mlpublish.converting.classic_interface import (
    DOUBLE,
    FLOAT32,
    declare,
    declare_inputs,
    declare_results,
    new_model,
    set_labels,
)
from mlpublish.converting.linear import LinearModel, Scaling
from mlpublish.converting.source import INPUT
from mlpublish.coreml.schema import Message


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
    stage = new_model()
    for column in columns:
        declare(stage.description.input, column)
        stage.featureVectorizer.inputList.add(inputColumn=column, inputDimensions=1)
    declare(stage.description.output, "columns", size=len(columns), kind=DOUBLE)
    return stage


def _scaler(scaling: Scaling, reads: str, writes: str, kind: int) -> Message:
    stage = new_model()
    size = len(scaling.shift)
    stage.scaler.shiftValue.extend(scaling.shift.tolist())
    stage.scaler.scaleValue.extend(scaling.scale.tolist())
    declare(stage.description.input, reads, size=size, kind=kind)
    declare(stage.description.output, writes, size=size, kind=DOUBLE)
    return stage


def _glm(model: LinearModel, reads: str, kind: int) -> Message:
    stage = new_model()
    glm = stage.glmClassifier if model.classes else stage.glmRegressor
    glm.weights.add().value.extend(model.weights[0].tolist())
    glm.offset.append(float(model.offset[0]))
    if model.classes:
        glm.postEvaluationTransform = glm.Logit
        glm.classEncoding = glm.OneVsRest  # with one row of weights: the second class against the first
        set_labels(glm, model.classes)
    declare(stage.description.input, reads, size=model.features, kind=kind)
    declare_results(stage.description, model.classes)
    return stage


def _pipeline(model: LinearModel, stages: list[Message]) -> Message:
    whole = new_model()
    pipeline = whole.pipelineClassifier.pipeline if model.classes else whole.pipelineRegressor.pipeline
    pipeline.models.extend(stages)
    declare_inputs(whole.description, model.columns, model.features)
    declare_results(whole.description, model.classes)
    return whole


def _reads(before: list[Message]) -> str:
    """What the next stage reads: the last result, or the model's own input."""
    return str(before[-1].description.output[0].name) if before else INPUT


def _kind(before: list[Message]) -> int:
    return DOUBLE if before else FLOAT32
