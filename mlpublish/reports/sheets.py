"""A report as the writers of documents read it (JUnit, HTML, text): facts, cases that passed or failed, tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from mlpublish.shown import Table as Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that a report asserts.

    Args:
        told: what it came to, in one sentence.
        failed: in what it failed, such as a status; None if it did not.
        skipped: whether it was not come to.
    """

    name: str
    told: str = ""
    seconds: float = 0.0
    failed: str | None = None
    skipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A report, ready to be written in any form.

    Args:
        title: which verb it is of, such as ``mlpublish check``.
        outcome: what it came to, in a word.
        passed: whether that is well.
        facts: name -> value, in order; None is left out.
        cases: what a build server counts.
        tables: those without a row are left out.
    """

    title: str
    outcome: str
    passed: bool
    facts: Mapping[str, object]
    cases: tuple[Case, ...] = ()
    tables: tuple[Table, ...] = ()


class Reported(Protocol):
    """A report that can be written as a document."""

    def sheet(self) -> Sheet:
        """What a document says of it."""
