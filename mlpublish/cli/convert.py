"""``mlpublish convert``."""

from __future__ import annotations

from pathlib import Path

import click

from mlpublish.cli import outcome


@click.command()
@click.argument("model")
@click.option("--name", metavar="N", help="The model's name; by default the registered one, or the file's.")
@click.option(
    "--samples",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Held-out samples: F.npz, F.npy, F.csv or F.parquet.",
)
@click.option("--target", help="The lowest system for ML Programs: iOS15 to iOS18, iOS26.  [default: iOS16]")
@click.option("--precision", help="auto, float16 or float32.  [default: auto]")
@click.option("--tolerance", type=float, metavar="REL", help="The largest relative difference that passes.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The folder to write into.")
@click.option("--trust-pickle", is_flag=True, help="Unpickle the model, which runs code in it.")
@outcome.options
def command(
    model: str,
    name: str | None,
    samples: Path | None,
    target: str | None,
    precision: str | None,
    tolerance: float | None,
    out: Path | None,
    trust_pickle: bool,
) -> None:
    """Write MODEL as Core ML and prove that the file answers as the model does.

    MODEL is an MLflow URI (models:/name@alias, models:/name/7, runs:/id/model) or a file: F.skops, XGBoost's F.json or F.ubj,
    LightGBM's F.txt; with --trust-pickle F.pkl, F.pickle or F.joblib.
    """
    from mlpublish import settings
    from mlpublish.converting.convert import convert
    from mlpublish.converting.samples import read_samples

    given = {"target": target, "precision": precision, "tolerance": tolerance}
    chosen = {**settings.load().recipe, **{key: value for key, value in given.items() if value is not None}}
    converted = convert(
        model,
        name=name,
        samples=None if samples is None else read_samples(samples),
        out=out,
        trust_pickle=trust_pickle,
        **chosen,
    )
    outcome.tell("convert", converted)
