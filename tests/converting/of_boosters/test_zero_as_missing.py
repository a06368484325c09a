from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.converting.graph.machines import LEAF, Mode, Tree, Trees
from mlpublish.converting.graph.node import Array
from mlpublish.converting.of_boosters.zero_as_missing import NEAREST, Missing, Splits, asked
from tests.converting.graphs import values

NUMBERS = [0.0, -0.0, 1e-36, -1e-36, NEAREST, -NEAREST, 1e-34, -1e-34, 1.0, -1.0, 2.5, -7.0]
BESIDE = [float(np.nextafter(number, side)) for number in NUMBERS for side in (-np.inf, np.inf)]

splits = st.tuples(st.sampled_from([0, 1]), st.sampled_from(NUMBERS + BESIDE), st.sampled_from(list(Missing)), st.booleans())


def goes_left(value: float, threshold: float, missing: Missing, default: bool) -> bool:
    """LightGBM's rule, as its documentation tells it."""
    if np.isnan(value) and missing is not Missing.NAN:
        value = 0.0
    if abs(value) <= NEAREST:
        value = 0.0
    if (missing is Missing.ZERO and value == 0) or (missing is Missing.NAN and np.isnan(value)):
        return default
    return value <= threshold


@settings(deadline=None, max_examples=80)
@given(st.lists(splits, min_size=1, max_size=8))
def test_nodes_of_trees_send_every_number_where_lightgbm_does(held):
    """Each split is a tree of its own, which answers 1 on the left."""
    features, thresholds, missing, defaults = (np.array(column) for column in zip(*held, strict=True))
    trees = [
        Splits(
            feature=features[place : place + 1].astype(np.int64),
            threshold=thresholds[place : place + 1],
            missing=missing[place : place + 1].astype(np.int64),
            goes_left=defaults[place : place + 1],
        )
        for place in range(len(held))
    ]
    of, nodes = asked(trees, Array(size=2))
    written = Trees(
        of=of,
        trees=tuple(_stump(node, place) for place, node in enumerate(nodes)),
        base=(0.0,) * len(held),
        rounds=False,
        takes_missing=True,
    )
    numbers = np.array([*NUMBERS, *BESIDE, np.nan])
    rows = np.column_stack([numbers, numbers[::-1]])
    wanted = [[goes_left(row[feature], *rest) for feature, *rest in held] for row in rows.tolist()]
    np.testing.assert_array_equal(values(written, rows), np.array(wanted, dtype=float))


def _stump(node, place) -> Tree:
    return Tree(
        feature=np.array([node.feature[0], LEAF, LEAF]),
        threshold=np.array([node.threshold[0], 0, 0]),
        mode=(node.mode[0], Mode.LESS_OR_EQUAL, Mode.LESS_OR_EQUAL),
        yes=np.array([1, LEAF, LEAF]),
        no=np.array([2, LEAF, LEAF]),
        missing_goes_yes=np.array([node.missing_goes_yes[0], False, False]),
        values=np.array([[0.0], [1.0], [0.0]]),
        adds_to=(place,),
    )
