from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlpublish.converting.graph.machines import Mode
from mlpublish.converting.writing.thresholds import for_doubles, for_floats
from tests.converting.writing.forests import split

ASKS = {
    Mode.LESS_OR_EQUAL: np.less_equal,
    Mode.LESS: np.less,
    Mode.GREATER_OR_EQUAL: np.greater_equal,
    Mode.GREATER: np.greater,
}
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


def beside(threshold: float, share: float) -> float:
    """A double between a number and a float32 beside it."""
    with np.errstate(over="ignore"):
        near = np.float32(threshold)
        return threshold + (share % 2 - 1) * float(np.nextafter(near, np.float32(0)) - near)


@settings(max_examples=200, deadline=None)
@example(threshold=float(np.finfo(np.float32).min), value=0.0, near=True, mode=Mode.LESS)  # next to it is only infinity
@given(FLOATS | DOUBLES, DOUBLES, st.booleans(), st.sampled_from(list(ASKS)))
def test_a_double_meets_a_split_as_its_float32_would(threshold, value, near, mode):
    value = beside(threshold, value) if near else value
    with np.errstate(over="ignore"):
        wanted = ASKS[mode](np.float64(np.float32(value)), threshold)
        (tree,) = for_doubles([split(0, threshold, mode)])
        held, given_as = np.float32(tree.threshold[0]), np.float32(value)
        is_a_float32 = np.isfinite(np.float32(threshold))
    assert np.isfinite(tree.threshold[0]) or abs(threshold) > np.finfo(np.float32).max
    assert ASKS[tree.mode[0]](value, tree.threshold[0]) == wanted
    if is_a_float32:
        assert ASKS[tree.mode[0]](given_as, held) == wanted, "a runtime that keeps thresholds in float32"


@settings(max_examples=200, deadline=None)
@given(DOUBLES.filter(lambda x: abs(x) < 3e38), FLOATS, st.booleans(), st.sampled_from(list(ASKS)))
def test_a_float32_meets_a_split_that_is_a_float32(threshold, value, near, mode):
    value = np.float32(beside(threshold, value) if near else value)
    (tree,) = for_floats([split(0, threshold, mode)])
    assert tree.mode[0] is mode
    assert float(np.float32(tree.threshold[0])) == tree.threshold[0]
    assert ASKS[mode](value, np.float32(tree.threshold[0])) == ASKS[mode](np.float64(value), threshold)


@pytest.mark.parametrize("mode", [Mode.EQUAL, Mode.NOT_EQUAL])
def test_a_split_that_asks_for_one_number_keeps_it(mode):
    for made in (for_doubles, for_floats):
        (tree,) = made([split(0, 7.0, mode)])
        assert (tree.threshold[0], tree.mode[0]) == (7.0, mode)
