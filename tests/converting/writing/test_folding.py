from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from mlpublish.converting.graph.algebra import Linear
from mlpublish.converting.graph.columnwise import Clipped, Function, Imputed, IsMissing, Lookup, Name, Scaled
from mlpublish.converting.graph.machines import LEAF, Mode
from mlpublish.converting.graph.node import Array, Column, Join, Pick
from mlpublish.converting.writing.folding import folded
from tests.converting.graphs import values
from tests.converting.writing.forests import forest, grown, split

R = np.random.default_rng(5)
ROWS = R.normal(size=(200, 3)) * [1, 10, 1e-3] + [0, 100, 1]
X = Array(size=3)


def scaled(scaler, of=X):
    """A fitted scaler as its reader makes it."""
    made = scaler.fit(ROWS)
    return Scaled(of=of, shift=np.zeros(3), scale=np.ones(3), exact=lambda rows: made.transform(rows))


def beside(node, rows):
    """Rows on a forest's thresholds, and up to three doubles beside them."""
    made = [rows]
    for tree in node.trees:
        for feature, threshold in zip(tree.feature, tree.threshold, strict=True):
            if feature != LEAF and abs(threshold) < 1e300:  # beyond are splits that no row comes to
                some = rows[R.integers(len(rows), size=7)].copy()
                some[:, feature] = threshold
                for step in range(3):
                    some[step + 1 :: 4, feature] = np.nextafter(some[step + 1 :: 4, feature], np.inf)
                    some[step + 4 :, feature] = np.nextafter(some[step + 4 :, feature], -np.inf)
                made.append(some)
    return np.concatenate(made)


def steps():
    yield "standard", scaled(StandardScaler())
    yield "min and max", scaled(MinMaxScaler((-3, 7)))
    yield "robust", scaled(RobustScaler())
    yield "largest size", scaled(MaxAbsScaler())
    yield "by its formula", Scaled(of=X, shift=np.array([1.0, -100.3, 0.1]), scale=np.array([0.3, -0.07, 1e3]))
    yield "clipped", Clipped(of=scaled(StandardScaler()), low=-1, high=0.5)
    yield "imputed", Imputed(of=X, values=np.array([0.1, 99.0, 1.0]))
    yield "imputed, then scaled", scaled(StandardScaler(), Imputed(of=X, values=np.array([0.1, 99.0, 1.0])))
    yield "scaled, then imputed", Imputed(of=scaled(StandardScaler()), values=np.array([0.5, -0.5, 0.0]))
    yield "which is missing", Join(parts=(X, IsMissing(of=X)))
    yield "two scalers", scaled(MinMaxScaler(), scaled(StandardScaler()))
    yield "the same column twice", Join(parts=(scaled(StandardScaler()), Pick(of=scaled(StandardScaler()), places=(2, 0))))
    yield "one column, twice from one", Pick(of=scaled(StandardScaler()), places=(1, 1, 2))
    for name in (
        Name.EXPM1,
        Name.CBRT,
        Name.NEGATIVE,
        Name.ARCTAN,
        Name.TANH,
        Name.FLOOR,
        Name.RELU,
        Name.POSITIVE,
        Name.EXPIT,
    ):
        yield name.value, Function(of=Scaled(of=X, shift=np.array([0.0, -100.0, -1.0]), scale=np.ones(3)), name=name)


STEPS = dict(steps())


@pytest.mark.parametrize("rounds", [False, True], ids=["doubles", "float32"])
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_split_behind_a_step_is_the_split_before_it(step, rounds):
    with np.errstate(all="ignore"):
        behind = values(step, ROWS)
    places = np.unique(behind[~np.isnan(behind)])
    places = places[::7] if len(places) > 14 else places
    if isinstance(step, Function):  # a library's tanh is not monotone in its last bit; a split lies between its values
        places = (places[1:] + places[:-1]) / 2
    node = forest(step, *(grown(R, step.width, 4, places=places) for _ in range(5)), rounds=rounds)
    made = folded(node, [X])
    assert made.of is X
    assert not made.rounds
    rows = beside(made, ROWS)
    rows[R.random(rows.shape) < 0.1] = np.nan
    np.testing.assert_array_equal(values(made, rows), values(node, rows))


@pytest.mark.parametrize("name", [Name.LOG, Name.LOG1P, Name.SQRT, Name.LOG2])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_where_a_logarithm_is_a_number_its_splits_hold(name, sign):
    of = Scaled(of=X, shift=np.zeros(3), scale=np.full(3, sign))
    node = forest(
        Function(of=of, name=name), *(grown(R, 3, 4, places=[-3.0, 0.1, 0.5, 2.0]) for _ in range(5)), takes_missing=False
    )
    made = folded(node, [X])
    assert made.of is X
    rows = sign * np.abs(beside(made, ROWS))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(values(made, rows), values(node, rows))


def test_a_logarithm_stays_where_no_number_is_a_missing_value():
    log = Function(of=X, name=Name.LOG)
    assert folded(forest(log, split(0, 1.0)), [X]).of is log


@pytest.mark.parametrize(
    "step",
    [
        Function(of=X, name=Name.SQUARE),
        Function(of=X, name=Name.ABSOLUTE),
        Function(of=X, name=Name.RECIPROCAL),
        Function(of=X, name=Name.SIN),
        Linear(of=X, weights=np.eye(3), offset=np.zeros(3)),
        Imputed(of=X, values=np.zeros(3), missing=-999.0),
        IsMissing(of=X, missing=-999.0),
    ],
    ids=["square", "absolute", "reciprocal", "sine", "linear", "another sign for missing", "which has another sign"],
)
def test_what_is_not_monotone_stays(step):
    made = folded(forest(step, split(1, 0.5)), [X])
    assert made.of is step
    assert made.trees[0].threshold[0] == 0.5


def test_trees_read_all_columns_in_their_order_and_then_what_stays():
    columns = [Column(name=name, feature=name) for name in "abc"]
    texts = Lookup(of=Column(name="t", feature="t"), keys=("x", "y"), table=np.eye(2), unknown=np.zeros(2))
    picked = Scaled(of=Join(parts=(columns[2], columns[0])), shift=np.zeros(2), scale=np.full(2, 2.0))
    node = forest(Join(parts=(texts, picked)), split(1, 0.5), split(2, 6.0), split(3, 7.0, Mode.LESS))
    made = folded(node, columns)
    assert isinstance(made.of, Join)
    assert made.of.parts == (*columns, texts)
    assert [int(tree.feature[0]) for tree in made.trees] == [4, 2, 0]
    assert made.trees[1].threshold[0] == 3.0


def test_a_way_for_missing_values_stays_only_where_there_are_any():
    node = forest(X, split(0, 0.5, missing=True), takes_missing=False)
    assert not folded(node, [X]).trees[0].missing_goes_yes.any()
    assert folded(replace(node, takes_missing=True), [X]).trees[0].missing_goes_yes[0]
    imputed = replace(node, of=Imputed(of=X, values=np.zeros(3)))
    assert folded(imputed, [X]).trees[0].missing_goes_yes[0]


def test_a_constant_step_always_answers_the_same():
    step = Scaled(of=X, shift=np.zeros(3), scale=np.zeros(3))
    node = forest(step, split(0, 0.5), split(1, -0.5), split(2, 0.0, Mode.LESS))
    np.testing.assert_array_equal(values(folded(node, [X]), ROWS)[:, 0], np.full(200, 1.0 + 2.0 + 2.0))


def test_many_splits_of_one_feature_are_moved_in_parts():
    numbers = np.linspace(-1, 1, 10_001)
    node = forest(scaled(StandardScaler()), *(split(0, number) for number in numbers))
    made = folded(node, [X])
    moved = np.array([tree.threshold[0] for tree in made.trees])
    fitted = StandardScaler().fit(ROWS)
    np.testing.assert_allclose(moved, numbers * fitted.scale_[0] + fitted.mean_[0], rtol=1e-12, atol=1e-15)
    assert (np.diff(moved) >= 0).all()


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-1e6, 1e6),
    st.floats(1e-6, 1e6),
    st.floats(-1e9, 1e9),
    st.booleans(),
    st.sampled_from(list(Mode)[:4]),
    st.booleans(),
)
def test_any_scaled_split_is_exact(mean, scale, threshold, rounds, mode, falls):
    factor = -scale if falls else scale
    one = Array(size=1)
    step = Scaled(of=one, shift=np.array([-mean]), scale=np.array([1 / factor]), exact=lambda rows: (rows - mean) / factor)
    node = forest(step, split(0, threshold, mode), rounds=rounds)
    made = folded(node, [one])
    at = made.trees[0].threshold[0]
    near = [at, np.nextafter(at, np.inf), np.nextafter(at, -np.inf), mean, threshold * factor + mean, 0.0, at + 1, at - 1]
    rows = np.array(near)[:, np.newaxis]
    np.testing.assert_array_equal(values(made, rows), values(node, rows))


def test_the_functions_are_the_libraries_own():
    step = FunctionTransformer(special.expit)
    node = forest(Function(of=X, name=Name.EXPIT), *(split(0, number) for number in step.transform(ROWS[:20, :1])[:, 0]))
    made = folded(node, [X])
    np.testing.assert_array_equal(values(made, ROWS), values(node, ROWS))
