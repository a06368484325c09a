"""The parity gate: run the saved file and hold its answers against the source model's, before anything is handed on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting.points import points_of
from mlpublish.coreml.compare import Answers, difference
from mlpublish.coreml.evaluate import EXECUTOR, Model
from mlpublish.errors import ParityError, RecipeError
from mlpublish.formats.evidence import ParityReport, Tolerance

EXACT = Tolerance(rel=1e-4)
"""For classic and float32 models, and for the float32 twin of a float16 model."""

FLOAT16 = Tolerance(rel=2e-2, labels=0.99)
"""For the float16 file itself; what it lets through stands in the README."""


def tolerance_for(precision: str, asked: Tolerance | float | None) -> Tolerance:
    """What is allowed: what was asked for, else the default of the precision.

    Raises:
        RecipeError: a bound is negative, not a number, or no share.
    """
    default = FLOAT16 if precision == "float16" else EXACT
    if asked is None:
        return default
    wanted = asked if isinstance(asked, Tolerance) else Tolerance(rel=float(asked), labels=default.labels)
    if not (0 <= wanted.rel < float("inf") and 0 <= wanted.labels <= 1):
        raise RecipeError(
            f"rel={wanted.rel}, labels={wanted.labels} is not a tolerance.",
            remedy="Give rel from 0 upwards and labels from 0 to 1, such as Tolerance(rel=1e-3, labels=0.99).",
            field="tolerance",
        )
    return wanted


def measure(
    path: Path,
    *,
    samples: Mapping[str, NDArray[np.generic]],
    expected: Answers,
    tolerance: Tolerance,
    twin: ParityReport | None = None,
) -> ParityReport:
    """Run a saved model on samples and compare; nothing is decided here.

    Args:
        path: the ``.mlmodel`` or ``.mlpackage``; nothing but this file is run.
        samples: input -> (rows, …).
        expected: the source model's answers to them.
        tolerance: noted in the report.
        twin: the report of a float16 model's float32 twin.
    """
    model = Model(path)
    got = Answers(outputs=model.predict_rows(samples), classes=model.classes)
    found = difference(got, expected)
    return ParityReport(
        samples=len(next(iter(samples.values()))),
        max_abs_diff=found.max_abs,
        max_rel_diff=found.max_rel,
        label_agreement=found.labels,
        tolerance=tolerance,
        executor=EXECUTOR,
        twin=twin,
        points=points_of(got, expected),
        not_finite=None if model.not_finite is None else model.not_finite.told,
    )


def gate(report: ParityReport) -> ParityReport:
    """Let a report through, or stop.

    Raises:
        ParityError: the file, or its float32 twin, is outside of its tolerance; the error tells the numbers and which sample
            differs most, and carries the report with its plot.
    """
    if report.twin is not None and not report.twin.passed:
        raise ParityError(
            f"The float32 twin of the file does not answer as the source model does: {_numbers(report.twin)}.",
            remedy="The conversion itself is wrong, not its precision: do not publish it; report the model's layers.",
            field="parity.twin",
            report=report,
        )
    if not report.passed:
        raise ParityError(
            f"The saved file does not answer as the source model does: {_numbers(report)}.",
            remedy=_way_out(report),
            field="parity",
            report=report,
        )
    return report


def _numbers(report: ParityReport) -> str:
    numbers = f"it differs by {report.max_rel_diff:.1e} (relative), allowed {report.tolerance.rel:.1e}"
    if report.label_agreement is not None:
        numbers += f"; labels agree on {report.label_agreement:.2%}, needed {report.tolerance.labels:.2%}"
    worst = report.worst
    most = "" if worst is None else f"; most in {worst.told}"
    why = "" if report.not_finite is None else f". {report.not_finite}"
    return f"{numbers}, over {report.samples} samples{most}{why}"


def _way_out(report: ParityReport) -> str:
    if report.max_rel_diff <= report.tolerance.rel:  # only the labels stand apart
        if report.twin is None:
            return "Look at that sample; if the classes are as good as equal there, pass a Tolerance with labels below 1."
        return "If the outputs are not scores of classes, pass a Tolerance with labels=0; else convert in float32."
    if report.twin is not None:
        return "Convert with precision='float32', or pass a wider tolerance."
    return "Check that the samples are in the model's range, or pass a wider tolerance if the difference is meant."
