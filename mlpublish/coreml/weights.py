"""Read an ML Program's weight files (``weights/weight.bin``), with every length checked against the file.

Layout (MIL blob storage, version 2, little endian): a 64-byte header (count, version), then per entry a 64-byte record
(sentinel, type, length in bytes, offset of the data, unused bits of its last byte) and the data, each on a 64-byte border.
A program names the record.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.elements import bits_of, from_bytes, is_unpacked
from mlpublish.errors import FormatError
from mlpublish.formats.wire import is_relative_path

_BORDER = 64
_SENTINEL = 0xDEADBEEF
_RECORD = struct.Struct("<IIQQQ")
_VERSION = 2
_KINDS: Mapping[int, str] = {
    1: "FLOAT16",
    2: "FLOAT32",
    3: "UINT8",
    4: "INT8",
    5: "BFLOAT16",
    6: "INT16",
    7: "UINT16",
    8: "INT4",
    9: "UINT1",
    10: "UINT2",
    11: "UINT4",
    12: "UINT3",
    13: "UINT6",
    14: "INT32",
    15: "UINT32",
    16: "FLOAT8E4M3FN",
    17: "FLOAT8E5M2",
}
"""The storage's own number of a type -> MIL's name of it."""
_REMEDY = "Get the model again from where it was made; its weights are cut or altered."


MAX_UNPACKED = 1 << 32
"""Bytes of all elements that are held wider than the file has them (4 GiB): single bits become eight times as long."""


class Weights:
    """The weight files beside a specification.

    Args:
        folder: what ``@model_path`` stands for; None for a model without weight files.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._open: dict[str, memoryview] = {}
        self._unpacked: dict[tuple[str, int, str, tuple[int, ...]], NDArray[np.generic]] = {}
        self._made = 0  # bytes of these

    def read(self, name: str, offset: int, kind: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
        """One tensor; not copied, unless its elements are of a type that numpy does not have: then once.

        Args:
            name: the file as the program names it (``@model_path/weights/weight.bin``).
            offset: where its record begins, in bytes.
            kind: MIL's name of the element type that the program gives it, such as ``FLOAT16`` or ``UINT4``.
            shape: the dimensions that the program gives it.

        Raises:
            FormatError: the file escapes the package, is missing or cut, or holds another type or number of elements.
        """
        key = (name, offset, kind, shape)
        if key not in self._unpacked:
            found = self._found(*key)
            if not is_unpacked(kind):
                return found
            self._made += found.nbytes
            if self._made > MAX_UNPACKED:
                raise self._broken(name, f"holds more than {MAX_UNPACKED} bytes in types that numpy does not have")
            self._unpacked[key] = found
        return self._unpacked[key]

    def _found(self, name: str, offset: int, kind: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
        data = self._file(name)
        stored, length, start, padding = self._record(name, data, offset)
        if stored != kind:
            raise self._broken(name, f"holds {stored} at {offset}, the program says {kind}")
        if start % _BORDER or start + length > len(data):
            raise self._broken(name, f"has {len(data)} bytes, not the elements that begin at {start} and take {length}")
        if kind.startswith("FLOAT8"):
            raise self._broken(name, f"holds {kind}, which is not read")
        if padding != -math.prod(shape) * bits_of(kind) % 8:
            raise self._broken(name, f"has {padding} unused bits behind the elements of {shape} in {kind}")
        try:
            return from_bytes(data[start : start + length], kind, shape)
        except ValueError as exc:
            raise self._broken(name, f"cannot be read at {offset}: {exc}") from exc

    def _record(self, name: str, data: memoryview, offset: int) -> tuple[str, int, int, int]:
        """The type, length, place and unused bits that a record tells."""
        if offset % _BORDER or offset + _BORDER > len(data):
            raise self._broken(name, f"has no record at {offset}")
        sentinel, kind, length, start, padding = _RECORD.unpack_from(data, offset)
        if sentinel != _SENTINEL or kind not in _KINDS:
            raise self._broken(name, f"has no record that can be read at {offset} (type {kind})")
        return _KINDS[kind], length, start, padding

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
        if path.stat().st_size < _BORDER or struct.unpack("<II", file.read(8))[1] != _VERSION:
            raise FormatError(f"The weight file {name} is not in storage version {_VERSION}.", remedy=_REMEDY, field=name)
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
