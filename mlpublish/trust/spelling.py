"""How text that somebody else chose is spelled for whoever decides on it.

A holder's name, a reason, a path: each may be made to look like another line, another key, or the end of its own quotation. So
what is not one plain word is quoted, and what a terminal would not show as it is (control characters, invisible ones, letters
that turn the direction of the line) is escaped; two texts never look the same by that.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence

_WORD = re.compile(r"[A-Za-z0-9_.@+/:-]+")
_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_TURNS = ("R", "AL", "AN")  # Unicode Standard Annex 9, table 4


def word(text: object) -> str:
    """Text as it is where it is one plain word, else as a JSON string; what is no text at all, in brackets."""
    if isinstance(text, str):
        return text if _WORD.fullmatch(text) else spelled(text)
    return f"({spelled(text)})"


def beginning(keyid: object) -> str:
    """As much of a key id as people compare. (Metadata may hold anything in its place.)"""
    return word(keyid[:12] if isinstance(keyid, str) else keyid)


def spelled(value: object) -> str:
    """A value as JSON has it, in one line."""
    return "".join(map(_shown, json.dumps(value, ensure_ascii=False, sort_keys=True)))


def shortened(text: str, most: int = 500) -> str:
    """The beginning of a text, with how much of it is left out, so that one text never floods a screen."""
    left = len(text) - most
    return text if left <= 0 else f"{text[:most]}… ({left} more characters, shown with --json)"


def escaped(letter: str) -> str:
    """A letter as JSON escapes it."""
    pair = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{pair[at : at + 2].hex()}" for at in range(0, len(pair), 2))


def member(place: Sequence[str | int]) -> str:
    """Where something stands in a document, such as ``delegations.roles[0].paths``; no two places are spelled the same."""
    parts = [f".{part}" if isinstance(part, str) and _MEMBER.fullmatch(part) else f"[{spelled(part)}]" for part in place]
    return "".join(parts).removeprefix(".")


def _shown(letter: str) -> str:
    if letter.isprintable() and unicodedata.bidirectional(letter) not in _TURNS:
        return letter
    return escaped(letter)
