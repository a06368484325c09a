"""``mlpublish publish``."""

from __future__ import annotations

from pathlib import Path

import click

from mlpublish.cli import options, outcome


@click.command()
@click.argument("release", type=click.Path(path_type=Path), metavar="RELEASE_DIR")
@click.option("--to", metavar="URI", help="http(s)://host[:port] or file:DIR. [MLPUBLISH_ENDPOINT]")
@options.repository
@options.token_file
@outcome.options
def command(release: Path, to: str | None, repository: str | None, token_file: Path | None) -> None:
    """Hand the release that sign wrote to an endpoint; the same release again changes nothing."""
    from mlpublish import settings
    from mlpublish.publishing.publish import publish

    endpoint = options.required(to or settings.load().endpoint, "--to")
    outcome.tell("publish", publish(release, to=endpoint, token=options.token_in(token_file), repository=repository))
