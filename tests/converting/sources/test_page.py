"""mlpublish/docs/sources.md is what the two kept runs say, and they know the whole catalogue."""

from __future__ import annotations

from tests.converting.sources import page
from tests.converting.sources.catalogue import entries, refusals
from tests.converting.sources.measured import NEWEST, OLDEST, Run, Told, here


def test_the_page_is_what_the_runs_say():
    made = page.page(Run.read(NEWEST), Run.read(OLDEST))
    assert page.PAGE.read_text(encoding="utf-8") == made, "run: python -m tests.converting.sources.page --write"


def test_a_run_knows_every_entry_and_no_other():
    kept = Run.read(here())
    assert list(kept.right) == [each.id for each in entries()]
    assert list(kept.refused) == [each.id for each in refusals()]


def test_a_bound_is_a_power_of_ten_with_room():
    assert [Told.of(worst, 1).bound for worst in (0.0, 2e-16, 3e-8, 5e-8)] == [1e-12, 1e-12, 1e-7, 1e-6]
