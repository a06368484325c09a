from __future__ import annotations

import numpy as np

from tests.coreml.ops import reference_pooling as reference
from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers, i

N = Numbers(42)
POOLS = {"max_pool": reference.max_pool, "avg_pool": reference.avg_pool, "l2_pool": reference.l2_pool}
SINCE_16 = (16, 17, 18, 26)
YES, NO = np.bool_(True), np.bool_(False)


def pools(note, x, kernel, *, opsets=(), **more):
    """Each kind of pool; l2_pool has no third spatial axis."""
    found = []
    for op, want in POOLS.items():
        if op == "l2_pool" and (len(x) > 4 or "ceil_mode" in more):
            continue
        given = {"x": N.f(*x), "kernel_sizes": i(*kernel), **more}
        found.append(Case(op=op, given=given, want=want, opsets=opsets, note=note))
        if op == "avg_pool" and more["pad_type"] != "valid":
            given = {**given, "exclude_padding_from_average": YES}
            found.append(Case(op=op, given=given, want=want, opsets=opsets, note=f"{note}, without the padding"))
    return found


CASES = [
    *pools("defaults", (1, 2, 5), (2,), pad_type="valid"),
    *pools("1d", (2, 3, 9), (3,), strides=i(2), pad_type="custom", pad=i(1, 2)),
    *pools("2d", (2, 3, 6, 5), (3, 2), strides=i(2, 1), pad_type="custom", pad=i(2, 0, 1, 1)),
    *pools("3d", (1, 2, 4, 5, 3), (2, 3, 2), strides=i(1, 2, 3), pad_type="custom", pad=i(0, 1, 2, 1, 1, 1)),
    *pools("stride beyond the kernel", (1, 2, 11, 8), (2, 1), strides=i(5, 3), pad_type="valid"),
    *pools("the kernel is the input", (2, 3, 4, 5), (4, 5), strides=i(4, 5), pad_type="valid"),
    *pools("custom without pad", (1, 2, 5, 4), (2, 3), pad_type="custom"),
    *pools("pad is not read with valid", (1, 2, 5), (2,), pad_type="valid", pad=i(1, 1)),
    *[
        case
        for pad_type, opsets in (("same", ()), ("same_lower", SINCE_16))
        for size, kernel, step in ((6, 4, 1), (7, 3, 2), (8, 2, 3), (5, 1, 2), (6, 5, 2))
        for case in pools(
            f"{pad_type} {size} by {step}", (1, 2, size), (kernel,), strides=i(step), pad_type=pad_type, opsets=opsets
        )
    ],
    *pools("same 2d", (2, 2, 5, 6), (2, 3), strides=i(2, 2), pad_type="same"),
    *pools("same 3d", (1, 2, 3, 4, 3), (2, 2, 3), pad_type="same"),
    *pools("same_lower 3d", (1, 2, 3, 4, 3), (2, 2, 3), pad_type="same_lower", opsets=SINCE_16),
    *pools("ceil", (1, 2, 6, 8), (3, 2), strides=i(2, 3), pad_type="valid", ceil_mode=YES),
    *pools("ceil, padded", (2, 2, 7, 5), (3, 2), strides=i(2, 3), pad_type="custom", pad=i(1, 1, 1, 1), ceil_mode=YES),
    *pools("ceil drops the last window", (1, 2, 5), (2,), strides=i(3), pad_type="custom", pad=i(1, 1), ceil_mode=YES),
    *pools("ceil changes nothing", (1, 2, 7), (3,), strides=i(2), pad_type="valid", ceil_mode=YES),
    *pools("no ceil", (1, 2, 6), (3,), strides=i(2), pad_type="valid", ceil_mode=NO),
    Case(
        op="max_pool",
        given={"x": -N.positive(1, 2, 4), "kernel_sizes": i(3), "pad_type": "same"},
        want=reference.max_pool,
        note="all below zero",
    ),
]
