"""``mlpublish plan``."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from mlpublish.cli import options, outcome
from mlpublish.formats.status import UpdateStatus
from mlpublish.reporting.text import aligned, as_text, one_line

if TYPE_CHECKING:
    from mlpublish.reports import PlannedDevice, PlanReport

_EACH = ("device_id", "platform", "app_version", "os_version", "outcome")


@click.command()
@click.option("--app", "app_id", metavar="ID", help="The app's bundle id, such as com.acme.digits.")
@click.option("--at", metavar="URI", help="http(s)://host[:port] or file:DIR. [MLPUBLISH_ENDPOINT]")
@click.option("--channel", metavar="C", help="Which channel.  [default: stable]")
@click.option("--platform", metavar="P", help="Of the devices that do not say theirs.  [default: ios]")
@click.option(
    "--matrix", type=click.Path(path_type=Path), metavar="CSV", help="The fleet, one device a line (docs/channels.md)."
)
@click.option("--app-versions", metavar="V,…", help="Of a fleet that is made up.  [default: those of the channel]")
@click.option("--os-versions", metavar="V,…", help="Of that fleet, such as 16.0,17.2.  [default: untold]")
@click.option("--devices", type=int, metavar="N", help="How many it has in all, spread evenly.  [default: 10000]")
@click.option("--if-release", type=int, metavar="N", help="Plan as if release N were set first.")
@click.option(
    "--rollout", type=int, metavar="P", help="With --if-release: percent of devices that would get it.  [default: 100]"
)
@click.option("--otherwise", type=int, metavar="M", help="With --if-release: what the others would keep getting.")
@click.option("--each", is_flag=True, help="A line for every device too.")
@click.option(
    "--csv", "csv_out", type=click.Path(path_type=Path), metavar="OUT", help="Write every device and its outcome there."
)
@options.repository
@click.option("--root", type=click.Path(path_type=Path), help="The app's trusted 1.root.json.")
@options.token_file
@outcome.options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    app_id: str | None,
    at: str | None,
    channel: str | None,
    platform: str | None,
    app_versions: str | None,
    os_versions: str | None,
    each: bool,
    csv_out: Path | None,
    token_file: Path | None,
    **fleet: Any,
) -> None:
    """Say who would get what from a channel, and why not; nothing is downloaded, signed or changed.

    Exits with 16 where a device would answer FAILURE_INTEGRITY.
    """
    from mlpublish import settings
    from mlpublish.repository.channels import default_channel
    from mlpublish.repository.plan import plan

    configured = settings.load()
    app = options.required(app_id or configured.only_app, "--app")
    listed: list[dict[str, Any]] = []
    with _written(csv_out) as write:
        report = plan(
            app,
            at=options.required(at or configured.endpoint, "--at"),
            channel=default_channel(app, channel),
            platform=platform or configured.app(app).platform or configured.platform,
            app_versions=options.parts(app_versions),
            os_versions=options.parts(os_versions),
            on_device=_hears(each, listed, write),
            token=options.token_in(token_file),
            **fleet,
        )
    document = report.to_dict() | ({"each": listed} if each else {})
    outcome.tell("plan", document, "\n" * each + _text(report))
    ctx.exit(0 if report.sound else UpdateStatus.FAILURE_INTEGRITY.exit_code)


def _hears(
    each: bool, listed: list[dict[str, Any]], write: Callable[[PlannedDevice], None] | None
) -> Callable[[PlannedDevice], None] | None:
    """Who hears of every device: the document, the terminal, the file."""
    in_json = outcome.wants_json()

    def on_device(planned: PlannedDevice) -> None:
        if each and in_json:
            listed.append(planned.to_dict())
        elif each:
            values = planned.to_dict() | {"outcome": planned.outcome}
            click.echo("\t".join(one_line("" if values[name] is None else str(values[name])) for name in _EACH))
        if write is not None:
            write(planned)

    if each and not in_json:
        click.echo("\t".join(_EACH))
    return on_device if each or write is not None else None


@contextmanager
def _written(place: Path | None) -> Iterator[Callable[[PlannedDevice], None] | None]:
    """A CSV file that stands there whole, or not at all."""
    if place is None:
        yield None
        return
    partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
    try:
        with partial.open("x", newline="", encoding="utf-8") as file:
            yield _writer(file)
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)


def _writer(file: TextIO) -> Callable[[PlannedDevice], None]:
    """Writes the columns of the first device, then a line for each."""
    lines, begun = csv.writer(file), False

    def write(planned: PlannedDevice) -> None:
        nonlocal begun
        values = planned.to_dict()
        if not begun:
            lines.writerow(values)
            begun = True
        lines.writerow(values.values())

    return write


def _text(report: PlanReport) -> str:
    """The table of a reader: who stands where, what they get, how many."""
    table = [("platform", "app version", "system", "outcome", "devices", "share")]
    table += [
        (each.platform, each.app_version, each.os_version or "", str(each.outcome), str(each.devices), f"{each.share:.1%}")
        for each in report.groups
    ]
    refused = dict.fromkeys(each.outcome.detail for each in report.groups if each.outcome.detail)
    return "\n".join([*aligned(table), "", as_text(report), *(f"a device refuses: {one_line(each)}" for each in refused)])
