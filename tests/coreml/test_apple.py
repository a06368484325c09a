"""Between our arrays and Apple's dictionaries. That Apple's runtime itself runs a model needs a Mac and is not tested here."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from mlpublish.coreml import evaluate
from mlpublish.coreml.apple import COMPUTE_UNITS, AppleModel, collect
from mlpublish.errors import ConversionError, RecipeError
from mlpublish.formats.evidence import Feature
from tests.coreml.apple_runtime import StandIn

LABEL = Feature(name="classLabel", kind="int64", dtype="int64")
PROBABILITY = Feature(name="classProbability", kind="dictionary", dtype="int64")
off_macos = pytest.mark.skipif(platform.system() == "Darwin", reason="here Apple's runtime is")


def test_apples_dictionaries_become_columns_in_the_order_of_the_labels():
    answers = [
        {"classLabel": 10, "classProbability": {10: 0.75, 2: 0.25}},
        {"classLabel": 2, "classProbability": {2: 0.5, 10: 0.5}},
    ]
    classes, found = collect(answers, (LABEL, PROBABILITY))
    assert classes == (2, 10)
    assert found["classLabel"].tolist() == [10, 2]
    assert found["classProbability"].tolist() == [[0.25, 0.75], [0.5, 0.5]]


def test_apples_arrays_lose_their_batch_of_one():
    scores = Feature(name="scores", kind="multiArray", shape=(1, 3))
    classes, found = collect([{"scores": np.array([[1.0, 2.0, 3.0]])}] * 2, (scores,))
    assert (classes, found["scores"].shape) == ((), (2, 3))


def test_the_labels_of_the_file_decide_the_order_of_the_columns():
    classes, found = collect([{"classLabel": 2, "classProbability": {2: 0.5, 10: 0.25}}], (LABEL, PROBABILITY), (10, 2))
    assert (classes, found["classProbability"].tolist()) == ((10, 2), [[0.25, 0.5]])


def test_a_dictionary_that_is_no_probability_stays_one():
    _, found = collect([{"classProbability": {"w": 1.0}}, {"classProbability": {"v": 2.0}}], (PROBABILITY,), ("a", "b"))
    assert found["classProbability"].tolist() == [{"w": 1.0}, {"v": 2.0}]


@off_macos
@pytest.mark.parametrize("load", [AppleModel, lambda path: evaluate.load(path, executor="apple")])
def test_off_macos_it_is_told_what_is_missing(glm, load):
    with pytest.raises(RecipeError, match=r"part of macOS, and this is Linux.*'mlpublish'"):
        load(glm(lambda _: None))


def test_there_are_no_other_compute_units(glm):
    with pytest.raises(RecipeError, match="ALL, CPU_AND_GPU, CPU_AND_NE, CPU_ONLY"):
        AppleModel(glm(lambda _: None), compute_units="NE", opener=StandIn)


@pytest.fixture
def classifier(glm):
    def fill(held):
        held.weights.add(value=[1.0, -2.0])
        held.offset.append(0.5)
        held.int64ClassLabels.vector.extend([9, 3])

    return glm(fill)


def test_a_classifier_answers_as_the_evaluator_does(classifier):
    values = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    ours, apples = evaluate.load(classifier), AppleModel(classifier, opener=StandIn)
    want, found = ours.predict_rows({"input": values}), apples.predict_rows({"input": values})
    assert apples.classes == ours.classes == (9, 3)
    assert {name: value.tolist() for name, value in found.items()} == {name: value.tolist() for name, value in want.items()}
    single, wanted = apples.predict({"input": values[0]}), ours.predict({"input": values[0]})
    assert {name: value.tolist() for name, value in single.items()} == {name: value.tolist() for name, value in wanted.items()}


@pytest.mark.parametrize("units", COMPUTE_UNITS)
def test_a_network_answers_as_the_evaluator_does(dense, units):
    path = dense(precision="FLOAT16")
    values = np.random.default_rng(0).normal(size=(3, 1, 4))
    apples = AppleModel(path, compute_units=units, opener=StandIn)
    found = apples.predict_rows({"input": values})["prediction"]
    assert np.array_equal(found, evaluate.load(path).predict_rows({"input": values})["prediction"])
    assert apples.predict({"input": values[0]})["prediction"].shape == (1, 3)
    assert apples._runtime.compute_units == units
    assert apples._runtime.asked[0]["input"].dtype == np.float32


def test_another_number_of_answers_than_rows_is_no_answer(dense):
    class Short(StandIn):
        def predict(self, data, state=None):
            return super().predict(data[1:] if isinstance(data, list) else data, state)

    with pytest.raises(ConversionError, match="1 answers to 2 rows"):
        AppleModel(dense(), opener=Short).predict_rows({"input": np.zeros((2, 4))})


@pytest.fixture
def counting(ct, tmp_path):
    """Adds its input to what it remembers, and answers twice of that."""
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    @mb.program(
        input_specs=[
            mb.TensorSpec(shape=(1, 2), dtype=types.fp16),
            mb.StateTensorSpec(shape=(1, 2), dtype=types.fp16),
        ],
        opset_version=ct.target.iOS18,
    )
    def made(x, total):
        after = mb.add(x=mb.read_state(input=total), y=x)
        return mb.mul(x=mb.coreml_update_state(state=total, value=after), y=np.float16(2), name="twice")

    converted = ct.convert(made, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS18, skip_model_load=True)
    path = tmp_path / "counting.mlpackage"
    converted.save(str(path))
    return path


def test_a_state_goes_in_and_comes_out_and_is_not_changed(counting):
    ours, apples = evaluate.load(counting), AppleModel(counting, opener=StandIn)
    before = apples.initial_state()
    assert {name: value.tolist() for name, value in before.items()} == {"total": [[0, 0]]}
    state, wanted = before, ours.initial_state()
    for step in (1.0, 2.0, 4.0):
        given = {"x": np.full((1, 2), step, np.float16)}
        found, state = apples.predict_with_state(given, state)
        want, wanted = ours.predict_with_state(given, wanted)
        assert found["twice"].tolist() == want["twice"].tolist()
        assert state["total"].tolist() == wanted["total"].tolist()
    assert state["total"].tolist() == [[7, 7]]
    assert before["total"].tolist() == [[0, 0]]
