from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlpublish.coreml.compare import Answers, difference
from mlpublish.errors import ConversionError

tables = arrays.arrays(np.float64, (5, 3), elements=st.integers(-(10**6), 10**6).map(lambda eighths: eighths / 8))


def _answers(table, labels=None, classes=(), scores=()):
    outputs = {"p": np.asarray(table, np.float64)}
    return Answers(
        outputs=outputs if labels is None else {**outputs, "label": np.asarray(labels)}, classes=classes, scores=scores
    )


@given(tables)
def test_the_same_answers_differ_by_nothing(table):
    found = difference(_answers(table, [0, 1, 2, 0, 1]), _answers(table, [0, 1, 2, 0, 1]))
    assert (found.max_abs, found.max_rel, found.labels) == (0, 0, 1)


@given(tables, st.floats(1e-3, 1e3), st.integers(0, 4), st.integers(0, 2))
def test_one_changed_number_is_the_difference(table, by, row, column):
    changed = table.copy()
    changed[row, column] += by
    found = difference(_answers(changed), _answers(table))
    assert found.max_abs == pytest.approx(by, rel=1e-6)
    assert (
        found.max_rel == pytest.approx(by / np.abs(table).max(initial=0), rel=1e-6) if table.any() else found.max_rel == np.inf
    )


@given(tables, st.permutations([0, 1, 2]))
def test_the_order_of_the_classes_does_not_matter_but_their_meaning_does(table, order):
    names = ("a", "b", "c")
    shuffled = _answers(table[:, order], classes=tuple(names[place] for place in order))
    assert difference(shuffled, _answers(table, classes=names)).max_abs == 0
    renamed = _answers(table, classes=tuple(names[place] for place in order))
    told_apart = difference(renamed, _answers(table, classes=names)).max_abs
    assert told_apart == pytest.approx(np.abs(table[:, np.argsort(order)] - table).max())


@pytest.mark.parametrize("side", ["got", "want"])
def test_a_nan_is_never_small(side):
    sick, sound = _answers([[1.0, np.nan]]), _answers([[1.0, 1.0]])
    found = difference(*((sick, sound) if side == "got" else (sound, sick)))
    assert np.isnan(found.max_rel)
    assert not found.max_rel <= 1e9


def test_a_class_that_is_missing_is_never_small():
    found = difference(_answers([[1.0, 2.0]], classes=("a", "x")), _answers([[1.0, 2.0]], classes=("a", "b")))
    assert not found.max_rel <= 1e9


def test_labels_and_choices_are_shares():
    table = np.eye(3)[[0, 1, 2, 0, 1]]
    found = difference(_answers(table, ["a", "b", "c", "a", "c"]), _answers(table, ["a", "b", "c", "a", "b"]))
    assert found.labels == pytest.approx(0.8)
    swapped = difference(_answers(table[:, [1, 0, 2]]), _answers(table, scores=("p",)))
    assert swapped.labels == pytest.approx(0.2)
    assert difference(_answers(table), _answers(table)).labels is None


def test_of_equal_scores_any_may_be_the_choice():
    want = _answers([[0.5, 0.5, 0.0], [0.2, 0.4, 0.4]], scores=("p",))
    assert difference(_answers([[0.5, 0.5 + 1e-16 * 4, 0.0], [0.2, 0.4, 0.4]], scores=("p",)), want).labels == 1
    assert difference(_answers([[0.5, 0.5, 0.0], [0.41, 0.4, 0.4]], scores=("p",)), want).labels == 0.5


def test_an_output_that_is_missing_or_of_another_size_is_refused():
    with pytest.raises(ConversionError, match="no output 'p'"):
        difference(Answers(outputs={}), _answers([[1.0]]))
    with pytest.raises(ConversionError, match=r"\(1, 2\).*\(1, 1\)"):
        difference(_answers([[1.0, 2.0]]), _answers([[1.0]]))


def test_a_label_may_be_another_where_the_wanted_scores_are_equal():
    table = np.array([[0.5, 0.5 - 1e-12, 0.0], [0.5, 0.49, 0.01], [0.2, 0.4, 0.4]])
    want = _answers(table, ["a", "a", "b"], classes=("a", "b", "c"), scores=("p",))
    assert difference(_answers(table, ["b", "a", "c"], classes=("a", "b", "c")), want).labels == 1
    assert difference(_answers(table, ["b", "b", "c"], classes=("a", "b", "c")), want).labels == pytest.approx(2 / 3)
    assert difference(_answers(table, ["z", "a", "c"], classes=("a", "b", "c")), want).labels == pytest.approx(2 / 3)


def test_one_output_is_compared_alone_with_what_the_others_tell_of_it():
    table = np.array([[0.5, 0.5], [0.9, 0.1]])
    want = _answers(table, ["a", "a"], classes=("a", "b"), scores=("p",))
    got = _answers(table + 1, ["b", "b"], classes=("a", "b"))
    assert difference(got, want, only="label").labels == 0.5
    assert difference(got, want, only="label").max_abs == 0
    assert difference(got, want, only="p").max_abs == 1
    assert difference(Answers(outputs={"label": got.outputs["label"]}), want, only="label").labels == 0.5
    lone = Answers(outputs={"label": want.outputs["label"]}, classes=("a", "b"), scores=("p",))
    assert difference(got, lone).labels == 0
