from __future__ import annotations

import itertools

import numpy as np

from tests.coreml.ops import reference_sampling as reference
from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers, i

N = Numbers(44)
CLOSE = {"rtol": 1e-5, "atol": 3e-6}
UNTIL_16, ONLY_16, SINCE_17 = (15, 16), (16,), (17, 18, 26)
MODES = ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS", "UNALIGN_CORNERS")
BOX_MODES = ("CORNERS_HEIGHT_FIRST", "CORNERS_WIDTH_FIRST", "CENTER_SIZE_HEIGHT_FIRST", "CENTER_SIZE_WIDTH_FIRST")
COUNTED = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)


def roi(*boxes):
    table = np.asarray(boxes, np.float32)
    return table.reshape(len(table), 1, table.shape[1], 1, 1)


def floats(*rows):
    return np.asarray(rows, np.float32)


def size(height, width):
    return {"target_height": np.int32(height), "target_width": np.int32(width)}


def cut(note, opsets=UNTIL_16, **given):
    want = reference.crop_resize_of_boxes if "boxes" in given else reference.crop_resize
    return Case(op="crop_resize", given=given, want=want, opsets=opsets, note=note, **CLOSE)


def known(op, note, wanted, *, opsets=(), rtol=1e-4, **given):
    """A result that coremltools' own test on a Mac writes down."""
    out = np.asarray(wanted, np.float32)
    return Case(op=op, given=given, want=lambda **_: out, opsets=opsets, note=f"tested in coremltools, {note}", rtol=rtol)


BOX = {"CORNERS_HEIGHT_FIRST": (0.5, 1, 3.25, 4), "CORNERS_WIDTH_FIRST": (1, 0.5, 4, 3.25)}
BOX |= {"CENTER_SIZE_HEIGHT_FIRST": (2, 2.5, 2.5, 3), "CENTER_SIZE_WIDTH_FIRST": (2.5, 2, 3, 2.5)}
OUT_OF_IT = [(0.1, 0.3, 1.3, 1.0), (0.5, 1.8, 1.0, 0.3), (0.0, 0.4, 0.6, 0.7)]


def seen_of_it(outside):
    return [3.1, 5.2, outside, outside, outside, 7.9, outside, 13.9, 2.2, 3.1, 9.4, 10.3]


BOXES = [
    cut("defaults", x=N.f(2, 3, 4, 5), roi=roi((0, 1, 2, 4), (1, 1, 3, 2))),
    *[
        cut(
            f"{mode}, {high} x {wide}",
            x=N.f(2, 2, 5, 6),
            roi=roi((0.5, 1, 3.25, 4), (0, 0, 4, 5)),
            sampling_mode=mode,
            **size(high, wide),
        )
        for mode in MODES
        for high, wide in ((3, 4), (1, 1), (6, 2))
    ],
    *[
        cut(
            f"{mode} as of iOS17",
            SINCE_17,
            x=N.f(2, 2, 5, 6),
            boxes=floats((0.5, 1, 3.25, 4), (0, 0, 4, 5)),
            sampling_mode=mode,
            **size(3, 4),
        )
        for mode in MODES
    ],
    *[
        cut(
            f"{mode}, scaled by {scale}",
            x=N.f(1, 2, 5, 6),
            roi=roi(BOX[mode]),
            box_coordinate_mode=mode,
            spatial_scale=np.float32(scale),
            **size(3, 3),
        )
        for mode in BOX_MODES
        for scale in (1, 0.5)
    ],
    *[
        cut(
            f"{mode} normalized",
            x=N.f(1, 2, 5, 6),
            roi=roi(np.divide(BOX[mode], 6)),
            box_coordinate_mode=mode,
            normalized_coordinates=np.bool_(True),
            **size(2, 3),
        )
        for mode in BOX_MODES
    ],
    cut(
        "padded",
        ONLY_16,
        x=N.f(1, 2, 4, 4),
        roi=roi((-1, 1, 2, 5)),
        pad_value=np.float32(7),
        sampling_mode="ALIGN_CORNERS",
        **size(4, 5),
    ),
    cut("padded by 0 before iOS16", x=N.f(1, 2, 4, 4), roi=roi((-1, 1, 2, 5)), sampling_mode="ALIGN_CORNERS", **size(4, 5)),
    cut("smaller than a pixel", x=N.f(1, 1, 4, 4), roi=roi((1, 1, 1.25, 1.5)), sampling_mode="OFFSET_CORNERS", **size(3, 3)),
    cut("indices", SINCE_17, x=N.f(3, 2, 4, 4), boxes=floats((0, 0, 3, 3), (1, 1, 2, 3)), box_indices=i(2, 0), **size(2, 2)),
    cut(
        "boxes of whole numbers",
        SINCE_17,
        x=N.f(2, 2, 4, 4),
        boxes=floats((0, 0, 3, 3), (1, 1, 2, 3)).astype(np.uint16),
        **size(3, 2),
    ),
    cut(
        "one pixel",
        SINCE_17,
        x=N.f(1, 1, 1, 1),
        boxes=floats((0, 0, 0, 0)),
        normalized_coordinates=np.bool_(True),
        **size(2, 2),
    ),
    *[
        known(
            "crop_resize",
            note,
            np.reshape(wanted, (1, 1, 1, high, wide)),
            opsets=UNTIL_16,
            x=COUNTED,
            roi=box,
            **size(high, wide),
            normalized_coordinates=np.bool_("normalized" in note),
            sampling_mode="ALIGN_CORNERS",
        )
        for note, box, (high, wide), wanted in (
            ("itself", roi((1, 1, 2, 2)), (2, 2), [6, 7, 10, 11]),
            ("a point", roi((1, 1, 2, 2)), (1, 1), [8.5]),
            ("normalized", roi((0, 0, 0, 1 / 3, 1 / 3)), (2, 2), [1, 2, 5, 6]),
            ("backwards", roi((2, 2, 1, 1)), (2, 2), [11, 10, 7, 6]),
        )
    ],
    *[
        known(
            "crop_resize",
            f"outside is {outside}",
            np.reshape(seen_of_it(outside), (3, 1, 1, 2, 2)),
            opsets=ONLY_16,
            x=COUNTED,
            roi=roi(*[(0, *box) for box in OUT_OF_IT]),
            **size(2, 2),
            normalized_coordinates=np.bool_(True),
            sampling_mode="ALIGN_CORNERS",
            pad_value=np.float32(outside),
        )
        for outside in (0, 10)
    ],
    known(
        "crop_resize",
        "outside is 10 as of iOS17",
        np.reshape(seen_of_it(10), (3, 1, 2, 2)),
        opsets=SINCE_17,
        x=COUNTED,
        boxes=floats(*OUT_OF_IT),
        box_indices=i(0, 0, 0),
        **size(2, 2),
        normalized_coordinates=np.bool_(True),
        sampling_mode="ALIGN_CORNERS",
        pad_value=np.float32(10),
    ),
]

AFFINE = {
    "sampling_mode": "bilinear",
    "padding_mode": "constant",
    "padding_value": np.float32(0),
    "coordinates_mode": "normalized_minus_one_to_one",
    "align_corners": np.bool_(True),
}


def affine(note, x, maps, height, width):
    given = {"x": x, "transform_matrix": maps, "output_height": np.int32(height), "output_width": np.int32(width), **AFFINE}
    return Case(op="affine", given=given, want=reference.affine, note=note, **CLOSE)


SQUARE = floats(11, 22, 33, 44).reshape(1, 1, 2, 2)
MAP = floats((-1.0, -2.0, -3.7, -1.0, 3.5, 1.2))
MAPS = [
    affine("identity", N.f(1, 2, 3, 4), floats((1, 0, 0, 0, 1, 0)), 3, 4),
    affine("one map for all", N.f(3, 2, 4, 5), floats((0.7, -0.3, 0.1, 0.2, 0.9, -0.2)), 5, 3),
    affine("a map for each", N.f(2, 1, 4, 5), N.f(2, 6), 3, 4),
    affine("a single pixel", N.f(1, 1, 4, 5), floats((0.7, -0.3, 0.1, 0.2, 0.9, -0.2)), 1, 1),
    known(
        "affine",
        "3 x 3",
        [[[[10.752501, 2.5025, 0], [1.98, 0, 0], [0, 0, 0]]]],
        x=SQUARE,
        transform_matrix=MAP,
        output_height=np.int32(3),
        output_width=np.int32(3),
        **AFFINE,
    ),
    known(
        "affine",
        "2 x 5",
        [[[[10.752501, 5.94, 2.5025, 0.44, 0], [0] * 5]]],
        x=SQUARE,
        transform_matrix=MAP,
        output_height=np.int32(2),
        output_width=np.int32(5),
        **AFFINE,
    ),
]


def resample(note, x, coordinates, *modes, value=0.5, opsets=()):
    names = ("sampling_mode", "padding_mode", "coordinates_mode", "align_corners")
    given = {"x": x, "coordinates": coordinates, "padding_value": np.float32(value), **dict(zip(names, modes, strict=True))}
    given["align_corners"] = np.bool_(given["align_corners"])
    return Case(op="resample", given=given, want=reference.resample, opsets=opsets, note=note, **CLOSE)


KINDS = ("unnormalized", "normalized_minus_one_to_one", "normalized_zero_to_one")
PADDINGS = ("constant", "border", "reflection", "symmetric")
PLACES = floats((-1.0, -2.0), (-3.7, -1.0), (0.0, 0.0), (3.5, 1.2)).reshape(1, 2, 2, 2)
RESAMPLES = [
    *[
        resample(
            f"{mode}, {padding}, {kind}, corners {align}", N.f(2, 2, 4, 5), N.f(2, 3, 2, 2) * 2, mode, padding, kind, align
        )
        for mode, padding, kind, align in itertools.product(("bilinear", "nearest"), PADDINGS, KINDS, (True, False))
    ],
    *[
        resample(
            f"one pixel, {padding}", N.f(1, 1, 1, 1), N.f(1, 2, 2, 2), "bilinear", padding, "normalized_minus_one_to_one", True
        )
        for padding in PADDINGS
    ],
    resample("whole places", N.f(1, 2, 4, 5), N.below(7, 1, 3, 3, 2) - 1, "nearest", "constant", "unnormalized", True),
    resample(
        "small whole places",
        N.f(1, 2, 4, 5),
        N.below(4, 1, 3, 3, 2).astype(np.uint8),
        "bilinear",
        "constant",
        "unnormalized",
        False,
        opsets=SINCE_17,
    ),
    *[
        known(
            "resample",
            f"{mode}, {padding}",
            np.reshape(wanted, (1, 1, 2, 2)),
            x=SQUARE,
            coordinates=PLACES,
            sampling_mode=mode,
            padding_mode=padding,
            padding_value=np.float32(value),
            coordinates_mode=kind,
            align_corners=np.bool_(align),
        )
        for mode, padding, value, kind, align, wanted in (
            ("bilinear", "constant", 6.17, "normalized_minus_one_to_one", True, [8.585, 6.17, 27.5, 6.17]),
            ("nearest", "border", -1, "unnormalized", False, [11, 11, 11, 44]),
            ("bilinear", "reflection", -1, "normalized_zero_to_one", True, [22, 36.3, 11, 34.1]),
            ("nearest", "symmetric", -1, "normalized_zero_to_one", False, [22, 33, 11, 33]),
        )
    ],
]
CASES = [*BOXES, *MAPS, *RESAMPLES]
