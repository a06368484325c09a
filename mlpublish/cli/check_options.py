"""The options of ``mlpublish check``, each named as the keyword of ``check()`` that it becomes; docs: check() itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mlpublish.cli import options

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path)
_WHERE = (
    click.option(
        "--at", metavar="URI", help="http(s)://host[:port], file:DIR, or a zip signed as ZIP.sig. [MLPUBLISH_ENDPOINT]"
    ),
    click.option("--config", type=_FILE, metavar="F", help="The app's mfpclient.plist or .properties: its server, its pin."),
    options.app,
    click.option("--channel", metavar="C", help="Which channel.  [default: stable]"),
    click.option("--root", type=_FILE, metavar="F", help="The app's trusted 1.root.json."),
    click.option("--pin", metavar="KEY", help="The predecessor's pinned key: base64 text, or a file that holds it."),
    options.repository,
)
_DEVICE = (
    click.option("--device", type=_FILE, metavar="DIR", help="Its folder.  [default: ~/.local/share/mlpublish/devices/ID]"),
    click.option("--device-id", metavar="TEXT", help="Stands for the id that the device drew; it decides about rollouts."),
    click.option("--os-version", metavar="V", help="The device's system version, such as 16.4."),
    click.option("--shipped", type=_FILE, metavar="MODEL", help="The model that came with the app."),
    click.option("--shipped-release", type=click.IntRange(1), metavar="N", help="Its release number."),
    click.option("--self-test/--no-self-test", default=True, help="Run a new model's golden inputs first.  [default: yes]"),
    click.option("--legacy-zip", is_flag=True, help="Take the predecessor's plain zips too (--at ZIP --pin KEY)."),
)
_NETWORK = (
    click.option(
        "--timeout",
        type=float,
        default=3600.0,
        metavar="S",
        show_default=True,
        help="Seconds for the network: from first request to last byte.",
    ),
    click.option(
        "--stall", type=float, default=30.0, metavar="S", show_default=True, help="Seconds for which next to nothing may come."
    ),
    click.option(
        "--retries", type=int, default=3, metavar="N", show_default=True, help="How often what may pass is asked for again."
    ),
    click.option("--ca", type=_FILE, metavar="F", help="Certificate authorities (PEM) to trust instead of the system's."),
)
_REPORTS = (
    click.option("--junit", type=_FILE, metavar="F", help="Write the report as JUnit XML too, whatever the status."),
    click.option("--html", type=_FILE, metavar="F", help="Write the report as an HTML page too, whatever the status."),
)


def asked(command: F) -> F:
    """Where to ask and for what, as which device, over which network."""
    return _with(command, *_WHERE, *_DEVICE, *_NETWORK)


def reports(command: F) -> F:
    """``--junit``, ``--html``."""
    return _with(command, *_REPORTS)


def _with(command: F, *decorators: Callable[[F], F]) -> F:
    for decorator in reversed(decorators):
        command = decorator(command)
    return command
