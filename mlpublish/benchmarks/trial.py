"""One fault and what the parity gate made of it; and all of them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlpublish.shown import Block, Sentences, Shown, Table

NO_EFFECT = 1e-6
"""A fault that moves no answer further than this (relative) is none for these samples: the file says the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One fault and what the gate made of it.

    Args:
        model: which of the twenty.
        is_network: whether the shipped file is float16 and has a float32 twin.
        kind, place: the fault.
        effect: how far the faulty float32 file stands from the source (relative).
        with_twin: whether the gate stops a conversion with this fault.
        alone: whether it would stop it by the shipped file alone, as if there were no twin; for a network also what happens
            to a fault that is in the shipped float16 file alone.
    """

    model: str
    is_network: bool
    kind: str
    place: str
    effect: float
    with_twin: bool
    alone: bool

    @property
    def matters(self) -> bool:
        """Whether it moved an answer at all."""
        return not self.effect <= NO_EFFECT

    def to_dict(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "kind": self.kind,
            "place": self.place,
            "effect": self.effect,
            "caught_with_twin": self.with_twin,
            "caught_by_the_shipped_file_alone": self.alone,
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Study(Shown):
    """All trials."""

    trials: tuple[Trial, ...]

    def table(self) -> Table:
        """Kind of fault -> caught of seeded."""
        kinds = dict.fromkeys(each.kind for each in self.trials)
        rows = [self._row(kind, [each for each in self.trials if each.kind == kind]) for kind in kinds]
        columns = ("fault", "networks, in both files", "networks, shipped file alone", "classic models", "without effect")
        return Table("Caught of seeded", columns, (*rows, self._row("all", list(self.trials))))

    @staticmethod
    def _row(kind: str, trials: list[Trial]) -> tuple[str, ...]:
        counted = [each for each in trials if each.matters]
        networks = [each for each in counted if each.is_network]
        classic = [each for each in counted if not each.is_network]
        return (
            kind,
            _share([each.with_twin for each in networks]),
            _share([each.alone for each in networks]),
            _share([each.with_twin for each in classic]),
            f"{len(trials) - len(counted)}",
        )

    def missed(self) -> Iterator[str]:
        """What passed the whole gate, twin and all, though it moved an answer."""
        for each in self.trials:
            if each.matters and not each.with_twin:
                yield f"{each.model}: {each.kind} at {each.place} (moves the float32 file's answers by {each.effect:.1e})"

    def hidden(self) -> Iterator[str]:
        """What only the twin shows."""
        for each in self.trials:
            if each.matters and each.with_twin and not each.alone:
                yield f"{each.model}: {each.kind} at {each.place} ({each.effect:.1e})"

    def rows(self) -> Mapping[str, object]:
        table = self.table()
        told: dict[str, object] = {
            row[0]: ", ".join(f"{name}: {cell}" for name, cell in zip(table.columns[1:], row[1:], strict=True))
            for row in table.rows
        }
        return told | {"missed": "; ".join(self.missed()) or "none"}

    def brief(self) -> str:
        counted = [each for each in self.trials if each.matters]
        return f"{sum(each.with_twin for each in counted)} of {len(counted)} faults caught"

    def blocks(self) -> Iterator[Block]:
        yield self.table()
        yield Sentences("Missed", tuple(self.missed()))
        yield Sentences("Shown by the float32 twin alone", tuple(self.hidden()))

    def to_dict(self) -> dict[str, Any]:
        return {"trials": [each.to_dict() for each in self.trials], "missed": list(self.missed())}


def _share(caught: list[bool]) -> str:
    return f"{sum(caught)} of {len(caught)}" if caught else "–"
