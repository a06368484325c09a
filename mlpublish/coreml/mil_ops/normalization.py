"""Normalisations. Source: coremltools' MIL operation reference, ``normalization``."""

from __future__ import annotations

from collections.abc import Mapping

from mlpublish.coreml.mil_ops.tensor import Handler

OPS: Mapping[str, Handler] = {}
