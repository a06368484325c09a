"""What a parity plot shows is a fair sample of the answers, the same in every run, and always the two furthest apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.converting.points import MOST, points_of
from mlpublish.coreml.compare import Answers
from mlpublish.formats.parity import Apart


def answers(values, classes=(), name="p"):
    return Answers(outputs={name: np.asarray(values)}, classes=classes)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_at_most_so_many_and_among_them_always_the_worst(rows, columns, seed):
    random = np.random.default_rng(seed)
    want = random.normal(size=(rows, columns)).astype(np.float32)
    got = want.copy()
    row, column = int(random.integers(rows)), int(random.integers(columns))
    got[row, column] += 5
    (found,) = points_of(answers(got), answers(want))
    assert len(found.want) == len(found.got) <= min(MOST, rows * columns)
    assert found.numbers == rows * columns
    assert (found.want[found.marked], found.got[found.marked]) == (float(want[row, column]), float(got[row, column]))
    assert (found.worst.row, found.worst.want, found.worst.got) == (row, float(want[row, column]), float(got[row, column]))
    assert points_of(answers(got), answers(want)) == (found,)


@pytest.mark.parametrize("columns", [2, 3, 10, 50, 100, 200])
def test_the_sample_is_never_in_step_with_the_columns(columns):
    """Each number says its column: all columns of a wide output are drawn, about equally often."""
    table = np.tile(np.arange(columns, dtype=np.float64), (500, 1))
    (found,) = points_of(answers(table), answers(table))
    counts = np.bincount(np.asarray(found.want, int), minlength=columns)
    assert np.count_nonzero(counts) >= min(columns, MOST) * 0.6
    assert counts.max() <= 3 * MOST / columns + 2


def test_the_worst_is_told_with_its_class():
    want = [[0.9, 0.1], [0.2, 0.8]]
    (found,) = points_of(answers([[0.9, 0.1], [0.3, 0.75]], ("cat", "dog")), answers(want, ("cat", "dog")))
    assert found.worst == Apart(row=1, place="class cat", want=0.2, got=0.3)
    assert found.told == "p of sample 1, class cat: the source model says 0.2, the saved file 0.3"


def test_the_worst_is_told_with_its_place_in_a_tensor():
    want = np.zeros((3, 2, 4))
    got = want.copy()
    got[2, 1, 3] = 0.5
    (found,) = points_of(answers(got), answers(want))
    assert (found.worst.row, found.worst.place) == (2, "[1, 3]")


def test_labels_are_not_drawn_and_the_first_that_differs_is_told():
    (found,) = points_of(answers(["a", "x", "y"]), answers(["a", "b", "c"]))
    assert (found.want, found.rel, found.marked) == ((), None, None)
    assert found.told == "p of sample 1: the source model says b, the saved file x"


def test_a_nan_is_the_worst():
    (found,) = points_of(answers([[1.0], [np.nan], [9.0]]), answers([[1.0], [2.0], [3.0]]))
    assert (found.worst.row, found.worst.want) == (1, 2.0)
    assert np.isnan(found.worst.got)


def test_equal_answers_have_no_worst():
    (found,) = points_of(answers([[1.0]]), answers([[1.0]]))
    assert (found.worst, found.marked, found.told) == (None, None, None)


def test_values_that_differ_late_are_told_with_the_digits_that_differ():
    (found,) = points_of(answers([0.123456789]), answers([0.123456788]))
    assert "says 0.123456788, the saved file 0.123456789" in found.told
