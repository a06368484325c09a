"""``mlpublish conformance``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlpublish.cli import outcome

if TYPE_CHECKING:
    from mlpublish.conformance.report import CaseResult, ConformanceReport


@click.command()
@click.option("--entrypoint", metavar="CMD", help="The client's command line, such as 'mlpublish check'.")
@click.option("--case", "names", metavar="NAME", multiple=True, help="Only this case; a pattern such as 'rollout-*' too.")
@click.option("--vectors", type=click.Path(path_type=Path), metavar="DIR", help="Ask the cases of a folder.")
@click.option("--timeout", type=float, default=60.0, metavar="S", help="Seconds for one call.  [default: 60]")
@click.option("--jobs", type=int, default=1, metavar="J", help="How many cases at once.  [default: 1]")
@click.option("--list", "listing", is_flag=True, help="Tell the cases and what each shows.")
@click.option("--save", type=click.Path(path_type=Path), metavar="DIR", help="Write the cases into a new folder.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="F", help="Write the results as JUnit XML too.")
@click.option("--html", type=click.Path(path_type=Path), metavar="F", help="Write the results as an HTML page too.")
@outcome.options
@click.pass_context
def command(
    ctx: click.Context,
    entrypoint: str | None,
    names: tuple[str, ...],
    vectors: Path | None,
    timeout: float,
    jobs: int,
    listing: bool,
    save: Path | None,
    junit: Path | None,
    html: Path | None,
) -> None:
    """Ask a client of your own the cases of docs/write-a-client.md; exit code 1 if an answer is wrong."""
    if sum((entrypoint is not None, listing, save is not None)) != 1:
        raise click.UsageError("Give one of --entrypoint, --list and --save.")
    if entrypoint is None:
        _show(names, vectors, save)
        return
    from mlpublish.conformance.run import conformance
    from mlpublish.reporting.documents import Documents

    documents = Documents.at(junit=junit, html=html)
    with _progress() as heard:
        report = conformance(entrypoint, names=names, vectors=vectors, timeout=timeout, jobs=jobs, heard=heard)
    unwritten = list(documents.write(report))
    for error in unwritten:
        click.echo(f"Error: {error}", err=True)
    outcome.tell("conformance", report, _table(report))
    ctx.exit(1 if report.failed or unwritten else 0)


def _show(names: tuple[str, ...], vectors: Path | None, save: Path | None) -> None:
    """List the cases, or write them."""
    from mlpublish.conformance.catalogue import chosen, scenarios
    from mlpublish.conformance.vectors import read
    from mlpublish.conformance.vectors import save as saved
    from mlpublish.reporting.text import one_line

    cases = chosen(scenarios() if vectors is None else read(vectors), names)
    if save is not None:
        saved(save, [case.made() for case in cases])
    shown = [{"name": case.name, "group": case.group, "shows": case.shows} for case in cases]
    width = max(len(case.name) for case in cases)
    text = "\n".join(one_line(f"{case.name:<{width}}  {case.shows}") for case in cases)
    outcome.tell("conformance", {"cases": shown}, text if save is None else f"{len(cases)} cases are in {save}.")


def _table(report: ConformanceReport) -> str:
    width = max(len(result.name) for result in report.results)
    lines = [_row(result, width) for result in report.results]
    return "\n".join([*lines, f"{len(report.results) - len(report.failed)} passed, {len(report.failed)} failed"])


def _row(result: CaseResult, width: int = 0) -> str:
    from mlpublish.reporting.text import one_line

    return one_line(f"passed  {result.name}" if result.passed else f"FAILED  {result.name:<{width}}  {result.told}")


@contextmanager
def _progress() -> Iterator[Callable[[CaseResult, int], object]]:
    """Tells each case on stderr as it ends: a line each, or on a terminal one that is gone at the end; none with ``--json``."""
    from mlpublish.reporting.transfer import say

    numbers, drawn = count(1), sys.stderr.isatty()

    def heard(result: CaseResult, cases: int) -> None:
        place, kind = f"{next(numbers)} of {cases}", "passed" if result.passed else "FAILED"
        # what is drawn over itself must fit a terminal's line; the table tells the rest
        say(sys.stderr, f"\r\033[K{place}  {kind}  {result.name}" if drawn else f"{place}  {_row(result)}\n")

    if outcome.wants_json():
        yield lambda *_: None
        return
    try:
        yield heard
    finally:
        say(sys.stderr, "\r\033[K" if drawn else "")
