"""Classic specifications to alter: one of each kind of stage, and pipelines of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from mlpublish.coreml.schema import Message
from tests.coreml.classic.building import classifier, model


def _glm(held: Message, rows: int) -> None:
    for row in range(rows):
        held.weights.add().value.extend([0.5 + row, -1.0, 0.25])
        held.offset.append(0.1 * row)


def _glm_classifier() -> Message:
    spec = classifier("glmClassifier", {"x": 3}, [3, 5, 7])
    spec.glmClassifier.classEncoding = spec.glmClassifier.OneVsRest
    _glm(spec.glmClassifier, 3)
    return spec


def _glm_texts() -> Message:
    spec = classifier("glmClassifier", {"a": "double", "b": "int64", "c": "double"}, ["no", "yes"])
    _glm(spec.glmClassifier, 1)
    return spec


def _glm_regressor() -> Message:
    spec = model("glmRegressor", {"x": 3}, {"y": "double"})
    spec.glmRegressor.postEvaluationTransform = spec.glmRegressor.Logit
    spec.description.predictedFeatureName = "y"
    _glm(spec.glmRegressor, 1)
    return spec


def _tree(held: Message, classes: int) -> None:
    trees = held.treeEnsemble
    trees.numPredictionDimensions = classes
    trees.basePredictionValue.extend([0.5] * classes)
    for tree in range(3):
        for node, (mode, true, false) in enumerate([(0, 1, 2), (1, 3, 4), (4, 5, 6)]):
            trees.nodes.add(
                treeId=tree,
                nodeId=node,
                nodeBehavior=mode,
                branchFeatureIndex=node % 2,
                branchFeatureValue=0.3 * node,
                trueChildNodeId=true,
                falseChildNodeId=false,
                missingValueTracksTrueChild=node == 1,
                relativeHitRate=1.0,
            )
        for node in (3, 4, 5, 6):
            leaf = trees.nodes.add(treeId=tree, nodeId=node, nodeBehavior=6)
            leaf.evaluationInfo.add(evaluationIndex=(tree + node) % classes, evaluationValue=0.7 * node)


def _trees_regressor() -> Message:
    spec = model("treeEnsembleRegressor", {"x": 2}, {"y": "double"})
    spec.description.predictedFeatureName = "y"
    _tree(spec.treeEnsembleRegressor, 1)
    return spec


def _trees_classifier() -> Message:
    spec = classifier("treeEnsembleClassifier", {"a": "double", "b": "double"}, ["p", "q", "r"])
    spec.treeEnsembleClassifier.postEvaluationTransform = 1
    _tree(spec.treeEnsembleClassifier, 3)
    return spec


def _machine(kernel: str, *, sparse: bool = False) -> Message:
    spec = classifier("supportVectorClassifier", {"x": 2}, [0, 1, 2])
    held = spec.supportVectorClassifier
    getattr(held.kernel, f"{kernel}Kernel").SetInParent()
    if kernel in ("poly", "sigmoid"):
        getattr(held.kernel, f"{kernel}Kernel").c = 0.5
    if kernel != "linear":
        getattr(held.kernel, f"{kernel}Kernel").gamma = 0.3
    if kernel == "poly":
        held.kernel.polyKernel.degree = 3
    for row in range(6):
        if sparse:
            held.sparseSupportVectors.vectors.add().nodes.add(index=1 + row % 2, value=row - 2.5)
        else:
            held.denseSupportVectors.vectors.add().values.extend([row - 2.5, row * 0.5])
    held.numberOfSupportVectorsPerClass.extend([2, 2, 2])
    for _ in range(2):
        held.coefficients.add().alpha.extend([0.5, -0.5, 0.25, 1.0, -1.0, 0.75])
    held.rho.extend([0.1, -0.1, 0.2])
    held.probA.extend([-1.0, -1.5, -2.0])
    held.probB.extend([0.0, 0.1, 0.2])
    return spec


def _machine_regressor() -> Message:
    spec = model("supportVectorRegressor", {"x": 2}, {"y": "double"})
    spec.description.predictedFeatureName = "y"
    held = spec.supportVectorRegressor
    held.kernel.rbfKernel.gamma = 0.3
    for row in range(3):
        held.denseSupportVectors.vectors.add().values.extend([row, 1.0 - row])
    held.coefficients.alpha.extend([0.5, -0.5, 0.25])
    held.rho = 0.1
    return spec


def _neighbours(*, weighted: bool) -> Message:
    spec = classifier("kNearestNeighborsClassifier", {"x": 2}, ["a", "b", "a", "c"])
    held = spec.kNearestNeighborsClassifier
    index = held.nearestNeighborsIndex
    index.numberOfDimensions = 2
    index.squaredEuclideanDistance.SetInParent()
    for row in range(4):
        index.floatSamples.add().vector.extend([row, -row])
    held.numberOfNeighbors.defaultValue = 2
    (held.inverseDistanceWeighting if weighted else held.uniformWeighting).SetInParent()
    if weighted:
        index.singleKdTreeIndex.leafSize = 30
    else:
        index.linearIndex.SetInParent()
    return spec


def _scaler() -> Message:
    spec = model("scaler", {"x": 3}, {"y": 3})
    spec.scaler.shiftValue.extend([1, 2, 3])
    spec.scaler.scaleValue.extend([0.5, 2, 1])
    return spec


def _normalizer(norm: int) -> Message:
    spec = model("normalizer", {"x": 3}, {"y": 3})
    spec.normalizer.normType = norm
    return spec


def _imputer() -> Message:
    spec = model("imputer", {"x": 3}, {"y": 3})
    spec.imputer.imputedDoubleArray.vector.extend([1, 2, 3])
    spec.imputer.replaceDoubleValue = float("nan")
    return spec


def _one_hot() -> Message:
    spec = model("oneHotEncoder", {"x": "string"}, {"y": 3})
    spec.oneHotEncoder.stringCategories.vector.extend(["a", "b", "c"])
    spec.oneHotEncoder.handleUnknown = spec.oneHotEncoder.IgnoreUnknown
    return spec


def _one_hot_sparse() -> Message:
    spec = model("oneHotEncoder", {"x": "int64"}, {"y": "numbers"})
    spec.oneHotEncoder.int64Categories.vector.extend([0, 1, 2])
    spec.oneHotEncoder.outputSparse = True
    spec.oneHotEncoder.handleUnknown = spec.oneHotEncoder.IgnoreUnknown
    return spec


def _mapping() -> Message:
    spec = model("categoricalMapping", {"x": "string"}, {"y": "int64"})
    spec.categoricalMapping.stringToInt64Map.map.update({"a": 1, "b": 2})
    spec.categoricalMapping.int64Value = 9
    return spec


def _vectorizer() -> Message:
    spec = model("dictVectorizer", {"x": "names"}, {"y": 3})
    spec.dictVectorizer.stringToIndex.vector.extend(["a", "b", "c"])
    return spec


def _features() -> Message:
    spec = model("featureVectorizer", {"a": "double", "b": 2, "c": "int64"}, {"y": 4})
    for name, size in (("a", 1), ("b", 2), ("c", 1)):
        spec.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=size)
    return spec


def _extractor() -> Message:
    spec = model("arrayFeatureExtractor", {"x": 5}, {"y": 2})
    spec.arrayFeatureExtractor.extractIndex.extend([3, 1])
    return spec


def _identity() -> Message:
    spec = model("identity", {"x": 2}, {"x": 2})
    spec.identity.SetInParent()
    return spec


def _bayes() -> Message:
    spec = model("bayesianProbitRegressor", {"x": (2, 2)}, {"mean": "double"})
    held = spec.bayesianProbitRegressor
    held.numberOfFeatures = 2
    held.bias.mean, held.bias.precision = 0.1, 2.0
    for place in range(2):
        feature = held.features.add(featureId=place)
        weight = feature.weights.add(featureValue=1)
        weight.featureWeight.mean, weight.featureWeight.precision = 0.5, 1.0
    held.regressionInputFeatureName = "x"
    held.meanOutputFeatureName = "mean"
    return spec


def _pipeline(kind: str = "pipelineClassifier") -> Message:
    last = _glm_classifier()
    last.description.input[0].name = "y"
    spec = classifier("glmClassifier", {"x": 3}, [3, 5, 7])
    spec.ClearField("glmClassifier")
    held = getattr(spec, kind)
    models = (held if kind == "pipeline" else held.pipeline).models
    for stage in (_scaler(), last):
        models.add().CopyFrom(stage)
    return spec


def _nested() -> Message:
    spec = _pipeline("pipeline")
    inner = spec.pipeline.models.add()
    inner.CopyFrom(_pipeline("pipeline"))
    return spec


def _saved(make: Callable[[], Message], folder: Path) -> Path:
    path = folder / "model.mlmodel"
    path.write_bytes(make().SerializeToString(deterministic=True))
    return path


STAGES: Mapping[str, Callable[[Path], Path]] = {
    f"classic {name}": partial(_saved, make)
    for name, make in {
        "glm classifier": _glm_classifier,
        "glm classifier of texts": _glm_texts,
        "glm regressor": _glm_regressor,
        "trees regressor": _trees_regressor,
        "trees classifier": _trees_classifier,
        **{f"{kernel} machine": partial(_machine, kernel) for kernel in ("linear", "rbf", "poly", "sigmoid")},
        "sparse machine": partial(_machine, "rbf", sparse=True),
        "machine regressor": _machine_regressor,
        "neighbours": partial(_neighbours, weighted=False),
        "weighted neighbours": partial(_neighbours, weighted=True),
        "scaler": _scaler,
        **{f"normalizer {norm}": partial(_normalizer, norm) for norm in range(3)},
        "imputer": _imputer,
        "one hot": _one_hot,
        "one hot, sparse": _one_hot_sparse,
        "mapping": _mapping,
        "dictionary vectorizer": _vectorizer,
        "feature vectorizer": _features,
        "extractor": _extractor,
        "identity": _identity,
        "probit": _bayes,
        "pipeline": _pipeline,
        "pipelines in pipelines": _nested,
    }.items()
}
