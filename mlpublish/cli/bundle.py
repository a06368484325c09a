"""``mlpublish bundle``."""

from __future__ import annotations

from pathlib import Path

import click

from mlpublish.cli import outcome


@click.command()
@click.argument("models", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="DIR_OR_FILE...")
@click.option("--name", metavar="N", help="The bundle's name; with several models it must be given.")
@click.option("--version", metavar="V", help="By default the MLflow version, else from the content.")
@click.option("--file", "files", multiple=True, type=click.Path(exists=True, path_type=Path), help="Another file to carry.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The zip to write, or a folder for it.")
@outcome.options
def command(models: tuple[Path, ...], name: str | None, version: str | None, files: tuple[Path, ...], out: Path | None) -> None:
    """Put converted models (folders that convert wrote, .mlmodel, .mlpackage) and other files into one reproducible zip."""
    from mlpublish.bundling.bundle import bundle

    outcome.tell("bundle", bundle(*models, name=name, version=version, files=files, out=out))
