"""``mlpublish bench``."""

from __future__ import annotations

from pathlib import Path

import click

from mlpublish.cli import outcome
from mlpublish.errors import RecipeError


@click.group()
def command() -> None:
    """Measure this machine: how fast saved models run, what conversions take, and what the parity gate catches."""


@command.command("evaluate")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--rounds", type=click.IntRange(min=1), default=15, show_default=True, help="Of how many a median is taken.")
@outcome.options
def evaluate(names: tuple[str, ...], rounds: int) -> None:
    """Time saved models against the libraries that they came from, turn by turn; medians.

    NAME is some of resnet18, mobilenet_v3, vit_tiny, bert_tiny, forest, boosting, load; by default all. The exit code says
    only that it ran: a bar that was missed is told, and other work on the machine may be why.

    A row: what was measured, the source library's time, the evaluator's, their ratio, the bar that it is held against; of
    load, which has no source, seconds.
    """
    from mlpublish.benchmarks.evaluate import bench_evaluate

    report = bench_evaluate(*names, rounds=rounds)
    outcome.tell("bench.evaluate", report)


@command.command("convert")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Of how many a median is taken.")
@outcome.options
def convert(names: tuple[str, ...], rounds: int) -> None:
    """Convert models of 500 trees over 50 features, and a pipeline: time, peak memory and the file's size.

    NAME is some of forest, boosting, xgboost, lightgbm, pipeline; by default all. Beside it stands coremltools' own converter,
    where it reads the model: it knows scikit-learn up to 1.5 and XGBoost, and compares nothing; our time has the parity gate in
    it. Each conversion has a process of its own.
    """
    from mlpublish.benchmarks.convert import bench_convert

    report = bench_convert(*names, rounds=rounds)
    outcome.tell("bench.convert", report)


@command.command("mutations")
@click.argument("names", nargs=-1, metavar="[MODEL]…")
@click.option("--page", type=click.Path(path_type=Path), metavar="F", help="Write the study as a page (Markdown) too.")
@outcome.options
def mutations(names: tuple[str, ...], page: Path | None) -> None:
    """Seed faults into ten networks and ten classic models, and count what the parity gate catches at its defaults.

    Takes some minutes. What is found stands in docs/parity-study.md.
    """
    from mlpublish.benchmarks.mutations import study

    if page is not None and not page.parent.is_dir():
        raise RecipeError(f"There is no folder {page.parent}.", remedy="Make it first, or name another.", field="page")
    found = study(*names)
    if page is not None:
        from mlpublish.benchmarks.study_page import page_of

        page.write_text(page_of(found))
    outcome.tell("bench.mutations", found)
