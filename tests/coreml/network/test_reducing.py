from __future__ import annotations

import math

import numpy as np
import pytest

from tests.coreml.network.building import ROWS, check, numbers

MODES = {
    "sum": sum,
    "avg": lambda v: sum(v) / len(v),
    "prod": math.prod,
    "logsum": lambda v: sum(math.log(each + 0.01) for each in v),
    "sumsquare": lambda v: sum(each * each for each in v),
    "L1": lambda v: sum(map(abs, v)),
    "L2": lambda v: sum(each * each for each in v) ** 0.5,
    "max": max,
    "min": min,
    "argmax": lambda v: v.index(max(v)),
}
AXES = {"CHW": (-3, -2, -1), "HW": (-2, -1), "C": (-3,), "H": (-2,), "W": (-1,)}


def reduced(x, axes, run, keep=True):
    """Every place of what is left, with all the numbers that fall onto it."""
    where = sorted(axis % x.ndim for axis in axes)
    shape = [1 if axis in where else size for axis, size in enumerate(x.shape)]
    y = np.zeros(shape)
    for place in np.ndindex(*shape):
        seen = x[tuple(slice(None) if axis in where else at for axis, at in enumerate(place))]
        y[place] = run([float(each) for each in seen.reshape(-1)])
    return y if keep else y.reshape([size for axis, size in enumerate(x.shape) if axis not in where] or [1])


OF_IMAGES = [(mode, axis) for mode in MODES for axis in AXES if mode != "argmax" or len(AXES[axis]) == 1]


@pytest.mark.parametrize(("mode", "axis"), OF_IMAGES)
@pytest.mark.parametrize("exact", [True, False])
def test_a_reduction_of_the_image(tmp_path, mode, axis, exact):
    x = np.abs(numbers(ROWS, 3, 2, 4)) + 0.1
    check(
        tmp_path,
        lambda made: made.add_reduce("r", "x", "y", axis, mode, epsilon=0.01),
        lambda x: reduced(x, AXES[axis], MODES[mode]),
        exact=exact,
        rtol=1e-4,
        x=x,
    )


ANY = {
    "sum": sum,
    "mean": MODES["avg"],
    "prod": math.prod,
    "max": max,
    "min": min,
    "l1": MODES["L1"],
    "l2": MODES["L2"],
    "sumsquare": MODES["sumsquare"],
    "logsum": lambda v: math.log(sum(v)),
    "logsumexp": lambda v: math.log(sum(map(math.exp, v))),
}


@pytest.mark.parametrize("kind", ANY)
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("axes", [(0,), (-1, 0), (1, 2), None])
def test_a_reduction_over_any_axes(tmp_path, kind, keep, axes):
    x = np.abs(numbers(ROWS, 3, 2, 4)) + 0.1
    check(
        tmp_path,
        lambda made: getattr(made, f"add_reduce_{kind}")(
            "r", "x", "y", axes=list(axes or [0]), keepdims=keep, reduce_all=axes is None
        ),
        lambda x: reduced(x, axes or (0, 1, 2), ANY[kind], keep),
        rtol=1e-4,
        x=x,
    )


@pytest.mark.parametrize("kind", ["argmax", "argmin"])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("shape", [(3, 4), (5,)])
def test_where_the_largest_stands(tmp_path, kind, keep, shape):
    best = max if kind == "argmax" else min
    x = np.random.default_rng(0).integers(0, 3, (ROWS, *shape)).astype(np.float32)  # with equals: the first counts
    check(
        tmp_path,
        lambda made: getattr(made, f"add_{kind}")("a", "x", "y", -1, keepdims=keep),
        lambda x: reduced(x, (-1,), lambda v: v.index(best(v)), keep),
        x=x,
    )


@pytest.mark.parametrize("bottom", [True, False])
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("axis", [0, -1])
def test_the_first_few_in_order(tmp_path, bottom, given, axis):
    def want(x):
        moved = np.moveaxis(x, axis, -1)
        order = np.asarray([sorted(range(len(v)), key=lambda i: v[i] if bottom else -v[i])[:2] for v in moved])
        values = np.asarray([[v[i] for i in o] for v, o in zip(moved, order, strict=True)])
        return np.moveaxis(values, -1, axis), np.moveaxis(order, -1, axis)

    def add(made):
        if given:
            made.add_load_constant_nd("k", "k", constant_value=np.asarray([2.0]), shape=(1,))
        made.add_topk("t", ["x", "k"] if given else ["x"], ["y", "i"], 2, axis, bottom)

    check(tmp_path, add, want, outputs=("y", "i"), x=numbers(ROWS, 4, 5))


@pytest.mark.parametrize("descending", [True, False])
def test_the_order_of_numbers(tmp_path, descending):
    check(
        tmp_path,
        lambda made: made.add_argsort("a", "x", "y", 1, descending),
        lambda x: np.asarray([sorted(range(5), key=lambda i: -v[i] if descending else v[i]) for v in x]),
        x=numbers(ROWS, 4, 5),
    )


@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("axis", [0, -1])
def test_sums_that_grow(tmp_path, reverse, before, axis):
    def want(x):
        y = np.zeros_like(x)
        for place in np.ndindex(*x.shape):
            at = place[axis]
            there = range(at + before, x.shape[axis]) if reverse else range(0, at + 1 - before)
            y[place] = sum(x[(i, place[1]) if axis == 0 else (place[0], i)] for i in there)
        return y

    check(
        tmp_path,
        lambda made: made.add_cumsum("c", ["x"], "y", axis, reverse, before),
        want,
        x=numbers(ROWS, 3, 4),
    )
