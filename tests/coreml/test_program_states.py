"""States go in and come out; nothing is remembered behind the caller's back."""

from __future__ import annotations

import numpy as np
import pytest

from mlpublish.coreml.evaluate import State, load
from mlpublish.coreml.states import checked
from mlpublish.errors import ConversionError
from mlpublish.formats.interface import Feature

torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")


class _Remembering(torch.nn.Module):
    """A recurrent cell whose hidden vector is a buffer, and a cache of what it saw."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cell = torch.nn.Linear(8, 4)
        self.register_buffer("hidden", torch.zeros(1, 4))
        self.register_buffer("seen", torch.zeros(3, 4))

    def forward(self, x):
        self.hidden[:] = torch.tanh(self.cell(torch.cat([x, self.hidden], dim=1)))
        self.seen[1:] = self.seen[:-1].clone()
        self.seen[:1] = x
        return self.hidden * 2 + self.seen.sum()


@pytest.fixture(scope="module")
def stateful(ct, tmp_path_factory):
    model = _Remembering().eval()
    states = [
        ct.StateType(wrapped_type=ct.TensorType(shape=shape, dtype=np.float16), name=name)
        for name, shape in (("hidden", (1, 4)), ("seen", (3, 4)))
    ]
    converted = ct.convert(
        torch.jit.trace(model, torch.zeros(1, 4)),
        inputs=[ct.TensorType(name="x", shape=(1, 4), dtype=np.float32)],
        outputs=[ct.TensorType(name="y", dtype=np.float32)],
        states=states,
        minimum_deployment_target=ct.target.iOS18,
        skip_model_load=True,
    )
    path = tmp_path_factory.mktemp("states") / "stateful.mlpackage"
    converted.save(str(path))
    return path


def _steps() -> list[np.ndarray]:
    return list(np.random.default_rng(1).normal(size=(6, 1, 4)).astype(np.float32))


@pytest.mark.parametrize(
    ("mode", "backend", "near"), [("exact", "numpy", 1e-3), ("device", "numpy", 5e-3), ("device", "torch", 5e-3)]
)
def test_a_stateful_model_answers_step_by_step_as_its_source(stateful, mode, backend, near):
    source, model = _Remembering().eval(), load(stateful, mode=mode, backend=backend)
    state = model.initial_state()
    for x in _steps():
        with torch.no_grad():
            wanted = source(torch.from_numpy(x)).numpy()
        got, state = model.predict_with_state({"x": x}, state)
        np.testing.assert_allclose(got["y"], wanted, atol=near)
        np.testing.assert_allclose(state["hidden"], source.hidden.numpy(), atol=near)
        np.testing.assert_allclose(state["seen"], source.seen.numpy(), atol=near)


def test_the_given_state_is_not_changed_and_answers_the_same_again(stateful):
    model = load(stateful)
    first, _, third, *_ = _steps()
    _, after_one = model.predict_with_state({"x": first}, model.initial_state())
    kept = {name: value.copy() for name, value in after_one.items()}
    once, _ = model.predict_with_state({"x": third}, after_one)
    again, _ = model.predict_with_state({"x": third}, after_one)
    np.testing.assert_array_equal(once["y"], again["y"])
    for name, value in kept.items():
        np.testing.assert_array_equal(after_one[name], value)
        with pytest.raises(ValueError, match="read-only"):
            after_one[name][...] = 0
    with pytest.raises(TypeError):
        after_one["hidden"] = np.zeros((1, 4))


def test_a_state_begins_with_zeros_of_the_models_type(stateful):
    state = load(stateful).initial_state()
    assert {name: (value.shape, value.dtype, value.any()) for name, value in state.items()} == {
        "hidden": ((1, 4), np.float16, False),
        "seen": ((3, 4), np.float16, False),
    }
    assert repr(state) == "State(hidden: float16[1, 4], seen: float16[3, 4])"


def test_predicting_without_a_state_is_refused_with_the_way_to_do_it(stateful):
    model = load(stateful)
    for ask in (model.predict, model.predict_rows):
        with pytest.raises(ConversionError, match=r"hidden, seen.*predict_with_state.*initial_state"):
            ask({"x": np.zeros((1, 4))})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: {"hidden": state["hidden"]}, "states are hidden, seen; given are hidden"),
        (lambda state: {**state, "more": state["hidden"]}, "given are hidden, more, seen"),
        (lambda state: {**state, "seen": state["hidden"]}, r"'seen' is float16 \(1, 4\).*\(3, 4\)"),
        (lambda state: {**state, "hidden": np.full((1, 4), "a")}, "'hidden' is <U1"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(stateful, change, told):
    model = load(stateful)
    with pytest.raises(ConversionError, match=told):
        model.predict_with_state({"x": np.zeros((1, 4))}, change(dict(model.initial_state())))


@pytest.mark.parametrize(("given", "told"), [(None, "given are none"), ([1], "given are in a list")])
def test_no_state_at_all_is_refused_as_a_missing_one(stateful, given, told):
    with pytest.raises(ConversionError, match=rf"states are hidden, seen; {told}") as refused:
        load(stateful).predict_with_state({"x": np.zeros((1, 4))}, given)
    assert refused.value.field == "state"


def test_a_model_without_states_has_an_empty_one(dense):
    model, x = load(dense()), {"input": np.ones((1, 4), np.float32)}
    assert dict(model.initial_state()) == {}
    got, state = model.predict_with_state(x, model.initial_state())
    np.testing.assert_array_equal(got["prediction"], model.predict(x)["prediction"])
    assert len(state) == 0


def test_an_array_that_became_a_state_is_copied():
    mine = np.ones(2)
    state = checked((Feature(name="a", kind="state", shape=(2,), dtype="float32"),), {"a": mine})
    mine[:] = 5
    assert isinstance(state, State)
    np.testing.assert_array_equal(state["a"], [1, 1])
