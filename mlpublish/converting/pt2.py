"""Looks through a ``.pt2`` archive before torch loads it, because loading evaluates two kinds of text in its JSON.

``guards_code`` is compiled and run, and every ``expr_str`` is given to ``sympify``, which evaluates it. An archive that
``torch.export`` wrote has no guards, and expressions of symbols and whole numbers; anything else would be code of whoever
wrote the archive. Two files of one name are refused, since two readers may then read different ones.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

_SYMBOL = r"Symbol\('[a-z][a-z0-9_]*'(?:, [a-z]+=(?:True|False))*\)"
_HARMLESS = re.compile(rf"(?:{_SYMBOL}|(?:Integer|Add|Mul|Pow|Max|Min)\(|[0-9]+|[ ,()+*-])*")
_LARGEST = 64 * 1024 * 1024  # bytes of one JSON file


def code_in(archive: Path) -> str | None:
    """Why loading an archive could run code that came with it; None where nothing of that kind was found."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
            if len(set(names)) != len(names):
                return "holds two files of one name"
            for name in names:
                if not name.endswith(".json"):
                    continue
                if opened.getinfo(name).file_size > _LARGEST:
                    return f"holds a description of more than {_LARGEST} bytes"
                if any(not _is_harmless(key, value) for key, value in _members(json.loads(opened.read(name)))):
                    return "holds code that is run when it is loaded"
    except (OSError, ValueError, RecursionError, zipfile.BadZipFile):
        return "cannot be looked through"
    return None


def _is_harmless(key: str, value: object) -> bool:
    if key == "guards_code":
        return not value
    return key != "expr_str" or (isinstance(value, str) and _HARMLESS.fullmatch(value) is not None)


def _members(value: object) -> Iterator[tuple[str, object]]:
    """Every member of every object, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _members(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _members(inner)
