"""Suppress boxes that lie over better ones (``nonMaximumSuppression``).

Source of the rules: NonMaximumSuppression.proto. Boxes below the confidence threshold are dropped. Then the box of the highest
confidence is kept, all boxes that overlap it (intersection over union) by more than the threshold are dropped, and so on with
the rest; with ``perClass`` only boxes of the same class (the largest confidence) drop each other. The answer is padded with
zeros, or cut, to the number of boxes that the shape of an output asks for.

What the specification leaves open, and is read here: a box's confidence is its largest one; of equal ones the earlier box is
first; boxes stand in descending order; rows that keep fewer boxes than others are padded with zeros. Its comment on
``iouThreshold`` says "less", but also that 1 suppresses nothing: so it is "more".
"""

from __future__ import annotations

import numpy as np

from mlpublish.coreml.classic.stage import Array, Doubles, Label, Places, Rows, Run, flat, given
from mlpublish.coreml.mil_ops.tensor import room
from mlpublish.coreml.schema import Message

KINDS = ("nonMaximumSuppression",)


def unsupported(stage: Message) -> list[str]:
    """A method that the schema does not have."""
    method = stage.nonMaximumSuppression.WhichOneof("SuppressionMethod")
    return [] if method == "pickTop" else ["nonMaximumSuppression without a method"]


def classes(_stage: Message) -> tuple[Label, ...]:
    """None: it chooses boxes, and no label per row."""
    return ()


def opened(stage: Message) -> Run:
    """Read the thresholds and the shape of the answer."""
    held = stage.nonMaximumSuppression
    least, most = _counts(stage)
    for name in (held.iouThreshold, held.confidenceThreshold):
        if not name >= 0:
            raise ValueError(f"a threshold of {name}")

    def run(known: Rows) -> Rows:
        confidence = _boxes(known, str(held.confidenceInputFeatureName), None)
        coordinates = _boxes(known, str(held.coordinatesInputFeatureName), 4)
        if confidence.shape[:2] != coordinates.shape[:2]:
            raise ValueError(f"confidences of the shape {confidence.shape[1:]} for coordinates of {coordinates.shape[1:]}")
        overlap = _threshold(known, str(held.iouThresholdInputFeatureName), held.iouThreshold, len(confidence))
        floor = _threshold(known, str(held.confidenceThresholdInputFeatureName), held.confidenceThreshold, len(confidence))
        kept = [
            _kept(*each, is_per_class=bool(held.pickTop.perClass), most=most)
            for each in zip(confidence, coordinates, overlap.tolist(), floor.tolist(), strict=True)
        ]
        count = max([least, *(len(each) for each in kept)])
        return {
            str(held.confidenceOutputFeatureName): _padded(confidence, kept, count),
            str(held.coordinatesOutputFeatureName): _padded(coordinates, kept, count),
        }

    return run


def _counts(stage: Message) -> tuple[int, int | None]:
    """The least and the most boxes that an output's shape allows."""
    least, most = 0, None
    for each in stage.description.output:
        array = each.type.multiArrayType
        ranges = array.shapeRange.sizeRanges
        if len(array.shape) == 2:
            least = most = int(array.shape[0])
        elif len(ranges) == 2:
            least, upper = int(ranges[0].lowerBound), int(ranges[0].upperBound)
            most = upper if upper >= 0 else None
    if least < 0 or (most is not None and most < least):
        raise ValueError(f"it is to give {least} to {most} boxes")
    return least, most


def _boxes(known: Rows, name: str, width: int | None) -> Doubles:
    values = given(known, name)
    if values.ndim == 4 and values.shape[1] == 1:  # of a network, whose own shape has a batch of one
        values = values[:, 0]
    if values.ndim != 3 or values.shape[2] != (width or values.shape[2]):
        raise ValueError(f"its input {name!r} has rows of the shape {values.shape[1:]}")
    return flat(values, name).reshape(values.shape)


def _threshold(known: Rows, name: str, default: float, rows: int) -> Doubles:
    return flat(known[name], name)[:, 0] if name and name in known else np.full(rows, default)


def _kept(confidence: Doubles, boxes: Doubles, overlap: float, floor: float, *, is_per_class: bool, most: int | None) -> Places:
    """The boxes that stay, in descending order of their confidence."""
    if not confidence.size:
        return np.zeros(0, dtype=np.int64)
    best, of_class = confidence.max(axis=1), confidence.argmax(axis=1)
    left = np.argsort(-best, kind="stable")
    left = left[best[left] >= floor]
    found: list[int] = []
    while left.size and (most is None or len(found) < most):
        top, left = left[0], left[1:]
        found.append(int(top))
        over = _overlaps(boxes[top], boxes[left]) > overlap
        left = left[~(over & (of_class[left] == of_class[top]) if is_per_class else over)]
    return np.asarray(found, dtype=np.int64)


def _overlaps(box: Doubles, boxes: Doubles) -> Doubles:
    """Intersection over union of a box with others; (x, y, width, height) with x and y in the middle."""
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    sides = np.minimum(high, box[:2] + box[2:] / 2) - np.maximum(low, box[:2] - box[2:] / 2)
    common = np.maximum(sides, 0).prod(axis=1)
    union = boxes[:, 2:].prod(axis=1) + box[2:].prod() - common
    overlaps: Doubles = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return overlaps


def _padded(values: Doubles, kept: list[Places], count: int) -> Array:
    found = np.zeros(room(len(kept), count, values.shape[2]))
    for row, places in enumerate(kept):
        found[row, : len(places)] = values[row, places]
    return found
