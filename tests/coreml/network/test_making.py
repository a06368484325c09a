from __future__ import annotations

import numpy as np
import pytest

from tests.coreml.network.building import ROWS, check, numbers


def test_a_constant_stands_in_every_row(tmp_path):
    held = numbers(2, 3, 4, seed=1)
    check(
        tmp_path,
        lambda made: made.add_load_constant("c", "y", held, held.shape),
        lambda x: held[None, None],
        exact=False,
        x=numbers(ROWS, 3),
    )


def test_a_constant_of_any_shape(tmp_path):
    held = numbers(3, 4, seed=1)
    check(
        tmp_path,
        lambda made: made.add_load_constant_nd("c", "y", held, held.shape),
        lambda x: held,
        x=numbers(ROWS, 3),
    )


def test_blobs_of_one_number(tmp_path):
    def add(made):
        made.add_fill_static("s", "a", (2, 3), 0.5)
        made.add_fill_like("l", "x", "b", 1.5)
        made.add_load_constant_nd("n", "n", constant_value=np.asarray([3.0, 2.0]), shape=(2,))
        made.add_fill_dynamic("d", "n", "c", 2.5)
        made.add_get_shape("g", "x", "e")

    def want(x):
        return np.full((2, 3), 0.5), np.full((4, 5), 1.5), np.full((3, 2), 2.5), np.asarray([4, 5])

    check(tmp_path, add, want, outputs=tuple("abce"), x=numbers(ROWS, 4, 5))


@pytest.mark.parametrize(("start", "end", "step"), [(0, 5, 1), (2, 9, 3), (5, -1, -2), (0, 1, 0.25), (3, 3, 1)])
@pytest.mark.parametrize("given", [0, 1, 2, 3])
def test_a_range_ends_before_its_end(tmp_path, start, end, step, given):
    def add(made):
        if given == 0:
            made.add_range_static("r", "y", ["x"][:0], end, start, step)
            return
        values = (end, start, step)[:given]
        for name, value in zip("abc", values, strict=False):
            made.add_load_constant_nd(name, name, constant_value=np.asarray([float(value)]), shape=(1,))
        made.add_range_dynamic("r", list("abc")[:given], "y", start, step)

    def want(x):
        found, at = [], start
        while (at < end) if step > 0 else (at > end):
            found.append(at)
            at += step
        return np.asarray(found, float)

    check(tmp_path, add, want, x=numbers(ROWS, 2))
