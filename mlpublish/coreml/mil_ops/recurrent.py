"""Recurrent layers: ``rnn``, ``gru``, ``lstm``. Source: coremltools' MIL operation reference, ``recurrent``."""

from __future__ import annotations

from collections.abc import Mapping

from mlpublish.coreml.mil_ops.tensor import Handler

OPS: Mapping[str, Handler] = {}
