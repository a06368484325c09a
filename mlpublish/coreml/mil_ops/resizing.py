"""Resizing, cropping and resampling of images. Source: coremltools' MIL operation reference, ``image_resizing``."""

from __future__ import annotations

from collections.abc import Mapping

from mlpublish.coreml.mil_ops.tensor import Handler

OPS: Mapping[str, Handler] = {}
