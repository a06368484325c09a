"""Operations that rearrange blocks of elements. Source: coremltools' MIL operation reference, ``tensor_transformation``."""

from __future__ import annotations

from collections.abc import Mapping

from mlpublish.coreml.mil_ops.tensor import Handler

OPS: Mapping[str, Handler] = {}
