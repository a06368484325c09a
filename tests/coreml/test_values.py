from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mlpublish.coreml.schema import schema
from mlpublish.coreml.values import value_of
from mlpublish.coreml.weights import Weights
from mlpublish.errors import FormatError

NONE = Weights(None)
SIGNED = {"INT4": 4, "INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64}
UNSIGNED = {"UINT1": 1, "UINT2": 2, "UINT3": 3, "UINT4": 4, "UINT6": 6, "UINT8": 8, "UINT16": 16, "UINT32": 32}


def _value(kind, shape, field, content):
    mil = schema("MIL")
    value = mil.Value()
    value.type.tensorType.dataType = mil.DataType.Value(kind)
    value.type.tensorType.rank = len(shape)
    for size in shape:
        value.type.tensorType.dimensions.add().constant.size = size
    held = getattr(value.immediateValue.tensor, field)
    held.SetInParent()
    if field == "bytes":
        held.values = content
    else:
        held.values.extend(content)
    return value


def _packed(numbers, bits):
    """Each number's bits behind the last one's, lowest first, told as one long whole number."""
    whole = sum((int(number) % 2**bits) << (bits * place) for place, number in enumerate(numbers))
    return whole.to_bytes(-(-bits * len(numbers) // 8), "little")


@pytest.mark.parametrize(
    ("kind", "field", "content", "wanted"),
    [
        ("FLOAT32", "floats", [1.5, -2], np.asarray([1.5, -2], np.float32)),
        ("FLOAT16", "floats", [1.5, -2], np.asarray([1.5, -2], np.float16)),
        ("FLOAT64", "doubles", [0.1, 2], np.asarray([0.1, 2], np.float64)),
        ("INT32", "ints", [2**31 - 1, -(2**31)], np.asarray([2**31 - 1, -(2**31)], np.int32)),
        ("INT16", "ints", [2**15 - 1, -(2**15)], np.asarray([2**15 - 1, -(2**15)], np.int16)),
        ("UINT16", "ints", [2**16 - 1, 0], np.asarray([2**16 - 1, 0], np.uint16)),
        ("INT64", "longInts", [2**63 - 1, -(2**63)], np.asarray([2**63 - 1, -(2**63)], np.int64)),
        ("BOOL", "bools", [True, False], np.asarray([True, False])),
        ("BOOL", "bytes", b"\x02\x00", np.asarray([True, False])),
        ("FLOAT16", "bytes", b"\x00\x3c\x00\xc0", np.asarray([1, -2], np.float16)),
        ("FLOAT32", "bytes", b"\x00\x00\x80\x3f\x00\x00\x00\xc0", np.asarray([1, -2], np.float32)),
        ("BFLOAT16", "bytes", b"\x80\x3f\x00\xc0", np.asarray([1, -2], np.float32)),
        ("UINT32", "bytes", b"\xff\xff\xff\xff\x01\x00\x00\x00", np.asarray([2**32 - 1, 1], np.uint32)),
        ("INT8", "bytes", b"\xff\x7f", np.asarray([-1, 127], np.int8)),
    ],
)
def test_a_field_gives_its_numbers(kind, field, content, wanted):
    got = value_of(_value(kind, (2, 1), field, content), NONE, "x")
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted.reshape(2, 1))


@given(st.data())
@pytest.mark.parametrize("kind", [*SIGNED, *UNSIGNED])
def test_whole_numbers_of_every_width_come_out_of_bytes(kind, data):
    bits = (SIGNED | UNSIGNED)[kind]
    lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind in SIGNED else (0, 2**bits - 1)
    dtype = np.dtype(f"{'i' if kind in SIGNED else 'u'}{max(bits, 8) // 8}")
    shape = data.draw(array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
    wanted = data.draw(arrays(dtype, shape, elements=st.integers(lowest, highest)))
    got = value_of(_value(kind, shape, "bytes", _packed(wanted.ravel(), bits)), NONE, "x")
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, wanted)


def test_coremltools_writes_what_is_read(ct):
    from coremltools.converters.mil.backend.mil.helper import create_tensor_value
    from coremltools.converters.mil.mil import types

    random = np.random.default_rng(5)
    for word in (
        "fp16",
        "fp32",
        "int4",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint1",
        "uint3",
        "uint6",
        "uint8",
        "uint16",
        "uint32",
    ):
        dtype = types.nptype_from_builtin(types.string_to_builtin(word))
        wanted = random.integers(0, 2, size=(3, 3)).astype(dtype)
        np.testing.assert_array_equal(value_of(create_tensor_value(wanted), NONE, word), wanted, err_msg=word)
    np.testing.assert_array_equal(value_of(create_tensor_value(np.ones((0, 2), np.float16)), NONE, "x"), np.ones((0, 2)))


def test_texts_are_texts():
    assert value_of(_value("STRING", (), "strings", ["same"]), NONE, "x") == "same"
    assert value_of(_value("STRING", (2,), "strings", ["no", "yes"]), NONE, "x") == ("no", "yes")


@pytest.mark.parametrize(("sort", "field"), [("listType", "list"), ("tupleType", "tuple")])
def test_lists_and_tuples_are_tuples(sort, field):
    mil = schema("MIL")
    value = mil.Value()
    getattr(value.type, sort).SetInParent()
    getattr(value.immediateValue, field).values.extend(
        [_value("INT64", (), "longInts", [7]), _value("STRING", (), "strings", ["a"])]
    )
    number, text = value_of(value, NONE, "x")
    assert (int(number), text) == (7, "a")
    value.immediateValue.tensor.floats.values.append(1)
    with pytest.raises(FormatError, match=field):
        value_of(value, NONE, "x")


@pytest.mark.parametrize(
    ("kind", "shape", "field", "content"),
    [
        ("FLOAT32", (3,), "floats", [1, 2]),
        ("FLOAT32", (), "floats", []),
        ("FLOAT32", (2,), "ints", [1, 2]),
        ("INT32", (2,), "floats", [1, 2]),
        ("INT32", (2,), "bools", [True, False]),
        ("INT8", (2,), "ints", [1, 128]),
        ("UINT8", (2,), "ints", [-1, 1]),
        ("UINT4", (2,), "ints", [16, 1]),
        ("UINT4", (3,), "bytes", b"\x00"),
        ("UINT4", (2,), "bytes", b"\x00\x00"),
        ("FLOAT16", (2,), "bytes", b"\x00\x00\x00"),
        ("FLOAT32", (2**40, 2**40), "floats", [1]),
        ("FLOAT32", (0, 2**62), "floats", []),
        ("FLOAT32", (0, 2**64 - 1), "bytes", b""),
        ("UINT1", (2**61,), "bytes", b""),
        ("STRING", (), "strings", []),
        ("STRING", (3,), "strings", ["a"]),
        ("STRING", (1, 1), "strings", ["a"]),
        ("FLOAT8E4M3FN", (1,), "bytes", b"\x00"),
        ("FLOAT8E5M2", (1,), "floats", [1]),
        ("UNUSED_TYPE", (1,), "floats", [1]),
    ],
)
def test_what_does_not_hold_together_is_refused(kind, shape, field, content):
    with pytest.raises(FormatError, match="'x'"):
        value_of(_value(kind, shape, field, content), NONE, "x")


def test_an_eight_bit_float_and_an_unknown_type_are_named():
    with pytest.raises(FormatError, match="FLOAT8E5M2"):
        value_of(_value("FLOAT8E5M2", (1,), "bytes", b"\x00"), NONE, "x")
    value = _value("FLOAT32", (1,), "floats", [1])
    value.type.tensorType.dataType = 77
    with pytest.raises(FormatError, match="77"):
        value_of(value, NONE, "x")


def test_a_constant_of_open_size_is_refused():
    value = _value("FLOAT32", (1,), "floats", [1])
    value.type.tensorType.dimensions[0].unknown.variadic = False
    with pytest.raises(FormatError, match="open size"):
        value_of(value, NONE, "x")


def test_a_constant_of_no_type_is_refused():
    with pytest.raises(FormatError, match="neither"):
        value_of(schema("MIL").Value(), NONE, "x")
