from __future__ import annotations

import numpy as np
import pytest

from tests.coreml.network.building import ROWS, check, numbers


def constant(made, name, *values):
    made.add_load_constant_nd(name, name, constant_value=np.asarray(values, float), shape=(len(values),))


def places(x, target, source):
    """A blob of the target's shape, filled place by place."""
    y = np.zeros(target)
    for place in np.ndindex(*target):
        y[place] = x[source(place)]
    return y


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 0, 1), (0, 1, 2)])
def test_transpose(tmp_path, axes):
    def want(x):
        target = [x.shape[axis] for axis in axes]
        return places(x, target, lambda place: tuple(place[axes.index(axis)] for axis in range(3)))

    check(tmp_path, lambda made: made.add_transpose("t", axes, "x", "y"), want, x=numbers(ROWS, 2, 3, 4))


@pytest.mark.parametrize("interleave", [True, False])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_and_stack_along_any_axis(tmp_path, interleave, axis):
    def add(made):
        made.add_concat_nd("c", ["a", "b"], "y", axis, interleave)
        made.add_stack("s", ["a", "b"], "z", axis)

    def want(a, b):
        first, second = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
        parts = [*first, *second]
        if interleave:
            parts = [each for pair in zip(first, second, strict=True) for each in pair]
        at = axis if axis >= 0 else axis + a.ndim + 1
        stacked = np.zeros(np.insert(a.shape, at, 2))
        for which, blob in enumerate((a, b)):
            for place in np.ndindex(*a.shape):
                stacked[(*place[:at], which, *place[at:])] = blob[place]
        return np.moveaxis(np.asarray(parts), 0, axis), stacked

    check(tmp_path, add, want, outputs=("y", "z"), a=numbers(ROWS, 2, 3, 4), b=numbers(ROWS, 2, 3, 4, seed=1))


def test_a_constant_is_joined_to_every_row(tmp_path):
    def add(made):
        constant(made, "c", 7, 8)
        made.add_concat_nd("j", ["x", "c"], "y", 0)

    check(tmp_path, add, lambda x: np.asarray([*x, 7, 8]), x=numbers(ROWS, 3))


@pytest.mark.parametrize("sizes", [None, [1, 3]])
@pytest.mark.parametrize("axis", [1, -2])
def test_split_along_any_axis(tmp_path, sizes, axis):
    end = 1 if sizes else 2
    check(
        tmp_path,
        lambda made: made.add_split_nd("s", "x", ["a", "b"], axis, 2, sizes or []),
        lambda x: (x[:, :end], x[:, end:]),
        outputs=("a", "b"),
        x=numbers(ROWS, 3, 4, 2),
    )


SLICES = [
    ([1, 2, 3], [3, -3, 2], [2, 2, 2], [True, False, True], [False, True, True], [False] * 3, np.s_[:3:2, 2::2, ::2]),
    ([1, 2, 3], [3, -3, 2], [2, 2, 2], [True, False, True], [False, True, True], [False, True, False], np.s_[:3:2, 2, ::2]),
    ([-1, 0, 4], [0, 5, 0], [-1, 1, -2], [False] * 3, [True, False, False], [False] * 3, np.s_[::-1, :, 4:0:-2]),
    ([-1, 1, 2], [0, 0, 0], [1, 1, 1], [False] * 3, [False] * 3, [True] * 3, np.s_[-1, 1, 2]),
]


@pytest.mark.parametrize("case", SLICES, ids=["the reference's", "one index", "backwards", "a single number"])
@pytest.mark.parametrize("dynamic", [True, False])
def test_a_slice_of_every_axis(tmp_path, case, dynamic):
    begins, ends, strides, from_start, to_end, single, where = case

    def add(made):
        if not dynamic:
            made.add_slice_static("s", "x", "y", begins, ends, strides, from_start, to_end, single)
            return
        constant(made, "b", *begins)
        constant(made, "e", *ends)
        made.add_slice_dynamic("s", ["x", "b", "e"], "y", None, strides, from_start, to_end, single)

    check(tmp_path, add, lambda x: np.atleast_1d(x[where]), x=numbers(ROWS, 5, 5, 5))


def test_a_slice_that_the_caller_gives_may_differ_from_row_to_row(tmp_path):
    def add(made):
        made.add_slice_dynamic("s", ["x", "b", "e"], "y", None, [1], [False], [False], [False])

    begins = np.asarray([[0], [2], [1]])
    check(tmp_path, add, lambda x, b, e: x[int(b[0]) : int(e[0])], x=numbers(ROWS, 5), b=begins, e=begins + 2)


def test_a_slice_by_size(tmp_path):
    def add(made):
        constant(made, "b", 1)
        made.add_slice_by_size("s", ["x", "b"], "y", -1, 2)

    check(tmp_path, add, lambda x: x[:, 1:3], x=numbers(ROWS, 3, 4))


@pytest.mark.parametrize(
    ("shape", "axes", "all_", "target"),
    [
        ((1, 1, 4, 5), (0, 1), False, (4, 5)),
        ((1, 4, 5, 1), (0, 3), False, (4, 5)),
        ((4, 5, 1, 1), (-2, -1), False, (4, 5)),
        ((1,), (0,), False, (1,)),
        ((2, 1, 3, 1), None, True, (2, 3)),
        ((1, 1), None, True, (1,)),
    ],
)
def test_squeeze(tmp_path, shape, axes, all_, target):
    check(
        tmp_path,
        lambda made: made.add_squeeze("s", "x", "y", axes, all_),
        lambda x: x.reshape(target),
        x=numbers(ROWS, *shape),
    )


@pytest.mark.parametrize(("axes", "target"), [((0, 1), (1, 1, 4, 5)), ((0, 2), (1, 4, 1, 5)), ((-2, -1), (4, 5, 1, 1))])
def test_expand_dims(tmp_path, axes, target):
    check(
        tmp_path, lambda made: made.add_expand_dims("e", "x", "y", axes), lambda x: x.reshape(target), x=numbers(ROWS, 4, 5)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "axis", "target"),
    [((3,), -1, (1, 3)), ((3,), 1, (3, 1)), ((4, 3), -1, (4, 3)), ((5, 2), 0, (1, 10)), ((5, 5, 3), -2, (5, 15))],
)
def test_flatten_to_2d(tmp_path, shape, axis, target):
    check(
        tmp_path,
        lambda made: made.add_flatten_to_2d("f", "x", "y", axis),
        lambda x: x.reshape(target),
        x=numbers(ROWS, *shape),
    )


def test_reshapes_of_all_kinds(tmp_path):
    def add(made):
        made.add_reshape_static("s", "x", "a", (5, -1))
        constant(made, "shape", 2, 10)
        made.add_reshape_dynamic("d", ["x", "shape"], "b")
        made.add_reshape_like("l", ["x", "like"], "c")
        made.add_rank_preserving_reshape("r", "x", "d", (0, -1))
        made.add_rank_preserving_reshape("q", "x", "e", (-1, 2))

    def want(x, like):
        return x.reshape(5, 4), x.reshape(2, 10), x.reshape(2, 5, 2), x.reshape(4, 5), x.reshape(10, 2)

    check(tmp_path, add, want, outputs=tuple("abcde"), x=numbers(ROWS, 4, 5), like=numbers(ROWS, 2, 5, 2))


@pytest.mark.parametrize("reps", [(1, 2, 3), (3,), (2, 1)])
def test_tile(tmp_path, reps):
    full = (1,) * (3 - len(reps)) + reps

    def add(made):
        made.add_tile("t", "x", "y", list(reps))
        constant(made, "r", *reps)
        made.add_tile("u", ["x", "r"], "z", [])

    def want(x):
        target = [size * times for size, times in zip(x.shape, full, strict=True)]
        y = places(x, target, lambda place: tuple(at % size for at, size in zip(place, x.shape, strict=True)))
        return y, y

    check(tmp_path, add, want, outputs=("y", "z"), x=numbers(ROWS, 2, 4, 2))


def test_what_is_counted_by_the_network_may_be_repeated_no_times(tmp_path):
    def add(made):
        constant(made, "none", 1, 0, 2)
        made.add_tile("t", ["x", "none"], "y", [])
        made.add_get_shape("s", "y", "z")

    check(tmp_path, add, lambda x: np.float32([2, 0, 4]), outputs=("z",), x=numbers(ROWS, 2, 4, 2))


def test_broadcasts_of_all_kinds(tmp_path):
    def add(made):
        made.add_broadcast_to_static("s", "x", "a", (2, 3, 4))
        constant(made, "shape", 2, 3, 4)
        made.add_broadcast_to_dynamic("d", ["x", "shape"], "b")
        made.add_broadcast_to_like("l", ["x", "like"], "c")

    def want(x, like):
        y = places(x, (2, 3, 4), lambda place: (place[1], 0))
        return y, y, y

    check(tmp_path, add, want, outputs=tuple("abc"), x=numbers(ROWS, 3, 1), like=numbers(ROWS, 2, 3, 4))


def test_reverse(tmp_path):
    check(
        tmp_path,
        lambda made: made.add_reverse("r", "x", "y", [True, False, True]),
        lambda x: x[::-1, :, ::-1],
        x=numbers(ROWS, 2, 3, 4),
    )


def test_reverse_so_many_of_each(tmp_path):
    def want(x, lengths):
        y = np.array(x)
        for b, length in enumerate(lengths.astype(int)):
            y[:, b, :length] = x[:, b, :length][:, ::-1]
        return y

    lengths = np.asarray([[3, 0, 4], [1, 2, 3], [4, 4, 0]])
    check(
        tmp_path,
        lambda made: made.add_reverse_sequence("r", ["x", "n"], "y", 1, 2),
        want,
        x=numbers(ROWS, 2, 3, 4),
        n=lengths,
    )


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("to_size", [True, False])
def test_constant_pad(tmp_path, given, to_size):
    amounts = [0, 6, 7, 0] if to_size else [0, 1, 4, 0]

    def add(made):
        if given:
            constant(made, "a", *amounts)
        made.add_constant_pad("p", ["x", "a"] if given else ["x"], "y", 0.5, to_size, [] if given else amounts)

    def want(x):
        y = np.full((6, 7) if to_size else (5, 9), 0.5)
        y[:4, -5:] = x
        return y

    check(tmp_path, add, want, x=numbers(ROWS, 4, 5))


@pytest.mark.parametrize(("shape", "axis"), [((7,), 0), ((2, 7, 3), 1), ((2, 7, 3), -2)])
def test_sliding_windows(tmp_path, shape, axis):
    def want(x):
        if x.ndim == 1:
            return np.stack([x[at : at + 3] for at in (0, 2, 4)])
        return np.stack([x[:, at : at + 3] for at in (0, 2, 4)], axis=1)

    check(tmp_path, lambda made: made.add_sliding_windows("s", "x", "y", axis, 3, 2), want, x=numbers(ROWS, *shape))


def test_a_copy_is_the_same(tmp_path):
    check(tmp_path, lambda made: made.add_copy("c", "x", "y"), lambda x: x, x=numbers(ROWS, 3))
