"""That a saved file answers as its source model does: what was allowed, what was found, and what stands furthest apart."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mlpublish.formats.wire import Reader, decimal
from mlpublish.shown import Badge, Block, Facts, Folded, Plot, Shown, cut, plain

_PLOTS = 6  # a model with more outputs shows those that differ most


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a converted model's answers may stand from the source's.

    Args:
        rel: the largest ``max_rel_diff`` that passes.
        labels: the smallest share of samples, 0 to 1, that must get the same label.
    """

    rel: float
    labels: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        return {"rel": decimal(self.rel), "labels": decimal(self.labels)}

    @classmethod
    def from_reader(cls, reader: Reader) -> Tolerance:
        return cls(rel=reader.decimal("rel"), labels=reader.decimal("labels"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """The two answers of one output that stand furthest apart.

    Args:
        row: which sample, counted from 0.
        place: where in the output, such as ``class 3`` or ``[0, 2]``; empty where there is one value.
        want: what the source model says.
        got: what the saved file says.
    """

    row: int
    place: str
    want: float | int | str
    got: float | int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """One output's answers as a plot shows them. They stay in memory: a report that was read back has none.

    Args:
        numbers: how many numbers (or labels) were compared.
        rel: max|got − want| / max|want| over all of them; None for labels.
        want: the source model's, at most 200 of them, chosen the same way in every run; empty for labels.
        got: the saved file's, in the same order.
        worst: the two that stand furthest apart (of labels the first two that differ); None if none do.
        marked: the place of ``worst`` in ``want`` and ``got``.
    """

    output: str
    numbers: int
    rel: float | None
    want: tuple[float, ...] = ()
    got: tuple[float, ...] = ()
    worst: Apart | None = None
    marked: int | None = None

    @property
    def told(self) -> str | None:
        """Which sample differs most, and how; None if none does."""
        if self.worst is None:
            return None
        place = f", {self.worst.place}" if self.worst.place else ""
        want, got = _values(self.worst.want, self.worst.got)
        return f"{self.output} of sample {self.worst.row}{place}: the source model says {want}, the saved file {got}"

    def plot(self) -> Plot:
        drawn = f", {len(self.want)} of them drawn" if len(self.want) < self.numbers else ""
        differs = "They are equal." if self.told is None else f"The largest difference: {self.told}."
        return Plot(
            title=f"Parity of {self.output}",
            description=f"{self.numbers} numbers{drawn}: the source model's from left to right, the saved file's upwards; "
            f"on the diagonal both are equal. {differs}",
            x_label="source model",
            y_label="saved file",
            x=self.want,
            y=self.got,
            marked=self.marked,
            marked_label="" if self.worst is None else f"sample {self.worst.row}",
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ParityReport(Shown):
    """That the saved Core ML file was run, and how its answers compare with the source model's.

    Args:
        samples: how many rows were compared.
        max_abs_diff: the largest absolute difference of any output.
        max_rel_diff: per output over all samples max|got − want| / max|want|, the largest of the outputs.
        label_agreement: share of samples with the same label, or None where the model gives none.
        tolerance: what was allowed.
        executor: what ran the Core ML side: ``mlpublish evaluator <v>`` or ``coremltools <v> on macOS <v>``.
        twin: for a float16 model, the same comparison for its float32 twin.
        points: what was compared, output by output. It is kept in memory alone, for plots: no record, manifest or JSON has it,
            and two reports are equal without it.
        not_finite: in one sentence, which float16 variable of the file overflowed first; kept in memory alone, as ``points``.
    """

    samples: int
    max_abs_diff: float
    max_rel_diff: float
    label_agreement: float | None
    tolerance: Tolerance
    executor: str
    twin: ParityReport | None = None
    points: tuple[Points, ...] = field(default=(), compare=False)
    not_finite: str | None = field(default=None, compare=False)

    @property
    def passed(self) -> bool:
        """Whether this report and its twin's are within what was allowed (a NaN is not)."""
        labels = self.label_agreement is None or self.label_agreement >= self.tolerance.labels
        return self.max_rel_diff <= self.tolerance.rel and labels and (self.twin is None or self.twin.passed)

    @property
    def worst(self) -> Points | None:
        """The output that differs most by its relative difference; a label that differs weighs as much as the bound."""
        apart = [each for each in self.points if each.worst is not None]
        return max(apart, key=self._weight, default=None)

    def rows(self) -> dict[str, object]:
        shown = _figures(self)
        if not self.passed and self.worst is not None:
            shown["differs most"] = self.worst.told
        return shown

    def brief(self) -> str:
        if self.passed:
            return f"passed on {self.samples} samples"
        labels = "" if self.label_agreement is None else f", labels agree on {self.label_agreement:.2%}"
        return f"FAILED on {self.samples} samples: relative {self.max_rel_diff:.1e}{labels}"

    @property
    def badge(self) -> Badge:
        return Badge("parity passed" if self.passed else "parity FAILED", self.passed)

    def blocks(self) -> Iterable[Block]:
        yield self.badge
        yield from self.picture()

    def picture(self) -> Iterable[Block]:
        """The figures, which sample differs most, and a plot for each output of numbers."""
        worst = None if self.worst is None else self.worst.told
        yield Facts(_figures(self) | {"differs most": worst})
        plotted = sorted((each for each in self.points if each.want), key=self._weight, reverse=True)
        yield from (each.plot() for each in plotted[:_PLOTS])
        if len(plotted) > _PLOTS:
            yield Facts({"more outputs": f"{len(plotted) - _PLOTS}, which differ less"})
        if self.twin is not None and not self.twin.passed:
            yield Folded("The float32 twin, which fails", tuple(self.twin.picture()))

    def to_dict(self) -> dict[str, Any]:
        return {
            "samples": self.samples,
            "max_abs_diff": decimal(self.max_abs_diff),
            "max_rel_diff": decimal(self.max_rel_diff),
            "label_agreement": None if self.label_agreement is None else decimal(self.label_agreement),
            "tolerance": self.tolerance.to_dict(),
            "executor": self.executor,
            "twin": None if self.twin is None else self.twin.to_dict(),
        }

    def _weight(self, points: Points) -> float:
        """How much an output differs; a NaN is no small difference."""
        if points.rel is None:
            return self.tolerance.rel if points.worst is not None else -1.0
        return math.inf if math.isnan(points.rel) else points.rel

    @classmethod
    def from_reader(cls, reader: Reader) -> ParityReport:
        return cls(
            samples=reader.whole_number("samples", least=1),
            max_abs_diff=reader.decimal("max_abs_diff"),
            max_rel_diff=reader.decimal("max_rel_diff"),
            label_agreement=reader.optional("label_agreement", reader.decimal),
            tolerance=Tolerance.from_reader(reader.inner("tolerance")),
            executor=reader.text("executor"),
            twin=reader.optional("twin", lambda name: ParityReport.from_reader(reader.inner(name))),
        )


def parity_rows(parity: ParityReport | None) -> dict[str, object]:
    """A parity report as a reader wants to see it, also where there is none."""
    return {"parity": "not measured"} if parity is None else parity.rows()


def _figures(parity: ParityReport) -> dict[str, object]:
    shown: dict[str, object] = {
        "parity": f"{parity.samples} samples, largest difference {parity.max_abs_diff:.1e} "
        f"(relative {parity.max_rel_diff:.1e}, allowed {parity.tolerance.rel:.0e})",
        "label agreement": None if parity.label_agreement is None else f"{parity.label_agreement:.2%}",
        "executor": parity.executor,
    }
    if parity.twin is not None:
        shown["float32 twin"] = f"relative {parity.twin.max_rel_diff:.1e}, allowed {parity.twin.tolerance.rel:.0e}"
    return shown


def _values(want: float | int | str, got: float | int | str) -> tuple[str, str]:
    """Two values that differ, with as many digits as it takes to see that."""
    if not (isinstance(want, float) and isinstance(got, float)):
        return cut(plain(want), 60), cut(plain(got), 60)
    pairs = ((f"{want:.{digits}g}", f"{got:.{digits}g}") for digits in range(6, 18))
    return next((pair for pair in pairs if pair[0] != pair[1]), (repr(want), repr(got)))
