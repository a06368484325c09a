"""Read an ML Program's weight files (``weights/weight.bin``), with every length checked against the file.

Layout (MIL blob storage, version 2, little endian): a 64-byte header (count, version), then per entry a 64-byte record
(sentinel, type, length in bytes, offset of the data) and the data, each on a 64-byte border. A program names the record.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from mlpublish.errors import FormatError
from mlpublish.formats.wire import is_relative_path

_SENTINEL = 0xDEADBEEF
_RECORD = struct.Struct("<IIQQ")
_VERSION = 2
# The storage's own number of a type -> numpy's; packed types below one byte are left out, no handler reads them.
_TYPES: dict[int, type[np.generic]] = {
    1: np.float16,
    2: np.float32,
    3: np.uint8,
    4: np.int8,
    6: np.int16,
    7: np.uint16,
    14: np.int32,
    15: np.uint32,
}
_REMEDY = "Get the model again from where it was made; its weights are cut or altered."


class Weights:
    """The weight files beside a specification.

    Args:
        folder: what ``@model_path`` stands for; None for a model without weight files.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._open: dict[str, memoryview] = {}

    def read(self, name: str, offset: int, shape: tuple[int, ...]) -> NDArray[np.generic]:
        """One tensor, not copied.

        Args:
            name: the file as the program names it (``@model_path/weights/weight.bin``).
            offset: where its record begins, in bytes.
            shape: the dimensions that the program gives it.

        Raises:
            FormatError: the file escapes the package, is missing or cut, or holds another number of elements.
        """
        data = self._file(name)
        if offset % 64 or offset + 64 > len(data):
            raise self._broken(name, f"has no record at {offset}")
        sentinel, kind, length, start = _RECORD.unpack_from(data, offset)
        dtype = _TYPES.get(kind)
        if sentinel != _SENTINEL or dtype is None:
            raise self._broken(name, f"has no record that can be read at {offset} (type {kind})")
        elements = int(np.prod(shape, dtype=np.int64))
        if elements * np.dtype(dtype).itemsize != length or start + length > len(data):
            raise self._broken(name, f"holds {length} bytes at {start} of {len(data)}, not the {elements} elements of {shape}")
        return np.frombuffer(data[start : start + length], dtype=dtype).reshape(shape)

    def _file(self, name: str) -> memoryview:
        if name not in self._open:
            self._open[name] = _mapped(self._path(name), name)
        return self._open[name]

    def _path(self, name: str) -> Path:
        head, _, rest = name.partition("/")
        if self._folder is None or head != "@model_path" or not is_relative_path(rest):
            raise FormatError(f"The weight file {name!r} is outside of the model.", remedy=_REMEDY, field=name)
        return self._folder / PurePosixPath(rest)

    @staticmethod
    def _broken(name: str, what: str) -> FormatError:
        return FormatError(f"The weight file {name} {what}.", remedy=_REMEDY, field=name)


def _mapped(path: Path, name: str) -> memoryview:
    if not path.is_file() or path.is_symlink():
        raise FormatError(f"The weight file {name} is missing.", remedy=_REMEDY, field=name)
    with path.open("rb") as file:
        if path.stat().st_size < 64 or struct.unpack("<II", file.read(8))[1] != _VERSION:
            raise FormatError(f"The weight file {name} is not in storage version {_VERSION}.", remedy=_REMEDY, field=name)
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
