"""Non-maximum suppression: the best of boxes that overlap.

Source: coremltools' MIL operation reference, ``non_maximum_suppression`` of iOS15 and of iOS17; and its test against Core ML
(``test_tensor_operation.py``), which says what the reference does not: a box's class is that of its best score, what is left
over is padded with -1 and zeros, and where no score reaches the threshold the best box is given all the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.mil_ops.indexing import whole
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, Value, room

_MAX_COMPARED = 1 << 32
"""Pairs of boxes that are compared at most."""


def _non_maximum_suppression(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: Tensor,
    score_threshold: Tensor,
    max_boxes: Tensor,
    per_class_suppression: Tensor | bool = False,
) -> Value:
    """Boxes are (n, B, 4), scores (n, B, K); the fourth result counts what was selected."""
    kept = _selected(boxes, scores, iou_threshold, float(score_threshold), max_boxes, bool(per_class_suppression))
    count = (kept >= 0).sum(axis=1).astype(np.int32)
    return _at(boxes, kept), _at(scores, kept), kept, count


def _non_maximum_suppression_17(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: Tensor,
    max_boxes: Tensor,
    per_class_suppression: Tensor | bool = False,
) -> Value:
    """Boxes are (n, 4, B), scores (n, K, B); no threshold for scores, and no count."""
    boxes, scores = np.swapaxes(boxes, 1, -1), np.swapaxes(scores, 1, -1)
    kept = _selected(boxes, scores, iou_threshold, -np.inf, max_boxes, bool(per_class_suppression))
    return np.swapaxes(_at(boxes, kept), 1, 2), np.swapaxes(_at(scores, kept), 1, 2), kept


def _selected(
    boxes: Tensor, scores: Tensor, iou_threshold: Tensor, score_threshold: float, max_boxes: Tensor, per_class: bool
) -> NDArray[np.int32]:
    """The indices of the selected boxes of each batch, best first, then -1."""
    if boxes.ndim != 3 or scores.ndim != 3 or boxes.shape[:2] != scores.shape[:2] or boxes.shape[2] != 4 or 0 in scores.shape:
        raise ValueError(f"boxes of the shape {boxes.shape} and scores of {scores.shape} do not go together")
    n, count, _ = boxes.shape
    most = whole(max_boxes)
    room(n, most, 4 + scores.shape[2])
    if n * count * min(most, count) > _MAX_COMPARED:
        raise ValueError(f"{count} boxes are too many to be compared with each other")
    kept = np.full((n, most), -1, dtype=np.int32)
    for batch in range(n):
        classes = scores[batch].argmax(axis=1) if per_class else np.zeros(count, dtype=np.intp)
        best = _best(boxes[batch], scores[batch].max(axis=1), classes, float(iou_threshold), score_threshold, most)
        kept[batch, : len(best)] = best
    return kept


def _best(
    boxes: Tensor, scores: Tensor, classes: NDArray[np.intp], iou_threshold: float, score_threshold: float, most: int
) -> list[int]:
    order = np.argsort(-scores, kind="stable")
    alive = order[scores[order] >= score_threshold]
    if not len(alive):
        alive = order[:1]
    best: list[int] = []
    while len(alive) and len(best) < most:
        chosen, alive = int(alive[0]), alive[1:]
        best.append(chosen)
        apart = _iou(boxes[chosen], boxes[alive]) <= iou_threshold
        alive = alive[apart | (classes[alive] != classes[chosen])]
    return best


def _iou(one: Tensor, others: Tensor) -> Tensor:
    """What a box and each of others share, as a part of what both cover; boxes are centre x, centre y, width, height."""
    low = np.maximum(one[:2] - one[2:] / 2, others[:, :2] - others[:, 2:] / 2)
    high = np.minimum(one[:2] + one[2:] / 2, others[:, :2] + others[:, 2:] / 2)
    shared = np.maximum(high - low, 0).prod(axis=1)
    covered = one[2:].prod() + others[:, 2:].prod(axis=1) - shared
    found: Tensor = np.divide(shared, covered, out=np.zeros_like(shared), where=covered > 0)
    return found


def _at(values: Tensor, kept: NDArray[np.int32]) -> Tensor:
    """The rows of the selected boxes; zeros where there is none."""
    picked = np.take_along_axis(values, np.maximum(kept, 0)[:, :, None], axis=1)
    return np.where(kept[:, :, None] >= 0, picked, np.zeros((), dtype=values.dtype))


OPS: Mapping[str, Handler] = {
    "non_maximum_suppression": _non_maximum_suppression,
    "non_maximum_suppression@17": _non_maximum_suppression_17,
}
