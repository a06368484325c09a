"""``mlpublish inspect``."""

from __future__ import annotations

from pathlib import Path

import click

from mlpublish.cli import outcome


@click.command()
@click.argument("what", type=click.Path(), metavar="MODEL_OR_BUNDLE")
@click.option(
    "--mac-result",
    type=click.Path(path_type=Path),
    metavar="F",
    help="Show with it what compare-on-mac wrote of this bundle; one of other bytes is refused.",
)
@outcome.options
def command(what: str, mac_result: Path | None) -> None:
    """Tell what a model is: kind, minimum OS, interface, contents, sizes, compression, origin, digests, what is wrong with it.

    MODEL_OR_BUNDLE is a .mlmodel, an .mlpackage, a bundle's zip, the folder that it was unpacked into, a release's folder, or
    the folder that convert wrote. Nothing is run and no signature is looked at (verify does that). What is broken or not
    evaluated is told, not refused.
    """
    from mlpublish.inspecting.inspect import inspect

    outcome.tell("inspect", inspect(what, mac_result=mac_result))
