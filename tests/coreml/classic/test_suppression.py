from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.coreml.classic.run import Classic, unsupported
from mlpublish.errors import ConversionError
from tests.coreml.classic.building import model, run


def suppression(*, iou=0.5, confidence=0.1, per_class=False, boxes=0, least=None):
    inputs = {"c": (4, 2), "b": (4, 4), "iou": "double", "floor": "double"}
    shape = (boxes, 2) if boxes else ()
    spec = model("nonMaximumSuppression", inputs, {"c2": shape, "b2": (boxes, 4) if boxes else ()}, optional=("iou", "floor"))
    held = spec.nonMaximumSuppression
    held.pickTop.perClass, held.iouThreshold, held.confidenceThreshold = per_class, iou, confidence
    held.confidenceInputFeatureName, held.coordinatesInputFeatureName = "c", "b"
    held.confidenceOutputFeatureName, held.coordinatesOutputFeatureName = "c2", "b2"
    held.iouThresholdInputFeatureName, held.confidenceThresholdInputFeatureName = "iou", "floor"
    if least is not None:
        ranges = spec.description.output[0].type.multiArrayType.shapeRange.sizeRanges
        ranges.add(lowerBound=least[0], upperBound=least[1])
        ranges.add(lowerBound=2, upperBound=2)
    return spec


def overlap(a, b):
    """By the edges of both boxes."""
    sides = []
    for at in (0, 1):
        low = max(a[at] - a[at + 2] / 2, b[at] - b[at + 2] / 2)
        high = min(a[at] + a[at + 2] / 2, b[at] + b[at + 2] / 2)
        sides.append(max(0.0, high - low))
    common = sides[0] * sides[1]
    union = a[2] * a[3] + b[2] * b[3] - common
    return common / union if union > 0 else 0.0


def picked(confidences, boxes, iou, floor, per_class):
    """The steps of the specification, box by box, with marks."""
    marks = ["drop" if max(each) < floor else "open" for each in confidences]
    order = sorted(range(len(boxes)), key=lambda at: -max(confidences[at]))
    for top in order:
        if marks[top] != "open":
            continue
        marks[top] = "keep"
        for at in order:
            same = confidences[at].index(max(confidences[at])) == confidences[top].index(max(confidences[top]))
            if marks[at] == "open" and overlap(boxes[top], boxes[at]) > iou and (same or not per_class):
                marks[at] = "drop"
    return [at for at in order if marks[at] == "keep"]


def test_the_boxes_of_a_network_may_have_a_batch_of_one():
    stage, rng = Classic(suppression()), np.random.default_rng(0)
    confidences, boxes = rng.random((3, 4, 2)), rng.random((3, 4, 4))
    plain = stage.run({"c": confidences, "b": boxes})
    batched = stage.run({"c": confidences[:, np.newaxis], "b": boxes[:, np.newaxis]})
    for name, values in plain.items():
        np.testing.assert_array_equal(batched[name], values)


number = st.integers(0, 4).map(lambda each: each / 4)
box = st.tuples(number, number, number, number)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.tuples(number, number), box), min_size=1, max_size=8),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0.0, 0.25, 0.6]),
    st.booleans(),
)
def test_boxes_are_picked_as_the_specification_says(held, iou, floor, per_class):
    confidences, boxes = [list(each) for each, _ in held], [list(each) for _, each in held]
    spec = suppression(iou=iou, confidence=floor, per_class=per_class)
    got = run(spec, c=[confidences], b=[boxes])
    want = picked(confidences, boxes, iou, floor, per_class)
    assert got["c2"][0].tolist() == [confidences[at] for at in want]
    assert got["b2"][0].tolist() == [boxes[at] for at in want]


CONFIDENCE = np.asarray([[[0.9, 0.0], [0.8, 0.0], [0.0, 0.7], [0.3, 0.2]]] * 2)
BOXES = np.asarray([[[0, 0, 2, 2], [0, 0.1, 2, 2], [0.1, 0, 2, 2], [9, 9, 1, 1]]] * 2)


def test_thresholds_may_be_given_for_each_row():
    got = run(suppression(), c=CONFIDENCE, b=BOXES, iou=np.asarray([1.0, 0.0]), floor=np.asarray([0.0, 0.5]))
    assert got["c2"].max(axis=2).tolist() == [[0.9, 0.8, 0.7, 0.3], [0.9, 0, 0, 0]]
    assert got["b2"][1, 1:].tolist() == [[0] * 4] * 3


@pytest.mark.parametrize(
    ("asked", "kept"), [({}, 2), ({"boxes": 3}, 3), ({"boxes": 1}, 1), ({"least": (0, 1)}, 1), ({"least": (3, -1)}, 3)]
)
def test_the_outputs_shape_pads_or_cuts(asked, kept):
    got = run(suppression(**asked), c=CONFIDENCE, b=BOXES)
    assert got["c2"].shape == (2, kept, 2)
    assert got["b2"].shape == (2, kept, 4)
    assert got["c2"][0].max(axis=1).tolist() == [0.9, 0.3, 0.0][:kept]


def test_classes_suppress_their_own_only():
    assert run(suppression(per_class=True), c=CONFIDENCE, b=BOXES)["c2"][0].max(axis=1).tolist() == [0.9, 0.7, 0.3]


def test_a_model_without_a_method_is_named():
    spec = suppression()
    spec.nonMaximumSuppression.ClearField("pickTop")
    assert unsupported(spec) == ["nonMaximumSuppression without a method"]


@pytest.mark.parametrize(
    ("spec", "rows"),
    [
        (suppression(iou=math.nan), {"c": CONFIDENCE, "b": BOXES}),
        (suppression(confidence=-1.0), {"c": CONFIDENCE, "b": BOXES}),
        (suppression(boxes=2**60), {"c": CONFIDENCE, "b": BOXES}),
        (suppression(least=(5, 2)), {"c": CONFIDENCE, "b": BOXES}),
        (suppression(), {"c": CONFIDENCE, "b": BOXES[:, :3]}),
        (suppression(), {"c": CONFIDENCE, "b": BOXES[:, :, :3]}),
        (suppression(), {"c": CONFIDENCE[0], "b": BOXES}),
        (suppression(), {"b": BOXES}),
    ],
)
def test_what_does_not_fit_is_refused(spec, rows):
    with pytest.raises(ConversionError, match="nonMaximumSuppression"):
        Classic(spec).run(rows)
