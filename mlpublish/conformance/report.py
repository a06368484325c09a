"""What a client made of the cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlpublish.conformance.case import Answer
from mlpublish.reports.sheets import Case as Asserted
from mlpublish.reports.sheets import Sheet
from mlpublish.shown import Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """How a client did in one case; the first step that went wrong is told, and no further one was asked.

    Args:
        step: which step went wrong, from 1; None if the client passed.
        problem: what was wrong with it.
        got: what the client answered, if it did.
        seconds: for all steps.
    """

    name: str
    group: str
    shows: str
    seconds: float
    step: int | None = None
    problem: str | None = None
    expected: Answer | None = None
    got: Answer | None = None

    @property
    def passed(self) -> bool:
        return self.step is None

    @property
    def told(self) -> str:
        """What went wrong, in one sentence; what the case shows, if nothing did."""
        return self.shows if self.passed else f"step {self.step}: {self.problem}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "group": self.group,
            "shows": self.shows,
            "passed": self.passed,
            "seconds": round(self.seconds, 3),
            "step": self.step,
            "problem": self.problem,
            "expected": None if self.expected is None else self.expected.to_dict(),
            "got": None if self.got is None else self.got.to_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ConformanceReport(Shown):
    """Every case that was asked, in order."""

    entrypoint: str
    results: tuple[CaseResult, ...]

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        """The cases in which the client went wrong."""
        return tuple(result for result in self.results if not result.passed)

    def rows(self) -> Mapping[str, object]:
        failed = {result.name: result.told for result in self.failed}
        return {"passed": len(self.results) - len(failed), "failed": len(failed), **failed}

    def sheet(self) -> Sheet:
        """What a document says of it (JUnit, HTML)."""
        asserted = tuple(
            Asserted(name=each.name, told=each.told, seconds=each.seconds, failed=None if each.passed else each.group)
            for each in self.results
        )
        return Sheet(
            title="mlpublish conformance",
            outcome="FAILED" if self.failed else "passed",
            passed=not self.failed,
            facts={"client": self.entrypoint, "passed": len(self.results) - len(self.failed), "failed": len(self.failed)},
            cases=asserted,
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "entrypoint": self.entrypoint,
            "passed": len(self.results) - len(self.failed),
            "failed": len(self.failed),
            "cases": [result.to_dict() for result in self.results],
        }
