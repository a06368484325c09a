"""Cases of ``mil_ops.making`` and ``suppression``."""

from __future__ import annotations

import numpy as np

from tests.coreml.ops import reference_making as by_hand
from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers, i
from tests.coreml.ops.typed import BEFORE17, SHAPES, SINCE17, axis, typed

N = Numbers(23)
X = N.f(2, 3, 4)
RANKS = [(rank, N.f(*shape)) for rank, shape in SHAPES.items()]

FILLED = [
    *[
        Case(op="fill", given={"shape": i(*shape), "value": np.float32(1.5)}, note=f"rank {rank}")
        for rank, shape in SHAPES.items()
    ],
    Case(op="fill", given={"shape": i(2, 3)}, note="default"),
    Case(op="fill", given={"shape": i(1), "value": np.int32(-7)}, note="int32"),
    Case(op="fill", given={"shape": i(2, 1), "value": np.bool_(True)}, note="bool"),
    *[Case(op="fill_like", given={"ref_tensor": x, "value": np.float32(-2)}, note=f"rank {rank}") for rank, x in RANKS],
    Case(op="fill_like", given={"ref_tensor": X}, note="default"),
    Case(op="fill_like", given={"ref_tensor": typed(N, np.int32, 2, 3), "value": np.bool_(True)}, note="bool like int32"),
    Case(op="fill_like", given={"ref_tensor": typed(N, np.bool_, 2), "value": np.int32(3)}, note="int32 like bool"),
    *[
        Case(
            op="range_1d",
            given={"start": kind(start), "end": kind(end), "step": kind(step)},
            note=f"{kind.__name__} {start} {end} {step}",
        )
        for kind, start, end, step in (
            (np.int32, 0, 5, 1),
            (np.int32, 2, 11, 3),
            (np.int32, 7, -2, -2),
            (np.int32, 4, 5, 9),
            (np.float32, 0, 1, 0.25),
            (np.float32, 0, 1, 0.1),
            (np.float32, 0, 0.3, 0.1),
            (np.float32, 5, 15, 2),
            (np.float32, 1, -1, -0.3),
        )
    ],
    *[
        Case(
            op="one_hot",
            given={"indices": N.below(4, *shape), "one_hot_vector_size": axis(4), "axis": axis(where)},
            want=by_hand.one_hot,
            note=f"{shape}, axis {where}",
        )
        for shape, where in (
            ((3,), 0),
            ((3,), -2),
            ((2, 3), 1),
            ((2, 3), -1),
            ((2, 1, 3), 3),
            ((2, 1, 3), -3),
            ((2, 1, 3, 2), 2),
        )
    ],
    Case(op="one_hot", given={"indices": i(1, 0, 2), "one_hot_vector_size": axis(3)}, want=by_hand.one_hot, note="defaults"),
    Case(
        op="one_hot",
        given={"indices": N.below(5, 2, 3), "one_hot_vector_size": axis(5)},
        want=by_hand.one_hot,
        note="default axis",
    ),
    Case(op="one_hot", given={"indices": i(0, 0), "one_hot_vector_size": axis(1)}, want=by_hand.one_hot, note="size 1"),
    *[
        Case(
            op="one_hot",
            given={"indices": i(1, 0), "one_hot_vector_size": axis(4), "on_value": on, "off_value": off},
            want=by_hand.one_hot,
            note=f"{on} {off}",
        )
        for on, off in ((np.float32(1), np.float32(0.1)), (np.int32(1), np.int32(9)), (np.bool_(False), np.bool_(True)))
    ],
]

SEARCHED = [
    *[
        Case(
            op="band_part",
            given={"x": N.f(*shape), "lower": axis(lower), "upper": axis(upper)},
            note=f"{shape} {lower} {upper}",
        )
        for shape, lower, upper in (
            ((3, 4), 0, -1),
            ((3, 4), -1, 0),
            ((4, 3), 0, 0),
            ((2, 5, 5), 1, 2),
            ((2, 1, 4, 4), 2, 0),
            ((1, 2, 1, 3, 5), -1, 1),
            ((3, 3), 9, 9),
        )
    ],
    Case(op="band_part", given={"x": N.f(3, 4)}, note="defaults"),
    Case(op="band_part", given={"x": N.f(3, 4), "lower": axis(0)}, note="default upper"),
    *[
        Case(
            op="band_part",
            given={"x": typed(N, kind, 3, 3), "lower": axis(1), "upper": axis(0)},
            want=by_hand.band_part,
            note=kind.__name__,
        )
        for kind in (np.int32, np.bool_)
    ],
    *[
        Case(op="argsort", given={"x": x, "axis": axis(where), "ascending": np.bool_(up)}, note=f"rank {rank}, {where}, {up}")
        for rank, x in RANKS
        for where in sorted({0, -1, rank - 1})
        for up in (True, False)
    ],
    Case(op="argsort", given={"x": X}, note="defaults"),
    Case(op="argsort", given={"x": i(5, -3, 9, 0)}, note="int32"),
    *[
        Case(op="argsort", given={"x": x, "ascending": np.bool_(up)}, want=by_hand.argsort, note=f"equal ones, {up}")
        for x in (i(2, 1, 2, 2, 1), np.float32([0.5, 0, 0.5, -0.0]), i(-(2**31), 2**31 - 1, 0, -(2**31)))
        for up in (True, False)
    ],
    *[Case(op="non_zero", given={"x": x * (x > 0)}, note=f"rank {rank}") for rank, x in RANKS],
    Case(op="non_zero", given={"x": np.zeros((2, 3), np.float32)}, note="none"),
    Case(op="non_zero", given={"x": i(0, -1, 0, 2)}, note="int32"),
    Case(op="non_zero", given={"x": np.asarray([[True, False], [True, True]])}, note="bool"),
]


def boxes(n: int, count: int) -> np.ndarray:
    """Boxes with centres near each other, of sizes 0.5 to 2."""
    return np.concatenate([N.f(n, count, 2), N.positive(n, count, 2)], axis=2)


SUPPRESSED = [
    Case(
        op="non_maximum_suppression",
        given={
            "boxes": boxes(n, count),
            "scores": N.f(n, count, classes),
            "iou_threshold": np.float32(iou),
            "score_threshold": np.float32(score),
            "max_boxes": axis(most),
            "per_class_suppression": np.bool_(apart),
        },
        want=by_hand.suppressed,
        opsets=BEFORE17,
        note=f"{count} boxes, {classes} classes, {iou} {score}, {most} at most, {apart}",
    )
    for n, count, classes, iou, score, most in (
        (1, 6, 1, 0.2, 0.1, 3),
        (2, 9, 3, 0.3, 0.5, 9),
        (1, 12, 4, 0.6, -9, 5),
        (2, 5, 2, 0.99, 0, 8),
        (1, 5, 2, 0.3, 99, 4),
        (1, 1, 1, 0.5, 0, 1),
        (2, 40, 3, 0.25, -9, 40),
    )
    for apart in (False, True)
]
SUPPRESSED += [
    Case(
        op="non_maximum_suppression",
        given={
            name: value.transpose(0, 2, 1).copy() if value.ndim else value
            for name, value in case.given.items()
            if name != "score_threshold"
        },
        want=by_hand.suppressed_17,
        opsets=SINCE17,
        note=case.note,
    )
    for case in SUPPRESSED
]
SUPPRESSED += [
    Case(
        op="non_maximum_suppression",
        given={
            # the second shares just half with the first, the last two cover nothing; the third's class is another
            "boxes": np.float32([[[0, 0, 2, 1], [0, 0, 1, 1], [0, 0, 2, 1], [5, 5, 0, 0], [5, 5, 0, 0]]]),
            "scores": np.float32([[[9, 0], [8, 0], [0, 7], [6, 0], [5, 0]]]),
            "iou_threshold": np.float32(0.5),
            "score_threshold": np.float32(6),
            "max_boxes": axis(6),
        },
        want=by_hand.suppressed,
        opsets=BEFORE17,
        note="just at the thresholds",
    ),
    Case(
        op="non_maximum_suppression",
        given={
            "boxes": np.float32([[[0, 0, 0, 5, 5], [0, 0, 0, 5, 5], [2, 1, 2, 0, 0], [1, 1, 1, 0, 0]]]),
            "scores": np.float32([[[9, 8, 0, 6, 5], [0, 0, 7, 0, 0]]]),
            "iou_threshold": np.float32(0.5),
            "max_boxes": axis(6),
        },
        want=by_hand.suppressed_17,
        opsets=SINCE17,
        note="just at the threshold",
    ),
    Case(
        op="non_maximum_suppression",
        given={
            "boxes": np.float32([[[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]]]),
            "scores": np.float32([[[-3.5], [9.4], [2.3], [0.7]]]),
            "iou_threshold": np.float32(0.2),
            "score_threshold": np.float32(0.4),
            "max_boxes": axis(2),
        },
        want=by_hand.suppressed,
        opsets=BEFORE17,
        note="default, an empty box",
    ),
]

CASES = [*FILLED, *SEARCHED, *SUPPRESSED]
