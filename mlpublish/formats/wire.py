"""Reading and writing the JSON documents: strictly in, canonically out.

A ``Reader`` knows where in the document it stands, so an error blames a field (``files[3].length``). Writing is
deterministic: sorted keys, UTF-8, two spaces, one newline at the end; the same value gives the same bytes everywhere.
Decimals travel as strings, because TUF's canonical JSON has no floats.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import PurePosixPath
from typing import Any, NoReturn, TypeVar

from mlpublish.errors import FormatError, NewerFormat

T = TypeVar("T")

MAX_DOCUMENT = 16 * 1024 * 1024  # bytes; a document is metadata, never weights
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# One part of a path that every file system, zip reader and URL takes as it is.
_PART = re.compile(r"[A-Za-z0-9_@+=,()\[\]-][A-Za-z0-9_@+=,()\[\] .-]{0,254}")


def dump(document: Mapping[str, Any]) -> bytes:
    """The one way a document is written."""
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def digest_of(data: bytes) -> str:
    """sha256, 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of_stream(stream: BufferedIOBase) -> str:
    """sha256 of what a binary file still holds, in constant memory."""
    return hashlib.file_digest(stream, "sha256").hexdigest()


def decimal(value: float) -> str:
    """A float as the shortest decimal string that reads back as the same float."""
    return repr(float(value))


@dataclass(frozen=True, slots=True)
class Reader:
    """A JSON object and the place where it stands.

    Args:
        values: the object's members.
        where: its place in the document, empty for the top.
        what: the document's name for errors, such as ``manifest.json``.
    """

    values: Mapping[str, Any]
    what: str
    where: str = ""

    @classmethod
    def parse(cls, data: bytes, *, what: str) -> Reader:
        """Read a document; duplicate members, NaN and anything but an object are refused."""
        if len(data) > MAX_DOCUMENT:
            raise FormatError(f"{what} has {len(data)} bytes, more than {MAX_DOCUMENT}.", remedy=_REMEDY, field=what)
        try:
            text = data.decode()  # json itself would take UTF-16 too
            values = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
            if "\\u" in text:
                json.dumps(values, ensure_ascii=False).encode()  # half a surrogate pair could never be written again
        except (ValueError, RecursionError) as exc:
            raise FormatError(f"{what} is not a JSON document: {exc}.", remedy=_REMEDY, field=what) from exc
        if not isinstance(values, dict):
            raise FormatError(f"{what} is not a JSON object.", remedy=_REMEDY, field=what)
        return cls(values, what)

    def place(self, name: str) -> str:
        """Where a member stands, as errors name it."""
        return f"{self.where}.{name}" if self.where else name

    def refuse(self, name: str, wanted: str) -> NoReturn:
        """Blame a member."""
        got = self.values.get(name, "nothing")
        raise FormatError(
            f"{self.what}: {self.place(name)} must be {wanted}, not {_short(got)}.", remedy=_REMEDY, field=self.place(name)
        )

    def _typed(self, name: str, kind: type[T], wanted: str) -> T:
        value = self.values.get(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.refuse(name, wanted)
        return value

    def text(self, name: str, pattern: str | None = None) -> str:
        value = self._typed(name, str, "a string")
        if pattern is not None and re.fullmatch(pattern, value) is None:
            self.refuse(name, f"a string like {pattern}")
        return value

    def whole_number(self, name: str, *, least: int = 0, most: int = 2**63 - 1) -> int:
        value = self._typed(name, int, "a whole number")
        if not least <= value <= most:
            self.refuse(name, f"a whole number from {least} to {most}")
        return value

    def truth(self, name: str) -> bool:
        return self._typed(name, bool, "true or false")

    def decimal(self, name: str) -> float:
        """A decimal string (``"1e-4"``) as a float; ``inf`` and ``nan`` are refused."""
        text = self.text(name)
        value = float(text) if _DECIMAL.fullmatch(text) else math.nan
        if not math.isfinite(value):
            self.refuse(name, "a finite decimal number in a string")
        return value

    def digest(self, name: str) -> str:
        value = self.text(name)
        if _DIGEST.fullmatch(value) is None:
            self.refuse(name, "a sha256 as 64 lower-case hex digits")
        return value

    def relative_path(self, name: str) -> PurePosixPath:
        value = self.text(name)
        if not is_relative_path(value):
            self.refuse(name, "a relative path of plain names")
        return PurePosixPath(value)

    def has(self, name: str) -> bool:
        """Whether the member is there and is not null."""
        return self.values.get(name) is not None

    def optional(self, name: str, read: Callable[[str], T]) -> T | None:
        """``read(name)`` where the member is there and is not null."""
        return read(name) if self.has(name) else None

    def inner(self, name: str) -> Reader:
        return Reader(self._typed(name, dict, "an object"), self.what, self.place(name))

    def each(self, name: str) -> Iterator[Reader]:
        """The objects of a list, each knowing its index."""
        for index, value in enumerate(self._typed(name, list, "a list")):
            if not isinstance(value, dict):
                self.refuse(name, f"a list of objects (entry {index} is none)")
            yield Reader(value, self.what, f"{self.place(name)}[{index}]")

    def texts(self, name: str) -> tuple[str, ...]:
        values = self._typed(name, list, "a list of strings")
        if not all(isinstance(value, str) for value in values):
            self.refuse(name, "a list of strings")
        return tuple(values)

    def whole_numbers(self, name: str) -> tuple[int, ...]:
        values = self._typed(name, list, "a list of whole numbers")
        if not all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values):
            self.refuse(name, "a list of whole numbers")
        return tuple(values)

    def text_map(self, name: str) -> dict[str, str]:
        values = self._typed(name, dict, "an object of strings")
        if not all(isinstance(value, str) for value in values.values()):
            self.refuse(name, "an object of strings")
        return dict(values)

    def number_map(self, name: str) -> dict[str, int]:
        values = self._typed(name, dict, "an object of whole numbers")
        if not all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values.values()):
            self.refuse(name, "an object of whole numbers")
        return dict(values)

    def version(self, name: str, *, known: int) -> int:
        """The document's format version.

        A newer one is refused whole: what an older reader would skip could be what makes the newer document safe.
        """
        value = self.whole_number(name, least=1)
        if value > known:
            raise NewerFormat(
                f"{self.what}: {self.place(name)} is {value}; this mlpublish reads up to {known}.",
                remedy="Upgrade mlpublish on this side, or write the document with an older one.",
                field=self.place(name),
            )
        return value


def is_relative_path(value: str) -> bool:
    """Whether a path stays inside its folder and is spelled the same on every system.

    Source of the rules: APPNOTE 4.4.17 (forward slashes, relative) and the hostile archives of the test corpus: no empty,
    ``.`` or ``..`` part, no hidden name, no name that ends in a dot or space (Windows drops it), at most 32 deep and
    512 characters in all.
    """
    parts = value.split("/")
    return (
        len(value) <= 512
        and len(parts) <= 32
        and all(_PART.fullmatch(part) is not None and part.strip(" ") == part and not part.endswith(".") for part in parts)
    )


_REMEDY = "Get the document again from where it was made; it may be cut or altered."


def _short(value: object) -> str:
    shown = value if value == "nothing" else json.dumps(value, default=str)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
