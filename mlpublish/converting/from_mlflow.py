"""convert from MLflow: a model's URI becomes the model, its samples and its lineage.

The artifacts are downloaded into a temporary folder: a model that is loaded in place makes MLflow write into its store.
Loading must not run code that came with the model. MLflow's defaults (skops for scikit-learn, pt2 for PyTorch) allow that;
pickles, types that the model itself declares as trusted, and code that it brings along need ``trust_pickle=True``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mlpublish.converting.pt2 import code_in
from mlpublish.converting.quiet import silence
from mlpublish.converting.source import Origin
from mlpublish.errors import ConversionError, EndpointUnreachable, MissingExtra, MlpublishError, NotFound
from mlpublish.formats.evidence import MlflowLineage
from mlpublish.formats.wire import decimal

if TYPE_CHECKING:
    from mlflow.exceptions import MlflowException
    from mlflow.models.model import ModelInfo

MLFLOW_SCHEMES = ("models", "runs")

_LIBRARIES = {"sklearn": "mlflow.sklearn", "pytorch": "mlflow.pytorch"}
_EXTRAS = ("torch", "xgboost", "lightgbm")
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
_SECRET_NAME = re.compile(r"secret|token|passw|api_?key|access_?key|credential|private", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"://[^/@\s]+:[^/@\s]+@")  # a URL that carries a password
_ALLOW_PICKLE = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"


def open_uri(uri: str, *, trust_pickle: bool) -> Origin:
    """Load a model from the registry, or from a run, of the tracking store that MLflow is set to.

    Args:
        uri: ``models:/<name>@<alias>``, ``models:/<name>/<version>``, ``models:/<model id>`` or ``runs:/<run id>/<path>``.
        trust_pickle: allow what runs code that the model's author chose.

    Raises:
        NotFound: there is no such model, version, alias or run.
        ConversionError: the model has no flavor that is converted, or would have to be trusted.
        MissingExtra: the model's framework is not installed.
        EndpointUnreachable: the tracking server does not answer.
    """
    import mlflow.models

    with _translated(uri):
        with silence():
            pinned, registered = _pinned(uri)
            info = mlflow.models.get_model_info(pinned)
        flavor, settings = _flavor(uri, info.flavors)
        library = import_module(_LIBRARIES[flavor])  # outside of the silence: what it loads may keep hold of sys.stderr
        with silence(), TemporaryDirectory(prefix="mlpublish-") as folder:
            local = Path(mlflow.artifacts.download_artifacts(artifact_uri=pinned, dst_path=folder))
            if not trust_pickle:
                _check_harmless(uri, flavor, settings, local)
            model = _load(library, local, pickle_refused=flavor == "pytorch" and not trust_pickle)
            samples = mlflow.models.Model.load(str(local)).load_input_example(str(local))
        name = None if registered is None else registered[0]
        return Origin(model=model, name=name, samples=samples, lineage=_lineage(info, registered))


def _pinned(uri: str) -> tuple[str, tuple[str, str] | None]:
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
    return f"models:/{name}/{version}", (name, version)


def _flavor(uri: str, flavors: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    for name, settings in flavors.items():
        if name in _LIBRARIES:
            return name, settings
    held = ", ".join(name for name in flavors if name != "python_function") or "python_function"
    raise ConversionError(
        f"{uri} has the flavor {held}, which is not converted.",
        remedy=f"Log the model with one of the flavors {', '.join(_LIBRARIES)}.",
        field="model",
    )


def _check_harmless(uri: str, flavor: str, settings: Mapping[str, Any], local: Path) -> None:
    """Refuse what would run code that came with the model."""
    reasons = {
        "brings its own code": bool(settings.get("code")),
        "declares types to be trusted when it is loaded": bool(settings.get("skops_trusted_types")),
        "is a pickle": settings.get("serialization_format", "pickle") != "skops"
        if flavor == "sklearn"
        else not (local / str(settings.get("model_data", "data")) / "model.pt2").is_file(),
    }
    found = [reason for reason, holds in reasons.items() if holds]
    if not found and flavor == "pytorch":
        hidden = code_in(local / str(settings.get("model_data", "data")) / "model.pt2")
        found = [] if hidden is None else [hidden]
    if found:
        raise ConversionError(
            f"{uri} {found[0]}: loading it runs code that its author chose.",
            remedy="If you trust who logged it, pass trust_pickle=True (--trust-pickle); else log it again with "
            "MLflow's default format.",
            field="model",
        )


def _load(library: ModuleType, local: Path, *, pickle_refused: bool) -> object:
    with _pickle_refused() if pickle_refused else nullcontext():
        model: object = library.load_model(str(local))
    return model


@contextmanager
def _pickle_refused() -> Iterator[None]:
    """Make MLflow look through a pt2 archive before torch unpickles its tensors; it has no argument for that."""
    before = os.environ.get(_ALLOW_PICKLE)
    os.environ[_ALLOW_PICKLE] = "false"
    try:
        yield
    finally:
        os.environ.pop(_ALLOW_PICKLE)
        if before is not None:
            os.environ[_ALLOW_PICKLE] = before


def _lineage(info: ModelInfo, registered: tuple[str, str] | None) -> MlflowLineage:
    """What MLflow noted of the model and of the run that made it."""
    from mlflow import MlflowClient

    client = MlflowClient()
    logged = client.get_logged_model(info.model_id) if info.model_id else None
    run_id = info.run_id or (logged.source_run_id if logged else None)
    run = client.get_run(run_id) if run_id else None
    metrics = dict(run.data.metrics) if run else {}
    params = dict(run.data.params) if run else {}
    if logged:
        metrics |= {metric.key: metric.value for metric in logged.metrics or ()}
        params |= logged.params or {}
    return MlflowLineage(
        registered_model=registered[0] if registered else None,
        version=registered[1] if registered else None,
        model_id=info.model_id or None,
        run_id=run_id or None,
        git_commit=run.data.tags.get("mlflow.source.git.commit") if run else None,
        metrics={name: decimal(value) for name, value in metrics.items()},
        params={name: str(value) for name, value in params.items() if not _is_secret(name, str(value))},
        datasets={each.dataset.name: each.dataset.digest for each in run.inputs.dataset_inputs} if run else {},
    )


def _is_secret(name: str, value: str) -> bool:
    """Whether a parameter looks like a credential: manifests travel to every phone, and so do the parameters in them."""
    return _SECRET_NAME.search(name) is not None or _SECRET_VALUE.search(value) is not None


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """MLflow's errors as ours."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as exc:
        raise _error(uri, exc) from exc
    except ModuleNotFoundError as exc:
        raise _missing(uri, str(exc.name)) from exc


def _missing(uri: str, module: str) -> MlpublishError:
    """A library of a flavor that we convert is an extra of ours; whatever else a model needs is its own affair."""
    library = module.partition(".")[0]
    if library in _EXTRAS:
        return MissingExtra(
            f"{uri} needs {library}, which is not installed.",
            remedy=f"Run: python -m pip install 'mlpublish[{library}]'.",
            field="model",
        )
    return ConversionError(
        f"{uri} needs the module {module}, which is not installed.",
        remedy="Install what the model's requirements.txt in MLflow lists.",
        field="model",
    )


def _error(uri: str, exc: MlflowException) -> MlpublishError:
    from requests import RequestException

    if isinstance(exc.__context__, RequestException):
        return EndpointUnreachable(
            "The MLflow tracking server did not answer.", remedy="Check MLFLOW_TRACKING_URI and the server.", field="model"
        )
    fact = str(exc).splitlines()[0].rstrip(".")
    if exc.error_code in _MISSING or "not found" in fact or fact.startswith("No versions"):
        return NotFound(
            f"{uri} is not in MLflow: {fact}.",
            remedy="Check the URI, and that MLFLOW_TRACKING_URI is the right store.",
            field="model",
        )
    return ConversionError(
        f"MLflow cannot give {uri}: {fact}.",
        remedy="Use models:/<name>@<alias>, models:/<name>/<version> or runs:/<id>/<path>.",
        field="model",
    )
