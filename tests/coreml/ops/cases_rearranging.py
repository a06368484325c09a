"""Cases of ``mil_ops.rearranging``."""

from __future__ import annotations

import numpy as np

from tests.coreml.ops import reference_rearranging as by_hand
from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers, i
from tests.coreml.ops.typed import SINCE17, TYPES, axis, typed

N = Numbers(21)

BLOCKS = [
    *[
        Case(
            op="depth_to_space",
            given={"x": N.f(*shape), "block_size": axis(b)},
            want=by_hand.depth_to_space,
            note=f"{shape} {b}",
        )
        for shape, b in (((1, 4, 1, 1), 2), ((2, 8, 3, 2), 2), ((1, 18, 1, 2), 3), ((2, 16, 1, 3), 4))
    ],
    *[
        Case(
            op="space_to_depth",
            given={"x": N.f(*shape), "block_size": axis(b)},
            want=by_hand.space_to_depth,
            note=f"{shape} {b}",
        )
        for shape, b in (((1, 1, 2, 2), 2), ((2, 3, 4, 6), 2), ((1, 2, 3, 6), 3), ((2, 1, 4, 8), 4))
    ],
    *[
        Case(
            op="pixel_shuffle",
            given={"x": N.f(*shape), "upscale_factor": axis(f)},
            want=by_hand.pixel_shuffle,
            note=f"{shape} {f}",
        )
        for shape, f in (((1, 4, 1, 1), 2), ((2, 8, 3, 2), 2), ((1, 18, 1, 2), 3), ((2, 3, 2, 2), 1))
    ],
    *[
        Case(
            op="pixel_unshuffle",
            given={"x": N.f(*shape), "downscale_factor": np.uint32(f)},
            want=by_hand.pixel_unshuffle,
            note=f"{shape} {f}",
        )
        for shape, f in (((1, 1, 2, 2), 2), ((2, 3, 4, 6), 2), ((1, 2, 3, 6), 3))
    ],
    *[
        Case(
            op="space_to_batch",
            given={"x": N.f(*shape), "block_shape": i(*block), "paddings": i(*sides).reshape(2, 2)},
            want=by_hand.space_to_batch,
            note=f"{shape} {block} {sides}",
        )
        for shape, block, sides in (
            ((2, 1, 2, 4), (2, 2), (0, 0, 2, 0)),
            ((1, 3, 4, 4), (2, 2), (0, 0, 0, 0)),
            ((2, 2, 3, 5), (2, 3), (1, 0, 0, 1)),
            ((1, 1, 1, 3), (1, 3), (0, 0, 1, 2)),
        )
    ],
    *[
        Case(
            op="batch_to_space",
            given={"x": N.f(*shape), "block_shape": i(*block), "crops": i(*sides).reshape(2, 2)},
            want=by_hand.batch_to_space,
            note=f"{shape} {block} {sides}",
        )
        for shape, block, sides in (
            ((8, 1, 1, 3), (2, 2), (0, 0, 2, 0)),
            ((4, 3, 2, 2), (2, 2), (0, 0, 0, 0)),
            ((12, 2, 2, 2), (2, 3), (1, 0, 1, 2)),
            ((3, 1, 1, 2), (1, 3), (0, 0, 0, 1)),
            ((4, 1, 2, 2), (2, 2), (2, 1, 0, 0)),
        )
    ],
]

SEQUENCES = [
    *[
        Case(
            op="reverse_sequence",
            given={"x": N.f(*shape), "lengths": i(*lengths), "seq_axis": axis(sequence), "batch_axis": axis(batch)},
            want=by_hand.reverse_sequence,
            note=f"{shape} {sequence} {batch}",
        )
        for shape, lengths, sequence, batch in (
            ((3, 4), (0, 2, 4), 1, 0),
            ((4, 3), (4, 1, 3), 0, 1),
            ((2, 3, 4), (2, 3), 1, 0),
            ((2, 3, 4), (1, 4, 3), -1, -2),
            ((2, 3, 1, 4), (2, 1, 0, 2), 0, 3),
            ((2, 2, 1, 3, 2), (3, 2), -2, 1),
            ((1, 5), (5,), 1, 0),
        )
    ],
    Case(
        op="reverse_sequence",
        given={"x": N.f(4, 2), "lengths": i(2, 3), "batch_axis": axis(1)},
        want=by_hand.reverse_sequence,
        note="default sequence",
    ),
    Case(
        op="reverse_sequence",
        given={"x": N.f(2, 4), "lengths": i(2, 3), "seq_axis": axis(1)},
        want=by_hand.reverse_sequence,
        note="default batch",
    ),
    *[
        Case(
            op="reverse_sequence",
            given={"x": typed(N, kind, 2, 4), "lengths": i(2, 3), "seq_axis": axis(1)},
            want=by_hand.reverse_sequence,
            opsets=opsets,
            note=kind.__name__,
        )
        for kind, opsets in TYPES
    ],
    Case(
        op="reverse_sequence",
        given={"x": N.f(2, 4), "lengths": np.asarray([4, 1], np.int8), "seq_axis": axis(1)},
        want=by_hand.reverse_sequence,
        opsets=SINCE17,
        note="int8 lengths",
    ),
]

CASES = [*BLOCKS, *SEQUENCES]
