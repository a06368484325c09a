"""Cases of ``mil_ops.shape``, ``joining`` and ``slicing``."""

from __future__ import annotations

import numpy as np

from tests.coreml.ops import reference_shape as by_hand
from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers, i
from tests.coreml.ops.typed import SHAPES, SINCE16, SINCE17, SINCE18, TYPES, axis, typed

N = Numbers(20)
X = N.f(2, 3, 4)
RANKS = [(rank, N.f(*shape)) for rank, shape in SHAPES.items()]


def flags(*values: int) -> np.ndarray:
    return np.asarray(values, np.bool_)


RESHAPE = [
    *[Case(op="reshape", given={"x": x, "shape": i(2, -1)}, note=f"rank {rank}") for rank, x in RANKS],
    Case(op="reshape", given={"x": X, "shape": i(24)}),
    Case(op="reshape", given={"x": X, "shape": i(4, 3, 2)}),
    Case(op="reshape", given={"x": X, "shape": i(1, 2, 1, 12, 1)}),
    Case(op="reshape", given={"x": X, "shape": i(0, 4, -1)}, note="0 keeps a dimension"),
    Case(op="reshape", given={"x": X, "shape": i(0, 0, 0)}, note="0 keeps all"),
    Case(op="reshape", given={"x": N.f(2, 50), "shape": i(1, 0, -1, 0)}, opsets=SINCE17, note="0 from the right"),
    Case(op="reshape", given={"x": X, "shape": i(0, -1)}, opsets=SINCE17, note="0 from the right, fewer"),
    Case(op="reshape", given={"x": X, "shape": i(-1, 0)}, opsets=SINCE17, note="0 from the right, last"),
    Case(op="reshape", given={"x": X, "shape": np.asarray([4, -1], np.int8)}, opsets=SINCE17, note="int8 shape"),
    Case(op="reshape", given={"x": X, "shape": np.asarray([4, -1], np.int16)}, opsets=SINCE17, note="int16 shape"),
    *[
        Case(op="reshape", given={"x": typed(N, kind, 2, 6), "shape": i(3, -1)}, opsets=opsets, note=kind.__name__)
        for kind, opsets in TYPES
    ],
    *[
        Case(
            op="reshape_like",
            given={
                "x": typed(N, kind, *shape),
                "ref_tensors": tuple(N.f(*each) for each in refs),
                "begins": tuple(np.int32(each) for each in begins),
                "ends": tuple(np.int32(each) for each in ends),
                "end_masks": tuple(np.bool_(each) for each in masks),
            },
            want=by_hand.reshaped_like,
            opsets=SINCE16,
            note=str(shape),
        )
        for kind, shape, refs, begins, ends, masks in (
            (np.int32, (3, 2, 10), ((2, 3, 4), (1, 5, 2)), (0, 1), (2, 0), (False, True)),
            (np.int32, (4, 3), ((2, 2, 3), (1, 3)), (0, 1), (2, 2), (False, False)),
            (np.bool_, (72, 1), ((1, 2, 3, 4, 1), (3,)), (1, 0), (0, 1), (True, False)),
            (np.int32, (6, 4), ((2, 3, 4),), (0,), (0,), (True,)),
        )
    ],
]

SAME_NUMBERS = [
    *[Case(op="transpose", given={"x": x, "perm": i(*range(rank))[::-1]}, note=f"rank {rank}") for rank, x in RANKS],
    Case(op="transpose", given={"x": X, "perm": i(2, 0, 1)}),
    Case(op="transpose", given={"x": X, "perm": i(-1, 0, -2)}, note="from the end"),
    Case(op="transpose", given={"x": N.f(2, 3, 1, 2, 4), "perm": i(1, 4, 2, 0, 3)}),
    *[
        Case(op="transpose", given={"x": typed(N, kind, 2, 3), "perm": i(1, 0)}, opsets=opsets, note=kind.__name__)
        for kind, opsets in TYPES
    ],
    Case(op="squeeze", given={"x": N.f(1, 3, 1)}),
    Case(op="squeeze", given={"x": N.f(1, 3, 1), "axes": i(0)}),
    Case(op="squeeze", given={"x": N.f(1, 3, 1), "axes": i(-1)}),
    Case(op="squeeze", given={"x": N.f(1, 1, 3, 1), "axes": i(-3, 0)}),
    Case(op="squeeze", given={"x": N.f(1, 2, 1, 3, 1), "axes": i(0, 2, 4)}),
    Case(op="squeeze", given={"x": N.f(2, 3)}, note="nothing"),
    Case(op="squeeze", given={"x": N.f(1)}, want=by_hand.squeezed, note="to a scalar"),
    Case(op="squeeze", given={"x": N.f(2, 1, 4), "axes": i(0, 1)}, want=by_hand.squeezed, note="a longer one stays"),
    Case(op="squeeze", given={"x": N.f(2, 3, 4), "axes": i(0, -2)}, want=by_hand.squeezed, note="longer ones stay"),
    *[
        Case(op="squeeze", given={"x": typed(N, kind, 1, 3), "axes": i(0)}, opsets=opsets, note=kind.__name__)
        for kind, opsets in TYPES
    ],
    *[Case(op="expand_dims", given={"x": X, "axes": i(where)}, note=str(where)) for where in (0, 1, 3, -1, -4)],
    Case(op="expand_dims", given={"x": X, "axes": i(0, 2)}),
    Case(op="expand_dims", given={"x": X, "axes": i(-1, -2)}),
    Case(op="expand_dims", given={"x": X, "axes": i(-1, 0)}),
    Case(op="expand_dims", given={"x": N.f(3), "axes": i(0, 2, 3, 4)}),
    *[
        Case(op="expand_dims", given={"x": typed(N, kind, 3), "axes": i(1)}, opsets=opsets, note=kind.__name__)
        for kind, opsets in TYPES
    ],
    *[
        Case(op="flatten2d", given={"x": x, "axis": axis(where)}, note=f"rank {rank}, {where}")
        for rank, x in RANKS
        for where in sorted({1, -1, 1 - rank, rank - 1})
        if where % rank
    ],
    Case(op="flatten2d", given={"x": X}),
    Case(op="flatten2d", given={"x": typed(N, np.int32, 2, 3, 2), "axis": axis(2)}),
    *[Case(op="shape", given={"x": x}, note=f"rank {rank}") for rank, x in RANKS],
    Case(op="shape", given={"x": typed(N, np.bool_, 2, 1)}),
    *[Case(op="reverse", given={"x": x}, note=f"rank {rank}") for rank, x in RANKS],
    Case(op="reverse", given={"x": X, "axes": i(0, 2)}),
    Case(op="reverse", given={"x": X, "axes": i(-1)}),
    Case(op="reverse", given={"x": X, "axes": i(1, -1)}),
    *[
        Case(op="reverse", given={"x": typed(N, kind, 3, 2), "axes": i(0)}, opsets=opsets, note=kind.__name__)
        for kind, opsets in TYPES
    ],
    *[Case(op="tile", given={"x": x, "reps": i(*([2, 1, 3, 1, 2][:rank]))}, note=f"rank {rank}") for rank, x in RANKS],
    Case(op="tile", given={"x": X, "reps": i(1, 1, 1)}, note="once"),
    Case(op="tile", given={"x": typed(N, np.int32, 1, 2), "reps": i(3, 2)}),
    Case(op="tile", given={"x": typed(N, np.bool_, 1, 2), "reps": i(1, 2)}),
]

JOINED = [
    *[
        Case(op="concat", given={"values": (x, x + 1), "axis": axis(where)}, note=f"rank {rank}, {where}")
        for rank, x in RANKS
        for where in {0, -1, rank - 1, -rank}
    ],
    Case(op="concat", given={"values": (N.f(2, 3), N.f(2, 1), N.f(2, 4)), "axis": axis(1)}, note="three lengths"),
    Case(op="concat", given={"values": (N.f(2, 3),), "axis": axis(0)}, note="one"),
    Case(
        op="concat",
        given={"values": (np.int32(4), np.int32(7)), "axis": axis(0)},
        want=by_hand.joined_scalars,
        note="scalars",
    ),
    *[
        Case(op="concat", given={"values": (typed(N, kind, 2), typed(N, kind, 3)), "axis": axis(0)}, note=kind.__name__)
        for kind in (np.int32, np.bool_)
    ],
    *[
        Case(
            op="concat",
            given={"values": (x, x + 1, x - 1), "axis": axis(where), "interleave": np.bool_(True)},
            want=by_hand.interleaved,
            note=f"interleaved, rank {rank}, {where}",
        )
        for rank, x in RANKS
        for where in (0, -1)
    ],
    *[Case(op="stack", given={"values": (X, X + 1), "axis": axis(where)}, note=str(where)) for where in (0, 1, 3, -1, -4)],
    Case(op="stack", given={"values": (N.f(3), N.f(3), N.f(3)), "axis": axis(1)}, note="three"),
    Case(op="stack", given={"values": (np.int32(1), np.int32(2)), "axis": axis(0)}, note="scalars"),
    Case(op="stack", given={"values": (typed(N, np.bool_, 2), typed(N, np.bool_, 2)), "axis": axis(0)}),
    *[
        Case(op="split", given={"x": x, "num_splits": axis(2), "axis": axis(where)}, note=f"rank {rank}, {where}")
        for rank, x in RANKS
        for where in (-1, rank - 1)
    ],
    Case(op="split", given={"x": X, "split_sizes": i(1, 2), "axis": axis(1)}),
    Case(op="split", given={"x": X, "split_sizes": i(1, 2, 1), "axis": axis(-1)}, note="three"),
    Case(op="split", given={"x": X, "num_splits": axis(2), "split_sizes": i(3, 1), "axis": axis(2)}, note="both"),
    Case(op="split", given={"x": X, "num_splits": axis(1), "axis": axis(1)}, note="one"),
    Case(op="split", given={"x": typed(N, np.int32, 4), "num_splits": axis(4), "axis": axis(0)}),
    Case(op="split", given={"x": typed(N, np.bool_, 4), "num_splits": axis(2), "axis": axis(0)}),
]

PADDED = [
    *[
        Case(op="pad", given={"x": x, "pad": i(*([1, 2] * rank))}, note=f"constant, rank {rank}", want=by_hand.padded)
        for rank, x in RANKS
        if rank < 5
    ],
    Case(op="pad", given={"x": X, "pad": i(1, 2, 0, 1), "constant_val": np.float32(3)}),
    Case(op="pad", given={"x": X, "pad": i(1, 2), "mode": "constant"}),
    Case(op="pad", given={"x": X, "pad": i(0, 0)}, note="nothing"),
    *[Case(op="pad", given={"x": x, "pad": i(3, 2), "mode": "reflect"}, note=f"reflect, rank {rank}") for rank, x in RANKS],
    Case(op="pad", given={"x": X, "pad": i(1, 0, 2, 1, 2, 3), "mode": "reflect"}, want=by_hand.padded, note="reflect 3 axes"),
    Case(op="pad", given={"x": X, "pad": i(1, 2, 2, 1), "mode": "reflect"}, want=by_hand.padded, note="reflect 2 axes"),
    Case(op="pad", given={"x": N.f(1, 3), "pad": i(0, 0, 1, 1), "mode": "reflect"}, note="reflect beside 1"),
    *[Case(op="pad", given={"x": x, "pad": i(4, 1), "mode": "replicate"}, note=f"replicate, rank {rank}") for rank, x in RANKS],
    Case(op="pad", given={"x": X, "pad": i(1, 1, 0, 2, 2, 0), "mode": "replicate"}, want=by_hand.padded),
    Case(op="pad", given={"x": N.f(1, 1), "pad": i(1, 1, 1, 1), "mode": "replicate"}, note="replicate 1"),
]

A_SLICE = {"begin": i(0, 1, 0), "end": i(2, 3, 4)}
SLICED = [
    Case(op="slice_by_index", given={"x": X, **A_SLICE}),
    Case(op="slice_by_index", given={"x": X, **A_SLICE, "stride": i(1, 1, 2)}),
    *[
        Case(op="slice_by_index", given={"x": x, "begin": i(*[0] * rank), "end": i(*[1] * rank)}, note=f"rank {rank}")
        for rank, x in RANKS
    ],
    Case(op="slice_by_index", given={"x": X, "begin": i(-1, -3, -2), "end": i(2, -1, 4)}, note="from the end"),
    Case(op="slice_by_index", given={"x": X, "begin": i(0, 0, 0), "end": i(9, 9, 9)}, note="beyond the end"),
    Case(op="slice_by_index", given={"x": X, "begin": i(-9, 0, 0), "end": i(2, 3, 3)}, note="before the start"),
    Case(op="slice_by_index", given={"x": X, "begin": i(0, 2, 3), "end": i(2, 0, 0), "stride": i(1, -1, -2)}, note="backwards"),
    Case(
        op="slice_by_index",
        given={
            "x": X,
            "begin": i(0, 0, 0),
            "end": i(0, 0, 0),
            "stride": i(-1, -2, -3),
            "begin_mask": flags(1, 1, 1),
            "end_mask": flags(1, 1, 1),
        },
        note="all backwards",
    ),
    Case(
        op="slice_by_index",
        given={
            "x": X,
            "begin": i(1, 1, 3),
            "end": i(9, 2, 0),
            "stride": i(1, 1, -1),
            "begin_mask": flags(1, 0, 0),
            "end_mask": flags(1, 0, 1),
            "squeeze_mask": flags(0, 1, 0),
        },
        note="all masks",
    ),
    Case(op="slice_by_index", given={"x": X, "begin": i(1, 0, 0), "end": i(0, 3, 4), "squeeze_mask": flags(1, 0, 0)}),
    Case(op="slice_by_index", given={"x": X, "begin": i(-1, 0, -2), "end": i(0, 3, 0), "squeeze_mask": flags(1, 0, 1)}),
    Case(op="slice_by_index", given={"x": X, "begin": i(-2, 0, -4), "end": i(0, 3, 0), "squeeze_mask": flags(1, 0, 1)}),
    Case(
        op="slice_by_index", given={"x": X, "begin": i(1, 2, 3), "end": i(0, 0, 0), "squeeze_mask": flags(1, 1, 1)}, note="one"
    ),
    Case(
        op="slice_by_index",
        given={
            "x": X,
            "begin": i(1, 2, 0),
            "end": i(0, 0, 4),
            "stride": i(-1, 1, 2),
            "begin_mask": flags(0, 1, 0),
            "squeeze_mask": flags(1, 1, 0),
        },
        note="a masked start that is squeezed",
    ),
    *[
        Case(
            op="slice_by_index",
            given={"x": typed(N, kind, 3, 4), "begin": i(1, 0), "end": i(3, 4), "stride": i(1, 2)},
            opsets=opsets,
            note=kind.__name__,
        )
        for kind, opsets in TYPES
    ],
    *[
        Case(
            op="slice_by_index",
            given={"x": X, "begin": np.asarray([0, 1, 2], kind), "end": np.asarray([2, -1, 4], kind)},
            opsets=SINCE17,
            note=f"{kind.__name__} ends",
        )
        for kind in (np.int8, np.int16)
    ],
    Case(op="slice_by_size", given={"x": X, "begin": i(0, 1, 1), "size": i(2, 2, -1)}),
    Case(op="slice_by_size", given={"x": X, "begin": i(-1, -2, 0), "size": i(1, 2, 3)}, note="from the end"),
    *[
        Case(op="slice_by_size", given={"x": x, "begin": i(*[0] * rank), "size": i(*[1] * rank)}, note=f"rank {rank}")
        for rank, x in RANKS
    ],
    *[
        Case(
            op="slice_by_size",
            given={"x": typed(N, kind, 3, 4), "begin": i(1, 0), "size": i(-1, 2)},
            opsets=opsets,
            note=kind.__name__,
        )
        for kind, opsets in TYPES
    ],
    *[
        Case(op="slice_update", given={"x": X, "update": N.f(*shape), **where}, opsets=SINCE18, note=str(shape))
        for shape, where in (
            ((2, 2, 4), A_SLICE),
            ((2, 2, 2), {**A_SLICE, "stride": i(1, 1, 2)}),
            ((1, 2, 2), {"begin": i(-1, 0, 3), "end": i(2, -1, 0), "stride": i(1, 1, -2)}),
            ((3, 4), {"begin": i(1, 0, 0), "end": i(0, 3, 4), "squeeze_mask": flags(1, 0, 0)}),
            ((4,), {"begin": i(1, 2, 0), "end": i(0, 0, 4), "squeeze_mask": flags(1, 1, 0)}),
            ((2, 1, 4), {"begin": i(0, 2, 0), "end": i(0, 9, 1), "begin_mask": flags(1, 0, 1), "end_mask": flags(1, 0, 1)}),
        )
    ],
    *[
        Case(
            op="slice_update",
            given={"x": typed(N, kind, 4), "update": typed(N, kind, 2), "begin": i(1), "end": i(3)},
            opsets=SINCE18,
            note=kind.__name__,
        )
        for kind, _ in TYPES
    ],
    *[
        Case(
            op="sliding_windows",
            given={"x": x, "axis": axis(where), "size": axis(2), "stride": axis(stride)},
            want=by_hand.windows,
            note=f"rank {rank}, {where}, stride {stride}",
        )
        for rank, x in RANKS
        if rank < 5
        for where in (-1, rank - 1, 0)
        if x.shape[where] > 1
        for stride in (1, 2)
    ],
    Case(op="sliding_windows", given={"x": X, "axis": axis(2), "size": axis(4)}, want=by_hand.windows, note="one window"),
    Case(op="sliding_windows", given={"x": X, "axis": axis(1), "size": axis(1)}, want=by_hand.windows, note="windows of one"),
    *[
        Case(
            op="sliding_windows",
            given={"x": typed(N, kind, 5), "axis": axis(0), "size": axis(2), "stride": axis(3)},
            want=by_hand.windows,
            opsets=opsets or (SINCE17 if kind is np.bool_ else ()),
            note=kind.__name__,
        )
        for kind, opsets in TYPES
    ],
]

CASES = [*RESHAPE, *SAME_NUMBERS, *JOINED, *PADDED, *SLICED]
