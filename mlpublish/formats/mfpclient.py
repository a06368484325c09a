"""The predecessor's client configuration, ``mfpclient.plist`` (iOS) and ``mfpclient.properties`` (Android): read, and edited
in place.

The pin stands under ``wlSecureModelUpdatePublicKey``: base64 without PEM's lines (MobileFirst 8.0, "Secure Model Update").
An edit changes that value and nothing else. In an XML plist and in properties every other byte stays, comments, order and
line ends included; a binary plist is written anew with the same values in the same order. What was edited is read again
before it is handed out.
"""

from __future__ import annotations

import plistlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from xml.parsers import expat
from xml.sax.saxutils import escape

from mlpublish.errors import FormatError

PIN = "wlSecureModelUpdatePublicKey"


class Kind(Enum):
    """The three ways that such a file is written."""

    XML_PLIST = "XML plist"
    BINARY_PLIST = "binary plist"
    PROPERTIES = "properties file"


def kind_of(content: bytes, name: str = "") -> Kind | None:
    """What the content is; None for what is no client configuration (a key in base64 or PEM, say).

    Args:
        name: the file's; a ``.properties`` file is one whatever it holds.
    """
    if content.startswith(b"bplist"):
        return Kind.BINARY_PLIST
    start = content[:512].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")  # byte order marks, and UTF-16's zeros
    if start.startswith((b"<?xml", b"<!DOCTYPE plist", b"<plist", b"<!--")):
        return Kind.XML_PLIST
    if name.endswith(".properties") or re.search(rb"^[ \t\f]*wl[A-Z]\w+[ \t\f]*[=: \t\f]", content, re.MULTILINE):
        return Kind.PROPERTIES
    return None


def read(content: bytes, kind: Kind) -> Mapping[str, str]:
    """The text values by key; numbers as text; what is nested is left out.

    Raises:
        FormatError: it is no plist, or its top is no dictionary.
    """
    if kind is Kind.PROPERTIES:
        return {entry.key: entry.value for entry in _entries(content)}
    values = _plist(content)
    large = next((key for key, value in values.items() if isinstance(value, int) and abs(value) >= 1 << 63), None)
    if large is not None:
        raise FormatError(f"The number under {large[:80]!r} is too large.", remedy="Give the app's own file.", field=large[:80])
    return {key: str(value) for key, value in values.items() if isinstance(value, str | int) and not isinstance(value, bool)}


def with_value(content: bytes, kind: Kind, key: str, value: str) -> bytes:
    """The content with one value set, everything else as it was.

    Args:
        value: plain ASCII, such as base64.

    Raises:
        FormatError: the content is no such file, or the value's place in it cannot be told.
    """
    edited = {Kind.PROPERTIES: _in_properties, Kind.XML_PLIST: _in_xml, Kind.BINARY_PLIST: _in_binary}[kind](
        content, key, value
    )
    if _everything(edited, kind) != _everything(content, kind) | {key: value}:
        raise FormatError(
            f"{key} could not be set in this {kind.value} without touching something else.",
            remedy="Set it by hand: mlpublish keys show KEY prints the value.",
            field=key,
        )
    return edited


def _everything(content: bytes, kind: Kind) -> dict[str, object]:
    return dict(read(content, kind)) if kind is Kind.PROPERTIES else _plist(content)


def _plist(content: bytes) -> dict[str, object]:
    try:
        values = plistlib.loads(content)
    except (
        plistlib.InvalidFileException,
        expat.ExpatError,
        ValueError,
        TypeError,
        AttributeError,  # of a date that is none
        LookupError,
        ArithmeticError,
        RecursionError,
    ) as exc:
        raise FormatError("It is no property list that can be read.", remedy="Check it with: plutil -lint FILE.") from exc
    if not isinstance(values, dict):
        raise FormatError("The property list's top is no dictionary.", remedy="Give the app's own mfpclient.plist.")
    return values


def _in_binary(content: bytes, key: str, value: str) -> bytes:
    return plistlib.dumps(_plist(content) | {key: value}, fmt=plistlib.FMT_BINARY, sort_keys=False)


# ── XML ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Finder:
    """Where the topmost dictionary and the value of one of its keys begin and end; an end is that of the closing tag's ``<``,
    or of the whole where one tag opens and closes.
    """

    key: str
    text: str = ""
    wanted: bool = False  # the key was just read, so the next element is its value
    value: tuple[int, int] | None = None
    top: tuple[int, int] = (0, 0)
    begins: list[int] = field(default_factory=list)

    def find(self, content: bytes) -> None:
        parser = expat.ParserCreate()

        def start(*_: object) -> None:
            self.begins.append(parser.CurrentByteIndex)
            self.text = ""

        def data(text: str) -> None:
            self.text += text

        def stop(name: str) -> None:
            span = self.begins.pop(), parser.CurrentByteIndex
            if len(self.begins) == 1:
                self.top = span
            elif len(self.begins) == 2 and name == "key":
                self.wanted = self.text == self.key
            elif len(self.begins) == 2 and self.wanted:
                self.wanted, self.value = False, span

        parser.StartElementHandler, parser.CharacterDataHandler, parser.EndElementHandler = start, data, stop
        parser.Parse(content, True)


def _in_xml(content: bytes, key: str, value: str) -> bytes:
    _plist(content)  # refuses entities, and what is no plist
    coding = _coding(content)
    found = _Finder(key)
    found.find(content)
    element = f"<string>{escape(value)}</string>".encode(coding)
    if found.value is not None:
        begin, end = found.value
        after = end if _is_one_tag(content, begin, end, coding) else _after_tag(content, end, coding)
        return content[:begin] + element + content[after:]
    begin, end = found.top
    opened, rest = content[:end].decode(coding), content[end:]
    if _is_one_tag(content, begin, end, coding):  # <dict/>
        opened, rest = opened[: opened.rindex("<")] + "<dict>", "</dict>".encode(coding) + rest
    return _with_entry(opened, key, element.decode(coding)).encode(coding) + rest


def _is_one_tag(content: bytes, begin: int, end: int, coding: str) -> bool:
    return _after_tag(content, begin, coding) == end and content[begin:end].endswith("/>".encode(coding))


def _after_tag(content: bytes, place: int, coding: str) -> int:
    return content.index(">".encode(coding), place) + len(">".encode(coding))


def _with_entry(before: str, key: str, element: str) -> str:
    """Text up to ``</dict>`` with one more entry, indented as the others are."""
    newline = "\r\n" if "\r\n" in before else "\n"
    body = before.rstrip(" \t")
    indents = re.findall(r"^([ \t]*)<key>", before, re.MULTILINE)
    indent = indents[-1] if indents else before[len(body) :] + "\t"
    joint = "" if body.endswith(("\n", "\r")) else newline
    return f"{body}{joint}{indent}<key>{escape(key)}</key>{newline}{indent}{element}{newline}{before[len(body) :]}"


def _coding(content: bytes) -> str:
    """How ASCII is to be written: as UTF-16 where a byte order mark says so; else every byte stands for itself."""
    if content.startswith(b"\xff\xfe"):
        return "utf-16-le"
    return "utf-16-be" if content.startswith(b"\xfe\xff") else "latin-1"


# ── properties (java.util.Properties.load, which reads ISO-8859-1) ──────────────────────────────────────────────────────────


_NEWLINE = r"(?:\r\n|\r|\n)"
_JOINT = rf"\\{_NEWLINE}[ \t\f]*"  # a backslash at a line's end takes the next line in, without its indent
_LINE = re.compile(rf"[ \t\f]*(?:[#!][^\r\n]*|((?:{_JOINT}|\\[\s\S]|\\\Z|[^\\\r\n])*))(?:{_NEWLINE}|\Z)")
_GAP = rf"(?:[ \t\f]|{_JOINT})*"
_KEY = re.compile(rf"((?:{_JOINT}|\\[\s\S]|[^\\=: \t\f])*){_GAP}[=:]?{_GAP}")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([\s\S]))")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry, and where its value begins and ends in the text."""

    key: str
    value: str
    begin: int
    end: int


def _entries(content: bytes) -> list[_Entry]:
    text = content.decode("latin-1")
    found: list[_Entry] = []
    for line in _LINE.finditer(text):
        if line[1]:
            key = _KEY.match(line[1])
            assert key is not None  # it matches the empty text too
            found.append(_Entry(_plain(key[1]), _plain(line[1][key.end() :]), line.start(1) + key.end(), line.end(1)))
    return found


def _plain(text: str) -> str:
    def one(escaped: re.Match[str]) -> str:
        named = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
        return chr(int(escaped[1], 16)) if escaped[1] else named.get(escaped[2], escaped[2])

    return _ESCAPE.sub(one, re.sub(_JOINT, "", text))


def _in_properties(content: bytes, key: str, value: str) -> bytes:
    text = content.decode("latin-1")
    standing = [entry for entry in _entries(content) if entry.key == key]
    if standing:  # the last one wins, as in Java
        begin, end = standing[-1].begin, standing[-1].end
        return (text[:begin] + ("" if text[begin - 1] in "=: \t\f\r\n" else "=") + value + text[end:]).encode("latin-1")
    newline = (re.findall(r"\r?\n", text) or ["\n"])[-1]
    equals = " = " if re.search(r"^\w+ = ", text, re.MULTILINE) else "="
    joint = "" if not text or text.endswith(("\n", "\r")) else newline
    return f"{text}{joint}{key}{equals}{value}{newline}".encode("latin-1")
