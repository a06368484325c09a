"""What a file or a server says stays on its own line, and shows all that is in it."""

from __future__ import annotations

import json

import pytest

from mlpublish.reporting.text import one_line


@pytest.mark.parametrize("text", ["a\nproven  forged", "a\r\nb", "a\x1b[2Jb", "a\u2028b", "a\x9b31mb", "a\x00b"])
def test_no_text_makes_a_line_of_its_own_or_moves_the_cursor(text: str) -> None:
    assert one_line(text).isprintable()
    assert len(one_line(text).splitlines()) == 1


UNSEEN = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u00ad\U000e0041\ud800"


@pytest.mark.parametrize("letter", UNSEEN, ids=ascii)
def test_what_nobody_would_see_is_escaped(letter: str) -> None:
    assert one_line(f"a{letter}b") == f"a{json.dumps(letter)[1:-1]}b"


@pytest.mark.parametrize("text", ["Grüße, 世界", "a\u00a0b", "שלום", "👍🏽"])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert one_line(text) == text


def test_one_text_never_floods_a_screen_and_says_how_much_is_left_out() -> None:
    line = one_line("x" * 3_000_000)
    assert line == f"{'x' * 4000}… (2996000 more characters, shown with --json)"
    assert one_line("\u202e" * 4000).startswith("\\u202e" * 666)
    assert len(one_line("\u202e" * 4000)) < 4100
