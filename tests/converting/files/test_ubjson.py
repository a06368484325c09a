from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from mlpublish.converting.files.ubjson import parsed

xgb = pytest.importorskip("xgboost", reason="needs xgboost: pip install 'mlpublish[xgboost]'")


@pytest.fixture(scope="module")
def booster():
    rows = np.random.default_rng(1).normal(size=(60, 3))
    return xgb.train({"max_depth": 4}, xgb.DMatrix(rows, rows.sum(axis=1), feature_names=["a", "ß", "c"]), 3)


def test_xgboosts_two_formats_say_the_same(booster):
    one, other = parsed(bytes(booster.save_raw("ubj"))), json.loads(booster.save_raw("json"))
    trees = [model["learner"]["gradient_booster"]["model"].pop("trees") for model in (one, other)]
    assert one == other
    for left, right in zip(*trees, strict=True):
        assert left.keys() == right.keys()
        for name, column in left.items():
            wanted = np.asarray(right[name], dtype=np.float32) if isinstance(column, list) else right[name]
            np.testing.assert_array_equal(np.asarray(column, np.float32) if isinstance(column, list) else column, wanted)


def test_a_file_that_was_cut_off_anywhere_is_none(booster):
    content = bytes(booster.save_raw("ubj"))
    for length in range(0, len(content), 61):
        with pytest.raises(ValueError, match=r"cut off|no UBJSON"):
            parsed(content[:length])


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"Z", None),
        (b"[TF]", [True, False]),
        (b"i\xff", -1),
        (b"U\xff", 255),
        (b"I\x01\x00", 256),
        (b"L" + struct.pack(">q", -(2**40)), -(2**40)),
        (b"D" + struct.pack(">d", 0.1), 0.1),
        (b"SU\x02\xc3\x9f", "ß"),
        (b"[$U#U\x03\x01\x02\x03", [1, 2, 3]),
        (b"[#U\x02TSU\x01a", [True, "a"]),
        (b"{U\x01a[]U\x01b{}}", {"a": [], "b": {}}),
        (b"{#U\x01U\x01aZ", {"a": None}),
    ],
    ids=["null", "words", "int8", "uint8", "int16", "int64", "double", "text", "typed", "counted", "object", "counted object"],
)
def test_each_kind_of_value(content, value):
    assert parsed(content) == value


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "cut off"),
        (b"x", "no UBJSON at byte 0"),
        (b"[$U]", "no number"),
        (b"[$Z#L" + struct.pack(">q", 2**60), "no number of values"),
        (b"[#i\xff", "no number of values"),
        (b"Si\xff", "cut off"),
        (b"ST", "no UBJSON"),
        (b"[" * 1000, "too deeply"),
        (b"SU\x01\xff", "codec can't decode"),
    ],
    ids=["nothing", "marker", "no count", "huge count", "count below 0", "length below 0", "length", "deep", "no UTF-8"],
)
def test_what_is_none_is_refused(content, told):
    with pytest.raises(ValueError, match=told):
        parsed(content)
