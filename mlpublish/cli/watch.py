"""``mlpublish watch``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlpublish.cli import outcome

if TYPE_CHECKING:
    from mlpublish.mlflow_plugin.watch_settings import WatchSettings


@click.command()
@click.option("--config", type=click.Path(path_type=Path), metavar="F", help="The settings.  [default: ./mlpublish.toml]")
@click.option("--once", is_flag=True, help="Look once, release what moved, and exit: 7 to be tried again, 1 in vain.")
@outcome.options
def command(config: Path | None, once: bool) -> int:
    """Let channels follow aliases of MLflow's registry, until SIGTERM or Ctrl-C; the first line on stdout is the URL."""
    if config is not None:
        os.environ["MLPUBLISH_CONFIG"] = str(config.absolute())  # also for release(), which reads the settings itself
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")  # else MLflow's lines are no JSON
    from mlpublish.mlflow_plugin.watch_log import log_to_stderr
    from mlpublish.mlflow_plugin.watch_settings import WatchSettings

    settings = WatchSettings.load()
    log_to_stderr()
    return _once(settings) if once else _watch(settings)


def _once(settings: WatchSettings) -> int:
    from mlpublish.mlflow_plugin.watch import watch_once
    from mlpublish.mlflow_plugin.watch_follower import FAILED

    standings = watch_once(settings)
    told = {"models": [each.to_dict() for each in standings]}
    outcome.tell("watch", told, "\n".join(each.line() for each in standings))
    if any(each.state == FAILED for each in standings):
        return 1
    return 7 if any(each.troubled for each in standings) else 0


def _watch(settings: WatchSettings) -> int:
    from mlpublish.mlflow_plugin.watch import watch

    if not watch(settings, announce=lambda url: outcome.tell("watch", {"url": url}, url)):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # a release is still at work in its thread: it may be cut at any point, but would not end by itself
    return 0
