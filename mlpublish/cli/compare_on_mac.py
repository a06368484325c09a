"""``mlpublish compare-on-mac``."""

from __future__ import annotations

from pathlib import Path

import click

from mlpublish.cli import outcome


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), metavar="BUNDLE")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="F", help="The result to write.")
@outcome.options
def command(bundle: Path, out: Path) -> None:
    """On a Mac: ask every model of a bundle its golden inputs in Apple's runtime and in our evaluator, and write the result.

    Apple's runtime is asked twice: on the CPU alone, and with all compute units. The result is bound to the bundle's bytes:
    inspect --mac-result and review show --mac-result show it, and refuse it for any other.
    """
    from mlpublish.inspecting.compare_on_mac import compare_on_mac

    outcome.tell("compare-on-mac", compare_on_mac(bundle, out=out))
