"""Pipelines around ML Programs, as coremltools makes them."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from mlpublish.coreml import package
from mlpublish.coreml.classic.run import unsupported as unsupported_stages
from mlpublish.coreml.evaluate import load, unsupported
from mlpublish.coreml.labels import labels_of
from mlpublish.errors import ConversionError
from mlpublish.inspecting.inspect import inspect
from tests.coreml.classic.building import model

logging.getLogger("coremltools").setLevel(logging.CRITICAL)
ct = pytest.importorskip("coremltools")

ROWS = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
FIRST = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)  # enough for a file of its own
SECOND = np.random.default_rng(2).normal(size=(2, 20)).astype(np.float32)


def linear(path, reads, writes, weights, *, labels=None, precision="FLOAT32", scale=1.0):
    """An ML Program of one layer; with labels a classifier."""
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import Function, Program

    with Function({reads: mb.placeholder(shape=(weights.shape[1],))}, opset_version=ct.target.iOS15) as function:
        x = mb.expand_dims(x=function.inputs[reads], axes=[0])
        x = mb.mul(x=mb.linear(x=x, weight=weights), y=np.float32(scale))
        x = mb.softmax(x=mb.squeeze(x=x, axes=[0]), axis=0) if labels else mb.squeeze(x=x, axes=[0], name=writes)
        function.set_outputs([x])
    program = Program()
    program.add_function("main", function)
    made = ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS15,
        compute_precision=getattr(ct.precision, precision),
        classifier_config=ct.ClassifierConfig(labels, writes) if labels else None,
        skip_model_load=True,
    )
    made.save(str(path))
    return ct.models.MLModel(str(path), skip_model_load=True)


def scaler(reads, writes):
    spec = model("scaler", {reads: 3}, {writes: 3})
    spec.scaler.shiftValue.append(1)
    for side in (spec.description.input, spec.description.output):
        side[0].type.multiArrayType.dataType = 65568  # FLOAT32
    return ct.models.MLModel(spec, skip_model_load=True)


def pipeline(tmp_path, *stages):
    path = tmp_path / "whole.mlpackage"
    ct.utils.make_pipeline(*stages).save(str(path))
    return path


@pytest.fixture
def two(tmp_path):
    """A scaler, an ML Program, and an ML Program that classifies."""
    first = linear(tmp_path / "first.mlpackage", "scaled", "between", FIRST)
    second = linear(tmp_path / "second.mlpackage", "between", "label", SECOND, labels=["no", "yes"])
    return pipeline(tmp_path, scaler("x", "scaled"), first, second)


def test_programs_run_between_classic_stages_with_their_own_weights(two):
    assert sorted(each.name for each in (two / "Data/com.apple.CoreML/weights").iterdir()) == [
        "1-weight.bin",
        "2-weight.bin",
    ]
    assert unsupported(two) == []
    saved = load(two)
    assert saved.classes == ("no", "yes") == labels_of(package.read(two))
    got = saved.predict_rows({"x": ROWS})
    sums = (ROWS + 1) @ FIRST.T @ SECOND.T
    raised = np.exp(sums - sums.max(axis=1, keepdims=True))
    np.testing.assert_allclose(got["label_probs"], raised / raised.sum(axis=1, keepdims=True), atol=1e-5)
    assert got["label"].tolist() == np.asarray(["no", "yes"])[sums.argmax(axis=1)].tolist()
    alone = saved.predict({"x": ROWS[2]})
    np.testing.assert_array_equal(alone["label_probs"], got["label_probs"][2])
    assert alone["label"] == got["label"][2]


def test_a_pipeline_is_described_by_its_programs(two):
    assert package.describe(two).precision == "float32"
    assert [each.kind for each in inspect(two).models[0].stages] == ["scaler", "mlProgram (CoreML5)", "mlProgram (CoreML5)"]


def test_the_same_pipeline_gives_the_same_bytes(two):
    package.normalise(two)
    stated = [each.description.metadata.userDefined for each in package.models_in(package.read(two))]
    assert not any("conversion_date" in key for each in stated for key in each)
    before = package.files_of(two)
    package.normalise(two)
    assert package.files_of(two) == before


def test_what_overflows_inside_of_a_pipeline_is_told_with_its_row(tmp_path):
    first = linear(tmp_path / "a.mlpackage", "x", "y", np.ones((2, 3), np.float32), precision="FLOAT16", scale=30000.0)
    second = linear(tmp_path / "b.mlpackage", "y", "z", np.ones((2, 2), np.float32))
    saved = load(pipeline(tmp_path, first, second))
    assert saved.not_finite is None
    saved.predict_rows({"x": np.asarray([[0, 0, 0], [1, 1, 1]], np.float32)})
    assert saved.not_finite.row == 1
    saved.predict_rows({"x": np.zeros((1, 3), np.float32)})
    assert saved.not_finite is None


def test_what_a_program_inside_does_not_know_is_named(two):
    spec = package.read(two)
    program = spec.pipeline.models[1].mlProgram
    function = program.functions["main"]
    function.block_specializations[function.opset].operations[-1].type = "brew"
    assert any("brew" in each for each in unsupported_stages(spec))
    package.specification(two).write_bytes(spec.SerializeToString())
    with pytest.raises(ConversionError, match="brew"):
        load(two)
