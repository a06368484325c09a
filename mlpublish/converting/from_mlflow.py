"""convert from MLflow: a model's URI becomes the model, its samples and its lineage.

The artifacts are downloaded into a temporary folder: a model that is loaded in place makes MLflow write into its store.
Loading must not run code that came with the model. MLflow's defaults (skops for scikit-learn and LightGBM, pt2 for PyTorch,
UBJSON for XGBoost) allow that; pickles, types beyond ours that the model itself declares as trusted, and code that it brings
along need ``trust_pickle=True``.
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
from typing import Any

from mlpublish.converting.download import fetched, kept_in, pin, told
from mlpublish.converting.files.lightgbm_text import parsed
from mlpublish.converting.files.skops_file import TRUSTED
from mlpublish.converting.lineage import lineage_of
from mlpublish.converting.mlflow_errors import translated
from mlpublish.converting.pt2 import code_in
from mlpublish.converting.quiet import silence
from mlpublish.converting.source import Origin
from mlpublish.errors import ConversionError
from mlpublish.tracking import patient

MLFLOW_SCHEMES = ("models", "runs")

COREML = "coreml"
"""Our own flavor: the model is taken as it was converted."""

_LIBRARIES = {
    "sklearn": "mlflow.sklearn",
    "pytorch": "mlflow.pytorch",
    "xgboost": "mlflow.xgboost",
    "lightgbm": "mlflow.lightgbm",
}
_XGBOOST_CLASS = re.compile(r"xgboost\.(core\.Booster|sklearn\.XGB(RF)?(Classifier|Regressor|Ranker))")
_BOOSTER = "lightgbm.basic.Booster"
_ALLOW_PICKLE = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"


@contextmanager
def opened_uri(uri: str, *, trust_pickle: bool) -> Iterator[Origin]:
    """Load a model from the registry, or from a run, of the tracking store that MLflow is set to.

    Args:
        uri: ``models:/<name>@<alias>``, ``models:/<name>/<version>``, ``models:/<model id>`` or ``runs:/<run id>/<path>``.
        trust_pickle: allow what runs code that the model's author chose.

    Returns:
        The model with what MLflow knows of it. One that was logged as Core ML comes as the ConvertedModel that it was, its
        files in a folder that is gone when the block ends.

    Raises:
        NotFound: there is no such model, version, alias or run, or the artifact store lost it.
        ConversionError: the model has no flavor that is converted, or would have to be trusted.
        FormatError: it was logged as Core ML, and is not what was logged.
        MissingExtra: the model's framework is not installed.
        EndpointUnreachable: the tracking server does not answer.
    """
    with TemporaryDirectory(prefix="mlpublish-") as folder:
        yield _origin(uri, Path(folder), trust_pickle=trust_pickle)


def _origin(uri: str, folder: Path, *, trust_pickle: bool) -> Origin:
    import mlflow.models

    with translated(uri), patient():
        with silence():
            pinned, registered = pin(uri)
            info = mlflow.models.get_model_info(pinned)
        flavor, settings = _flavor(uri, info.flavors)
        name, lineage = None if registered is None else registered[0], lineage_of(info, registered, flavor)
        if flavor == COREML:
            with silence():
                kept = kept_in(fetched(pinned, folder))
            return Origin(model=kept, name=kept.name, lineage=lineage)
        library = import_module(_LIBRARIES[flavor])  # outside of the silence: what it loads may keep hold of sys.stderr
        with silence():
            local = fetched(pinned, folder)
            if not trust_pickle:
                _check_harmless(uri, flavor, settings, local)
            model = _load(library, local, pickle_refused=flavor == "pytorch" and not trust_pickle)
            samples = mlflow.models.Model.load(str(local)).load_input_example(str(local))
        return Origin(model=model, name=name, samples=samples, lineage=lineage)


def _flavor(uri: str, flavors: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    for name, settings in flavors.items():
        if name in _LIBRARIES or name == COREML:
            return name, settings
    raise ConversionError(
        f"{uri} has the flavor {told(flavors)}, which is not converted.",
        remedy=f"Log the model with one of the flavors {', '.join(_LIBRARIES)}.",
        field="model",
    )


def _check_harmless(uri: str, flavor: str, settings: Mapping[str, Any], local: Path) -> None:
    """Refuse what would run code that came with the model."""
    found = "brings its own code" if settings.get("code") else _RUNNING[flavor](settings, local)
    if found is not None:
        raise ConversionError(
            f"{uri} {found}: loading it runs code that its author chose.",
            remedy="If you trust who logged it, pass trust_pickle=True (--trust-pickle); else log it again with "
            "MLflow's default format.",
            field="model",
        )


def _code_of_sklearn(settings: Mapping[str, Any], local: Path) -> str | None:  # noqa: ARG001
    if set(settings.get("skops_trusted_types") or ()) - TRUSTED:
        return "declares types to be trusted when it is loaded"
    return None if settings.get("serialization_format", "pickle") == "skops" else "is a pickle"


def _code_of_pytorch(settings: Mapping[str, Any], local: Path) -> str | None:
    archive = local / str(settings.get("model_data", "data")) / "model.pt2"
    return code_in(archive) if archive.is_file() else "is a pickle"


def _code_of_xgboost(settings: Mapping[str, Any], local: Path) -> str | None:  # noqa: ARG001
    """MLflow imports and calls whatever class a model names; XGBoost's own formats hold no code."""
    named = str(settings.get("model_class", "xgboost.core.Booster"))
    return None if _XGBOOST_CLASS.fullmatch(named) else f"names the class {named}"


def _code_of_lightgbm(settings: Mapping[str, Any], local: Path) -> str | None:
    """A Booster is text, which must be whole: the library ends this process over one that is not. Estimators are skops."""
    if settings.get("model_class", _BOOSTER) != _BOOSTER:
        return _code_of_sklearn(settings, local)
    parsed((local / str(settings["data"])).read_text(errors="replace"))
    return None


_RUNNING = {
    "sklearn": _code_of_sklearn,
    "pytorch": _code_of_pytorch,
    "xgboost": _code_of_xgboost,
    "lightgbm": _code_of_lightgbm,
}


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
