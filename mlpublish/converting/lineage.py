"""A model's lineage: what MLflow noted of it and of the run that made it, as the manifest carries it.

A manifest travels to every phone, so nothing that looks like a credential is in it, and its size is bounded: MLflow takes
thousands of parameters of 6,000 characters each. What mlpublish itself noted in MLflow is no lineage; if it were, noting a
release would make the same model another bundle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from mlpublish.formats.evidence import MlflowLineage
from mlpublish.formats.wire import decimal

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Run
    from mlflow.models.model import ModelInfo

MOST = 200  # entries of each kind
LONGEST = 500  # characters of a value
_NOT_OURS_TO_TELL = ("mlpublish.", "system/")  # our own notes, and how busy the machine was
_SECRET_NAME = re.compile(r"secret|token|passw|api_?key|access_?key|credential|private", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"://[^/@\s]+:[^/@\s]+@")  # a URL that carries a password


def lineage_of(info: ModelInfo, registered: tuple[str, str] | None, flavor: str) -> MlflowLineage:
    """What MLflow noted of a model and of the run that made it.

    Args:
        info: what ``mlflow.models.get_model_info`` gave.
        registered: its name in the registry and its version.
        flavor: the flavor that it was loaded with.
    """
    from mlflow import MlflowClient

    client = MlflowClient()
    logged = client.get_logged_model(info.model_id) if info.model_id else None
    run_id = info.run_id or (logged.source_run_id if logged else None)
    run = client.get_run(run_id) if run_id else None
    metrics = _metrics(run, logged)
    params = _params(run, logged)
    shown = {name: value for name, value in params.items() if not _is_secret(name, value)}
    datasets = _datasets(run, logged)
    kept = {"params": _cut(shown), "metrics": _cut(metrics), "datasets": _cut(datasets)}
    found = {"params": params, "metrics": metrics, "datasets": datasets}
    missing = {kind: len(found[kind]) - len(kept[kind]) for kind in kept}
    return MlflowLineage(
        registered_model=registered[0] if registered else None,
        version=registered[1] if registered else None,
        model_id=info.model_id or None,
        run_id=run_id or None,
        git_commit=run.data.tags.get("mlflow.source.git.commit") if run else None,
        flavor=flavor,
        mlflow_version=info.mlflow_version or None,
        left_out=MappingProxyType({kind: count for kind, count in missing.items() if count}),
        **kept,
    )


def _metrics(run: Run | None, logged: LoggedModel | None) -> dict[str, str]:
    """The run's, and before them the model's own."""
    of_run = run.data.metrics if run else {}
    of_model = {metric.key: metric.value for metric in (logged.metrics or () if logged else ())}
    return {name: decimal(value) for name, value in {**of_run, **of_model}.items() if not name.startswith(_NOT_OURS_TO_TELL)}


def _params(run: Run | None, logged: LoggedModel | None) -> dict[str, str]:
    found = {**(run.data.params if run else {}), **((logged.params or {}) if logged else {})}
    return {name: str(value) for name, value in found.items() if not name.startswith(_NOT_OURS_TO_TELL)}


def _datasets(run: Run | None, logged: LoggedModel | None) -> dict[str, str]:
    """Name -> digest; where one name stands for several data, each has its digest in its name too."""
    seen = {(each.dataset.name, each.dataset.digest) for each in (run.inputs.dataset_inputs if run else ())}
    for metric in logged.metrics or () if logged else ():
        if metric.dataset_name and metric.dataset_digest:
            seen.add((metric.dataset_name, metric.dataset_digest))
    return _named(seen)


def _named(seen: Iterable[tuple[str, str]]) -> dict[str, str]:
    pairs = sorted(seen)
    names = [name for name, _ in pairs]
    return {name if names.count(name) == 1 else f"{name} ({digest})": digest for name, digest in pairs}


def _cut(values: Mapping[str, str]) -> Mapping[str, str]:
    """The first of them by name, each no longer than a person would read."""
    return MappingProxyType({name: _shortened(values[name]) for name in sorted(values)[:MOST]})


def _shortened(value: str) -> str:
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}… ({len(value)} characters)"


def _is_secret(name: str, value: str) -> bool:
    """Whether a parameter looks like a credential."""
    return _SECRET_NAME.search(name) is not None or _SECRET_VALUE.search(value) is not None
