"""Weights that are held compressed: the ``constexpr_*`` operations. Source: coremltools' MIL operation reference."""

from __future__ import annotations

from collections.abc import Mapping

from mlpublish.coreml.mil_ops.tensor import Handler

OPS: Mapping[str, Handler] = {}
