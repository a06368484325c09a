"""``mlpublish serve``."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from mlpublish.cli import outcome


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8470, show_default=True, help="The port; 0 picks a free one.")
@click.option("--verbose", is_flag=True, help="Log every request to stderr.")
@outcome.options
def command(folder: Path, host: str, port: int, verbose: bool) -> None:
    """Serve the repositories of DIR until SIGTERM or Ctrl-C; the first line on stdout is the URL."""
    from mlpublish.server.app import serve

    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s")

    def announce(url: str) -> None:
        outcome.tell("serve", {"url": url}, url)

    serve(folder, host=host, port=port, announce=announce)
