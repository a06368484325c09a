"""``mlpublish repo renew``."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from mlpublish.cli import options, outcome
from mlpublish.errors import MlpublishError
from mlpublish.formats.problem import problem_of
from mlpublish.reporting.text import one_line

if TYPE_CHECKING:
    from mlpublish.repository.renew import Renewal, Rounds

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """A time such as 90s, 15m, 6h or 1d."""
    if value is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no time; write 90s, 15m, 6h or 1d.")
    return int(found[1]) * _UNITS[found[2]]


@click.command("renew")
@options.repository
@click.option("--app", "app_ids", multiple=True, metavar="ID", help="Only this app; may be given several times.")
@click.option(
    "--every", callback=_seconds, metavar="TIME", help="Go on, one round each 90s, 15m, 6h or 1d, until SIGTERM or Ctrl-C."
)
@click.option("--shorten", is_flag=True, help="Sign also what expires earlier than what stands; look at date -u first.")
@outcome.options
@click.pass_context
def command(ctx: click.Context, repository: str | None, app_ids: tuple[str, ...], every: float | None, shorten: bool) -> None:
    """Sign again what runs out: snapshot, timestamp and, with an operator's key, the channels.

    For folders that no server renews; in cron, in CI or as a process. The exit code is 1 if an app could not be renewed.
    """
    from mlpublish.repository import defaults
    from mlpublish.repository.renew import Rounds

    rounds = Rounds.at(defaults.repository_for(repository), app_ids, shorten=shorten)
    if every is None:
        renewal = rounds.play()
        outcome.tell("repo.renew", renewal)
        _tell_troubles(renewal)
        failed = bool(renewal.failed)
    else:
        rounds.must_come_in_time(every)
        failed = _go_on(rounds, every)
    ctx.exit(1 if failed else 0)


def _go_on(rounds: Rounds, every: float) -> bool:
    """Round after round until a signal comes; gives whether something failed in the last one."""
    with _signals() as stopped:
        while True:
            failed = _play(rounds, lambda: stopped(0))
            sys.stdout.flush()  # a log may be read while it grows
            if stopped(every):
                return failed


def _play(rounds: Rounds, stopped: Callable[[], bool]) -> bool:
    """One round and its line; a disk that refuses now may be there again in the next round."""
    try:
        renewal = rounds.play(stopped)
    except MlpublishError as error:
        _tell_line({"ok": False, "error": problem_of(error)}, "failed")
        click.echo(one_line(f"Error: {error}"), err=True)
        return True
    counts = (len(renewal.renewed), len(renewal.fresh), len(renewal.failed), len(renewal.ending))
    text = "renewed {}, not due {}, failed {}, running out {}".format(*counts)
    _tell_line({"ok": True, "result": renewal.to_dict()}, text)
    _tell_troubles(renewal)
    return bool(renewal.failed)


def _tell_line(content: dict[str, Any], text: str) -> None:
    if outcome.wants_json():
        click.echo(json.dumps({"schema": "mlpublish.repo.renew/1", **content}))
    else:
        click.echo(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}")


@contextmanager
def _signals() -> Iterator[Callable[[float], bool]]:
    """Wait for SIGTERM and SIGINT so many seconds at most; a pipe, because a handler must not wake what it interrupts."""
    reading, writing = os.pipe()

    def note(_number: int, _frame: FrameType | None) -> None:
        os.write(writing, b".")

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda seconds: bool(select.select([reading], [], [], seconds)[0])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def _tell_troubles(renewal: Renewal) -> None:
    for app_id, error in renewal.failed.items():
        click.echo(one_line(f"Error: {app_id}: {error}"), err=True)
    for ending in renewal.ending:
        click.echo(one_line(f"Warning: {ending}"), err=True)
