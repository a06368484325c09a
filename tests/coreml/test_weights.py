from __future__ import annotations

import numpy as np
import pytest

from mlpublish.coreml.weights import Weights
from mlpublish.errors import FormatError

NAME = "@model_path/weights/weight.bin"


@pytest.fixture
def folder(ct, tmp_path):
    """A weight file of three tensors, written by coremltools' own storage writer."""
    from coremltools.libmilstoragepython import _BlobStorageWriter

    (tmp_path / "weights").mkdir()
    writer = _BlobStorageWriter(str(tmp_path / "weights/weight.bin"))
    offsets = [
        writer.write_float_data(np.arange(6, dtype=np.float32)),
        writer.write_fp16_data(np.arange(4, dtype=np.float16).view(np.uint16)),
        writer.write_int8_data(np.arange(-3, 3, dtype=np.int8)),
    ]
    del writer
    return tmp_path, offsets


def test_tensors_are_what_coremltools_wrote(folder):
    place, (first, second, third) = folder
    weights = Weights(place)
    np.testing.assert_array_equal(weights.read(NAME, first, (2, 3)), np.arange(6, dtype=np.float32).reshape(2, 3))
    assert weights.read(NAME, second, (4,)).dtype == np.float16
    np.testing.assert_array_equal(weights.read(NAME, third, (6,)), np.arange(-3, 3))


@pytest.mark.parametrize(
    "name",
    ["@model_path/../weights/weight.bin", "/etc/hostname", "weights/weight.bin", "@model_path//etc/hostname", "@model_path/"],
)
def test_a_path_that_escapes_the_model_is_refused(folder, name):
    with pytest.raises(FormatError, match="outside"):
        Weights(folder[0]).read(name, 64, (6,))


def test_a_model_without_weight_files_has_none():
    with pytest.raises(FormatError, match="outside"):
        Weights(None).read(NAME, 64, (6,))


def test_a_linked_weight_file_is_refused(folder):
    place, (first, *_) = folder
    file = place / "weights/weight.bin"
    file.rename(place / "elsewhere.bin")
    file.symlink_to(place / "elsewhere.bin")
    with pytest.raises(FormatError, match="missing"):
        Weights(place).read(NAME, first, (6,))


@pytest.mark.parametrize("length", [0, 4, 64, 127, 128, 140])
def test_a_truncated_file_is_refused(folder, length):
    place, (first, *_) = folder
    file = place / "weights/weight.bin"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(FormatError):
        Weights(place).read(NAME, first, (2, 3))


@pytest.mark.parametrize("shape", [(2, 2), (7,), (2**40, 2**40)])
def test_another_number_of_elements_is_refused(folder, shape):
    with pytest.raises(FormatError, match="elements"):
        Weights(folder[0]).read(NAME, folder[1][0], shape)


@pytest.mark.parametrize("offset", [0, 63, 128, 10**9])
def test_an_offset_that_is_no_record_is_refused(folder, offset):
    with pytest.raises(FormatError, match="record"):
        Weights(folder[0]).read(NAME, offset, (6,))


def test_a_record_that_points_over_the_end_is_refused(folder, record):
    place, (first, *_) = folder
    file = place / "weights/weight.bin"
    data = bytearray(file.read_bytes())
    sentinel, kind, length, _ = record.unpack_from(data, first)
    record.pack_into(data, first, sentinel, kind, length, 2**63)
    file.write_bytes(data)
    with pytest.raises(FormatError, match="elements"):
        Weights(place).read(NAME, first, (6,))
