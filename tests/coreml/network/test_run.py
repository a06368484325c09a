from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.coreml.evaluate import load, unsupported
from mlpublish.coreml.network import run
from mlpublish.coreml.network.layers import EXCLUDED
from mlpublish.coreml.schema import schema
from mlpublish.errors import ConversionError
from tests.coreml.network.building import builder, numbers, save

LABELS = [["cat", "dog", "owl"], [7, 9, 11]]


def _classifier(labels, *, exact, blob=""):
    made = builder({"x": (3,)}, ("probs",), exact=exact, mode="classifier")
    made.add_activation("twice", "LINEAR", "x", "probs", params=[2.0, 0.0])
    if blob:
        made.add_activation("more", "LINEAR", "x", blob, params=[-1.0, 0.0])
    made.set_class_labels(labels, prediction_blob=blob)
    return made


@pytest.mark.parametrize("labels", LABELS, ids=["texts", "numbers"])
@pytest.mark.parametrize("exact", [True, False])
def test_a_classifier_gives_what_the_network_made_and_the_label_of_the_largest(tmp_path, labels, exact):
    model = load(save(_classifier(labels, exact=exact), tmp_path / "m.mlmodel"))
    x = np.asarray([[1, 2, 3], [5, 4, 3], [1, 1, 0], [-3, -1, -2]], np.float32)
    got = model.predict_rows({"x": x})
    assert model.classes == tuple(labels)
    np.testing.assert_array_equal(got["probs"], x * 2)  # no softmax that the file does not have
    np.testing.assert_array_equal(got["classLabel"], [labels[2], labels[0], labels[0], labels[1]])
    assert model.predict({"x": x[0]})["classLabel"] == labels[2]


def test_the_probabilities_may_be_another_blob(tmp_path):
    model = load(save(_classifier(LABELS[0], exact=True, blob="z"), tmp_path / "m.mlmodel"))
    got = model.predict({"x": np.asarray([1, 2, 3])})
    np.testing.assert_array_equal(got["probs"], [-1, -2, -3])
    assert got["classLabel"] == "cat"


def test_without_a_name_the_last_layer_makes_the_probabilities(tmp_path):
    made = _classifier(LABELS[0], exact=True)
    made.nn_spec.labelProbabilityLayerName = ""
    np.testing.assert_array_equal(load(save(made, tmp_path / "m.mlmodel")).predict({"x": [1, 2, 3]})["probs"], [2, 4, 6])


def test_more_labels_than_probabilities_are_refused(tmp_path):
    with pytest.raises(ConversionError, match="4 labels for 3"):
        load(save(_classifier([*"abcd"], exact=True), tmp_path / "m.mlmodel")).predict({"x": numbers(3)})


def test_a_regressor_gives_a_number_per_row(tmp_path):
    made = builder({"x": (3,)}, ("price",), exact=False, mode="regressor")
    made.add_inner_product("sum", np.ones((1, 3)), None, 3, 1, False, "x", "total")
    made.spec.description.predictedFeatureName = "price"
    made.spec.description.output[0].type.doubleType.SetInParent()
    x = numbers(4, 3)
    got = load(save(made, tmp_path / "m.mlmodel")).predict_rows({"x": x})["price"]
    np.testing.assert_allclose(got, x.sum(axis=1), rtol=1e-5)
    assert got.dtype == np.float64


@pytest.mark.parametrize(
    ("shape", "seen"), [((), (2, 3, 4)), ((2, 3, 4), (2, 3, 4)), ((24,), (24,)), ((1, 24), (24,)), ((5,), (2, 3, 4))]
)
@pytest.mark.parametrize(("kind", "dtype"), [("FLOAT32", "float32"), ("DOUBLE", "float64"), ("INT32", "int32")])
def test_an_output_has_the_shape_and_type_that_the_description_gives(tmp_path, shape, seen, kind, dtype):
    made = builder({"x": (2, 3, 4)}, exact=False)
    made.add_activation("same", "LINEAR", "x", "y", params=[1.0, 0.0])
    held = made.spec.description.output[0].type.multiArrayType
    held.shape[:] = shape
    held.dataType = held.ArrayDataType.Value(kind)
    x = np.random.default_rng(0).integers(-9, 9, (3, 2, 3, 4))
    got = load(save(made, tmp_path / "m.mlmodel")).predict_rows({"x": x})["y"]
    assert (got.shape, got.dtype) == ((3, *seen), dtype)
    np.testing.assert_array_equal(got.reshape(3, -1), x.reshape(3, -1))


def test_a_sequence_of_the_old_mapping_may_be_given_as_such():
    """(sequence, batch, C), and all five dimensions."""
    made = builder({"x": (3,)}, exact=False)
    made.add_reduce("r", "x", "y", "C", "sum")
    ran = run.opened(made.spec)
    x = numbers(4, 5, 2, 3)
    for given_ in (x, x[..., None, None]):
        np.testing.assert_allclose(ran({"x": given_})["y"], x.sum(axis=-1).reshape(4, 5, 2, 1, 1, 1), rtol=1e-5)
    with pytest.raises(ValueError, match="1, 3 or 5"):
        ran({"x": numbers(4, 5, 2)[:, :, :, None, None]})


def test_an_optional_input_has_its_default(tmp_path):
    made = builder({"x": (3,), "z": (3,)})
    made.add_elementwise("add", ["x", "z"], "y", "ADD")
    made.set_optional_input(1, value=2.5)
    x = numbers(4, 3)
    np.testing.assert_allclose(run.opened(made.spec)({"x": x})["y"], x + 2.5, rtol=1e-6)
    with pytest.raises(ValueError, match=r"\[\] rows|missing"):
        run.opened(made.spec)({})


def _cnn():
    made = builder({"x": (3, 8, 8)}, exact=False)
    made.add_convolution(
        "c", 3, 4, 3, 3, 1, 1, "same", 1, numbers(3, 3, 3, 4), numbers(4), True, input_name="x", output_name="c"
    )
    made.add_activation("a", "RELU", "c", "a")
    made.add_pooling("p", 2, 2, 2, 2, "MAX", "VALID", "a", "p")
    made.add_flatten("f", 0, "p", "f")
    made.add_inner_product("i", numbers(5, 64), numbers(5), 64, 5, True, "f", "i")
    made.add_softmax("s", "i", "y")
    return made.spec


CNN = run.opened(_cnn())


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 9), st.integers(0, 2**31))
def test_many_rows_at_once_are_the_rows_one_by_one(count, seed):
    x = numbers(count, 3, 8, 8, seed=seed)
    together = CNN({"x": x})["y"]
    alone = np.concatenate([CNN({"x": x[row : row + 1]})["y"] for row in range(count)])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(together.sum(axis=1), 1, rtol=1e-5)


def test_more_rows_than_run_at_once(tmp_path):
    x = numbers(600, 3, seed=3)
    made = builder({"x": (3,)})
    made.add_elementwise("twice", ["x"], "y", "MULTIPLY", alpha=2)
    np.testing.assert_allclose(run.opened(made.spec)({"x": x})["y"], x * 2)


def test_every_layer_of_the_specification_is_evaluated_or_named_with_a_reason():
    from mlpublish.coreml.network.layers import CONTROL, LAYERS

    known = {field.name for field in schema("NeuralNetwork").NeuralNetworkLayer.DESCRIPTOR.oneofs_by_name["layer"].fields}
    assert known == {*LAYERS, *CONTROL, *EXCLUDED}
    assert not {*LAYERS, *CONTROL} & {*EXCLUDED}
    assert all(EXCLUDED.values())


@pytest.mark.parametrize("kind", sorted(EXCLUDED))
def test_a_layer_that_is_not_evaluated_is_named_before_anything_runs(tmp_path, kind):
    made = builder({"x": (3,)})
    getattr(made._add_generic_layer("l", ["x"], ["y"]), kind).SetInParent()
    path = save(made, tmp_path / "m.mlmodel")
    assert unsupported(path) == [f"layer {kind}"]
    with pytest.raises(ConversionError, match=f"layer {kind}"):
        load(path)


def test_settings_that_are_not_evaluated_are_named(tmp_path):
    made = builder({"x": (4,)})
    made.add_inner_product(
        "i", bytes(12), None, 4, 3, False, "x", "y", int_8_dynamic_quantize=True, is_quantized_weight=True,
        quantization_type="linear", nbits=8, quant_scale=np.asarray([1.0]),
    )  # fmt: skip
    inner = made._add_generic_layer("b", ["y"], [])
    inner.branch.ifBranch.layers.add(name="u").custom.className = "Own"
    made._add_generic_layer("e", ["y"], ["z"])
    found = ["layer custom", "layer innerProduct with int8DynamicQuantize", "layer of an unknown kind"]
    assert unsupported(save(made, tmp_path / "m.mlmodel")) == found


@pytest.mark.parametrize(("size", "seen"), [((1, 3, 4), (3, 4)), ((1, 1, 4), (1, 4)), ((2, 1, 1), (2, 1, 1))])
def test_of_an_output_without_a_shape_the_sequence_the_batch_and_one_more_1_are_left_out(tmp_path, size, seen):
    made = builder({"x": size}, exact=False)
    made.add_activation("same", "LINEAR", "x", "y", params=[1.0, 0.0])
    x = numbers(3, *size)
    model = load(save(made, tmp_path / "m.mlmodel"))
    np.testing.assert_array_equal(model.predict_rows({"x": x})["y"], x.reshape(3, *seen))
    np.testing.assert_array_equal(model.predict({"x": x[0]})["y"], x[0])  # in the model's own shape
