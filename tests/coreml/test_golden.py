from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlpublish.coreml import golden
from mlpublish.coreml.compare import Answers
from mlpublish.coreml.evaluate import load
from mlpublish.errors import FormatError

KINDS = st.sampled_from([np.float32, np.float64, np.int64, np.dtype("<U3")])


def _kept(folder, **outputs):
    answers = Answers(outputs=outputs, classes=("a", 1), scores=tuple(outputs))
    return golden.write(folder, {"input": np.arange(40, dtype=np.float32).reshape(10, 4)}, answers)


@given(KINDS.flatmap(lambda kind: arrays.arrays(kind, st.tuples(st.integers(1, 12), st.integers(1, 5)))))
def test_what_is_written_is_read_back(tmp_path_factory, outputs):
    folder = tmp_path_factory.mktemp("golden") / "g"
    count = min(8, len(outputs))
    _kept(folder, out=outputs)
    back = golden.read(folder)
    np.testing.assert_array_equal(back.answers.outputs["out"], outputs[:count])
    np.testing.assert_array_equal(back.inputs["input"], np.arange(40, dtype=np.float32).reshape(10, 4)[:count])
    assert (back.answers.classes, back.answers.scores) == (("a", 1), ("out",))


def test_the_same_data_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        _kept(tmp_path / name, out=np.asfortranarray(np.arange(20.0).reshape(10, 2)))
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["golden.json", "inputs-0.npy", "outputs-0.npy"]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


@pytest.mark.parametrize(("width", "kept"), [(30_000, 8), (60_000, 4), (250_000, 1), (300_000, None)])
def test_at_most_a_megabyte_is_kept(tmp_path, width, kept):
    rows = np.zeros((9, width), np.float32)
    written = golden.write(tmp_path / "g", {"input": rows}, Answers(outputs={"out": rows[:, :1]}))
    assert (tmp_path / "g").exists() == (kept is not None)
    assert kept == (None if written is None else len(written.inputs["input"]))


def test_a_model_is_asked_again(dense, tmp_path):
    model, rows = load(dense()), np.eye(4, dtype=np.float32)
    right = Answers(outputs=model.predict_rows({"input": rows}))
    assert golden.write(tmp_path / "g", {"input": rows}, right) is not None
    assert golden.read(tmp_path / "g").replay(model).max_rel == 0
    other = load(dense(np.arange(12, dtype=np.float32).reshape(3, 4) * 1.05, name="other"))
    assert golden.read(tmp_path / "g").replay(other).max_rel == pytest.approx(0.05, rel=1e-4)


def _header(shape, kind="<f4", data=b""):
    """An array whose header says what numpy would never write."""
    said = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    said += b" " * (-(len(said) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(said).to_bytes(2, "little") + said + data


def _npy(array, **how):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **how)
    return stream.getvalue()


HOSTILE = {
    "a pickle": _npy(np.asarray([{}], object), version=(1, 0), allow_pickle=True),
    "another format": _npy(np.zeros((8, 1)), version=(2, 0)),
    "cut": _npy(np.zeros((8, 1)))[:-1],
    "too long": _npy(np.zeros((8, 1))) + b"\x00",
    "a header that promises terabytes": _npy(np.zeros((8, 1))).replace(b"(8, 1), }     ", b"(8, 99999999)}"),
    "column-major": _npy(np.zeros((8, 2), order="F")),
    "of other rows": _npy(np.zeros((7, 1))),
    "a scalar": _npy(np.float64(1)),
    "complex": _npy(np.zeros((8, 1), complex)),
    "a shape whose product wraps": _header((8, 2**30, 2**31)),
    "a shape whose product wraps to its length": _header((8, 2**61 + 1), data=bytes(32)),
    "negative": _header((-8, -1), data=bytes(32)),
    "truths": _header((8, True), data=bytes(32)),
    "nothing in a row": _header((8, 0)),
    "of no width": _header((8, 10**9), "<U0"),
    "of more dimensions than there are": _header((8, *[1] * 64), data=bytes(32)),
    "no characters": _header((8,), "<U1", b"\xff" * 32),
    "empty": b"",
    "no array": b"hello",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_arrays_are_refused(tmp_path, data):
    _kept(tmp_path / "g", out=np.zeros((8, 1)))
    (tmp_path / "g/outputs-0.npy").write_bytes(data)
    with pytest.raises(FormatError):
        golden.read(tmp_path / "g")


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"samples": 9},
        {"samples": 0},
        {"inputs": {"input": "../inputs-0.npy"}},
        {"inputs": {"input": "none.npy"}},
        {"inputs": {}},
        {"outputs": {}},
        {"classes": [True]},
        {"classes": "ab"},
        {"scores": [1]},
    ],
    ids=str,
)
def test_a_hostile_index_is_refused(tmp_path, change):
    _kept(tmp_path / "g", out=np.zeros((8, 1)))
    index = tmp_path / "g/golden.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), **change}))
    with pytest.raises(FormatError):
        golden.read(tmp_path / "g")


def test_scores_without_columns_are_refused(tmp_path):
    _kept(tmp_path / "g", out=np.zeros(8))
    with pytest.raises(FormatError, match="scores must be names of outputs with columns"):
        golden.read(tmp_path / "g")


def test_a_linked_array_is_refused(tmp_path):
    _kept(tmp_path / "g", out=np.zeros((8, 1)))
    (tmp_path / "g/outputs-0.npy").rename(tmp_path / "out.npy")
    (tmp_path / "g/outputs-0.npy").symlink_to(tmp_path / "out.npy")
    with pytest.raises(FormatError):
        golden.read(tmp_path / "g")
