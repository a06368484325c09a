"""What was measured of conversions, ours beside coremltools', and what is promised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from mlpublish.shown import Block, Shown, Table, size

SECONDS_BAR = 10.0
"""For 500 trees, on any machine of today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """One conversion, in a process of its own.

    Args:
        seconds: the median; None where it is refused.
        peak_mb: the most memory that the process held; before the conversion it had held ``before_mb``.
        length: the file's, in bytes.
        refused: why there is no file.
    """

    seconds: float | None = None
    peak_mb: float | None = None
    before_mb: float | None = None
    length: int | None = None
    refused: str | None = None

    def cells(self) -> tuple[str, str, str]:
        if self.seconds is None or self.peak_mb is None or self.length is None:
            return self.refused or "", "", ""
        return f"{self.seconds:.2f} s", f"{self.peak_mb:.0f} MB", size(self.length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """One model, converted by us and by coremltools."""

    name: str
    ours: Took
    theirs: Took

    @property
    def kept(self) -> bool:
        """Whether it took no longer than is promised, and its file is no larger than coremltools'."""
        if self.ours.seconds is None or self.ours.length is None:
            return False
        return self.ours.seconds <= SECONDS_BAR and (self.theirs.length is None or self.ours.length <= self.theirs.length)

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "ours": asdict(self.ours), "coremltools": asdict(self.theirs), "kept": self.kept}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ConversionsReport(Shown):
    """All that was measured.

    Args:
        rounds: of how many the medians are.
        machine: what ran it: processors and libraries.
    """

    conversions: tuple[Conversion, ...]
    rounds: int
    machine: str

    HEAD: ClassVar = ("model", "ours", "peak memory", "file", "coremltools", "peak memory", "file")

    def rows(self) -> Mapping[str, object]:
        told = {each.name: "  ".join((*each.ours.cells(), "|", *each.theirs.cells())) for each in self.conversions}
        missed = {each.name for each in self.conversions if not each.kept}
        lines = {name: line.rstrip() + ("  MISSED" if name in missed else "") for name, line in told.items()}
        return {"machine": self.machine, "model": "ours: time, peak memory, file | coremltools: the same", **lines}

    def brief(self) -> str:
        return f"{sum(each.kept for each in self.conversions)} of {len(self.conversions)} bars kept"

    def blocks(self) -> Iterator[Block]:
        yield Table(
            "Conversions", self.HEAD, tuple((each.name, *each.ours.cells(), *each.theirs.cells()) for each in self.conversions)
        )

    def to_dict(self) -> dict[str, Any]:
        return {"machine": self.machine, "rounds": self.rounds, "conversions": [each.to_dict() for each in self.conversions]}
