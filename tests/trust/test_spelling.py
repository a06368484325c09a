"""Text that others chose looks like nothing else where it is shown, and two texts never look the same."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlpublish.reporting.text import one_line
from mlpublish.trust.spelling import member, spelled, word

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
places = st.lists(st.text(max_size=5) | st.integers(0, 3), max_size=4).map(tuple)


@example("null", None)
@example("1", 1)
@given(st.text(), st.text() | st.none() | st.integers())
def test_two_texts_are_never_spelled_the_same_nor_like_what_is_no_text(one: str, other: object) -> None:
    assert (word(one) == word(other)) == (one == other)


@given(values, values)
def test_two_values_are_never_spelled_the_same(one: object, other: object) -> None:
    if repr(one) != repr(other) and spelled(one) == spelled(other):
        assert isinstance(one, dict | list)  # the order of members is all that two dicts may differ in
        assert one == other


@given(places, places)
def test_two_places_are_never_spelled_the_same(one: tuple[str | int, ...], other: tuple[str | int, ...]) -> None:
    assert (member(one) == member(other)) == (one == other)


@given(st.text())
def test_what_is_shown_stays_on_its_line_and_runs_one_way(text: str) -> None:
    shown = word(text)
    assert shown == one_line(shown)
    assert shown.isprintable()
    assert {unicodedata.bidirectional(letter) for letter in shown}.isdisjoint({"R", "AL", "AN", "RLO", "LRO", "RLE"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("digits-1.2_b", "digits-1.2_b"),
        ("ios/2.0", "ios/2.0"),
        ("", '""'),
        ("two words", '"two words"'),
        ("Jürgen", '"Jürgen"'),
        ('a"b', r'"a\"b"'),
        ("a\n+ floor of ios/2.0: 3", r'"a\n+ floor of ios/2.0: 3"'),
        ("evil\u202ecod", r'"evil\u202ecod"'),
        ("a\u200bb", r'"a\u200bb"'),
        ("\u05d0", r'"\u05d0"'),
        ("\x1b[2K", r'"\u001b[2K"'),
        ("\U000e0041", r'"\udb40\udc41"'),
    ],
)
def test_only_plain_words_go_unquoted(text: str, shown: str) -> None:
    assert word(text) == shown


def test_a_place_is_spelled_as_people_write_it() -> None:
    assert member(("delegations", "roles", 0, "paths", 1)) == "delegations.roles[0].paths[1]"
    assert member(("targets", "releases/3/bundle.zip", "length")) == 'targets["releases/3/bundle.zip"].length'
    assert member(("roles[0]",)) == '["roles[0]"]'
