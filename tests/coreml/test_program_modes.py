"""What is rounded, what overflows, and what runs it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb

from mlpublish.coreml import backend, control, program
from mlpublish.coreml.evaluate import NotFinite, load
from mlpublish.errors import ConversionError, MissingExtra, RecipeError
from tests.coreml.building import floats, save

pytestmark = pytest.mark.usefixtures("ct")


def _half(path, body, **inputs):
    return save(path, body, precision="FLOAT16", opset=15, **inputs)


def test_the_exact_mode_rounds_nothing(tmp_path):
    path = _half(tmp_path / "m.mlpackage", lambda x: mb.mul(x=mb.mul(x=x, y=np.float32(3)), y=np.float32(5), name="y"), x=(2,))
    x = floats(1 / 3, 1 + 2**-12)
    np.testing.assert_allclose(load(path, mode="exact").predict({"x": x})["y"], x * 15, rtol=1e-6)
    once = np.float16(np.float16(x) * np.float32(3)).astype(np.float32)
    np.testing.assert_array_equal(load(path).predict({"x": x})["y"], np.float16(once * 5).astype(np.float32))


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_the_first_overflow_is_named_with_its_row(tmp_path, backend):
    def body(x):
        large = mb.mul(x=x, y=np.float32(400), name="large")
        return mb.sub(x=mb.mul(x=large, y=np.float32(2)), y=large, name="y")

    model = load(_half(tmp_path / "m.mlpackage", body, x=(3,)), backend=backend)
    model.predict_rows({"x": np.asarray([[1, 2, 3], [4, 500, -6], [700, 8, 9]])})
    assert model.not_finite is not None
    assert dataclasses.replace(model.not_finite, name="") == NotFinite(name="", operation="mul", kind="overflow", row=1)
    assert model.not_finite.name.startswith("large")
    model.predict({"x": floats(1, 2, 3)})
    assert model.not_finite is None  # it speaks of the last prediction


def test_what_becomes_no_number_is_named(tmp_path):
    model = load(_half(tmp_path / "m.mlpackage", lambda x: mb.real_div(x=x, y=x, name="y"), x=(2,)))
    model.predict({"x": floats(0, 1)})
    assert (model.not_finite.kind, model.not_finite.operation) == ("nan", "real_div")


def test_an_infinite_mask_is_meant(tmp_path):
    def body(x):
        masked = mb.add(x=x, y=np.asarray([0, -np.inf, 0], np.float32))
        return mb.softmax(x=mb.expand_dims(x=masked, axes=[0]), axis=-1, name="y")

    model = load(_half(tmp_path / "m.mlpackage", body, x=(3,)))
    np.testing.assert_allclose(model.predict({"x": floats(1, 2, 1)})["y"], [[0.5, 0, 0.5]], atol=1e-3)
    assert model.not_finite is None


def test_the_exact_mode_has_nothing_to_overflow(tmp_path):
    model = load(_half(tmp_path / "m.mlpackage", lambda x: mb.mul(x=x, y=np.float32(400), name="y"), x=(1,)), mode="exact")
    assert model.predict({"x": floats(1000)})["y"] == 400_000
    assert model.not_finite is None


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"mode": "fast"}, "device, exact"),
        ({"backend": "jax"}, "auto, torch, numpy"),
        ({"executor": "android"}, "mlpublish, apple"),
    ],
)
def test_a_setting_that_is_not_known_is_refused_with_those_that_are(dense, setting, told):
    with pytest.raises(RecipeError, match=told):
        load(dense(), **setting)


@pytest.mark.parametrize("setting", [{"mode": "fast"}, {"backend": "jax"}])
def test_a_setting_that_is_not_known_is_refused_before_the_file_is_read(setting, tmp_path):
    with pytest.raises(RecipeError, match="is not known"):
        load(tmp_path / "any.mlmodel", **setting)


def test_an_index_out_of_range_sends_to_the_inputs_first(tmp_path):
    path = save(
        tmp_path / "gather.mlpackage",
        lambda x: mb.gather(x=np.ones((3, 2), np.float32), indices=mb.cast(x=x, dtype="int32"), name="y"),
        x=(2,),
    )
    with pytest.raises(ConversionError, match="Give inputs whose values it takes"):
        load(path).predict({"x": np.array([0, 7])})


def test_asking_for_torch_where_it_is_not_installed_tells_how_to_get_it(dense, monkeypatch):
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install torch"):
        load(dense(), backend="torch")


_ALONE = """
import pathlib, sys
import numpy as np
from mlpublish.coreml import backend
from mlpublish.coreml.evaluate import load
backend.WORTH_TORCH = int(sys.argv[2])
load(pathlib.Path(sys.argv[1])).predict({"input": np.ones((1, 4), np.float32)})
print("torch" in sys.modules)
"""


@pytest.mark.parametrize(("worth", "loaded"), [(backend.WORTH_TORCH, "False"), (1, "True")])
def test_only_a_large_program_is_worth_loading_torch(dense, worth, loaded):
    done = subprocess.run([sys.executable, "-c", _ALONE, dense(), str(worth)], capture_output=True, text=True)
    assert done.stdout.strip() == loaded, done.stderr


def test_work_is_estimated_from_the_declared_shapes(tmp_path):
    from mlpublish.coreml.package import read

    def body(x):
        y = mb.conv(x=x, weight=np.ones((8, 3, 3, 3), np.float32), pad_type="same")
        z = mb.matmul(x=mb.reshape(x=y, shape=(8, 100)), y=mb.reshape(x=y, shape=(100, 8)))
        return mb.linear(x=z, weight=np.ones((5, 8), np.float32), name="y")

    found = read(save(tmp_path / "m.mlpackage", body, x=(1, 3, 10, 10))).mlProgram
    from mlpublish.coreml.declared import Declared

    inputs = {each.name: Declared.of(each) for each in found.functions["main"].inputs}
    conv, matmul, linear = 8 * 100 * 27, 8 * 8 * 100, 8 * 5 * 8
    assert backend.multiply_adds(program.main_block(found), inputs) == conv + matmul + linear + 2 * 800  # two reshapes


def test_torch_and_numpy_give_the_same(tmp_path):
    def body(x):
        y = mb.relu(x=mb.conv(x=x, weight=np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float32)))
        return mb.softmax(x=mb.reduce_mean(x=y, axes=[2, 3]), axis=-1, name="y")

    path = save(tmp_path / "m.mlpackage", body, x=(1, 3, 40, 40))
    x = {"x": np.random.default_rng(1).normal(size=(1, 3, 40, 40)).astype(np.float32)}
    by_torch, by_numpy = (load(path, backend=name).predict(x)["y"] for name in ("torch", "numpy"))
    np.testing.assert_allclose(by_torch, by_numpy, rtol=1e-5)


def test_what_is_not_needed_any_more_is_let_go(tmp_path, monkeypatch):
    """A hundred results of 4 MB each, of which two are needed at a time, and a bound far below their sum."""
    monkeypatch.setattr(control, "MAX_BYTES", 20_000_000)
    monkeypatch.setattr(control, "_WEIGHED_EVERY", 1_000_000)

    def chain(x):
        for _ in range(50):
            x = mb.sin(x=mb.tile(x=mb.reduce_mean(x=x, axes=[0], keep_dims=True), reps=(1_000_000,)))
        return mb.reduce_mean(x=x, axes=[0], keep_dims=True, name="y")

    load(save(tmp_path / "chain.mlpackage", chain, x=(1,)), backend="numpy").predict({"x": floats(1)})

    def hoard(x):
        kept = [mb.tile(x=mb.mul(x=x, y=np.float32(turn)), reps=(1_000_000,)) for turn in range(2, 12)]
        return mb.reduce_mean(x=mb.concat(values=kept, axis=0), axes=[0], keep_dims=True, name="y")

    model = load(save(tmp_path / "hoard.mlpackage", hoard, x=(1,)), backend="numpy")
    with pytest.raises(ConversionError, match="bytes at a time"):
        model.predict({"x": floats(1)})


def test_weights_that_are_not_kept_are_widened_in_each_run(tmp_path, monkeypatch):
    weights = np.random.default_rng(0).normal(size=(100, 100)).astype(np.float32)
    path = _half(tmp_path / "m.mlpackage", lambda x: mb.linear(x=x, weight=weights, name="y"), x=(1, 100))
    x = {"x": np.ones((1, 100), np.float32)}
    wanted = load(path).predict(x)["y"]
    monkeypatch.setattr(program, "MAX_KEPT", 1000)
    model = load(path)
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(x)["y"], wanted)
