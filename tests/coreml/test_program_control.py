"""Branches, loops and lists, in packages that coremltools wrote."""

from __future__ import annotations

import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb

from mlpublish.coreml import control, effort
from mlpublish.coreml.evaluate import load, unsupported
from mlpublish.coreml.interface import MAX_FUNCTIONS
from mlpublish.coreml.package import read
from mlpublish.errors import ConversionError, FormatError
from mlpublish.inspecting.inspect import inspect
from tests.coreml.building import floats, save

pytestmark = pytest.mark.usefixtures("ct")


def _collatz(x):
    """Halve what is even, else triple and add one, until 1; counts the steps."""

    def go_on(value, count):
        return mb.greater(x=value, y=np.float32(1.5))

    def turn(value, count):
        half = mb.floor(x=mb.mul(x=value, y=np.float32(0.5)))
        is_even = mb.equal(x=mb.mul(x=half, y=np.float32(2)), y=value)
        new = mb.cond(
            pred=is_even,
            _true_fn=lambda: mb.mul(x=value, y=np.float32(0.5)),
            _false_fn=lambda: mb.add(x=mb.mul(x=value, y=np.float32(3)), y=np.float32(1)),
        )
        return new, mb.add(x=count, y=np.float32(1))

    start = mb.squeeze(x=x, axes=[0])
    _, count = mb.while_loop(_cond=go_on, _body=turn, loop_vars=(start, np.float32(0)))
    return mb.expand_dims(x=count, axes=[0], name="steps")


def _counted(number: int) -> int:
    count = 0
    while number != 1:
        number, count = (number // 2 if number % 2 == 0 else 3 * number + 1), count + 1
    return count


@pytest.mark.parametrize("opset", [15, 16, 17, 18, 26])
def test_a_branch_in_a_loop_answers_as_python_does(tmp_path, opset):
    model = load(save(tmp_path / "m.mlpackage", _collatz, opset=opset, x=(1,)))
    for number in (1, 2, 7, 27):
        assert model.predict({"x": floats(number)})["steps"] == _counted(number)


def test_blocks_see_the_names_around_them_and_what_they_read_is_kept_until_then(tmp_path):
    def body(x):
        outer = mb.mul(x=x, y=np.float32(3))  # read in both branches, and by nothing after them
        positive = mb.greater(x=mb.reduce_sum(x=x), y=np.float32(0))
        chosen = mb.cond(
            pred=positive,
            _true_fn=lambda: mb.add(x=outer, y=np.float32(1)),
            _false_fn=lambda: mb.sub(x=outer, y=np.float32(1)),
        )
        return mb.identity(x=chosen, name="y")

    model = load(save(tmp_path / "m.mlpackage", body, x=(2,)))
    np.testing.assert_array_equal(model.predict({"x": floats(1, 2)})["y"], [4, 7])
    np.testing.assert_array_equal(model.predict({"x": floats(-1, -2)})["y"], [-4, -7])


def test_a_branch_may_give_what_was_there_before_it(tmp_path):
    def body(x):
        outer = mb.mul(x=x, y=np.float32(3))  # nothing but the branch's end names it
        positive = mb.greater(x=mb.reduce_sum(x=x), y=np.float32(0))
        chosen = mb.cond(pred=positive, _true_fn=lambda: outer, _false_fn=lambda: mb.exp(x=x))
        return mb.identity(x=chosen, name="y")

    model = load(save(tmp_path / "m.mlpackage", body, x=(2,)))
    np.testing.assert_array_equal(model.predict({"x": floats(1, 2)})["y"], [3, 6])
    np.testing.assert_allclose(model.predict({"x": floats(-1, 0)})["y"], np.exp([-1.0, 0.0]), rtol=1e-6)


def _endless(x):
    last = mb.while_loop(
        _cond=lambda value: mb.less(x=mb.reduce_sum(x=value), y=np.float32(1)),
        _body=lambda value: (mb.mul(x=value, y=np.float32(1)),),
        loop_vars=(mb.identity(x=x),),
    )
    return mb.identity(x=last, name="y")


def test_a_loop_without_end_is_stopped_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr(control, "MAX_EFFORT", 1000)
    model = load(save(tmp_path / "m.mlpackage", _endless, x=(1,)))
    with pytest.raises(ConversionError, match=r"while_loop.*more than 1000 operations"):
        model.predict({"x": floats(0)})
    np.testing.assert_array_equal(model.predict({"x": floats(2)})["y"], [2])  # and is whole for the next one


def _sums(x):
    return [mb.add(x=x, y=np.float32(number)) for number in range(1, 41)]


def _products(x):
    return [mb.matmul(x=x, y=x, transpose_y=True) for _ in range(40)]


def _reductions(x):
    return [mb.reduce_max(x=x) for _ in range(40)]


def _sorts(x):
    return [mb.topk(x=x, k=1)[0]]  # gives little and looks at each number once, but compares it twenty times


@pytest.mark.parametrize("work", [_sums, _products, _reductions, _sorts])
def test_many_operations_are_not_waited_for_that_one_alone_could_be(tmp_path, monkeypatch, work):
    monkeypatch.setattr(effort, "PER_RUN", 1 << 30)  # the same bound, sooner
    path = save(tmp_path / "m.mlpackage", lambda x: tuple(work(x)), x=(1024, 1024))
    given = {"x": np.ones((1024, 1024), np.float32)}
    with pytest.raises(ConversionError, match="more arithmetic"):
        load(path, backend="numpy").predict(given)
    monkeypatch.setattr(effort, "PER_RUN", 1 << 40)
    assert len(load(path, backend="numpy").predict(given)) in (1, 40)


def test_what_is_not_known_in_a_block_is_named(tmp_path):
    def body(x):
        return mb.cond(
            pred=mb.greater(x=mb.reduce_sum(x=x), y=np.float32(0)),
            _true_fn=lambda: mb.random_normal(shape=np.asarray([2], np.int32)),
            _false_fn=lambda: mb.add(x=x, y=np.float32(1)),
            name="y",
        )

    path = save(tmp_path / "m.mlpackage", body, x=(2,))
    (found,) = unsupported(path)
    assert found.startswith("random_normal (its numbers come from")
    with pytest.raises(ConversionError, match="random_normal"):
        load(path)


def test_blocks_in_blocks_without_end_are_refused(tmp_path, spec_file):
    path = save(tmp_path / "m.mlpackage", _endless, x=(1,))
    spec = read(path)
    function = spec.mlProgram.functions["main"]
    block = function.block_specializations[function.opset]
    for _ in range(40):
        inner = type(block)()
        inner.CopyFrom(block)
        block.Clear()
        block.operations.add(type="cond").blocks.add().CopyFrom(inner)
    spec_file(path).write_bytes(spec.SerializeToString())
    with pytest.raises(FormatError, match=r"deep|not a Core ML model"):  # protobuf has a bound of its own
        load(path)


def test_a_model_with_functions_without_end_is_refused(tmp_path, spec_file):
    path = save(tmp_path / "m.mlpackage", lambda x: mb.identity(x=x, name="y"), x=(2,))
    spec = read(path)
    for _ in range(MAX_FUNCTIONS + 1):
        spec.description.functions.add(name="main")
    spec_file(path).write_bytes(spec.SerializeToString())
    for opened in (load, unsupported, inspect):
        with pytest.raises(FormatError, match=f"{MAX_FUNCTIONS + 1} functions, at most {MAX_FUNCTIONS}"):
            opened(path)


def test_folders_in_folders_without_end_are_refused(tmp_path):
    path = save(tmp_path / "m.mlpackage", lambda x: mb.identity(x=x, name="y"), x=(2,))
    (path / "Data").joinpath(*["d"] * 40).mkdir(parents=True)
    for opened in (load, unsupported):
        with pytest.raises(FormatError, match="has folders in folders, more than 32 deep"):
            opened(path)
    assert "more than 32 deep" in str(inspect(path).to_dict())


def _squares(x):
    """A list that grows: x, x², x³, x⁴, gathered in another order."""
    made = mb.make_list(init_length=1, elem_shape=(2,), dynamic_length=True)

    def turn(index, value, found):
        return mb.add(x=index, y=1), mb.mul(x=value, y=x), mb.list_write(ls=found, index=index, value=value)

    _, _, found = mb.while_loop(
        _cond=lambda index, value, found: mb.less(x=index, y=4),
        _body=turn,
        loop_vars=(0, mb.identity(x=x), made),
    )
    gathered = mb.list_gather(ls=found, indices=np.asarray([3, 0], np.int32), name="gathered")
    length = mb.identity(x=mb.list_length(ls=found), name="length")
    return gathered, mb.list_read(ls=found, index=1, name="second"), length


def test_a_list_grows_in_a_loop(tmp_path):
    got = load(save(tmp_path / "m.mlpackage", _squares, x=(2,))).predict({"x": floats(2, 3)})
    np.testing.assert_array_equal(got["gathered"], [[16, 81], [2, 3]])
    np.testing.assert_array_equal(got["second"], [4, 9])
    assert got["length"] == 4


def test_a_list_of_fixed_length_begins_with_zeros_takes_several_at_once_and_does_not_grow(tmp_path):
    def body(x, where):
        made = mb.make_list(init_length=3, elem_shape=(2,), dynamic_length=False)
        written = mb.list_scatter(ls=made, indices=where, value=x)
        return mb.list_gather(ls=written, indices=np.asarray([0, 1, 2], np.int32), name="all")

    model = load(save(tmp_path / "m.mlpackage", body, x=(2, 2), where=((2,), "int32")))
    x = np.asarray([[1, 2], [3, 4]], np.float32)
    got = model.predict({"x": x, "where": np.asarray([2, 0], np.int32)})["all"]
    np.testing.assert_array_equal(got, [[3, 4], [0, 0], [1, 2]])
    with pytest.raises(ConversionError, match=r"list_scatter.*no element 3 in a list of 3"):
        model.predict({"x": x, "where": np.asarray([3, 0], np.int32)})


def test_a_list_is_not_made_without_end(tmp_path):
    def body(x, at):
        made = mb.make_list(init_length=1, elem_shape=(2,), dynamic_length=True)
        written = mb.list_write(ls=made, index=mb.squeeze(x=at, axes=[0]), value=x)
        return mb.list_read(ls=written, index=0, name="y")

    model = load(save(tmp_path / "m.mlpackage", body, x=(2,), at=((1,), "int32")))
    np.testing.assert_array_equal(model.predict({"x": floats(1, 2), "at": np.asarray([5], np.int32)})["y"], [0, 0])
    for far in (2**31 - 1, 2**24, -1):
        with pytest.raises(ConversionError, match="list_write"):
            model.predict({"x": floats(1, 2), "at": np.asarray([far], np.int32)})
