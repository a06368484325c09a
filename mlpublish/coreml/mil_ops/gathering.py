"""Gather and scatter. Source: coremltools' MIL operation reference, ``scatter_gather``."""

from __future__ import annotations

from collections.abc import Mapping

from mlpublish.coreml.mil_ops.tensor import Handler

OPS: Mapping[str, Handler] = {}
