from __future__ import annotations

import numpy as np
import pytest

from mlpublish.coreml.evaluate import load
from mlpublish.errors import ConversionError
from tests.coreml.network.building import ROWS, builder, check, numbers, save


def below(limit, *shape, seed=0):
    return np.random.default_rng(seed).integers(-limit, limit, (ROWS, *shape))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("shape", [(2,), (2, 5)])
def test_gather_takes_at_every_index(tmp_path, axis, shape):
    def want(x, i):
        y = np.stack([np.take(x, int(at), axis=axis) for at in i.reshape(-1)])  # (indices, the rest)
        where = axis % 3
        y = y.reshape(*shape, *y.shape[1:])
        return np.moveaxis(y, range(len(shape)), range(where, where + len(shape)))

    check(
        tmp_path,
        lambda made: made.add_gather("g", ["x", "i"], "y", axis),
        want,
        x=numbers(ROWS, 4, 4, 4),
        i=below(4, *shape),
    )


@pytest.mark.parametrize("shape", [(3, 1), (2, 2), (2, 3, 3)])
def test_gather_nd_takes_at_several_indices_at_once(tmp_path, shape):
    def want(x, i):
        found = [x[tuple(int(each) for each in at)] for at in i.reshape(-1, shape[-1])]
        return np.reshape(found, (*shape[:-1], *x.shape[shape[-1] :]))

    check(tmp_path, lambda made: made.add_gather_nd("g", ["x", "i"], "y"), want, x=numbers(ROWS, 4, 4, 4), i=below(4, *shape))


@pytest.mark.parametrize("axis", [0, -1])
def test_gather_along_an_axis(tmp_path, axis):
    def want(x, i):
        y = np.zeros(i.shape)
        for place in np.ndindex(*i.shape):
            source = list(place)
            source[axis] = int(i[place])
            y[place] = x[tuple(source)]
        return y

    shape = (2, 4) if axis == 0 else (4, 2)
    check(
        tmp_path,
        lambda made: made.add_gather_along_axis("g", ["x", "i"], "y", axis),
        want,
        x=numbers(ROWS, 4, 4),
        i=below(4, *shape),
    )


MODES = {
    "UPDATE": lambda old, new: new,
    "ADD": lambda old, new: old + new,
    "SUB": lambda old, new: old - new,
    "MUL": lambda old, new: old * new,
    "DIV": lambda old, new: old / new,
    "MAX": max,
    "MIN": min,
}


@pytest.mark.parametrize("mode", MODES)
def test_scatter_puts_the_updates_one_after_another(tmp_path, mode):
    def along(x, i, u):
        y = np.array(x, np.float64)
        for place in np.ndindex(*u.shape):
            at = (place[0], int(i[place[1]]))
            y[at] = MODES[mode](y[at], float(u[place]))
        return y

    check(
        tmp_path,
        lambda made: made.add_scatter("s", ["x", "i", "u"], "y", -1, mode),
        along,
        rtol=1e-4,
        x=numbers(ROWS, 3, 4),
        i=below(4, 5),
        u=numbers(ROWS, 3, 5, seed=1),
    )


@pytest.mark.parametrize("mode", MODES)
def test_scatter_nd_and_along_an_axis(tmp_path, mode):
    def want(x, i, j, u):
        first, second = np.array(x, np.float64), np.array(x, np.float64)
        for at, update in zip(i.astype(int), u, strict=True):
            for c in range(4):
                first[at[0], c] = MODES[mode](first[at[0], c], float(update[c]))
        for place in np.ndindex(*j.shape):
            at = (int(j[place]), place[1])
            second[at] = MODES[mode](second[at], float(u[place]))
        return first, second

    def add(made):
        made.add_scatter_nd("n", ["x", "i", "u"], "y", mode)
        made.add_scatter_along_axis("a", ["x", "j", "u"], "z", 0, mode)

    check(
        tmp_path,
        add,
        want,
        outputs=("y", "z"),
        rtol=1e-4,
        x=numbers(ROWS, 3, 4),
        i=below(3, 5, 1),
        j=below(3, 5, 4, seed=3),
        u=numbers(ROWS, 5, 4, seed=1),
    )


@pytest.mark.parametrize("index", [4.0, -5.0, np.inf, np.nan, 1e30])
def test_an_index_outside_is_refused(tmp_path, index):
    made = builder({"x": (4,), "i": (1,)})
    made.add_gather("g", ["x", "i"], "y", 0)
    with pytest.raises(ConversionError, match="layer 'g'"):
        load(save(made, tmp_path / "m.mlmodel")).predict({"x": numbers(4), "i": np.asarray([index])})


@pytest.mark.parametrize(("axis", "shape"), [(-1, (2, 3)), (0, (2, 3)), (1, (2, 3)), (-1, (4,))])
@pytest.mark.parametrize("given", [True, False])
def test_one_hot(tmp_path, axis, shape, given):
    def want(x):
        y = np.full((*x.shape, 5), -1.0)
        for place in np.ndindex(*x.shape):
            if 0 <= x[place] < 5:
                y[(*place, int(x[place]))] = 3.0
        return np.moveaxis(y, -1, axis)

    def add(made):
        if given:
            made.add_load_constant_nd("n", "n", constant_value=np.asarray([5.0]), shape=(1,))
        made.add_one_hot("h", ["x", "n"] if given else ["x"], "y", None if given else 5, axis, 3.0, -1.0)

    check(tmp_path, add, want, x=below(6, *shape))


def test_where_it_is_not_zero(tmp_path):
    """Every row asks for another shape; a row alone is answered."""
    made = builder({"x": (3, 3)})
    made.add_where_nonzero("w", "x", "y")
    model = load(save(made, tmp_path / "m.mlmodel"))
    x = np.asarray([[1, 2, 1], [0, 2, 2], [2, 1, 0]], np.float32)
    np.testing.assert_array_equal(model.predict({"x": x})["y"], [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [2, 0], [2, 1]])


@pytest.mark.parametrize(("low", "high"), [(1, 0), (-1, 1), (0, -1), (2, 2)])
def test_a_band_of_a_matrix(tmp_path, low, high):
    def want(x):
        y = np.array(x)
        for m, n in np.ndindex(3, 4):
            if not ((low < 0 or m - n <= low) and (high < 0 or n - m <= high)):
                y[..., m, n] = 0
        return y

    check(tmp_path, lambda made: made.add_matrix_band_part("b", "x", "y", low, high), want, x=numbers(ROWS, 2, 3, 4))


@pytest.mark.parametrize("k", [-1, 0, 2])
def test_triangles_of_a_matrix(tmp_path, k):
    def add(made):
        made.add_lower_triangular("l", "x", "y", k)
        made.add_upper_triangular("u", "x", "z", k)

    def want(x):
        low, high = np.zeros_like(x), np.zeros_like(x)
        for m, n in np.ndindex(3, 4):
            if n - m <= k:
                low[..., m, n] = x[..., m, n]
            if n - m >= k:
                high[..., m, n] = x[..., m, n]
        return low, high

    check(tmp_path, add, want, outputs=("y", "z"), x=numbers(ROWS, 2, 3, 4))
