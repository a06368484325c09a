"""What Apple's own validator asks of a specification (``mlmodel/src/Validation`` of coremltools), as far as our stages go."""

from __future__ import annotations

from typing import Any

PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")
NUMBERS = ("doubleType", "int64Type", "multiArrayType")


def check(spec: Any) -> None:
    """Assert that a model, and every stage of it, is valid."""
    kind = spec.WhichOneof("Type")
    if kind in PIPELINES:
        models = (spec.pipeline if kind == "pipeline" else getattr(spec, kind).pipeline).models
        _check_pipeline(spec, models)
        _check_end(spec, kind, models[-1])
    else:
        CHECKS[kind](spec)
    for each in (*spec.description.input, *spec.description.output):
        assert each.name
        assert each.type.WhichOneof("Type")
        if each.type.WhichOneof("Type") == "multiArrayType":
            assert len(each.type.multiArrayType.shape) > 0 or each in spec.description.output


def _check_pipeline(spec: Any, models: Any) -> None:
    """Every input of a stage is declared before, with the same type to the element; so is every output of the pipeline."""
    assert models
    known = {each.name: _type(each) for each in spec.description.input}
    for model in models:
        for each in model.description.input:
            assert _type(each) == known[each.name], each.name
        check(model)
        for each in model.description.output:
            assert each.name not in known, "a name stands for one thing"
            known[each.name] = _type(each)
    for each in spec.description.output:
        assert _type(each) == known[each.name], each.name
    assert spec.specificationVersion >= max(model.specificationVersion for model in models)


def _check_end(spec: Any, kind: str, last: Any) -> None:
    """A pipeline is a regression or a classification by its last model (coremltools' ``PipelineRegressor``)."""
    predicted = spec.description.predictedFeatureName
    if kind == "pipeline":
        assert not predicted
        return
    assert predicted in {each.name for each in spec.description.output}, "the pipeline gives what it says to predict"
    if kind == "pipelineRegressor":
        assert last.WhichOneof("Type").endswith("Regressor")
        assert last.description.predictedFeatureName == predicted
    else:
        assert last.description.predictedFeatureName
        assert _kinds(last.description.output)[0] in ("int64Type", "stringType")


def _type(feature: Any) -> tuple[Any, ...]:
    kind = feature.type.WhichOneof("Type")
    if kind == "multiArrayType":
        return kind, feature.type.multiArrayType.dataType, tuple(feature.type.multiArrayType.shape)
    return kind, feature.type.dictionaryType.WhichOneof("KeyType") if kind == "dictionaryType" else None


def _kinds(features: Any) -> list[str]:
    return [each.type.WhichOneof("Type") for each in features]


def _one(spec: Any, reads: tuple[str, ...], writes: tuple[str, ...]) -> tuple[Any, Any]:
    (given,), (made,) = spec.description.input, spec.description.output
    assert _kinds([given])[0] in reads
    assert _kinds([made])[0] in writes
    return given, made


def _regressor(spec: Any) -> None:
    assert set(_kinds(spec.description.input)) <= set(NUMBERS)
    (made,) = spec.description.output
    assert made.name == spec.description.predictedFeatureName
    assert _kinds([made])[0] in ("doubleType", "multiArrayType")


def _linear_regressor(spec: Any) -> None:
    _regressor(spec)
    assert _kinds(spec.description.output) == ["doubleType"]
    assert len(spec.glmRegressor.weights) == len(spec.glmRegressor.offset) == 1


def _vector_regressor(spec: Any) -> None:
    _regressor(spec)
    held = spec.supportVectorRegressor
    assert held.kernel.WhichOneof("kernel")
    assert len(held.coefficients.alpha) == len(held.denseSupportVectors.vectors)


def _classifier(spec: Any) -> int:
    held = getattr(spec, spec.WhichOneof("Type"))
    assert set(_kinds(spec.description.input)) <= set(NUMBERS)
    kind = held.WhichOneof("ClassLabels")
    types = {each.name: _type(each) for each in spec.description.output}
    label, chances = spec.description.predictedFeatureName, spec.description.predictedProbabilitiesName
    is_whole = kind == "int64ClassLabels"
    assert types[label][0] == ("int64Type" if is_whole else "stringType")
    if chances:
        assert types[chances] == ("dictionaryType", "int64KeyType" if is_whole else "stringKeyType")
    assert len(types) == 1 + bool(chances)
    return len(getattr(held, kind).vector)


def _linear_classifier(spec: Any) -> None:
    held, classes = spec.glmClassifier, _classifier(spec)
    assert len(held.weights) == len(held.offset) == (1 if classes == 2 else classes)
    assert held.classEncoding == held.OneVsRest
    assert len({len(each.value) for each in held.weights}) == 1


def _vector_classifier(spec: Any) -> None:
    held, classes = spec.supportVectorClassifier, _classifier(spec)
    vectors = len(held.denseSupportVectors.vectors)
    assert held.kernel.WhichOneof("kernel")
    assert len(held.coefficients) == classes - 1
    assert all(len(each.alpha) == vectors for each in held.coefficients)
    assert len(held.numberOfSupportVectorsPerClass) == classes
    assert sum(held.numberOfSupportVectorsPerClass) == vectors
    assert len(held.rho) == classes * (classes - 1) // 2


def _trees(spec: Any) -> None:
    held = getattr(spec, spec.WhichOneof("Type")).treeEnsemble
    assert len(held.basePredictionValue) == held.numPredictionDimensions > 0
    known = {(node.treeId, node.nodeId): node for node in held.nodes}
    assert len(known) == len(held.nodes)
    children = [
        (node.treeId, child)
        for node in held.nodes
        if node.nodeBehavior != node.LeafNode
        for child in (node.trueChildNodeId, node.falseChildNodeId)
    ]
    assert len(set(children)) == len(children), "a node has one parent"
    assert set(children) <= known.keys()
    assert all((tree, 0) not in children for tree in {key[0] for key in known}), "a tree has one root, the first node"
    assert len(children) == len(known) - len({key[0] for key in known}), "all else is a child"
    for node in held.nodes:
        if node.nodeBehavior == node.LeafNode:
            places = [each.evaluationIndex for each in node.evaluationInfo]
            assert places
            assert len(set(places)) == len(places)
            assert max(places) < held.numPredictionDimensions


def _tree_classifier(spec: Any) -> None:
    classes, results = _classifier(spec), spec.treeEnsembleClassifier.treeEnsemble.numPredictionDimensions
    assert (results, classes) == (1, 2) or results == classes >= 2
    _trees(spec)


def _tree_regressor(spec: Any) -> None:
    _regressor(spec)
    _trees(spec)


def _scaler(spec: Any) -> None:
    given, made = _one(spec, NUMBERS, NUMBERS)
    assert _type(given)[0] == _type(made)[0]
    assert _type(given)[2:] == _type(made)[2:]
    assert len(_type(given)) < 3 or len(_type(given)[2]) == 1


def _imputer(spec: Any) -> None:
    _scaler(spec)
    kind, _, *shape = _type(spec.description.input[0])
    wanted = "imputedDoubleArray" if kind == "multiArrayType" else "imputedDoubleValue"
    assert spec.imputer.WhichOneof("ImputedValue") == wanted
    assert not shape or len(spec.imputer.imputedDoubleArray.vector) == shape[0][0]
    assert spec.imputer.WhichOneof("ReplaceValue") == "replaceDoubleValue", "NaN is missing where it is said (Imputer.proto)"


def _one_hot(spec: Any) -> None:
    given, _ = _one(spec, ("stringType", "int64Type"), ("multiArrayType",))
    is_text = _type(given)[0] == "stringType"
    assert spec.oneHotEncoder.WhichOneof("CategoryType") == ("stringCategories" if is_text else "int64Categories")


def _mapping(spec: Any) -> None:
    _one(spec, ("stringType",), ("int64Type",))
    assert spec.categoricalMapping.WhichOneof("MappingType") == "stringToInt64Map"
    assert spec.categoricalMapping.WhichOneof("ValueOnUnknown") in (None, "int64Value")


def _vectorizer(spec: Any) -> None:
    (made,) = spec.description.output
    assert set(_kinds(spec.description.input)) <= set(NUMBERS)
    sizes = [each.inputDimensions for each in spec.featureVectorizer.inputList]
    assert min(sizes) > 0
    assert _type(made)[2] == (sum(sizes),)
    assert [each.inputColumn for each in spec.featureVectorizer.inputList] == [each.name for each in spec.description.input]


def _extractor(spec: Any) -> None:
    given, made = _one(spec, ("multiArrayType",), ("multiArrayType",))
    assert max(spec.arrayFeatureExtractor.extractIndex) < _type(given)[2][0]
    assert _type(made)[2] == (len(spec.arrayFeatureExtractor.extractIndex),)


def _normalizer(spec: Any) -> None:
    given, made = _one(spec, ("multiArrayType",), ("multiArrayType",))
    assert _type(given)[2] == _type(made)[2]


def _program(spec: Any) -> None:
    """The description says of each input what the function says; a shape of its own has every output."""
    function = spec.mlProgram.functions["main"]
    tensors = {each.name: each.type.tensorType for each in function.inputs}
    assert {each.name for each in spec.description.input} == set(tensors)
    for each in spec.description.input:
        kind, dtype, shape = _type(each)
        assert (kind, dtype) == ("multiArrayType", 65568)
        assert shape == tuple(size.constant.size for size in tensors[each.name].dimensions)
    outputs = set(function.block_specializations[function.opset].outputs)
    assert {each.name for each in spec.description.output} == outputs
    for each in spec.description.output:
        assert len(_type(each)) < 3 or _type(each)[2]


CHECKS = {
    "glmRegressor": _linear_regressor,
    "glmClassifier": _linear_classifier,
    "supportVectorRegressor": _vector_regressor,
    "supportVectorClassifier": _vector_classifier,
    "treeEnsembleRegressor": _tree_regressor,
    "treeEnsembleClassifier": _tree_classifier,
    "scaler": _scaler,
    "imputer": _imputer,
    "normalizer": _normalizer,
    "oneHotEncoder": _one_hot,
    "categoricalMapping": _mapping,
    "featureVectorizer": _vectorizer,
    "arrayFeatureExtractor": _extractor,
    "mlProgram": _program,
}
