"""``mlpublish demo``."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlpublish.cli import outcome
from mlpublish.errors import RecipeError

if TYPE_CHECKING:
    from mlpublish.cli.demo_play import Demo

_STEPS = 24  # sentences that the play tells, for the bar


@click.command()
@click.option("--keep", type=click.Path(path_type=Path), metavar="DIR", help="Keep everything in this new folder.")
@outcome.options
def command(keep: Path | None) -> None:
    """Play the whole street on this machine: train, convert, bundle, sign, publish, and update a phone, four times.

    Nothing leaves the machine: the server listens on loopback, and without --keep everything is removed at the end.
    """
    from mlpublish.cli.demo_play import Demo

    with _quiet(), _folder(keep) as folder, _telling() as tell:
        demo = Demo(folder, tell)
        demo.play()
    outcome.tell("demo", _result(demo), None if outcome.wants_json() else _table(demo, keep))


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="mlpublish-demo-") as folder:
            yield Path(folder)
        return
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise RecipeError(f"{keep} is not empty.", remedy="Name a folder that is new or empty.", field="keep")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep.absolute()


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Sentences on stderr, above a bar if it is a terminal; silence with ``--json``."""
    if outcome.wants_json():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    columns = (SpinnerColumn(), BarColumn(bar_width=None), TimeElapsedColumn(), TextColumn("{task.description}"))
    began = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=_STEPS)

        def tell(sentence: str) -> None:
            console.print(f"[dim]{time.monotonic() - began:5.1f} s[/dim]  {escape(sentence)}")
            bar.advance(task)

        yield tell


@contextmanager
def _quiet() -> Iterator[None]:
    """The story is ours to tell: what libraries log while they work is not part of it."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _result(demo: Demo) -> dict[str, Any]:
    keys = ("status", "installed", "offered", "reason", "path")
    checks = [report.to_dict() for report in demo.checks]
    return {
        "releases": [receipt.to_dict() for receipt in demo.receipts],
        "checks": [{key: check[key] for key in keys} for check in checks],
        "parity": [None if model.parity is None else model.parity.to_dict() for model in demo.models],
    }


def _table(demo: Demo, keep: Path | None) -> str:
    """What happened, and what to try next."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="What the phone saw", title_justify="left")
    for column in ("check", "status", "offered", "in use", "why"):
        table.add_column(column)
    for number, report in enumerate(demo.checks, start=1):
        table.add_row(str(number), report.status.value, str(report.offered), str(report.installed), report.detail)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    with console.capture() as shown:
        console.print(table)
        console.print("\n".join(_next(keep)), soft_wrap=True)
    return shown.get().rstrip()


def _next(keep: Path | None) -> list[str]:
    if keep is None:
        return ["Try next:  mlpublish demo --keep DIR   (and look at everything it made)", "           mlpublish --help"]
    return [
        f"Kept in {keep}: the MLflow store, the converted models, the signed releases, the repository, the phone.",
        f"Try next:  mlpublish serve {keep}/development",
        f"           mlpublish verify {keep}/release-2/signed --repository {keep}/development",
        f"           mlpublish channel show --app com.acme.digits --at file:{keep}/development",
    ]
