from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlpublish.coreml import weights
from mlpublish.coreml.weights import Weights
from mlpublish.errors import FormatError

NAME = "@model_path/weights/weight.bin"
FLOATS = np.asarray([0, 1, -2.5, 6e4, np.inf, -0.0], np.float32)
# MIL's name of a type -> (coremltools' word for it in its storage writer and reader, numbers, what ours holds them in)
TYPES = {
    "FLOAT32": ("float", FLOATS, np.float32),
    "FLOAT16": ("fp16", FLOATS.astype(np.float16), np.float16),
    "INT8": ("int8", np.asarray([-128, 127, 0, 3], np.int8), np.int8),
    "UINT8": ("uint8", np.asarray([0, 255, 7], np.uint8), np.uint8),
    "INT16": ("int16", np.asarray([-(2**15), 2**15 - 1, 0], np.int16), np.int16),
    "UINT16": ("uint16", np.asarray([0, 2**16 - 1, 300], np.uint16), np.uint16),
    "INT32": ("int32", np.asarray([-(2**31), 2**31 - 1], np.int32), np.int32),
    "UINT32": ("uint32", np.asarray([0, 2**32 - 1], np.uint32), np.uint32),
    "INT4": ("int4", np.arange(-8, 8, dtype=np.int8), np.int8),
    "UINT1": ("uint1", np.asarray([1, 0, 1, 1, 0, 0, 0, 0, 1, 1], np.uint8), np.uint8),
    "UINT2": ("uint2", np.asarray([3, 1, 2, 0, 3], np.uint8), np.uint8),
    "UINT3": ("uint3", np.arange(11, dtype=np.uint8) % 8, np.uint8),
    "UINT4": ("uint4", np.asarray([15, 0, 9], np.uint8), np.uint8),
    "UINT6": ("uint6", np.arange(7, dtype=np.uint8) * 10, np.uint8),
}
NARROW = {"INT4": (-8, 7), "UINT1": (0, 1), "UINT2": (0, 3), "UINT3": (0, 7), "UINT4": (0, 15), "UINT6": (0, 63)}


def _write(place, *tensors):
    """Tensors (type, numbers) in a weight file by coremltools' own storage writer; where each record begins."""
    from coremltools.libmilstoragepython import _BlobStorageWriter

    (place / "weights").mkdir(exist_ok=True)
    file = place / "weights/weight.bin"
    file.unlink(missing_ok=True)
    writer = _BlobStorageWriter(str(file))
    return [
        getattr(writer, f"write_{TYPES[kind][0]}_data")(numbers.view(np.uint16) if kind == "FLOAT16" else numbers)
        for kind, numbers in tensors
    ]


@pytest.fixture
def folder(ct, tmp_path):
    return tmp_path, _write(tmp_path, ("FLOAT32", np.arange(6, dtype=np.float32)), ("UINT4", np.arange(5, dtype=np.uint8)))


@pytest.fixture
def altered(folder, record):
    """The file with its first record changed; ``change`` is given (sentinel, type, length, offset, unused bits)."""

    def alter(change):
        place, (first, *_) = folder
        file = place / "weights/weight.bin"
        data = bytearray(file.read_bytes())
        whole = struct.Struct(record.format + "Q")
        whole.pack_into(data, first, *change(*whole.unpack_from(data, first)))
        file.write_bytes(data)
        return Weights(place), first

    return alter


@pytest.mark.parametrize("kind", TYPES)
def test_tensors_are_what_coremltools_wrote_and_reads(ct, tmp_path, kind):
    from coremltools.libmilstoragepython import _BlobStorageReader

    word, numbers, dtype = TYPES[kind]
    (offset,) = _write(tmp_path, (kind, numbers))
    got = Weights(tmp_path).read(NAME, offset, kind, (len(numbers), 1))
    read = getattr(_BlobStorageReader(str(tmp_path / "weights/weight.bin")), f"read_{word}_data")(offset)
    theirs = np.asarray(read, np.uint16).view(np.float16) if kind == "FLOAT16" else np.asarray(read)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got[:, 0], numbers)
    np.testing.assert_array_equal(got[:, 0], theirs)


@given(st.sampled_from(sorted(NARROW)).flatmap(lambda kind: st.tuples(st.just(kind), _packed(kind))))
def test_types_below_one_byte_come_back_at_any_length(ct, tmp_path_factory, drawn):
    kind, numbers = drawn
    place = tmp_path_factory.mktemp("packed")
    _, offset, _ = _write(place, ("UINT3", numbers[:1].astype(np.uint8) & 7), (kind, numbers), (kind, numbers))
    np.testing.assert_array_equal(Weights(place).read(NAME, offset, kind, numbers.shape), numbers)


def _packed(kind):
    dtype = np.int8 if kind == "INT4" else np.uint8
    return arrays(dtype, st.integers(0, 40), elements=st.integers(*NARROW[kind]))


def test_bfloat16_is_the_upper_half_of_a_float32(altered):
    weights, first = altered(lambda sentinel, kind, length, start, padding: (sentinel, 5, length, start, padding))
    halves = np.arange(6, dtype=np.float32).view(np.uint16)
    wanted = [struct.unpack("<f", struct.pack("<HH", 0, int(half)))[0] for half in halves]
    np.testing.assert_array_equal(weights.read(NAME, first, "BFLOAT16", (3, 4)).ravel(), np.asarray(wanted, np.float32))


@pytest.mark.parametrize(("number", "kind"), [(16, "FLOAT8E4M3FN"), (17, "FLOAT8E5M2")])
def test_floats_of_eight_bits_are_refused_by_name(altered, number, kind):
    weights, first = altered(lambda sentinel, _, length, start, padding: (sentinel, number, length, start, padding))
    with pytest.raises(FormatError, match=kind):
        weights.read(NAME, first, kind, (24,))


def test_a_record_of_narrow_elements_is_unpacked_once_and_all_of_them_within_a_bound(folder, monkeypatch):
    place, (_, offset) = folder
    found = Weights(place)
    assert found.read(NAME, offset, "UINT4", (5,)) is found.read(NAME, offset, "UINT4", (5,))
    monkeypatch.setattr(weights, "MAX_UNPACKED", 9)
    with pytest.raises(FormatError, match="more than 9 bytes"):
        found.read(NAME, offset, "UINT4", (5, 1))


@pytest.mark.parametrize(
    "name",
    ["@model_path/../weights/weight.bin", "/etc/hostname", "weights/weight.bin", "@model_path//etc/hostname", "@model_path/"],
)
def test_a_path_that_escapes_the_model_is_refused(folder, name):
    with pytest.raises(FormatError, match="outside"):
        Weights(folder[0]).read(name, 64, "FLOAT32", (6,))


def test_a_model_without_weight_files_has_none():
    with pytest.raises(FormatError, match="outside"):
        Weights(None).read(NAME, 64, "FLOAT32", (6,))


def test_a_linked_weight_file_is_refused(folder):
    place, (first, *_) = folder
    file = place / "weights/weight.bin"
    file.rename(place / "elsewhere.bin")
    file.symlink_to(place / "elsewhere.bin")
    with pytest.raises(FormatError, match="missing"):
        Weights(place).read(NAME, first, "FLOAT32", (6,))


@pytest.mark.parametrize("length", [0, 4, 64, 127, 128, 140])
def test_a_truncated_file_is_refused(folder, length):
    place, (first, *_) = folder
    file = place / "weights/weight.bin"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(FormatError):
        Weights(place).read(NAME, first, "FLOAT32", (2, 3))


@pytest.mark.parametrize("shape", [(2, 2), (7,), (0,), (2**40, 2**40), (2**63, 2)])
@pytest.mark.parametrize("which", [0, 1])
def test_another_number_of_elements_is_refused(folder, shape, which):
    kind = ("FLOAT32", "UINT4")[which]
    with pytest.raises(FormatError, match="elements"):
        Weights(folder[0]).read(NAME, folder[1][which], kind, shape)


@pytest.mark.parametrize("offset", [0, 63, 128, 10**9])
def test_an_offset_that_is_no_record_is_refused(folder, offset):
    with pytest.raises(FormatError, match="record"):
        Weights(folder[0]).read(NAME, offset, "FLOAT32", (6,))


def test_another_type_than_declared_is_refused(folder):
    with pytest.raises(FormatError, match=r"holds FLOAT32.*says INT32"):
        Weights(folder[0]).read(NAME, folder[1][0], "INT32", (6,))
    with pytest.raises(FormatError, match=r"holds UINT4.*says INT4"):
        Weights(folder[0]).read(NAME, folder[1][1], "INT4", (5,))


@pytest.mark.parametrize("start", [2**63, 2**64 - 1, 2**64 - 64, 129, 448])
def test_a_record_that_points_elsewhere_is_refused(altered, start):
    weights, first = altered(lambda sentinel, kind, length, _, padding: (sentinel, kind, length, start, padding))
    with pytest.raises(FormatError, match="elements"):
        weights.read(NAME, first, "FLOAT32", (6,))


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 0, 23, 25])
def test_a_record_of_another_length_is_refused(altered, length):
    weights, first = altered(lambda sentinel, kind, _, start, padding: (sentinel, kind, length, start, padding))
    with pytest.raises(FormatError):
        weights.read(NAME, first, "FLOAT32", (6,))


@pytest.mark.parametrize("padding", [1, 8, 2**63])
def test_unused_bits_that_cannot_be_are_refused(altered, padding):
    weights, first = altered(lambda sentinel, kind, length, start, _: (sentinel, kind, length, start, padding))
    with pytest.raises(FormatError, match="unused bits"):
        weights.read(NAME, first, "FLOAT32", (6,))


def test_weights_are_not_copied(folder):
    assert not Weights(folder[0]).read(NAME, folder[1][0], "FLOAT32", (6,)).flags.writeable
