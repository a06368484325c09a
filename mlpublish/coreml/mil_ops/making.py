"""Operations that make or search tensors. Source: coremltools' MIL operation reference, ``tensor_operation``."""

from __future__ import annotations

from collections.abc import Mapping

from mlpublish.coreml.mil_ops.tensor import Handler

OPS: Mapping[str, Handler] = {}
