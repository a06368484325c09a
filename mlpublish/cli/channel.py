"""``mlpublish channel``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mlpublish.cli import options, outcome

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def command() -> None:
    """Say what a channel offers; an operator's key signs, and a server's token lets it in."""


def _edits(function: F) -> F:
    """What every edit takes."""
    for option in (
        outcome.options,
        options.root,
        click.option("--if-current", type=int, metavar="N", help="Change nothing unless release N is offered now."),
        options.token_file,
        options.key,
        options.repository,
        click.option("--to", metavar="URI", help="http(s)://host[:port] or file:DIR. [MLPUBLISH_ENDPOINT]"),
        click.option("--channel", metavar="C", help="Which channel.  [default: stable]"),
        options.app,
    ):
        function = option(function)
    return function


@command.command("set")
@click.option("--release", type=int, required=True, metavar="N", help="The release to offer.")
@click.option("--rollout", type=int, default=100, show_default=True, metavar="P", help="Percent of devices that get it.")
@click.option("--otherwise", type=int, metavar="M", help="What the others keep getting; by default what was offered before.")
@_edits
def set_(release: int, rollout: int, otherwise: int | None, **where: Any) -> None:
    """Offer a release to one app version."""
    from mlpublish.repository import channels

    state = channels.set(**_where(where), release=release, rollout=rollout, otherwise=otherwise)
    outcome.tell("channel.set", state)


@command.command()
@click.argument("percent", type=int)
@_edits
def rollout(percent: int, **where: Any) -> None:
    """Change the percentage of the release that is offered now."""
    from mlpublish.repository import channels

    outcome.tell("channel.rollout", channels.rollout(percent=percent, **_where(where)))


@command.command()
@_edits
def pause(**where: Any) -> None:
    """Offer nothing new until resume; nothing is uninstalled."""
    from mlpublish.repository import channels

    outcome.tell("channel.pause", channels.pause(**_where(where)))


@command.command()
@_edits
def resume(**where: Any) -> None:
    """Offer again what was paused."""
    from mlpublish.repository import channels

    outcome.tell("channel.resume", channels.resume(**_where(where)))


@command.command()
@click.option("--release", type=int, metavar="N", help="By default what the others keep, else the newest approved older one.")
@_edits
def rollback(release: int | None, **where: Any) -> None:
    """Offer an older approved release to everybody."""
    from mlpublish.repository import channels

    outcome.tell("channel.rollback", channels.rollback(release=release, **_where(where)))


@command.command()
@_edits
def remove(**where: Any) -> None:
    """Offer this app version nothing any more; whoever has a release keeps it."""
    from mlpublish.repository import channels

    outcome.tell("channel.remove", channels.remove(**_where(where)))


def _reads(function: F) -> F:
    """What every look at channels takes."""
    for option in (
        outcome.options,
        options.token_file,
        click.option("--root", type=click.Path(path_type=Path), help="The app's trusted 1.root.json."),
        options.repository,
        click.option("--at", metavar="URI", help="http(s)://host[:port] or file:DIR. [MLPUBLISH_ENDPOINT]"),
    ):
        function = option(function)
    return function


@command.command()
@options.app
@click.option("--channel", metavar="C", help="Which channel.  [default: stable]")
@_reads
def show(
    app_id: str | None,
    app_version: str | None,  # noqa: ARG001 - taken like everywhere; a channel is shown whole
    platform: str | None,
    channel: str | None,
    **where: Any,
) -> None:
    """What a channel says now, verified."""
    from mlpublish import settings
    from mlpublish.repository import channels

    configured = settings.load()
    app = options.required(app_id or configured.only_app, "--app")
    state = channels.show(
        app,
        platform=platform or configured.app(app).platform or configured.platform,
        channel=channels.default_channel(app, channel),
        **_seen(where),
    )
    outcome.tell("channel.show", state)


@command.command("list")
@click.option("--app", "app_id", metavar="ID", help="The app's bundle id, such as com.acme.digits.")
@_reads
def list_(app_id: str | None, **where: Any) -> None:
    """What every channel of an app says now, on every platform, verified."""
    from mlpublish import settings
    from mlpublish.reporting.text import as_text
    from mlpublish.repository import channels

    app = options.required(app_id or settings.load().only_app, "--app")
    states = channels.list(app, **_seen(where))
    told = "\n\n".join(as_text(state) for state in states) or f"{app} has no channel yet."
    outcome.tell("channel.list", {"app": app, "channels": [state.to_dict() for state in states]}, told)


def _seen(given: dict[str, Any]) -> dict[str, Any]:
    """The options that every look shares, as keywords of the verb."""
    from mlpublish import settings

    return {
        "at": options.required(given["at"] or settings.load().endpoint, "--at"),
        "repository": given["repository"],
        "root": given["root"],
        "token": options.token_in(given["token_file"]),
    }


def _where(given: dict[str, Any]) -> dict[str, Any]:
    """The options that every edit shares, as keywords of the verb."""
    from mlpublish import settings
    from mlpublish.repository import channels

    app = options.settled(given["app_id"], given["app_version"], given["platform"])
    return {
        "app": app.id,
        "app_version": app.version,
        "platform": app.platform,
        "to": options.required(given["to"] or settings.load().endpoint, "--to"),
        "channel": channels.default_channel(app.id, given["channel"]),
        "repository": given["repository"],
        "signer": given["key"],
        "token": options.token_in(given["token_file"]),
        "if_current": given["if_current"],
        "root": given["root"],
    }
