"""docs/evaluating.md: its Python runs as it stands, and its numbers are the code's."""

from __future__ import annotations

import numpy as np
import pytest

from mlpublish.coreml import backend, binding, control, effort, interface, program
from mlpublish.coreml.evaluate import NotFinite
from mlpublish.coreml.mil_ops import lists, tensor
from tests.coreml.building import save


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The files that the page names."""
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    def dense(input):
        return mb.linear(x=input, weight=np.ones((3, 4), np.float32), name="prediction")

    def plain(x):
        return mb.mul(x=x, y=np.float32(2), name="y")

    save(tmp_path / "dense.mlpackage", dense, input=(1, 4))
    save(
        tmp_path / "large.mlpackage",
        lambda x: mb.mul(x=x, y=np.float32(400), name="y"),
        precision="FLOAT16",
        opset=15,
        x=(1, 1),
    )
    both = ct.utils.MultiFunctionDescriptor()
    for name in ("plain", "negative"):
        save(tmp_path / f"{name}.mlpackage", plain, opset=18, x=(1, 4))
        both.add_function(str(tmp_path / f"{name}.mlpackage"), src_function_name="main", target_function_name=name)
    both.default_function_name = "plain"
    ct.utils.save_multifunction(both, str(tmp_path / "several.mlpackage"))

    @mb.program(
        input_specs=[mb.TensorSpec((1, 2)), mb.StateTensorSpec((1, 2), dtype=types.fp16)], opset_version=ct.target.iOS18
    )
    def counter(x, sum):
        new = mb.add(x=mb.read_state(input=sum), y=mb.cast(x=x, dtype="fp16"))
        return mb.cast(x=mb.coreml_update_state(state=sum, value=new), dtype="fp32", name="y")

    made = ct.convert(counter, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS18, skip_model_load=True)
    made.save(str(tmp_path / "counter.mlpackage"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("models")
def test_the_pages_python_runs_as_it_stands(blocks):
    names: dict[str, object] = {}
    first, overflow, states, functions = blocks("evaluating", "python")
    exec(first, names)
    assert names["answer"]["prediction"].tolist() == [[4, 4, 4]]
    assert names["rows"]["prediction"].shape == (100, 3)
    exec(overflow, names)
    assert isinstance(names["found"], NotFinite)
    assert (names["found"].operation, names["found"].kind, names["found"].row) == ("mul", "overflow", 0)
    exec(states, names)
    assert names["outputs"]["y"].tolist() == [[3, 3]]
    assert names["state"]["sum"].tolist() == [[3, 3]]
    exec(functions, names)
    assert names["model"].description.functions == ("plain", "negative")


def test_the_pages_numbers_are_the_codes(page):
    told = " ".join(page("evaluating").split())
    for found, number, text in (
        (tensor.MAX_ELEMENTS, 2**28, "at most 2²⁸ elements"),
        (control.MAX_BYTES, 4 << 30, "at most 4 GiB"),
        (interface.MAX_FUNCTIONS, 256, "at most 256 functions"),
        (binding.MAX_DEPTH, 32, "at most 32 deep"),
        (control.MAX_EFFORT, 1_000_000, "at most a million operations"),
        (effort.PER_RUN, 2**41, "at most 2⁴¹ multiplications"),
        (effort.PER_NUMBER_OF_RUN, 256, "each number that it makes counted as 256"),
        (lists.MAX_LENGTH, 2**20, "at most 2²⁰ elements"),
        (program.MAX_KEPT, 2 << 30, "kept up to 2 GiB"),
        (backend.WORTH_TORCH, 10**9, "10⁹ multiply-adds"),
    ):
        assert found == number
        assert text in told
    for settings, names in ((program.MODES, "mode"), (backend.BACKENDS, "backend")):
        assert all(f'`"{each}"`' in told for each in settings), names
