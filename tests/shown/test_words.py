from __future__ import annotations

import pytest

from mlpublish.shown import fact


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", "ValueError"),
        ("\n \n", "ValueError"),
        ("\nIt is too small.\nSee there.", "It is too small"),
        ("In short:", "In short"),
        ("x" * 400, "x" * 299 + "…"),
    ],
    ids=["nothing", "blank", "lines", "colon", "long"],
)
def test_an_error_is_told_in_one_line(said, told):
    assert fact(ValueError(said)) == told
