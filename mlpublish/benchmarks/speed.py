"""What was measured of a saved file beside its source, and what is promised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mlpublish.shown import Block, Shown, Table

PROGRAM_BAR, TREES_BAR, LOAD_BAR = 2.0, 3.0, 0.5
"""Times the source's own time, for ML Programs and for tree ensembles; seconds, for opening 100 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """One saved file beside its source.

    Args:
        name: the model, what the file holds, and how it was run.
        source: median seconds of the source library; None where nothing is compared (opening a file).
        ours: median seconds of the evaluator.
        bar: what is promised: a ratio, or seconds where nothing is compared.
    """

    name: str
    source: float | None
    ours: float
    bar: float

    @property
    def measured(self) -> float:
        """What is held against the bar."""
        return self.ours if self.source is None else self.ours / self.source

    @property
    def kept(self) -> bool:
        """Whether the bar was kept."""
        return self.measured <= self.bar

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "source_seconds": self.source,
            "seconds": self.ours,
            "measured": self.measured,
            "bar": self.bar,
            "kept": self.kept,
        }

    def cells(self) -> tuple[str, ...]:
        source = "" if self.source is None else f"{self.source * 1e3:.2f} ms"
        unit = " s" if self.source is None else " ×"
        return self.name, source, f"{self.ours * 1e3:.2f} ms", f"{self.measured:.2f}{unit}", f"{self.bar:g}{unit}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SpeedReport(Shown):
    """All that was measured.

    Args:
        rounds: of how many the medians are.
        machine: what ran it: processors and libraries.
    """

    speeds: tuple[Speed, ...]
    rounds: int
    machine: str

    HEAD: ClassVar = ("model, file, run by", "source", "evaluator", "measured", "bar")

    def rows(self) -> Mapping[str, object]:
        lines = {each.name: "  ".join(each.cells()[1:]) + ("" if each.kept else "  MISSED") for each in self.speeds}
        return {"machine": self.machine, self.HEAD[0]: ", ".join(self.HEAD[1:]), **lines}

    def brief(self) -> str:
        return f"{sum(each.kept for each in self.speeds)} of {len(self.speeds)} bars kept"

    def blocks(self) -> Iterator[Block]:
        yield Table("Beside the source", self.HEAD, tuple(each.cells() for each in self.speeds))

    def to_dict(self) -> dict[str, Any]:
        return {"machine": self.machine, "rounds": self.rounds, "speeds": [each.to_dict() for each in self.speeds]}
