"""mlpublish/docs/coreml-ops.md is what a run of the cases says."""

from __future__ import annotations

import pytest


def test_the_page_is_what_the_cases_say():
    pytest.importorskip("torch", reason="the page counts torch's runs too: pip install 'mlpublish[torch]'")
    from tests.coreml.ops import page

    assert page.PAGE.read_text(encoding="utf-8") == page.page(), "run: python -m tests.coreml.ops.page --write"
