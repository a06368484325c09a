"""A model's artifacts out of MLflow: the URI pinned to one version, the files in a folder of ours.

Artifacts are always downloaded into a folder that is named: a model that is loaded in place makes MLflow write into its store.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mlpublish.artifacts import ConvertedModel
from mlpublish.converting.mlflow_errors import translated
from mlpublish.converting.quiet import silence
from mlpublish.coreml.converted import IN_MLFLOW, read_only
from mlpublish.errors import ConversionError, NotFound


def kept_at(uri: str, folder: Path, *, flavor: str) -> ConvertedModel:
    """The converted model that MLflow keeps at a URI, downloaded into a folder.

    Args:
        uri: what MLflow takes for a model.
        folder: exists.
        flavor: the name of the flavor that keeps converted models.

    Raises:
        NotFound: there is no such model, or the artifact store lost it.
        ConversionError: it is of another flavor.
        FormatError: it is not what was logged.
        EndpointUnreachable: the tracking server does not answer.
    """
    import mlflow.models

    with translated(uri), silence():
        pinned, _ = pin(uri)
        held = mlflow.models.get_model_info(pinned).flavors
        if flavor not in held:
            raise ConversionError(
                f"{uri} has the flavor {told(held)}, not {flavor}.",
                remedy="Convert it with mlpublish.convert(), and log what that gave with mlpublish.mlflow.log_model().",
                field="model",
            )
        return kept_in(fetched(pinned, folder))


def kept_in(artifacts: Path) -> ConvertedModel:
    """The converted model in the artifacts of a model of our flavor."""
    place = artifacts / IN_MLFLOW
    if not place.is_dir():
        raise FileNotFoundError(place)
    return read_only(place)


def fetched(uri: str, folder: Path) -> Path:
    """The artifacts of a pinned URI in a folder."""
    import mlflow.artifacts

    return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))


def told(flavors: Iterable[str]) -> str:
    """The flavors of a model, for an error."""
    return ", ".join(name for name in flavors if name != "python_function") or "python_function"


def pin(uri: str) -> tuple[str, tuple[str, str] | None]:
    """The URI with its alias resolved, so that an alias that moves meanwhile moves nothing here; and (name, version)."""
    from mlflow import MlflowClient

    scheme, _, place = uri.partition(":")
    place = place.strip("/")
    if scheme.lower() != "models" or ("@" not in place and "/" not in place):
        return uri, None
    if "@" in place:
        name, _, alias = place.rpartition("@")
        version = str(MlflowClient().get_model_version_by_alias(name, alias).version)
    else:
        name, _, version = place.rpartition("/")
        if version == "latest":
            newest = MlflowClient().search_model_versions(f"name='{name}'", order_by=["version_number DESC"], max_results=1)
            version = str(newest[0].version) if newest else version
        elif not version.isdecimal():
            raise NotFound(
                f"{uri} is not in MLflow: {version!r} is no version, and stages are not read.",
                remedy=f"Set an alias in the registry and name it: models:/{name}@<alias>.",
                field="model",
            )
    return f"models:/{name}/{version}", (name, version)
