"""Apple's protobuf schema of Core ML, taken out of coremltools without its converters.

``import coremltools`` loads torch, scikit-learn and its converters (measured: 2.7 s, of them 0.02 s for the schema). A device
or a reviewer that only reads a saved file needs none of that, so the package ``coremltools.proto`` is loaded under a name
of ours. Protobuf keeps one descriptor per file name: should coremltools be imported later, it gets the same classes.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from mlpublish.errors import FormatError, MissingExtra

Message: TypeAlias = Any
"""A protobuf message; its fields are made at run time, so no type checker knows them."""

_ALIAS = "_mlpublish_coreml_schema"


@cache
def schema(name: str) -> ModuleType:
    """One module of the schema, such as ``Model`` or ``MIL``."""
    loaded = sys.modules.get("coremltools.proto") or _under_our_name()
    return importlib.import_module(f"{loaded.__name__}.{name}_pb2")


def parse_model(data: bytes, *, what: str) -> Message:
    """Read a ``Model`` message.

    Raises:
        FormatError: the bytes are no Core ML model.
    """
    from google.protobuf.message import DecodeError

    try:
        model = schema("Model").Model.FromString(data)
    except DecodeError as exc:
        raise FormatError(f"{what} is not a Core ML model: {exc}.", remedy=_REMEDY, field=what) from exc
    if model.specificationVersion < 1 or model.WhichOneof("Type") is None:
        raise FormatError(f"{what} is not a Core ML model: it names no model type.", remedy=_REMEDY, field=what)
    return model


_REMEDY = "Get the model again from where it was made; it may be cut or altered."


def _under_our_name() -> ModuleType:
    found = importlib.util.find_spec("coremltools")
    if found is None or found.origin is None:
        raise MissingExtra("coremltools is not installed.", remedy="Run: python -m pip install 'coremltools>=9.0,<10'")
    folder = Path(found.origin).parent / "proto"
    spec = importlib.util.spec_from_file_location(_ALIAS, folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_ALIAS] = module
    spec.loader.exec_module(module)
    return module
