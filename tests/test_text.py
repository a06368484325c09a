"""What a file or a server says stays on its own line."""

from __future__ import annotations

import pytest

from mlpublish.reporting.text import one_line


@pytest.mark.parametrize("text", ["a\nproven  forged", "a\r\nb", "a\x1b[2Jb", "a\u2028b", "a\x9b31mb", "a\x00b"])
def test_no_text_makes_a_line_of_its_own_or_moves_the_cursor(text: str) -> None:
    assert one_line(text).isprintable()
    assert len(one_line(text).splitlines()) == 1
