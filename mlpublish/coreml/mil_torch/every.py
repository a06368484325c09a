"""Every operation that torch runs."""

from __future__ import annotations

from collections.abc import Mapping

from mlpublish.coreml.mil_ops.tensor import Handler

OPS: Mapping[str, Handler] = {}
"""MIL operation, or operation@opset -> what runs it."""
