"""Pooling over one to three spatial axes. Source: coremltools' MIL operation reference, ``pool``."""

from __future__ import annotations

from collections.abc import Mapping

from mlpublish.coreml.mil_ops.tensor import Handler

OPS: Mapping[str, Handler] = {}
