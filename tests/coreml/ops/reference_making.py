"""What coremltools' value inference leaves out of ``making`` and ``suppression``, in plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.coreml.ops.reference_elements import by_element, counted


def one_hot(indices: Any, one_hot_vector_size: Any, axis: Any = -1, on_value: Any = 1, off_value: Any = 0) -> np.ndarray:
    where = counted(axis, np.ndim(indices) + 1)
    shape = (*np.shape(indices)[:where], int(one_hot_vector_size), *np.shape(indices)[where:])
    kind = np.asarray(on_value).dtype

    def value(place):
        index = np.asarray(indices)[place[:where] + place[where + 1 :]]
        return on_value if place[where] == index else off_value

    return by_element(shape, kind, value)


def argsort(x: Any, axis: Any = -1, ascending: Any = False) -> np.ndarray:
    """Of equal values the first comes first."""
    where = counted(axis, x.ndim)
    found = np.empty(x.shape, np.int32)
    for place in np.ndindex(*x.shape[:where], 1, *x.shape[where + 1 :]):
        line = (*place[:where], slice(None), *place[where + 1 :])
        values = [value.item() for value in x[line]]
        found[line] = sorted(range(len(values)), key=lambda k, v=values: (v[k] if ascending else -v[k], k))
    return found


def band_part(x: Any, lower: Any = -1, upper: Any = -1) -> np.ndarray:
    def value(place):
        m, n = place[-2:]
        return x[place] if (lower < 0 or m - n <= lower) and (upper < 0 or n - m <= upper) else 0

    return by_element(x.shape, x.dtype, value)


def suppressed_17(
    boxes: Any, scores: Any, iou_threshold: Any, max_boxes: Any, per_class_suppression: Any = False
) -> tuple[np.ndarray, ...]:
    """The same with the boxes in the last dimension, without a threshold for scores and without the count."""
    turned = boxes.transpose(0, 2, 1), scores.transpose(0, 2, 1)
    coordinates, best, indices, _ = suppressed(*turned, iou_threshold, -np.inf, max_boxes, per_class_suppression)
    return coordinates.transpose(0, 2, 1), best.transpose(0, 2, 1), indices


def suppressed(
    boxes: Any, scores: Any, iou_threshold: Any, score_threshold: Any, max_boxes: Any, per_class_suppression: Any = False
) -> tuple[np.ndarray, ...]:
    """Each class by itself (or all as one), then the survivors by score."""
    n, most = len(boxes), int(max_boxes)
    coordinates, found = np.zeros((n, most, 4), np.float32), np.zeros((n, most, scores.shape[2]), np.float32)
    indices, counts = np.full((n, most), -1, np.int32), np.zeros(n, np.int32)
    for b in range(n):
        best = [max(row) for row in scores[b].tolist()]
        kinds = [row.index(max(row)) if per_class_suppression else 0 for row in scores[b].tolist()]
        kept: list[int] = []
        for kind in set(kinds):
            kept += _survivors(
                [k for k in range(len(best)) if kinds[k] == kind], boxes[b].tolist(), best, iou_threshold, score_threshold
            )
        kept = sorted(kept, key=lambda k: -best[k])[:most] or [best.index(max(best))]
        for place, k in enumerate(kept):
            coordinates[b, place], found[b, place], indices[b, place] = boxes[b, k], scores[b, k], k
        counts[b] = len(kept)
    return coordinates, found, indices, counts


def _survivors(candidates: list[int], boxes: Any, best: list[float], iou_threshold: Any, score_threshold: Any) -> list[int]:
    kept: list[int] = []
    for k in sorted(candidates, key=lambda k: -best[k]):
        if best[k] >= score_threshold and all(_overlap(boxes[k], boxes[other]) <= iou_threshold for other in kept):
            kept.append(k)
    return kept


def _overlap(one: list[float], other: list[float]) -> float:
    """Intersection over union of two boxes (centre x, centre y, width, height)."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = one, other
    wide = min(ax + aw / 2, bx + bw / 2) - max(ax - aw / 2, bx - bw / 2)
    high = min(ay + ah / 2, by + bh / 2) - max(ay - ah / 2, by - bh / 2)
    shared = max(wide, 0) * max(high, 0)
    union = aw * ah + bw * bh - shared
    return shared / union if union > 0 else 0.0
