from __future__ import annotations

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlpublish.coreml.classic import programs
from mlpublish.coreml.classic.run import FAMILIES, Classic, classes_of
from mlpublish.coreml.classic.run import unsupported as unsupported_stages
from mlpublish.coreml.evaluate import load, unsupported
from mlpublish.coreml.schema import schema
from mlpublish.errors import ConversionError
from tests.coreml.classic.building import classifier, declare, model, objects, run


def pipeline(stages, inputs, outputs, kind="pipeline"):
    spec = model(kind, inputs, outputs)
    held = spec.pipeline if kind == "pipeline" else getattr(spec, kind).pipeline
    held.models.extend(stages)
    return spec


def scaler(reads, writes, *, shift=0.0, scale=1.0, size=2):
    spec = model("scaler", {reads: size}, {writes: size})
    spec.scaler.shiftValue.append(shift)
    spec.scaler.scaleValue.append(scale)
    return spec


def test_a_whole_pipeline_of_scikit_learn(tmp_path):
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(300, 2))
    numbers[rng.random(numbers.shape) < 0.2] = np.nan
    towns = np.asarray(["Rome", "Oslo", "Ulm"], dtype=object)[rng.integers(0, 3, 300)]
    x = np.column_stack([numbers.astype(object), towns])
    y = np.where(np.nan_to_num(numbers[:, 0]) + (towns == "Ulm") > 0.3, "yes", "no")
    judge = make_pipeline(
        ColumnTransformer([("n", make_pipeline(SimpleImputer(), StandardScaler()), [0, 1]), ("t", OneHotEncoder(), [2])]),
        LogisticRegression(),
    ).fit(x, y)
    prepared = judge[0].named_transformers_
    joined = model("featureVectorizer", {"a": "double", "b": "double"}, {"numbers": 2})
    for name in "ab":
        joined.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=1)
    filled = model("imputer", {"numbers": 2}, {"filled": 2})
    filled.imputer.imputedDoubleArray.vector.extend(prepared["n"][0].statistics_.tolist())
    scaled = model("scaler", {"filled": 2}, {"scaled": 2})
    scaled.scaler.shiftValue.extend((-prepared["n"][1].mean_).tolist())
    scaled.scaler.scaleValue.extend((1 / prepared["n"][1].scale_).tolist())
    hot = model("oneHotEncoder", {"town": "string"}, {"hot": "numbers"})
    hot.oneHotEncoder.stringCategories.vector.extend(prepared["t"].categories_[0].tolist())
    hot.oneHotEncoder.outputSparse = True
    together = model("featureVectorizer", {"scaled": 2, "hot": "numbers"}, {"all": 5})
    together.featureVectorizer.inputList.add(inputColumn="scaled", inputDimensions=2)
    together.featureVectorizer.inputList.add(inputColumn="hot", inputDimensions=3)
    last = classifier("glmClassifier", {"all": 5}, judge.classes_.tolist())
    last.glmClassifier.weights.add().value.extend(judge[-1].coef_[0].tolist())
    last.glmClassifier.offset.extend(judge[-1].intercept_.tolist())
    spec = pipeline(
        [joined, filled, scaled, hot, together, last],
        {"a": "double", "b": "double", "town": "string"},
        {"label": "string", "probabilities": "names"},
        "pipelineClassifier",
    )
    path = tmp_path / "model.mlmodel"
    path.write_bytes(spec.SerializeToString())
    assert unsupported(path) == []
    loaded = load(path)
    got = loaded.predict_rows({"a": numbers[:, 0], "b": numbers[:, 1], "town": towns.astype(str)})
    assert loaded.classes == ("no", "yes")
    np.testing.assert_allclose(got["probabilities"], judge.predict_proba(x), rtol=1e-9)
    assert got["label"].tolist() == judge.predict(x).tolist()


def test_a_pipeline_around_a_network(tmp_path):
    network = model("neuralNetwork", {"scaled": 2}, {"out": 2})
    network.neuralNetwork.arrayInputShapeMapping = 1
    layer = network.neuralNetwork.layers.add(name="l", input=["scaled"], output=["out"])
    layer.innerProduct.inputChannels, layer.innerProduct.outputChannels = 2, 2
    layer.innerProduct.weights.floatValue.extend([1, 2, 3, 4])
    spec = pipeline([scaler("x", "scaled", shift=1), network, scaler("out", "y", scale=10)], {"x": 2}, {"y": 2})
    path = tmp_path / "model.mlmodel"
    path.write_bytes(spec.SerializeToString())
    got = load(path).predict_rows({"x": np.asarray([[0.0, 1.0], [-1.0, -1.0]])})["y"]
    np.testing.assert_allclose(got, [[50, 110], [0, 0]])


def test_what_a_pipeline_inside_makes_in_between_is_its_own():
    inside = pipeline([scaler("x", "between", shift=1), scaler("between", "y", scale=2)], {"x": 2}, {"y": 2})
    outside = pipeline([scaler("x", "between", shift=100), inside, scaler("between", "z", scale=1)], {"x": 2}, {"y": 2, "z": 2})
    got = run(outside, x=[[0.0, 1.0]])
    assert got["y"].tolist() == [[2, 4]]
    assert got["z"].tolist() == [[100, 101]]


def test_an_output_may_be_an_input_or_of_any_stage():
    spec = pipeline([scaler("x", "y", shift=1), scaler("y", "z", scale=2)], {"x": 2}, {"x": 2, "y": 2, "z": 2})
    got = run(spec, x=[[0.0, 1.0]])
    assert {name: value.tolist() for name, value in got.items()} == {"x": [[0, 1]], "y": [[1, 2]], "z": [[2, 4]]}


def test_a_dictionary_goes_through_a_saved_model(tmp_path):
    listed = model("dictVectorizer", {"words": "names"}, {"places": "numbers"})
    listed.dictVectorizer.stringToIndex.vector.extend(["a", "b"])
    dense = model("featureVectorizer", {"places": "numbers"}, {"y": 2})
    dense.featureVectorizer.inputList.add(inputColumn="places", inputDimensions=2)
    path = tmp_path / "model.mlmodel"
    path.write_bytes(pipeline([listed, dense], {"words": "names"}, {"places": "numbers", "y": 2}).SerializeToString())
    got = load(path).predict_rows({"words": objects({"b": 2.0}, {})})
    assert got["y"].tolist() == [[0, 2], [0, 0]]
    assert got["places"].tolist() == [{1: 2.0}, {}]


@pytest.mark.parametrize("labels", [2, 3])
def test_boosted_trees_of_scikit_learn(labels):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 4)).astype(np.float32), rng.integers(0, labels, 400)
    judge = GradientBoostingClassifier(n_estimators=12, max_depth=4, random_state=0).fit(x, y)
    spec = classifier("treeEnsembleClassifier", {"x": 4}, list(range(labels)))
    held = spec.treeEnsembleClassifier
    held.postEvaluationTransform = 2 if labels == 2 else 1
    prior = np.bincount(y) / len(y)
    base = [np.log(prior[1] / prior[0])] if labels == 2 else np.log(prior).tolist()
    held.treeEnsemble.numPredictionDimensions = len(base)
    held.treeEnsemble.basePredictionValue.extend(base)
    for number, (stage, place) in enumerate(np.ndindex(judge.estimators_.shape)):
        add_tree(held.treeEnsemble, number, judge.estimators_[stage, place].tree_, place, judge.learning_rate)
    got = run(spec, x=x)
    np.testing.assert_allclose(got["probabilities"], judge.predict_proba(x), rtol=1e-9)
    assert got["label"].tolist() == judge.predict(x).tolist()


def add_tree(parameters, number, tree, result, factor):
    for place in range(tree.node_count):
        node = parameters.nodes.add(treeId=number, nodeId=place)
        if tree.children_left[place] < 0:
            node.nodeBehavior = node.LeafNode
            node.evaluationInfo.add(evaluationIndex=result, evaluationValue=factor * tree.value[place, 0, 0])
        else:
            node.branchFeatureIndex, node.branchFeatureValue = tree.feature[place], tree.threshold[place]
            node.trueChildNodeId, node.falseChildNodeId = tree.children_left[place], tree.children_right[place]


KINDS = [each.name for each in schema("Model").Model.DESCRIPTOR.oneofs_by_name["Type"].fields]
RUN = {programs.KIND, *(kind for family in FAMILIES for kind in family.KINDS)}


@pytest.mark.parametrize("kind", [each for each in KINDS if each not in RUN and not each.startswith("pipeline")])
def test_a_kind_that_is_not_evaluated_is_named_in_a_pipeline(tmp_path, kind):
    inside = pipeline([model(kind, {"x": 2}, {"y": 2})], {"x": 2}, {"y": 2})
    path = tmp_path / "model.mlmodel"
    path.write_bytes(pipeline([scaler("x", "x2"), inside], {"x": 2}, {"y": 2}).SerializeToString())
    assert unsupported(path) == [kind]
    with pytest.raises(ConversionError, match=kind):
        load(path)


@pytest.mark.parametrize("kind", ["linkedModel", "customModel", "visionFeaturePrint", "wordTagger"])
def test_a_kind_that_is_not_evaluated_is_named(tmp_path, kind):
    path = tmp_path / "model.mlmodel"
    path.write_bytes(model(kind, {"x": 2}, {"y": 2}).SerializeToString())
    assert unsupported(path) == [kind]


def test_every_kind_belongs_to_one_family():
    kinds = [kind for family in FAMILIES for kind in family.KINDS]
    assert len(kinds) == len(set(kinds))
    assert set(kinds) <= set(KINDS)


def test_the_labels_are_those_of_the_last_classifier():
    chosen = classifier("glmClassifier", {"x": 2}, ["a", "b"])
    spec = pipeline([chosen, scaler("x", "y")], {"x": 2}, {"label": "string", "y": 2})
    assert classes_of(spec) == ("a", "b")
    assert classes_of(scaler("x", "y")) == ()


def test_an_output_that_no_stage_makes_is_named():
    with pytest.raises(ConversionError, match="'z'"):
        run(pipeline([scaler("x", "y")], {"x": 2}, {"z": 2}), x=[[0.0, 0.0]])
    with pytest.raises(ConversionError, match="'x'"):
        run(pipeline([], {}, {"x": 2}))


def test_pipelines_in_pipelines_end_somewhere():
    spec = scaler("x", "y")
    for _ in range(40):
        spec = pipeline([spec], {"x": 2}, {"y": 2})
    for act in (Classic, classes_of):
        with pytest.raises(ConversionError, match="pipelines stand in each other"):
            act(spec)


def test_a_model_without_a_type_is_named():
    spec = pipeline([schema("Model").Model()], {"x": 2}, {"y": 2})
    declare(spec.pipeline.models[0].description.input, {"x": 2})
    assert unsupported_stages(spec) == ["a stage without a type"]
