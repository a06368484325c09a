"""Release what an MLflow user named, and know beforehand whether it is what a deployment offers already."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from mlpublish import settings
from mlpublish.artifacts import ConvertedModel, Receipt
from mlpublish.bundling.bundle import bundle
from mlpublish.converting.convert import convert
from mlpublish.converting.samples import read_samples
from mlpublish.errors import AlreadyPublished
from mlpublish.mlflow_plugin.deployments_live import Live
from mlpublish.mlflow_plugin.deployments_named import Deployment
from mlpublish.recipe import release


def released(wanted: Deployment, model: str | ConvertedModel, *, write_back: bool = True) -> Receipt:
    """The whole street for one deployment; see ``recipe.release``."""
    options = wanted.options
    return release(
        model,
        app=wanted.app,
        to=wanted.to,
        channel=wanted.channel,
        repository=wanted.repository,
        signer=options.get("key"),
        name=options.get("name"),
        version=options.get("version"),
        samples=_samples(wanted),
        root=wanted.root,
        write_back=write_back,
        progress=False,
    )


def released_again(live: Live, model_uri: str) -> Receipt:
    """Release what is offered already, which changes nothing.

    Raises:
        AlreadyPublished: it is another bundle; a deployment that stands is updated, not created.
    """
    wanted, entry = live.wanted, live.entry
    with tempfile.TemporaryDirectory(prefix="mlpublish-") as scratch:
        folder = Path(scratch)
        model = model_uri if Path(model_uri).exists() else _converted(wanted, model_uri, folder)
        made = bundle(model, name=wanted.options.get("name"), version=wanted.options.get("version"), out=folder)
        if entry is None or made.sha256 != live.sha256:
            offered = "nothing" if entry is None else f"release {entry.release}"
            raise AlreadyPublished(
                f"The deployment {wanted.name} stands, and offers {offered}; {model_uri} is another bundle "
                f"({made.manifest.name} {made.manifest.version}).",
                remedy="Release it as the next one with: mlflow deployments update.",
                field="name",
            )
        return released(wanted, model)


def _converted(wanted: Deployment, model_uri: str, folder: Path) -> ConvertedModel:
    options: dict[str, Any] = {"samples": _samples(wanted), **settings.load().recipe}
    return convert(model_uri, name=wanted.options.get("name"), out=folder / "converted", progress=False, **options)


def _samples(wanted: Deployment) -> object:
    file = wanted.options.get("samples")
    return None if file is None else read_samples(Path(file))
