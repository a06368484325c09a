"""``mlpublish check --fleet N``: its options, and how its report is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from mlpublish.cli import outcome
from mlpublish.cli.options import parts
from mlpublish.reporting.text import document
from mlpublish.reports import FleetReport

F = TypeVar("F", bound=Callable[..., Any])
NAMES = ("devices", "app_versions", "os_versions", "jobs", "turns", "seed", "yes")  # what ``options`` gives a command


def options(command: F) -> F:
    """``--fleet``, ``--app-versions``, ``--os-versions``, ``--jobs``, ``--turns``, ``--seed``, ``--yes``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option("--fleet", "devices", type=int, metavar="N", help="Play so many devices instead of one (a load test)."),
    click.option(
        "--app-versions", metavar="V,V", help="Fleet: the app's versions, dealt out evenly.  [default: --app-version]"
    ),
    click.option("--os-versions", metavar="V,V", help="Fleet: system versions, dealt out evenly.  [default: not told]"),
    click.option("--jobs", type=int, metavar="J", help="Fleet: how many check at a time.  [default: one per processor]"),
    click.option("--turns", type=int, metavar="T", help="Fleet: how often each device checks.  [default: 1]"),
    click.option("--seed", metavar="TEXT", help="Fleet: draws the device ids; the same seed, the same devices."),
    click.option("--yes", is_flag=True, help="Fleet: yes, ask another machine than this one."),
)


def run(fleet_options: Mapping[str, Any], keywords: Mapping[str, Any]) -> FleetReport:
    """Play the fleet, tell what it came to, and give back the report.

    Args:
        fleet_options: the values of ``options``, by their names.
        keywords: what ``fleet()`` takes beside them: app, at, platform, channel, root, pin, repository, timeout, …
    """
    from mlpublish.checking.fleet import fleet

    devices: int = fleet_options["devices"]
    report = fleet(
        **keywords,
        devices=devices,
        app_versions=parts(fleet_options["app_versions"]),
        os_versions=parts(fleet_options["os_versions"]),
        jobs=fleet_options["jobs"],
        turns=1 if fleet_options["turns"] is None else fleet_options["turns"],
        seed=fleet_options["seed"] or "fleet",
        confirmed=fleet_options["yes"],
        on_done=_counter(devices),
    )
    outcome.tell("check", report, document(report.sheet()))
    return report


def _counter(devices: int) -> Callable[[int], None]:
    """A line on a terminal that counts; silence elsewhere."""
    if not sys.stderr.isatty():
        return lambda _: None

    def on_done(done: int) -> None:
        click.echo(f"\r{done} of {devices} devices" + "\r\033[K" * (done >= devices), nl=False, err=True)

    return on_done
