from __future__ import annotations

import numpy as np

from tests.coreml.ops import reference_resizing as reference
from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers, i

N = Numbers(43)
MODES = ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS", "UNALIGN_CORNERS")
SINCE_16, SINCE_17 = (16, 17, 18, 26), (17, 18, 26)
CLOSE = {"rtol": 1e-5, "atol": 2e-6}
ZERO_ONE = np.asarray([[[0, 1]]], np.float32)


def resized(op, note="", *, opsets=(), **given):
    return Case(op=op, given=given, want=getattr(reference, op), opsets=opsets, note=note, **CLOSE)


def known(op, note, wanted, *, opsets=(), **given):
    """A result that the reference, or coremltools' own test on a Mac, writes down."""
    out = np.asarray(wanted, np.float32)
    return Case(op=op, given=given, want=lambda **_: out, opsets=opsets, note=note, rtol=1e-4)


def to(height, width):
    return {"target_size_height": np.int32(height), "target_size_width": np.int32(width)}


def by(high, wide, kind=np.float32):
    return {"scale_factor_height": kind(high), "scale_factor_width": kind(wide)}


def resize(note, x, shape, dims, **modes):
    return resized("resize", note, x=x, shape=i(*shape), resized_dims=np.uint32(dims), **modes)


CASES = [
    resized("crop", x=N.f(2, 3, 5, 6), crop_height=i(1, 2), crop_width=i(0, 3)),
    resized("crop", "nothing", x=N.f(1, 2, 3), crop_height=i(0, 0), crop_width=i(0, 0)),
    resized("crop", "rank 5", x=N.f(1, 2, 1, 4, 4), crop_height=i(2, 1), crop_width=i(1, 0)),
    resized("upsample_bilinear", "defaults", x=N.f(1, 2, 3, 4)),
    *[
        resized(
            "upsample_bilinear", f"{x} by {scale}, corners {corners}", x=N.f(*x), align_corners=np.bool_(corners), **by(*scale)
        )
        for x, scale in (
            ((2, 3, 4, 3), (2, 3)),
            ((1, 2, 5, 6), (1.5, 2.5)),
            ((2, 6, 7), (0.5, 0.75)),
            ((1, 1, 1, 4), (3, 0.25)),
        )
        for corners in (True, False)
    ],
    resized("upsample_bilinear", "whole scales", x=N.f(1, 2, 3, 2), **by(2, 4, np.int32), align_corners=np.bool_(False)),
    *[
        resized(
            "upsample_bilinear",
            f"corners {corners}, half pixels {half}",
            opsets=SINCE_16,
            x=N.f(1, 2, 3, 4),
            **by(2, 1.5),
            align_corners=np.bool_(corners),
            half_pixel_centers=np.bool_(half),
        )
        for corners, half in ((True, False), (False, True), (False, False))
    ],
    known("upsample_bilinear", "documented, aligned", [[[0, 0.2, 0.4, 0.6, 0.8, 1]]], x=ZERO_ONE, **by(1, 3)),
    known(
        "upsample_bilinear", "documented", [[[0, 0.1, 0.5, 0.9, 1]]], x=ZERO_ONE, **by(1, 2.6), align_corners=np.bool_(False)
    ),
    known(
        "upsample_bilinear",
        "tested in coremltools, no half pixels",
        [[[1, 4 / 3, 5 / 3, 2, 2, 2]] * 1],
        opsets=SINCE_16,
        x=ZERO_ONE + 1,
        **by(1, 3),
        align_corners=np.bool_(False),
        half_pixel_centers=np.bool_(False),
    ),
    resized("upsample_nearest_neighbor", "defaults", x=N.f(1, 2, 3, 4)),
    *[
        resized("upsample_nearest_neighbor", f"{x} by {scale}", x=N.f(*x), **by(*scale))
        for x, scale in (
            ((2, 3, 4, 3), (2, 3)),
            ((1, 2, 5, 6), (1.5, 2.5)),
            ((2, 6, 7), (0.5, 0.75)),
            ((1, 1, 1, 4), (3, 0.25)),
        )
    ],
    resized("upsample_nearest_neighbor", "whole scales", x=N.f(1, 2, 3, 2), **by(2, 4, np.int32)),
    *[
        known(
            "upsample_nearest_neighbor",
            f"tested in coremltools, {high} by {wide}",
            [wanted],
            x=np.asarray([[[1.5, -2.5, 3.5]]], np.float32),
            **by(high, wide),
        )
        for high, wide, wanted in ((3.17, 0.67, [[1.5, -2.5]] * 3), (2.0, 1.12, [[1.5, -2.5, 3.5]] * 2))
    ],
    resized("resize_bilinear", "defaults", x=N.f(1, 2, 3, 4)),
    *[
        resized("resize_bilinear", f"{x} to {size}, {mode}", x=N.f(*x), **to(*size), sampling_mode=mode)
        for mode in MODES
        for x, size in (
            ((2, 3, 4, 3), (6, 7)),
            ((1, 2, 7, 6), (3, 2)),
            ((1, 2, 5, 3), (2, 8)),
            ((2, 4, 5), (1, 1)),
            ((1, 1, 1, 1), (3, 2)),
        )
    ],
    *[
        known("resize_bilinear", f"documented, {mode}", [[wanted]], x=ZERO_ONE, **to(1, len(wanted)), sampling_mode=mode)
        for mode, wanted in (
            ("UNALIGN_CORNERS", [0, 0.1, 0.5, 0.9, 1]),
            ("STRICT_ALIGN_CORNERS", [0, 0.25, 0.5, 0.75, 1]),
            ("ALIGN_CORNERS", [0, 0.25, 0.5, 0.75, 1]),
            ("DEFAULT", [0, 0.4, 0.8, 1, 1]),
            ("OFFSET_CORNERS", [0.1, 0.3, 0.5, 0.7, 0.9]),
            ("UNALIGN_CORNERS", [0, 0, 1 / 3, 2 / 3, 1, 1]),
            ("DEFAULT", [0, 1 / 3, 2 / 3, 1, 1, 1]),
        )
    ],
    *[
        resized("resize_nearest_neighbor", f"{x} to {size}", x=N.f(*x), **to(*size))
        for x, size in (((2, 3, 4, 3), (8, 9)), ((1, 2, 5, 6), (7, 4)), ((2, 6, 7), (1, 1)), ((1, 1, 3, 1), (2, 5)))
    ],
    known(
        "resize_nearest_neighbor",
        "tested in coremltools",
        [[[[0.37] * 3, [6.17] * 3]]],
        x=np.asarray([0.37, 6.17], np.float32).reshape(1, 1, 2, 1),
        **to(2, 3),
    ),
    *[
        resize(f"{how}, {mode}", N.f(*x), shape, dims, interpolation_mode=how, sampling_mode=mode)
        for how in ("LINEAR", "NEAREST_NEIGHBOR")
        for mode in MODES
        for x, shape, dims in (((2, 4, 3), (6, 5), 2), ((1, 2, 5, 7), (9, 3, 4), 2), ((2, 3), (1, 1), 2), ((2, 5), (4,), 1))
    ],
    resize("defaults", N.f(1, 2, 3, 4), (6, 8), 2),
    resize("documented: 0 keeps an axis", N.f(1, 2, 3, 4), (1, 0, 0), 2),
    resize("three axes", N.f(2, 3, 2, 4), (4, 0, 3), 3),
    resize("no axes", N.f(2, 3), (5,), 0),
    resize("whole numbers", N.below(90, 1, 2, 4) - 45, (3, 7), 2),
    resize("whole numbers, nearest", N.below(90, 1, 2, 4), (3, 7), 2, interpolation_mode="NEAREST_NEIGHBOR"),
    known(
        "resize",
        "tested in coremltools, nearest",
        [[[[-6.174] * 2, [9.371] * 2, [9.371] * 2]]],
        x=np.asarray([-6.174, 9.371], np.float32).reshape(1, 1, 2, 1),
        shape=i(1, 1, 3, 2),
        resized_dims=np.uint32(2),
        interpolation_mode="NEAREST_NEIGHBOR",
    ),
]
