"""``mlpublish release``."""

from __future__ import annotations

from pathlib import Path

import click

from mlpublish.cli import options, outcome
from mlpublish.reporting.text import one_line


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@options.app
@click.option("--to", metavar="URI", help="http(s)://host[:port] or file:DIR. [MLPUBLISH_ENDPOINT]")
@click.option("--name", metavar="N", help="The bundle's name; with several models it must be given.")
@click.option("--version", metavar="V", help="The bundle's version; by default the MLflow version.")
@click.option("--channel", metavar="C", help="Which channel offers it.  [default: stable]")
@options.repository
@options.key
@options.root
@click.option(
    "--samples",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Held-out samples: F.npz, F.npy, F.csv or F.parquet.",
)
@click.option("--tolerance", type=float, metavar="REL", help="The largest relative difference that passes.")
@options.token_file
@click.option("--file", "files", multiple=True, type=click.Path(exists=True, path_type=Path), help="Another file to carry.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Keep the converted models, the bundle and the release.")
@click.option("--trust-pickle", is_flag=True, help="Unpickle models, which runs code in them.")
@click.option("--no-write-back", is_flag=True, help="Note nothing in MLflow.")
@outcome.options
def command(
    models: tuple[str, ...],
    app_id: str | None,
    app_version: str | None,
    platform: str | None,
    to: str | None,
    name: str | None,
    version: str | None,
    channel: str | None,
    repository: str | None,
    key: str | None,
    root: Path | None,
    samples: Path | None,
    tolerance: float | None,
    token_file: Path | None,
    files: tuple[Path, ...],
    out: Path | None,
    trust_pickle: bool,
    no_write_back: bool,
) -> None:
    """Take MODEL the whole street: convert, bundle, sign, publish, channel.

    MODEL is an MLflow URI, a file that convert reads, or what bundle takes.
    """
    from mlpublish.converting.samples import read_samples
    from mlpublish.recipe import release

    receipt = release(
        *models,
        app=app_id,
        app_version=app_version,
        platform=platform,
        to=to,
        name=name,
        version=version,
        channel=channel,
        repository=repository,
        signer=key,
        root=root,
        samples=None if samples is None else read_samples(samples),
        tolerance=tolerance,
        token=options.token_in(token_file),
        files=files,
        out=out,
        trust_pickle=trust_pickle,
        write_back=not no_write_back,
    )
    outcome.tell("release", receipt)
    if receipt.registry is not None and receipt.registry.state == "failed":
        click.echo(one_line(f"Warning: {receipt.registry.detail} {receipt.registry.remedy}"), err=True)
