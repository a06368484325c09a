"""The last operation of a classifier. Source: coremltools' MIL operation reference, ``classify``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, Value


def _classify(probabilities: Tensor, classes: Value) -> Value:
    """The label of the first largest probability, and all of them in the order of ``classes``.

    Core ML hands the second result out as a dictionary; its keys are ``classes``.
    """
    scores = probabilities.reshape(-1)
    labels = list(classes) if isinstance(classes, tuple) else list(np.asarray(classes).reshape(-1))
    if len(labels) != len(scores):
        raise ValueError(f"{len(labels)} classes for {len(scores)} probabilities")
    return labels[int(np.argmax(scores))], scores


OPS: Mapping[str, Handler] = {"classify": _classify}
