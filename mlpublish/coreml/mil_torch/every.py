"""Every operation that torch runs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mlpublish.coreml.mil_ops.tensor import Handler
from mlpublish.coreml.mil_torch import arithmetic, spatial

OPS: Mapping[str, Handler] = MappingProxyType({**arithmetic.OPS, **spatial.OPS})
"""MIL operation, or operation@opset -> what runs it."""
