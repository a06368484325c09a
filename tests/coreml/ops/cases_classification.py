"""The last operation of a classifier."""

from __future__ import annotations

import numpy as np

from tests.coreml.ops.case import Case


def _named(probabilities: np.ndarray, classes: tuple[str, ...] | np.ndarray) -> tuple[object, np.ndarray]:
    scores = probabilities.ravel().tolist()
    return classes[scores.index(max(scores))], probabilities.ravel()


P = np.asarray([[0.2, 0.4, 0.4]], np.float32)
CASES = [
    Case(
        op="classify",
        given={"probabilities": P, "classes": ("a", "b", "c")},
        want=_named,
        note="texts, the first of the largest",
    ),
    Case(
        op="classify",
        given={"probabilities": P[0], "classes": (np.int64(7), np.int64(-1), np.int64(3))},
        want=_named,
        note="numbers",
    ),
    Case(
        op="classify",
        given={"probabilities": P.reshape(1, 3, 1, 1), "classes": ("x", "y", "z")},
        want=_named,
        note="an image's shape",
    ),
    Case(op="classify", given={"probabilities": P[:, :1], "classes": ("only",)}, want=_named, note="one class"),
]
