"""The study of faults as a page: docs/parity-study.md is what it wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import version

from mlpublish.benchmarks.trial import NO_EFFECT, Study

_HEAD = """\
# What the parity gate catches

Before a converted model is handed on, its saved file is run and held against the source model. This page tells how good that
gate is: faults are seeded into ten networks (trained for a moment on 8 × 8 digits) and ten classic models, each at several
places, and the gate is asked at its default tolerances on 64 rows that the model has not seen. It is written by a command
that anyone can run again:

    mlpublish bench mutations --page parity-study.md

*In both files* is a fault of the conversion: the shipped float16 file has it, and its float32 twin too. The twin must stand
within 1e-4 of the source, so it shows what float16's own rounding would hide. *Shipped file alone* is what the float16 file
shows without a twin (2e-2, and 99 % of the labels); so it is also what happens to a fault that is in the shipped file only,
and in no conversion. Classic models have one file, held to 1e-4. A fault that moves no answer on these rows further than
{no_effect:g} (relative) is counted as without effect: the file says the same.
"""

_FAULTS = """\
The faults: a *dropped layer* (an activation or a normalisation of a network, a scaler, a tree); *swapped weights* (two rows of
a weight, two coefficients, two leaves); a *transposed matrix*; *one tensor × 1.05*, also a bias or a running mean; *wrong
padding* (all on one side); a *wrong base_score* (0.5, what coremltools 9 writes for XGBoost); *swapped children* of a tree's
first question; an *off-by-one class*.
"""


def page_of(study: Study) -> str:
    """The page, in Markdown."""
    table = study.table()
    lines = [_HEAD.format(no_effect=NO_EFFECT), _FAULTS, *_rows(table.columns, table.rows), ""]
    lines += _list("Missed: what passed the gate, twin and all, though it moved an answer", study.missed())
    lines += _list(
        "Shown by the float32 twin alone: what would pass if it were in the shipped float16 file only", study.hidden()
    )
    lines.append(f"Made with {', '.join(f'{name} {version(name)}' for name in ('mlpublish', 'coremltools', 'scikit-learn'))}.")
    return "\n".join(lines) + "\n"


def _rows(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    head = list(columns)
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _list(title: str, sentences: Iterable[str]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield from [f"- {each}" for each in sentences] or ["None."]
    yield ""
