from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mlpublish.coreml.evaluate import load, unsupported
from mlpublish.errors import ConversionError, NotFound

_RUN_ALONE = """
import pathlib, sys
from mlpublish.coreml.evaluate import load
import numpy as np
print(load(pathlib.Path(sys.argv[1])).predict({"input": np.ones((1, 4), np.float32)})["prediction"].tolist())
loaded = {"torch", "sklearn", "coremltools", "mlflow", "pandas", "scipy"} & {name.partition(".")[0] for name in sys.modules}
assert not loaded, loaded
"""


def test_a_saved_file_runs_where_no_training_library_is_loaded(dense):
    done = subprocess.run([sys.executable, "-c", _RUN_ALONE, dense()], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[[6.0, 22.0, 38.0]]"), done.stderr


def test_the_schema_is_the_same_whether_coremltools_comes_before_or_after():
    code = """
from mlpublish.coreml.schema import schema
ours = schema("Model").Model
import coremltools
assert coremltools.proto.Model_pb2.Model is ours
assert coremltools.proto.Model_pb2.Model.FromString(ours(specificationVersion=3).SerializeToString()).specificationVersion == 3
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_unpacked_bundle_with_one_model_is_that_model(dense, tmp_path):
    path = dense()
    (tmp_path / "bundle/models").mkdir(parents=True)
    shutil.copytree(path, tmp_path / "bundle/models/a.mlpackage")
    assert load(tmp_path / "bundle").path.name == "a.mlpackage"


def test_a_path_may_be_text_and_a_bundle_is_searched_for_what_is_unsupported_too(dense, tmp_path):
    path = dense()
    (tmp_path / "bundle" / "models").mkdir(parents=True)
    shutil.copytree(path, tmp_path / "bundle" / "models" / "digits.mlpackage")
    for each in (str(path), str(tmp_path / "bundle")):
        assert load(each).description.kind == "mlProgram"
        assert unsupported(each) == []


def test_an_unpacked_bundle_with_several_models_names_them(dense, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(dense(name=name), tmp_path / f"bundle/models/{name}.mlpackage")
    with pytest.raises(ConversionError, match=r"models/a\.mlpackage, models/b\.mlpackage"):
        load(tmp_path / "bundle")


def test_an_unpacked_bundle_without_a_model_is_refused(tmp_path):
    (tmp_path / "models").mkdir()
    with pytest.raises(NotFound):
        load(tmp_path)


@pytest.fixture
def deep(package):
    """Forty products with float16 weights, which are widened at the first prediction."""
    from coremltools.converters.mil import Builder as mb

    weights = np.random.default_rng(1).normal(size=(40, 100, 100)).astype(np.float32) / 10

    def body(input):
        for place, each in enumerate(weights):
            input = mb.linear(x=input, weight=each, name="prediction" if place == len(weights) - 1 else f"product{place}")
        return input

    return package(body, shape=(1, 100), precision="FLOAT16")


def test_a_package_may_be_deleted_while_its_model_is_open(deep):
    assert list(deep.rglob("weight.bin"))
    given = {"input": np.ones((1, 100), np.float32)}
    want, model = load(deep).predict(given)["prediction"], load(deep)
    shutil.rmtree(deep)
    np.testing.assert_array_equal(model.predict(given)["prediction"], want)


@pytest.fixture
def restless():
    """Threads that take turns after a microsecond, not five milliseconds: a prediction is over sooner than that."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_threads_share_a_model_from_its_first_prediction_on(deep, backend):
    if backend == "torch":
        pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    given = [{"input": np.full((1, 100), value, np.float32)} for value in range(8)]
    want = [load(deep, backend=backend).predict(each)["prediction"] for each in given]
    for _ in range(5):
        model, start = load(deep, backend=backend), threading.Barrier(len(given))

        def ask(inputs, model=model, start=start):
            start.wait()
            return [model.predict(inputs)["prediction"] for _ in range(5)]

        with ThreadPoolExecutor(len(given)) as pool:
            for answers, wanted in zip(pool.map(ask, given), want, strict=True):
                np.testing.assert_array_equal(answers, [wanted] * 5)


def test_a_single_number_needs_no_axis(package):
    from coremltools.converters.mil import Builder as mb

    model = load(package(lambda input: mb.mul(x=input, y=np.float32(2), name="prediction"), shape=(1, 1)))
    for rows in (np.asarray([1.0, 2.0]), np.asarray([[1.0], [2.0]]), np.asarray([[[1.0]], [[2.0]]])):
        np.testing.assert_array_equal(model.predict_rows({"input": rows})["prediction"], [[2.0], [4.0]])


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({}, "given are none"),
        ({"x": np.ones((1, 4))}, "inputs are input; given are x"),
        ({"input": np.ones((1, 5))}, r"\(5,\).*\(1, 4\)"),
        ({"input": np.ones(4)}, r"\(\).*\(1, 4\)"),
        ({"input": np.ones((0, 4))}, "rows"),
        ({"input": np.full((1, 4), "a")}, "not numeric"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_with_the_numbers(dense, inputs, told):
    with pytest.raises(ConversionError, match=told):
        load(dense()).predict_rows(inputs)
