from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mlpublish.coreml.evaluate import load
from mlpublish.errors import ConversionError, FormatError
from tests.coreml.network.building import builder, check, numbers, save


def _inner(net):
    from coremltools.models.neural_network import NeuralNetworkBuilder

    return NeuralNetworkBuilder(nn_spec=net, input_features=None, output_features=None)


def _constant(made, name, *values):
    made.add_load_constant_nd(name, name, constant_value=np.asarray(values, float), shape=(len(values),))


def _branch(made):
    """|x| > 1e-6 ? c : -c"""
    layer = made.add_branch("b", "x")
    _inner(layer.branch.ifBranch).add_copy("yes", "c", "y")
    _inner(layer.branch.elseBranch).add_elementwise("no", ["c"], "y", "MULTIPLY", alpha=-1)


def test_a_branch_goes_by_each_rows_own_number(tmp_path):
    x = np.asarray([[1.0], [0.0], [1e-7], [-2.0], [0.0]])
    check(tmp_path, _branch, lambda x, c: c if abs(x[0]) > 1e-6 else -c, x=x, c=numbers(5, 3))


def test_a_loop_of_so_many_times(tmp_path):
    def add(made):
        made.add_copy("start", "x", "y")
        body = _inner(made.add_loop("l", max_iterations=3).loop.bodyNetwork)
        body.add_elementwise("twice", ["y"], "next", "MULTIPLY", alpha=2)
        body.add_copy("again", "next", "y")

    check(tmp_path, add, lambda x: x * 8, x=numbers(3, 4))


def test_a_loop_may_take_its_number_from_a_blob(tmp_path):
    def add(made):
        made.add_copy("start", "x", "y")
        body = _inner(made.add_loop("l", input_name="n").loop.bodyNetwork)
        body.add_elementwise("twice", ["y"], "next", "MULTIPLY", alpha=2)
        body.add_copy("again", "next", "y")

    check(tmp_path, add, lambda x, n: x * 2 ** int(n[0]), x=numbers(4, 3), n=np.asarray([[0], [2], [5], [2]]))


@pytest.mark.parametrize("most", [0, 3])
def test_a_loop_while_something_holds(tmp_path, most):
    """Twice, until it is 100 or more; at most so many times, if the layer says so."""

    def add(made):
        made.add_copy("start", "x", "y")
        made.add_load_constant_nd("hundred", "hundred", constant_value=np.asarray([100.0]), shape=(1,))
        layer = made.add_loop("l", max_iterations=most, condition="go")
        _inner(layer.loop.conditionNetwork).add_less_than("small", ["y", "hundred"], "go")
        body = _inner(layer.loop.bodyNetwork)
        body.add_elementwise("twice", ["y"], "next", "MULTIPLY", alpha=2)
        body.add_copy("again", "next", "y")

    def want(x):
        y, times = float(x[0]), 0
        while y < 100 and (not most or times < most):
            y, times = y * 2, times + 1
        return np.asarray([y])

    check(tmp_path, add, want, x=np.asarray([[1.0], [7.0], [200.0], [3.5]]))


@pytest.mark.parametrize(("signal", "left"), [("break", 2), ("continue", 5)])
def test_a_loop_is_left_or_begun_anew(tmp_path, signal, left):
    """In each of 5 turns y doubles; then, once it is 4 or more, it is left or the rest of the turn is."""

    def add(made):
        made.add_copy("start", "x", "y")
        made.add_copy("other", "x", "z")
        body = _inner(made.add_loop("l", max_iterations=5).loop.bodyNetwork)
        body.add_elementwise("twice", ["y"], "next", "MULTIPLY", alpha=2)
        body.add_copy("again", "next", "y")
        body.add_greater_than("large", ["y"], "stop", alpha=3.5)
        getattr(_inner(body.add_branch("b", "stop").branch.ifBranch), f"add_loop_{signal}")("s")
        body.add_elementwise("more", ["z"], "moreZ", "ADD", alpha=1)
        body.add_copy("againZ", "moreZ", "z")

    def want(x):
        y, z = x.copy(), x.copy()
        for _ in range(5):
            y = y * 2
            if y[0] > 3.5:
                if signal == "break":
                    break
                continue
            z = z + 1
        return y, z

    assert want(np.ones(1))[0][0] == 2**left
    check(tmp_path, add, want, outputs=("y", "z"), x=np.asarray([[1.0], [1.0], [3.0], [0.25]]))


def _wired(*layers):
    made = builder({"x": (2,)})
    for name, inputs, outputs in layers:
        made._add_generic_layer(name, inputs, outputs).activation.ReLU.SetInParent()
    return made


WIRED = {
    "nothing makes it": ([("a", ["q"], ["y"])], "'q' is not there yet"),
    "it comes later": ([("a", ["b"], ["y"]), ("c", ["x"], ["b"])], "'b' is not there yet"),
    "itself": ([("a", ["y"], ["y"])], "'y' is not there yet"),
    "a circle": ([("a", ["q"], ["p"]), ("b", ["p"], ["q"]), ("c", ["q"], ["y"])], "'q' is not there yet"),
    "made twice": ([("a", ["x"], ["y"]), ("b", ["x"], ["y"])], "'y' is there already"),
    "an input made again": ([("a", ["x"], ["x"])], "'x' is there already"),
    "no output": ([("a", ["x"], ["z"])], "no layer makes the output 'y'"),
    "no layers": ([], "no layer makes the output 'y'"),
}


@pytest.mark.parametrize("what", WIRED)
def test_layers_that_are_wired_wrong_are_refused_when_they_are_read(tmp_path, what):
    layers, told = WIRED[what]
    with pytest.raises(ConversionError, match=told):
        load(save(_wired(*layers), tmp_path / "m.mlmodel"))


@pytest.mark.parametrize(("inputs", "outputs"), [(["x", "x"], ["y"]), ([], ["y"]), (["x"], ["y", "z"])])
def test_a_layer_with_other_inputs_or_outputs_than_it_has_is_named(tmp_path, inputs, outputs):
    with pytest.raises(ConversionError, match="layer 'odd'"):
        load(save(_wired(("odd", inputs, outputs)), tmp_path / "m.mlmodel")).predict({"x": numbers(2)})


def test_blobs_that_nobody_needs_any_more_are_let_go():
    from mlpublish.coreml.network.graph import Graph

    made = _wired(("a", ["x"], ["b"]), ("c", ["b"], ["d"]), ("e", ["d"], ["y"]))
    blobs = {"x": numbers(1, 2)}
    Graph(made.nn_spec.layers, {"x": None}).run(blobs, frozenset({"y"}))
    assert set(blobs) == {"y"}


def test_thousands_of_layers_are_run(tmp_path):
    names = ["x", *(f"b{at}" for at in range(4999)), "y"]
    made = _wired(*((f"l{at}", [a], [b]) for at, (a, b) in enumerate(pairwise(names))))
    got = load(save(made, tmp_path / "m.mlmodel")).predict({"x": np.asarray([-1.0, 2.0])})["y"]
    np.testing.assert_array_equal(got, [0, 2])


@pytest.mark.parametrize("endless", ["no end", "a huge number"])
def test_a_loop_without_end_is_refused(tmp_path, endless, monkeypatch):
    from mlpublish.coreml import effort

    monkeypatch.setattr(effort, "PER_ROW", 1 << 30)  # the same bound, sooner
    made = builder({"x": (1,)})
    made.add_copy("start", "x", "y")
    made.add_load_constant_nd("one", "one", constant_value=np.ones(1), shape=(1,))
    layer = made.add_loop("l", max_iterations=0 if endless == "no end" else 1 << 60, condition="go")
    _inner(layer.loop.conditionNetwork).add_copy("always", "one", "go")
    _inner(layer.loop.bodyNetwork).add_copy("same", "one", "y")
    with pytest.raises(ConversionError, match="more arithmetic"):
        load(save(made, tmp_path / "m.mlmodel")).predict({"x": numbers(1)})


def test_a_condition_of_several_numbers_is_refused(tmp_path):
    made = builder({"x": (2,), "c": (3,)})
    _branch(made)
    with pytest.raises((ConversionError, FormatError), match="2 numbers"):
        load(save(made, tmp_path / "m.mlmodel")).predict({"x": numbers(2), "c": numbers(3)})


def test_many_branches_do_not_each_copy_the_names_of_all_blobs_before_them(tmp_path):
    from tracemalloc import get_traced_memory, start, stop

    from mlpublish.coreml.network.graph import Graph
    from mlpublish.coreml.schema import schema

    network = schema("NeuralNetwork").NeuralNetwork()
    for number in range(600):
        layer = network.layers.add(input=["x"], output=[f"v{number}"])
        layer.activation.ReLU.SetInParent()
        network.layers.add(input=["x"]).branch.ifBranch.SetInParent()
    start()
    made = Graph(network.layers, {"x": None})
    _, most = get_traced_memory()
    stop()
    assert len(made.names) == 601
    assert most < 6_000_000  # 14 MB with copies


def test_what_is_filled_takes_no_room_before_something_is_computed_from_it():
    from mlpublish.coreml.network.layers import LAYERS
    from mlpublish.coreml.schema import schema

    layer = schema("NeuralNetwork").NeuralNetworkLayer()
    layer.fillStatic.value = 2
    layer.fillStatic.targetShape.extend([1 << 14, 1 << 14])
    (made,) = LAYERS["fillStatic"](layer)([])
    assert made.shape == (1, 1 << 14, 1 << 14)
    assert made.base.nbytes == 4
    assert made[0, -1, -1] == 2
