"""``mlpublish check``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mlpublish.cli import options, outcome
from mlpublish.formats.status import ProgressStatus, UpdateStatus


@click.command()
@options.app
@click.option("--at", metavar="URI", help="http(s)://host[:port] or file:DIR. [MLPUBLISH_ENDPOINT]")
@click.option("--channel", metavar="C", help="Which channel.  [default: stable]")
@click.option("--device", type=click.Path(path_type=Path), help="Its folder.  [default: ~/.local/share/mlpublish/devices/ID]")
@click.option("--root", type=click.Path(path_type=Path), help="The app's trusted 1.root.json.")
@click.option("--pin", metavar="KEY", help="The predecessor's pinned key: base64 text or a PEM file.")
@options.repository
@click.option("--device-id", metavar="TEXT", help="Stands for the id that the device drew; it decides about rollouts.")
@click.option("--os-version", metavar="V", help="The device's system version, such as 16.4.")
@click.option("--shipped", type=click.Path(path_type=Path), help="The model that came with the app.")
@click.option("--shipped-release", type=int, metavar="N", help="Its release number.")
@outcome.options
@click.pass_context
def command(
    ctx: click.Context,
    app_id: str | None,
    app_version: str | None,
    platform: str | None,
    at: str | None,
    channel: str | None,
    device: Path | None,
    root: Path | None,
    pin: str | None,
    repository: str | None,
    device_id: str | None,
    os_version: str | None,
    shipped: Path | None,
    shipped_release: int | None,
) -> None:
    """Play the device once: ask, download, verify, install, and say in one of nine statuses what happened."""
    from mlpublish import settings
    from mlpublish.checking.check import check

    report = check(
        app_id,
        at=options.required(at or settings.load().endpoint, "--at"),
        app_version=app_version,
        platform=platform,
        device=device,
        channel=channel,
        root=root,
        pin=pin,
        repository=repository,
        device_id=device_id,
        os_version=os_version,
        shipped=shipped,
        shipped_release=shipped_release,
        listener=_Bar() if sys.stderr.isatty() else None,
    )
    outcome.tell("check", report)
    ctx.exit(report.status.exit_code)


class _Bar:
    """A progress line on a terminal."""

    def on_start(self, total: int) -> None:
        self.on_progress(ProgressStatus.DOWNLOAD_IN_PROGRESS, total, 0)

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
        click.echo(f"\r{status.value} {done * 100 // max(total, 1):3d} % of {total} bytes", nl=False, err=True)

    def on_finish(self, status: UpdateStatus) -> None:
        click.echo(f"\r\033[K{status.value}", err=True)
