from __future__ import annotations

import sys

import numpy as np
import pytest

from mlpublish.coreml.evaluate import Model, load, unsupported
from mlpublish.coreml.package import read
from mlpublish.coreml.schema import schema
from mlpublish.errors import ConversionError, FormatError


def _operations(spec):
    function = spec.mlProgram.functions["main"]
    return function.block_specializations[function.opset].operations


def _edit(spec_file, path, change):
    spec = read(path)
    change(_operations(spec))
    spec_file(path).write_bytes(spec.SerializeToString())


def test_a_program_computes_what_its_weights_say(dense):
    weights = np.random.default_rng(3).normal(size=(3, 4)).astype(np.float32)
    x = np.ones((1, 4), np.float32)
    got = load(dense(weights)).predict({"input": x})["prediction"]
    assert got.shape == (1, 3)
    np.testing.assert_allclose(got, x @ weights.T, rtol=1e-6)


def test_results_are_rounded_to_the_type_that_the_file_declares(dense):
    weights = np.full((3, 4), 1 + 2**-9, np.float32)
    x = np.full((1, 4), 1 + 2**-12, np.float32)  # not a float16
    exact = load(dense(weights, name="exact")).predict({"input": x})["prediction"]
    half = load(dense(weights, name="half", precision="FLOAT16")).predict({"input": x})["prediction"]
    np.testing.assert_allclose(exact, x @ weights.T, rtol=1e-6)
    np.testing.assert_array_equal(half, np.full((1, 3), np.float16(4 * (1 + 2**-9)), np.float32))


def test_an_overflow_of_float16_is_seen(dense):
    path = dense(np.full((3, 4), 3e4, np.float32), precision="FLOAT16")
    assert np.isinf(load(path).predict({"input": np.ones((1, 4), np.float32)})["prediction"]).all()


def test_an_operation_that_is_not_known_is_named_before_anything_runs(dense, spec_file):
    path = dense()
    _edit(spec_file, path, lambda found: setattr(found[-1], "type", "teleport"))
    assert unsupported(path) == ["teleport"]
    with pytest.raises(ConversionError, match="teleport") as refused:
        load(path)
    assert refused.value.field == "teleport"


def test_an_operation_set_that_is_not_known_is_named(dense, spec_file):
    path = dense()
    spec = read(path)
    function = spec.mlProgram.functions["main"]
    function.block_specializations["CoreML99"].CopyFrom(function.block_specializations[function.opset])
    function.opset = "CoreML99"
    spec_file(path).write_bytes(spec.SerializeToString())
    assert unsupported(path) == ["operation set CoreML99"]


def test_a_result_declared_without_end_is_refused_before_anything_is_made(dense, spec_file):
    path = dense()
    _edit(spec_file, path, lambda found: _declare(found[-1].outputs[0], 2**40))
    with pytest.raises(FormatError, match="more than 268435456 elements") as refused:
        load(path)
    assert refused.value.field == "prediction"


def test_a_parameter_that_is_not_known_is_named(dense, spec_file):
    path = dense()
    _edit(spec_file, path, lambda found: found[-1].inputs["sparsity"].CopyFrom(found[-1].inputs["x"]))
    assert unsupported(path) == ["linear(sparsity=)"]


def test_a_result_of_another_shape_than_declared_is_refused(dense, spec_file):
    path = dense()
    _edit(spec_file, path, lambda found: _declare(found[-1].outputs[0], 5))
    with pytest.raises(ConversionError, match=r"\(1, 3\).*\(1, 5\)"):
        load(path).predict({"input": np.ones((1, 4), np.float32)})


def _declare(result, size):
    result.type.tensorType.dimensions[1].constant.size = size


def test_an_operation_that_reads_what_nobody_wrote_is_refused(dense, spec_file):
    path = dense()
    _edit(spec_file, path, lambda found: setattr(found[-1].inputs["x"].arguments[0], "name", "gone"))
    with pytest.raises(ConversionError, match="linear"):
        load(path).predict({"input": np.ones((1, 4), np.float32)})


def test_a_constant_that_does_not_fill_its_shape_is_refused(dense, spec_file):
    path = dense()
    _edit(spec_file, path, lambda found: found[1].attributes["val"].immediateValue.tensor.floats.values.append(1.0))
    with pytest.raises(FormatError, match="shape"):
        load(path)


def test_weights_of_another_type_than_declared_are_refused(dense, spec_file):
    path = dense()
    half = schema("MIL").FLOAT16
    _edit(spec_file, path, lambda found: setattr(found[0].attributes["val"].type.tensorType, "dataType", half))
    with pytest.raises(FormatError):
        load(path)


def test_labels_come_in_the_order_of_the_file(ct, package):
    from coremltools.converters.mil import Builder as mb

    path = package(lambda input: mb.softmax(x=input), classifier_config=ct.ClassifierConfig(["no", "yes", "both", "none"]))
    model = Model(path)
    assert model.classes == ("no", "yes", "both", "none")
    got = model.predict({"input": np.asarray([[0, 3, 1, 2]], np.float32)})
    assert got["classLabel"] == "yes"
    assert np.argsort(got["classLabel_probs"]).tolist() == [0, 2, 3, 1]


def test_many_rows_answer_as_each_alone(dense):
    model, rows = load(dense()), np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    together = model.predict_rows({"input": rows})["prediction"]
    alone = [model.predict({"input": row[np.newaxis]})["prediction"][0] for row in rows]
    np.testing.assert_array_equal(together, np.stack(alone))


def _calls_to_load(path):
    calls, before = 0, sys.getprofile()

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        load(path, backend="numpy")
    finally:
        sys.setprofile(before)
    return calls


def test_opening_takes_the_same_few_steps_for_every_operation(dense, spec_file):
    """Counted, not timed: Python calls for each operation more."""

    def lengthened(path, count):
        spec = read(path)
        operations = _operations(spec)
        last = operations[-1].outputs[0]
        for place in range(count):
            added = operations.add(type="relu")
            added.inputs["x"].arguments.add(name=f"more {place - 1}" if place else last.name)
            added.outputs.add().CopyFrom(last)
            added.outputs[0].name = f"more {place}"
        spec_file(path).write_bytes(spec.SerializeToString())
        return path

    few, many, more = (_calls_to_load(lengthened(dense(name=f"n{count}"), count)) for count in (100, 500, 2500))
    assert (many - few) / 400 < 70
    assert (more - many) / 2000 < 1.1 * (many - few) / 400
