"""Boosters inside of a ``.skops`` file, looked through before skops makes them.

skops hands their trees to their own library as they stand in the archive, and XGBoost and LightGBM end the whole process where
trees were cut off. A Booster keeps them under ``handle``: LightGBM its text, XGBoost bytes.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

from mlpublish.converting.files import lightgbm_text, xgboost_file

BOOSTERS = frozenset({"lightgbm.basic.Booster", "xgboost.core.Booster"})

_HANDLES = ("_handle", "handle")


def check_boosters(content: bytes) -> None:
    """Look through the trees of all Boosters in an archive.

    Raises:
        ConversionError: a LightGBM model is not whole.
        KeyError, TypeError, ValueError, IndexError: it is no such archive, or an XGBoost model is not whole.
    """
    with zipfile.ZipFile(BytesIO(content)) as archive:
        nodes = list(_nodes(json.loads(archive.read("schema.json"))))
        handles = {handle.get("__id__") for node in nodes for handle in _handles(node)}
        for node in nodes:
            if "__loader__" in node and node.get("__id__") in handles:  # skops takes the first of that number for all
                _check(node, archive)


def _nodes(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every object of a JSON document."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)


def _handles(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (node[name] for name in _HANDLES if isinstance(node.get(name), dict))


def _check(node: Mapping[str, Any], archive: zipfile.ZipFile) -> None:
    match node["__loader__"]:
        case "JsonNode":
            text = json.loads(node["content"])
            if isinstance(text, str):
                lightgbm_text.parsed(text)
        case "BytesNode" | "BytearrayNode":
            xgboost_file.check_serialised(archive.read(node["file"]))
        case kind:
            raise ValueError(f"a Booster's trees are kept as {kind}")
