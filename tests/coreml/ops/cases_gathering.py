"""Cases of ``mil_ops.gathering`` and ``scattering``: some indices repeat, negative ones stand where they are allowed."""

from __future__ import annotations

import numpy as np

from tests.coreml.ops import reference_gathering as by_hand
from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers, i
from tests.coreml.ops.typed import BEFORE17, NEWER, SHAPES, SINCE16, SINCE17, axis, typed

N = Numbers(22)
X = N.f(2, 3, 4)
RANKS = [(rank, N.f(*shape)) for rank, shape in SHAPES.items()]
MODES = ("update", "add", "sub", "mul", "div", "max", "min")
BY_HAND = {
    "gather": by_hand.gather,
    "gather_along_axis": by_hand.gather_along_axis,
    "gather_nd": by_hand.gather_nd,
    "scatter": by_hand.scatter,
    "scatter_along_axis": by_hand.scatter_along_axis,
    "scatter_nd": by_hand.scatter_nd,
}


def by_loops(op: str, note: str, *, opsets: tuple[int, ...] = (), inputs: tuple[str, ...] = (), **given: object) -> Case:
    return Case(op=op, given=given, want=BY_HAND[op], opsets=opsets, note=note, inputs=inputs)


GATHER = [
    *[
        Case(
            op="gather",
            given={"x": x, "indices": N.below(x.shape[where], 3), "axis": axis(where)},
            note=f"rank {rank}, {where}",
        )
        for rank, x in RANKS
        for where in sorted({0, -1, rank - 1, -rank})
    ],
    *[
        by_loops("gather", f"indices of {shape}", x=X, indices=N.below(3, *shape), axis=axis(1), inputs=("x", "indices"))
        for shape in ((1,), (2, 2), (1, 2, 3))
    ],
    Case(op="gather", given={"x": X, "indices": np.int32(2), "axis": axis(1)}, note="a scalar index"),
    Case(op="gather", given={"x": N.f(5), "indices": np.int32(3)}, note="one number"),
    Case(op="gather", given={"x": X, "indices": i(1, 1, 0)}, note="default axis"),
    Case(op="gather", given={"x": X, "indices": i(-1, 0, -4), "axis": axis(2)}, opsets=BEFORE17, note="from the end"),
    by_loops("gather", "from the end", x=X, indices=i(-1, 1, -3), axis=axis(-2), opsets=BEFORE17),
    Case(op="gather", given={"x": typed(N, np.int32, 4, 2), "indices": i(3, 0)}, note="int32"),
    *[
        Case(op="gather", given={"x": typed(N, kind, 4, 2), "indices": i(3, 0)}, opsets=SINCE17, note=kind.__name__)
        for kind in NEWER
    ],
    *[
        Case(
            op="gather",
            given={"x": X, "indices": np.asarray([2, 0], kind), "axis": axis(1)},
            opsets=opsets,
            note=f"{kind.__name__} indices",
        )
        for kind, opsets in ((np.uint16, SINCE16), (np.int16, SINCE16), (np.int8, SINCE17), (np.uint8, SINCE17))
    ],
    Case(
        op="gather",
        given={"x": X, "indices": i(2, 0), "axis": axis(1), "validate_indices": np.bool_(True)},
        opsets=SINCE17,
        note="validated",
    ),
    *[
        by_loops(
            "gather",
            f"{shape} by {indices.shape}, {batch} batched, axis {where}",
            x=N.f(*shape),
            indices=indices,
            axis=axis(where),
            batch_dims=axis(batch),
            opsets=SINCE16,
        )
        for shape, indices, where, batch in (
            ((2, 3, 4), N.below(3, 2, 2), 1, 1),
            ((2, 3, 4), N.below(4, 2, 2), 2, 1),
            ((2, 3, 4), N.below(4, 2, 3, 2), 2, 2),
            ((2, 3, 4), N.below(4, 2, 3), -1, 2),
            ((2, 3, 4), N.below(3, 2, 2, 2), -2, 1),
            ((2, 3, 2, 4), N.below(4, 2, 5), 3, 1),
            ((2, 1, 3, 2, 4), N.below(2, 2, 1, 2), -2, 2),
            ((2, 3), N.below(3, 2), 1, 1),
        )
    ],
    Case(
        op="gather",
        given={"x": X, "indices": N.below(4, 2, 3, 2), "axis": axis(2), "batch_dims": axis(2)},
        note="batched as coremltools infers",
    ),
]

ALONG = [
    *[
        Case(
            op="gather_along_axis",
            given={"x": x, "indices": N.below(x.shape[where], *x.shape), "axis": axis(where)},
            note=f"rank {rank}, {where}",
        )
        for rank, x in RANKS
        for where in sorted({0, -1, rank - 1, -rank})
    ],
    by_loops("gather_along_axis", "fewer", x=X, indices=N.below(3, 2, 1, 4), axis=axis(1), inputs=("x", "indices")),
    by_loops("gather_along_axis", "more", x=X, indices=N.below(4, 2, 3, 6), axis=axis(-1)),
    by_loops("gather_along_axis", "default axis", x=X, indices=N.below(2, 3, 3, 4)),
    by_loops("gather_along_axis", "from the end", x=X, indices=N.below(4, 2, 3, 4) - 4, axis=axis(2), opsets=BEFORE17),
    *[
        Case(
            op="gather_along_axis",
            given={"x": typed(N, kind, 3, 2), "indices": N.below(3, 2, 2)},
            opsets=opsets,
            note=kind.__name__,
        )
        for kind, opsets in ((np.int32, ()), *((kind, SINCE17) for kind in NEWER))
    ],
    *[
        Case(
            op="gather_along_axis",
            given={"x": N.f(3, 2), "indices": N.below(3, 2, 2).astype(kind)},
            opsets=opsets,
            note=f"{kind.__name__} indices",
        )
        for kind, opsets in ((np.uint16, SINCE16), (np.int16, SINCE16), (np.int8, SINCE17), (np.uint8, SINCE17))
    ],
]


def places(shape: tuple[int, ...], *count: int) -> np.ndarray:
    """Random places in a shape."""
    return np.stack([N.below(size, *count) for size in shape], axis=-1)


ND = [
    *[
        by_loops(
            "gather_nd",
            f"{shape}, {depth} deep, {count}",
            x=N.f(*shape),
            indices=places(shape[:depth], *count),
            inputs=("x", "indices"),
        )
        for shape, depth, count in (
            ((4,), 1, (3,)),
            ((3, 4), 1, (2,)),
            ((3, 4), 2, (5,)),
            ((2, 3, 4), 2, (2, 3)),
            ((2, 3, 4), 3, (2,)),
            ((2, 1, 3, 4), 1, (3,)),
            ((2, 3, 1, 2, 4), 4, (2,)),
            ((3, 4), 2, ()),
        )
    ],
    by_loops(
        "gather_nd", "from the end", x=N.f(3, 4), indices=places((3, 4), 3) - np.asarray([3, 4], np.int32), opsets=BEFORE17
    ),
    *[
        by_loops(
            "gather_nd",
            f"{shape}, {batch} batched, {depth} deep",
            x=N.f(*shape),
            indices=places(shape[batch : batch + depth], *shape[:batch], *more),
            batch_dims=axis(batch),
            opsets=SINCE16,
        )
        for shape, batch, depth, more in (
            ((2, 3, 4), 1, 1, (2,)),
            ((2, 3, 4), 1, 2, ()),
            ((2, 3, 4), 2, 1, (2,)),
            ((2, 3, 4), 0, 1, (2,)),
            ((2, 2, 3, 2, 4), 2, 2, (3, 2)),
        )
    ],
    *[
        by_loops("gather_nd", kind.__name__, x=typed(N, kind, 3, 2), indices=places((3, 2), 2), opsets=opsets)
        for kind, opsets in ((np.int32, ()), *((kind, SINCE17) for kind in NEWER))
    ],
    *[
        by_loops("gather_nd", f"{kind.__name__} indices", x=N.f(3, 2), indices=places((3, 2), 2).astype(kind), opsets=opsets)
        for kind, opsets in ((np.uint16, SINCE16), (np.int16, SINCE16), (np.int8, SINCE17), (np.uint8, SINCE17))
    ],
]

SCATTER = [
    *[
        by_loops(
            "scatter",
            f"{mode}, axis {where}",
            data=X,
            indices=indices,
            updates=N.positive(*shape),
            axis=axis(where),
            mode=mode,
            inputs=("data", "indices", "updates"),
        )
        for mode in MODES
        for where, indices, shape in ((0, i(1), (1, 3, 4)), (1, i(2, 0), (2, 2, 4)), (-1, i(3, 1, 3), (2, 3, 3)))
    ],
    *[
        by_loops("scatter", f"rank {rank}", data=x, indices=i(0, 1), updates=N.f(*x.shape[:-1], 2), axis=axis(-1))
        for rank, x in RANKS
    ],
    by_loops("scatter", "defaults", data=N.f(3, 2), indices=i(2, 0), updates=N.f(2, 2)),
    by_loops("scatter", "from the end", data=N.f(3, 2), indices=i(-1, 0), updates=N.f(2, 2), opsets=BEFORE17),
    *[
        by_loops("scatter", f"int32 {mode}", data=typed(N, np.int32, 4), indices=i(3, 0, 3), updates=i(7, -3, 2), mode=mode)
        for mode in MODES
        if mode != "div"
    ],
    by_loops("scatter", "int32 div", data=i(12, 7, -6), indices=i(0, 2, 0), updates=i(2, -3, -3), mode="div"),
    by_loops("scatter", "validated", data=N.f(3), indices=i(2), updates=N.f(1), validate_indices=np.bool_(True)),
]

SCATTER_ALONG = [
    *[
        by_loops(
            "scatter_along_axis",
            f"{mode}, axis {where}",
            data=X,
            indices=N.below(limit, *shape),
            updates=N.positive(*shape),
            axis=axis(where),
            mode=mode,
            inputs=("data", "indices", "updates"),
        )
        for mode in MODES
        for where, limit, shape in ((0, 2, (1, 3, 4)), (-2, 3, (2, 4, 4)), (2, 4, (2, 3, 4)))
    ],
    *[
        by_loops(
            "scatter_along_axis",
            f"rank {rank}",
            data=x,
            indices=N.below(x.shape[-1], *x.shape),
            updates=N.f(*x.shape),
            axis=axis(-1),
        )
        for rank, x in RANKS
    ],
    by_loops("scatter_along_axis", "defaults", data=N.f(3, 2), indices=N.below(3, 2, 2), updates=N.f(2, 2)),
    by_loops(
        "scatter_along_axis", "from the end", data=N.f(3, 2), indices=N.below(3, 2, 2) - 3, updates=N.f(2, 2), opsets=BEFORE17
    ),
    by_loops(
        "scatter_along_axis", "int32", data=typed(N, np.int32, 3, 2), indices=N.below(3, 4, 2), updates=typed(N, np.int32, 4, 2)
    ),
]

SCATTER_ND = [
    *[
        by_loops(
            "scatter_nd",
            f"{mode}, {depth} deep",
            data=X,
            indices=places(X.shape[:depth], *count),
            updates=N.positive(*count, *X.shape[depth:]),
            mode=mode,
            inputs=("data", "indices", "updates"),
        )
        for mode in MODES
        for depth, count in ((1, (3,)), (2, (2, 2)), (3, (5,)))
    ],
    *[by_loops("scatter_nd", f"rank {rank}", data=x, indices=places(x.shape, 4), updates=N.f(4)) for rank, x in RANKS],
    by_loops("scatter_nd", "from the end", data=N.f(3, 2), indices=i(-1, -2).reshape(1, 2), updates=N.f(1), opsets=BEFORE17),
    by_loops(
        "scatter_nd", "int32", data=typed(N, np.int32, 3, 2), indices=i(2, 0).reshape(2, 1), updates=typed(N, np.int32, 2, 2)
    ),
]

CASES = [*GATHER, *ALONG, *ND, *SCATTER, *SCATTER_ALONG, *SCATTER_ND]
