"""Run a classic (non-network) Core ML specification: linear models, trees, scaler, feature vector, and pipelines of them.

Source of the formulas: Core ML Format Reference (``GLMClassifier``, ``GLMRegressor``, ``Scaler``, ``FeatureVectorizer``).
All rows at once, in float64, as the specification stores its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.classic import trees
from mlpublish.coreml.classic.stage import Rows
from mlpublish.coreml.classic.trees import labels_of
from mlpublish.coreml.schema import Message
from mlpublish.errors import ConversionError

_Doubles: TypeAlias = NDArray[np.float64]
_PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")


def unsupported(spec: Message) -> list[str]:
    """The model types, or settings of them, in a specification that are not evaluated here."""
    found: set[str] = set()
    for stage in _stages(spec):
        kind = stage.WhichOneof("Type")
        if kind in trees.KINDS:
            found |= set(trees.unsupported(stage))
        elif kind not in _EVALUATED:
            found.add(kind)
        elif kind == "glmClassifier":
            glm = stage.glmClassifier
            found |= {"glmClassifier with the probit link"} if glm.postEvaluationTransform != glm.Logit else set()
            several = glm.classEncoding == glm.ReferenceClass and len(glm.weights) != 1
            found |= {"glmClassifier with a reference class of several"} if several else set()
        elif kind == "glmRegressor" and stage.glmRegressor.postEvaluationTransform != stage.glmRegressor.NoTransform:
            found.add("glmRegressor with a link function")
    return sorted(found)


def classes_of(spec: Message) -> tuple[int | str, ...]:
    """The labels in the order of the probabilities; empty where the model is no classifier."""
    *_, last = _stages(spec)
    kind = last.WhichOneof("Type")
    return labels_of(getattr(last, kind)) if kind in ("glmClassifier", "treeEnsembleClassifier") else ()


class Classic:
    """A classic specification, read once, ready to run.

    Args:
        spec: the saved ``Model`` message, for which ``unsupported`` is empty.

    Raises:
        ConversionError: a stage does not hold together.
    """

    def __init__(self, spec: Message) -> None:
        self._outputs = [str(each.name) for each in spec.description.output]
        self._stages: list[tuple[str, Callable[[Rows], Rows]]] = []
        for stage in _stages(spec):
            kind = stage.WhichOneof("Type")
            with _telling(kind):
                run = trees.Ensemble(stage).run if kind in trees.KINDS else partial(_EVALUATED[kind], stage)
            self._stages.append((kind, run))

    def run(self, inputs: Rows) -> Rows:
        """Compute every output for all rows of the inputs: feature -> (rows, …)."""
        known = dict(inputs)
        for kind, stage in self._stages:
            with _telling(kind):
                known |= stage(known)
        return {name: known[name] for name in self._outputs}


@contextmanager
def _telling(kind: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, IndexError) as exc:
        raise ConversionError(
            f"The stage {kind} cannot be run: {exc}.",
            remedy="Get the model again from where it was made; it may be cut or altered.",
        ) from exc


def _stages(spec: Message) -> Iterator[Message]:
    """The models of a pipeline, in order, with pipelines inside of it unrolled."""
    kind = spec.WhichOneof("Type")
    if kind not in _PIPELINES:
        yield spec
        return
    held = spec.pipeline if kind == "pipeline" else getattr(spec, kind).pipeline
    for each in held.models:
        yield from _stages(each)


def _glm_classifier(stage: Message, known: Rows) -> Rows:
    glm = stage.glmClassifier
    scores = _sigmoid(_linear(glm.weights, glm.offset, _only_input(stage, known)))
    labels = labels_of(glm)
    if scores.shape[1] == 1:  # two classes; the one row of weights speaks for the second
        probabilities = np.column_stack([1 - scores, scores])
    else:
        probabilities = scores / scores.sum(axis=1, keepdims=True)
    if probabilities.shape[1] != len(labels):
        raise ValueError(f"{len(labels)} labels for {probabilities.shape[1]} probabilities")
    return {
        stage.description.predictedFeatureName: np.asarray(labels)[np.argmax(probabilities, axis=1)],
        stage.description.predictedProbabilitiesName: probabilities,
    }


def _glm_regressor(stage: Message, known: Rows) -> Rows:
    glm = stage.glmRegressor
    values = _linear(glm.weights, glm.offset, _only_input(stage, known))
    return {stage.description.output[0].name: values[:, 0] if values.shape[1] == 1 else values}


def _scaler(stage: Message, known: Rows) -> Rows:
    shift, scale = (np.asarray(values, dtype=np.float64) for values in (stage.scaler.shiftValue, stage.scaler.scaleValue))
    return {stage.description.output[0].name: (_only_input(stage, known) + shift) * scale}


def _feature_vectorizer(stage: Message, known: Rows) -> Rows:
    parts = []
    for column in stage.featureVectorizer.inputList:
        part = known[column.inputColumn].astype(np.float64)
        part = part.reshape(len(part), -1)
        if part.shape[1] != column.inputDimensions:
            raise ValueError(f"{column.inputColumn} has {part.shape[1]} numbers, not {column.inputDimensions}")
        parts.append(part)
    return {stage.description.output[0].name: np.concatenate(parts, axis=1)}


_EVALUATED: Mapping[str, Callable[[Message, Rows], Rows]] = {
    "glmClassifier": _glm_classifier,
    "glmRegressor": _glm_regressor,
    "scaler": _scaler,
    "featureVectorizer": _feature_vectorizer,
}


def _only_input(stage: Message, known: Rows) -> _Doubles:
    values = known[stage.description.input[0].name].astype(np.float64)
    return values.reshape(len(values), -1)


def _linear(weights: Message, offset: Message, values: _Doubles) -> _Doubles:
    """(rows, features) -> (rows, regressors)."""
    factors = np.asarray([list(row.value) for row in weights], dtype=np.float64)
    return values @ factors.T + np.asarray(list(offset), dtype=np.float64)


def _sigmoid(scores: _Doubles) -> _Doubles:
    with np.errstate(over="ignore"):  # exp(800) is inf and the quotient 0, as it should be
        return 1 / (1 + np.exp(-scores))
