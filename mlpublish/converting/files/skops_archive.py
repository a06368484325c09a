"""Bound what a ``.skops`` file unpacks to, before anything is made of it.

Such a file is a zip of ``schema.json``, which is a tree of nodes, and of arrays that nodes name. It may unpack to 128 MB, or to
100 times its own size, but never to more than 16 GB; its schema to 256 MB. Arrays that are read for several nodes, and those
in archives inside of the archive (sparse matrices), count as often as they are read.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any

from mlpublish.shown import size

_FREE, _RATIO, _MOST = 128 << 20, 100, 16 << 30
_LARGEST_SCHEMA = 256 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SCHEMA = "schema.json"


def unpacked(content: bytes) -> bytes:
    """The same archive with every part as large as it says: zipfile itself unpacks a whole part, and cuts it afterwards.

    Raises:
        ValueError: it unpacks to too much, or its nodes would be gone through more often than they stand in it.
        RecursionError: its schema is nested too deeply.
        KeyError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError: it is no whole archive.
    """
    made = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as archive, zipfile.ZipFile(made, "w") as other:
        parts = {part.filename: part for part in archive.infolist()}  # of one name, the last is read
        _check_total(_declared(archive.infolist()), len(content))
        if archive.getinfo(_SCHEMA).file_size > _LARGEST_SCHEMA:
            raise ValueError(f"its schema has more than {size(_LARGEST_SCHEMA)}")
        packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts.values())
        sizes = {}
        for name, part in parts.items():
            held = _read(archive, part)
            sizes[name] = len(held) + _inside(held)
            if packed:
                other.writestr(name, held)
        _check_total(sum(sizes.values()), len(content))
        schema = json.loads(_read(archive, parts[_SCHEMA]))
    _check_total(_Nodes(sizes).read_by(schema), len(content))
    return made.getvalue() if packed else content


def _read(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bytes:
    with archive.open(part) as opened:
        return opened.read(part.file_size)


def _inside(held: bytes) -> int:
    """What an archive inside of the archive says that it unpacks to."""
    if not held.startswith(b"PK"):
        return 0
    with zipfile.ZipFile(BytesIO(held)) as archive:
        return _declared(archive.infolist())


def _declared(parts: Iterable[zipfile.ZipInfo]) -> int:
    held = list(parts)
    if any(part.compress_type not in _METHODS for part in held):
        raise ValueError("it is packed by another method than ZIP_STORED and ZIP_DEFLATED")
    return sum(part.file_size for part in held)


def _check_total(total: int, packed: int) -> None:
    if total > _MOST or total > max(_FREE, _RATIO * packed):
        raise ValueError(f"it has {size(packed)}, but would unpack to {size(total)}")


class _Nodes:
    """The nodes of a schema. skops takes the first that it meets of a number for all of that number.

    It writes each of them in full. Where all of a number are equally large, none can hold itself, and going through all that
    are meant costs no more than the schema is long.

    Args:
        sizes: of the archive's parts.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._sizes = sizes
        self._counts: dict[Any, int] = {}
        self._read: set[tuple[str, Any]] = set()
        self._total = 0

    def read_by(self, schema: Any) -> int:
        """How many bytes of the archive the nodes read."""
        self._count(schema)
        return self._total

    def _count(self, value: Any) -> int:
        """How many values a value is made of."""
        if isinstance(value, list):
            return 1 + sum(map(self._count, value))
        if not isinstance(value, dict):
            return 1
        count = 1 + sum(map(self._count, value.values()))
        number, file = value.get("__id__"), value.get("file")
        if number and self._counts.setdefault(number, count) != count:
            raise ValueError("its nodes do not hang together")
        if isinstance(file, str) and not (number and (file, number) in self._read):
            self._read.add((file, number))
            self._total += self._sizes.get(file, 0)
        return count
