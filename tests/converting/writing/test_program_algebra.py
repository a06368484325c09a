"""Products, shares, norms, distances and what is nearest: what a saved program says, beside the graph in doubles."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlpublish.converting.graph.algebra import (
    Chosen,
    Combined,
    Distances,
    Interpolated,
    Linear,
    Nearest,
    Normalised,
    Reduced,
    Reduction,
    Sign,
    Softmax,
    Sum,
    WeightedMedian,
    of_two,
    shares,
)
from mlpublish.converting.graph.answer import Number, Predicted
from mlpublish.converting.graph.columnwise import Function, Name, Scaled
from mlpublish.converting.graph.node import Array, Node, Pick
from tests.converting.graphs import values
from tests.converting.writing.programs import BACKENDS, asked, differences, saved

EVERY_BACKEND = pytest.mark.parametrize("backend", BACKENDS)
EVERY_WIDTH = pytest.mark.parametrize("width", [1, 2, 5])


def rows_of(width: int) -> np.ndarray:
    """Any numbers, zeros, equal ones, large and small ones."""
    random = np.random.default_rng(width)
    some = [random.normal(size=(5, width)), np.zeros((1, width)), np.full((1, width), 2.5), -np.full((1, width), 2.5)]
    return np.vstack([*some, random.normal(size=(2, width)) * 1e3, random.normal(size=(1, width)) * 1e-3])


@EVERY_WIDTH
@EVERY_BACKEND
def test_products_sums_and_reductions(tmp_path, width, backend):
    random = np.random.default_rng(7)
    x = Array(size=width)
    first = Pick(of=x, places=(0,))
    nodes: dict[str, Node] = {
        "linear": Linear(of=x, weights=random.normal(size=(3, width)), offset=random.normal(size=3)),
        "one": Linear(of=x, weights=random.normal(size=(1, width)), offset=random.normal(size=1)),
        "sum": Sum(parts=(x, x, x), weights=(1.0, -0.3, 2.0)),
        "sum_of_one": Sum(parts=(x,), weights=(0.25,)),
        "softmax": Softmax(of=x),
        "chosen": Chosen(of=x),
        "two": of_two(Function(of=first, name=Name.EXPIT)),
    }
    nodes |= {by.name.lower(): Reduced(of=x, by=by) for by in Reduction}
    nodes |= {f"{norm}_norm": Normalised(of=x, norm=norm) for norm in ("l1", "l2", "max")}
    gaps = differences(tmp_path, nodes, rows_of(width), backend=backend)
    assert {name for name, gap in gaps.items() if gap > 1e-6} == set()
    assert [gaps[name] for name in ("chosen", "place_of_largest", "place_of_smallest", "largest")] == [0.0] * 4


@EVERY_WIDTH
@EVERY_BACKEND
def test_two_nodes_number_by_number(tmp_path, width, backend):
    x = Array(size=width)
    first = Pick(of=x, places=(0,))
    pairs = {"same": (x, x), "first_right": (x, first), "first_left": (first, x)}
    nodes = {
        f"{sign.value}_{name}": Combined(left=left, sign=sign, right=right)
        for name, (left, right) in pairs.items()
        for sign in Sign
    }
    nodes["told"] = Combined(left=x, sign=Sign.OVER, right=first, zero_over_zero=0.25)
    nodes["shares"] = shares(Function(of=x, name=Name.ABSOLUTE), zero_over_zero=0.5)
    gaps = differences(tmp_path, nodes, rows_of(width), backend=backend)
    assert max(gaps.values()) < 1e-6


def test_large_and_small_numbers_keep_their_softmax_and_their_norm(tmp_path):
    x = Array(size=3)
    rows = np.array(
        [[1e4, 1e4 + 1, -1e4], [-3e38, 0, 3e38], [1e-30, 2e-30, 0], [1e25, -2e25, 1e24], [-1e3, -1e3 - 2, -1e3 - 20]]
    )
    nodes = {"softmax": Softmax(of=x)} | {norm: Normalised(of=x, norm=norm) for norm in ("l1", "l2", "max")}
    assert max(differences(tmp_path, nodes, rows).values()) < 1e-6


@pytest.mark.parametrize("nothing", [1 / 3, 0.0], ids=["all alike", "none"])
@EVERY_BACKEND
def test_shares_of_logistics_tell_classes_apart_where_float32_has_zeros(tmp_path, backend, nothing):
    node = shares(Function(of=Array(size=3), name=Name.EXPIT), zero_over_zero=nothing)
    rows = np.array(
        [[-110.0, -111, -300], [-700, -701, -702], [-800, -900, -1e4], [-740, -800, 3], [40, 50, -3], [0.1, -0.2, 0.3]]
    )
    wanted = values(node, rows)
    assert np.ptp(wanted[1]) > 0.5  # doubles do
    assert differences(tmp_path, {"shares": node}, rows, backend=backend)["shares"] < 5e-5


def test_both_classes_keep_their_small_probabilities(tmp_path):
    node = of_two(Function(of=Array(size=1), name=Name.EXPIT))
    path = saved(tmp_path, Predicted(numbers=(Number(name="prediction", node=node),)))
    rows = np.array([[-60.0], [-3.0], [0.0], [20.0], [60.0]])
    wanted = 1 / (1 + np.exp(np.hstack([rows, -rows])))
    np.testing.assert_allclose(asked(path, rows)["prediction"], wanted, rtol=3e-6)


@pytest.mark.parametrize("width", [1, 4])
@EVERY_BACKEND
def test_distances_of_every_power(tmp_path, width, backend):
    random = np.random.default_rng(3)
    x, points = Array(size=width), random.normal(size=(6, width))
    powers = (1.0, 1.5, 2.0, 3.0, math.inf)
    nodes = {f"power_{power}": Distances(of=x, points=points, power=power) for power in powers}
    nodes["weighted"] = Distances(of=x, points=points, weights=random.uniform(size=(6, width)))
    nodes["to_one"] = Distances(of=x, points=points[:1])
    rows = np.vstack([random.normal(size=(4, width)), points.astype(np.float32)])
    assert max(differences(tmp_path, nodes, rows, backend=backend).values()) < 2e-6


def test_points_far_from_zero_are_told_apart(tmp_path):
    """Between neighbouring float32 numbers there are 128 here."""
    random = np.random.default_rng(5)
    points = 1.6e9 + 1e5 * random.normal(size=(9, 2))
    node = Distances(of=Array(size=2), points=points)
    rows = 1.6e9 + 1e5 * random.normal(size=(12, 2))
    assert differences(tmp_path, {"distances": node}, rows)["distances"] < 2e-6


@pytest.mark.parametrize("results", [1, 3])
@EVERY_BACKEND
def test_the_mean_of_the_nearest(tmp_path, results, backend):
    random = np.random.default_rng(results)
    points = random.normal(size=(12, 2)).astype(np.float32).astype(np.float64)
    x, targets, nodes = Array(size=2), random.normal(size=(12, results)), {}
    for power in (1.0, 2.0, math.inf):
        distances = Distances(of=x, points=points, power=power)
        for count, inverse in ((1, False), (3, False), (3, True), (12, True)):
            root = 1.0 if math.isinf(power) else power
            near = Nearest(of=distances, count=count, targets=targets, inverse=inverse, root=root)
            nodes[f"{power}_{count}_{inverse}"] = near
    rows = np.vstack([random.normal(size=(6, 2)), points])
    assert max(differences(tmp_path, nodes, rows, backend=backend).values()) < 1e-5


def test_of_equally_near_ones_the_first_is_taken_and_a_distance_of_0_counts_alone(tmp_path):
    x = Array(size=4)
    targets = np.array([[1.0], [2.0], [4.0], [8.0]])
    nodes = {
        "first": Nearest(of=x, count=2, targets=targets),
        "zero": Nearest(of=x, count=3, targets=targets, inverse=True, root=2.0),
    }
    rows = np.array([[1.0, 1, 1, 1], [3, 1, 1, 1], [0, 2, 0, 5], [1e-38, 1, 1, 1], [1e30, 2e30, 3e30, 1e38]])
    assert max(differences(tmp_path, nodes, rows).values()) < 1e-6


@EVERY_BACKEND
def test_the_weighted_median(tmp_path, backend):
    random = np.random.default_rng(1)
    x = Array(size=6)
    weights = {
        "any": random.uniform(0.1, 2, size=6),
        "equal": np.full(6, 0.1),
        "ones": np.ones(6),
        "halves": np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0]),
        "one_rules": np.array([1e-9, 1e-9, 1e-9, 1.0, 1e-9, 1e-9]),
        "near": np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0 + 1e-9]),
    }
    nodes = {name: WeightedMedian(of=x, weights=each) for name, each in weights.items()}
    nodes["alone"] = WeightedMedian(of=Pick(of=x, places=(2,)), weights=np.array([0.7]))
    rows = np.vstack([random.normal(size=(30, 6)), random.integers(0, 3, size=(10, 6)), np.zeros((1, 6))])
    assert set(differences(tmp_path, nodes, rows, backend=backend).values()) == {0.0}


@pytest.mark.parametrize("count", [50, 301])
def test_a_median_of_many_by_equal_or_unequal_weights(tmp_path, count):
    random = np.random.default_rng(count)
    x = Array(size=count)
    nodes = {
        "equal": WeightedMedian(of=x, weights=np.full(count, 0.1)),
        "unequal": WeightedMedian(of=x, weights=np.log(random.uniform(1, 9, size=count))),
    }
    assert set(differences(tmp_path, nodes, random.normal(size=(4, count))).values()) == {0.0}


@EVERY_BACKEND
def test_a_line_through_points(tmp_path, backend):
    x = Array(size=1)
    random = np.random.default_rng(2)
    many = np.sort(random.normal(size=60))
    nodes = {
        "rising": Interpolated(of=x, x=np.array([-1.0, 0.0, 2.0]), y=np.array([0.1, 0.4, 0.9])),
        "any": Interpolated(of=x, x=many, y=random.normal(size=60)),
        "two": Interpolated(of=x, x=np.array([-1.0, 1.0]), y=np.array([3.0, -3.0])),
        "one": Interpolated(of=x, x=np.array([0.5]), y=np.array([0.25])),
        "step": Interpolated(of=x, x=np.array([-1.0, 0.3, 0.3 + 1e-12, 1.0]), y=np.array([0.0, 0.0, 1.0, 1.0])),
    }
    rows = np.concatenate([np.linspace(-3, 3, 25), [-math.inf, math.inf, 0.5]])[:, np.newaxis]
    assert max(differences(tmp_path, nodes, rows, backend=backend).values()) < 3e-6


def test_a_line_far_from_zero_is_followed(tmp_path):
    x = Scaled(of=Array(size=1), shift=np.zeros(1), scale=np.ones(1))
    node = Interpolated(of=x, x=np.array([1.6e9 + 1, 1.6e9 + 300, 1.6e9 + 1000]), y=np.array([0.0, 0.3, 1.0]))
    rows = (np.float32(1.6e9) + 128 * np.arange(-2, 12))[:, np.newaxis]
    assert differences(tmp_path, {"line": node}, rows)["line"] < 1e-6
