"""Read UBJSON (Universal Binary JSON, draft 12) as far as XGBoost writes it."""

from __future__ import annotations

import struct
from typing import Any

_NUMBERS = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
_WORDS = {"Z": None, "T": True, "F": False}
_DEEPEST = 64


def parsed(content: bytes) -> Any:
    """The value that a file holds.

    Raises:
        ValueError: it is no UBJSON, or ends too early.
    """
    return _Reader(content).value(_DEEPEST)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def value(self, depth: int, marker: str | None = None) -> Any:
        marker = marker or self._marker()
        if depth == 0:
            raise ValueError("it is nested too deeply")
        if marker in _NUMBERS:
            return self._number(_NUMBERS[marker])
        if marker in _WORDS:
            return _WORDS[marker]
        if marker == "S":
            return self._text()
        if marker == "[":
            return self._array(depth)
        if marker == "{":
            return self._object(depth)
        raise ValueError(f"it is no UBJSON at byte {self._place - 1}")

    def _array(self, depth: int) -> list[Any]:
        kind, count = self._head()
        if kind in _NUMBERS and count is not None:
            code = _NUMBERS[kind]
            held = self._bytes(struct.calcsize(code) * count)
            return list(struct.unpack(f">{count}{code[1]}", held))
        if count is not None:
            return [self.value(depth - 1, kind) for _ in range(count)]
        found = []
        while self._peek() != "]":
            found.append(self.value(depth - 1))
        self._marker()
        return found

    def _object(self, depth: int) -> dict[str, Any]:
        kind, count = self._head()
        found: dict[str, Any] = {}
        while len(found) < count if count is not None else self._peek() != "}":
            name = self._text()
            found[name] = self.value(depth - 1, kind)
        if count is None:
            self._marker()
        return found

    def _head(self) -> tuple[str | None, int | None]:
        """The type of all values and their number, where they are told beforehand."""
        kind = count = None
        if self._peek() == "$":
            self._marker()
            kind = self._marker()
        if self._peek() == "#":
            self._marker()
            count = self._length()
        if (kind is not None and count is None) or (count is not None and not 0 <= count <= len(self._content)):
            raise ValueError("it tells no number of values that it could hold")
        return kind, count

    def _text(self) -> str:
        return self._bytes(self._length()).decode()

    def _length(self) -> int:
        marker = self._marker()
        if marker not in "iUIlL":
            raise ValueError(f"it is no UBJSON at byte {self._place - 1}")
        return int(self._number(_NUMBERS[marker]))

    def _number(self, code: str) -> Any:
        return struct.unpack(code, self._bytes(struct.calcsize(code)))[0]

    def _marker(self) -> str:
        return self._bytes(1).decode("latin-1")

    def _peek(self) -> str:
        return self._content[self._place : self._place + 1].decode("latin-1") or self._marker()

    def _bytes(self, length: int) -> bytes:
        held = self._content[self._place : self._place + length]
        if length < 0 or len(held) != length:
            raise ValueError("it was cut off")
        self._place += length
        return held
