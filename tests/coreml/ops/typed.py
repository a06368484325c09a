"""Numbers of every type that MIL's shape operations take, and the opsets that take them."""

from __future__ import annotations

import numpy as np

from tests.coreml.ops.numbers import Numbers

SINCE16 = (16, 17, 18, 26)
SINCE17 = (17, 18, 26)
SINCE18 = (18, 26)
BEFORE17 = (15, 16)

SHAPES = {1: (4,), 2: (3, 4), 3: (2, 3, 4), 4: (2, 1, 3, 4), 5: (2, 3, 1, 2, 4)}
"""A shape of each rank."""

EVERYWHERE = (np.int32, np.bool_)
NEWER = (np.int8, np.uint8, np.int16, np.uint16)
"""Types that most operations take from iOS17 on."""

TYPES: tuple[tuple[type, tuple[int, ...]], ...] = (
    *[(kind, ()) for kind in EVERYWHERE],
    *[(kind, SINCE17) for kind in NEWER],
)
"""Each type beside float32 with the opsets that take it; () stands for all."""


def typed(n: Numbers, kind: type, *shape: int) -> np.ndarray:
    """Numbers of a type: small ones, of both signs where there are any."""
    drawn = n.below(100, *shape)
    if kind is np.bool_:
        return drawn % 2 == 1
    low = 0 if np.issubdtype(kind, np.unsignedinteger) else 50
    return (drawn - low).astype(kind)


def axis(value: int) -> np.int32:
    return np.int32(value)
