"""``mlpublish check``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mlpublish.cli import check_options, fleet, outcome
from mlpublish.cli.ctrl_c import CtrlC

if TYPE_CHECKING:
    from mlpublish.checking.listening import Listener
    from mlpublish.reporting.documents import Documents
    from mlpublish.reports import Reported

_OF_A_DEVICE = ("device", "device_id", "os_version", "shipped", "shipped_release")


@click.command()
@check_options.asked
@check_options.reports
@fleet.options
@outcome.options
@click.pass_context
def command(ctx: click.Context, /, junit: Path | None, html: Path | None, **asked: Any) -> None:
    """Play the device once: ask, download, verify, install, and say in one of nine statuses what happened.

    With --fleet N so many fresh devices check at once, and their outcomes are counted. One Ctrl-C is CANCELED
    (a fleet is given up, exit code 130).
    """
    of_fleet = {name: asked.pop(name) for name in fleet.NAMES}
    if of_fleet["devices"] is None:
        _refuse_given(ctx, fleet.NAMES, "is for a fleet: pass --fleet N too")
        ctx.exit(_one(asked, junit=junit, html=html))
    _refuse_given(ctx, _OF_A_DEVICE, "is for one device, not for a fleet")
    ctx.exit(_fleet(of_fleet, asked, junit=junit, html=html))


def _one(asked: dict[str, Any], **files: Path | None) -> int:
    """Play the device, tell how it went, and give the exit code."""
    ctrl_c = CtrlC()
    with ctrl_c.heard(), _tracebacks():
        from mlpublish.checking.check import check
        from mlpublish.reporting.documents import Documents
        from mlpublish.reporting.text import document

        documents, app_id, listener = Documents.at(**files), asked.pop("app_id"), _listener()
        report = ctrl_c.interrupting(lambda: check(app_id, **asked, listener=listener, progress=False, cancel=ctrl_c.canceled))
        whole = _write(documents, report)
        outcome.tell("check", report, document(report.sheet()))
        return report.status.exit_code or (0 if whole else 1)


def _fleet(of_fleet: dict[str, Any], asked: dict[str, Any], **files: Path | None) -> int:
    """Play a fleet, tell how it went, and give the exit code."""
    from mlpublish.checking.asking import address
    from mlpublish.reporting.documents import Documents

    documents = Documents.at(**files)
    keywords = {
        name: value for name, value in asked.items() if name not in (*_OF_A_DEVICE, "app_id", "app_version", "self_test")
    }
    keywords |= {"app": asked["app_id"], "at": address(asked["at"], asked["config"])}
    report = fleet.run(of_fleet | {"app_versions": of_fleet["app_versions"] or asked["app_version"]}, keywords)
    return report.worst.exit_code or (0 if _write(documents, report) else 1)


def _write(documents: Documents, report: Reported) -> bool:
    """Write what was asked for beside the result; what fails is told, and changes nothing about that."""
    failed = list(documents.write(report))
    for error in failed:
        click.echo(f"Error: {error}", err=True)
    return not failed


def _listener() -> Listener | None:
    """Who shows the progress on stderr: nobody where a program reads."""
    from mlpublish.reporting.transfer import Lines, TerminalLine

    if outcome.wants_json():
        return None
    return TerminalLine(sys.stderr) if sys.stderr.isatty() else Lines(sys.stderr)


def _refuse_given(ctx: click.Context, names: tuple[str, ...], fact: str) -> None:
    """Refuse options that would mean nothing, instead of passing over them."""
    for name in names:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')} {fact}.")


@contextmanager
def _tracebacks() -> Iterator[None]:
    """With ``--debug``, show the traceback of what ended a check; the report has but its sentence."""
    shown, log = logging.StreamHandler(), logging.getLogger("mlpublish.checking")
    if not click.get_current_context().obj["debug"]:
        yield
        return
    log.addHandler(shown)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.removeHandler(shown)
        log.setLevel(logging.NOTSET)
