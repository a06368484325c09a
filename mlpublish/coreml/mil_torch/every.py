"""Every operation that torch runs."""

from __future__ import annotations

from collections.abc import Mapping

from mlpublish.coreml.mil_ops.tensor import Handler
from mlpublish.coreml.mil_torch import spatial

OPS: Mapping[str, Handler] = {**spatial.OPS}
"""MIL operation, or operation@opset -> what runs it."""
