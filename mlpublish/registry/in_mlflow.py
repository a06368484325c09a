"""note in MLflow: tags on model versions and logged models, a paragraph in the description, and a release run.

The release run is the ledger: it is created first, with all its tags at once, and finished last. A run that is finished says
that everything else was written; one that is not belongs to a note that was interrupted, and is taken up again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from mlpublish.artifacts import Receipt
from mlpublish.errors import Conflict, NotFound
from mlpublish.formats.evidence import MlflowLineage
from mlpublish.formats.manifest import MANIFEST_PATH, Manifest, ModelEntry
from mlpublish.formats.noted import Noted
from mlpublish.registry import tags
from mlpublish.tracking import patient
from mlpublish.version import __version__

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

_NO_EXPERIMENT = "0"  # MLflow's default one
_QUIET = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}  # stdout is the result's, not a run's address


def write_release(receipt: Receipt, manifest: Manifest) -> Noted:
    """Note a release; see ``note_release``.

    Raises:
        NotFound: there is no store here, or no such model in it.
        Conflict: the store has another model under that name and version.
        MlflowException and others: whatever the tracking or the artifact store says.
    """
    with _opened() as client:
        models = [(entry, lineage) for entry in manifest.models if (lineage := entry.provenance.mlflow) is not None]
        marked = list(_marked(client, [lineage for _, lineage in models]))
        if receipt.change is not None:
            return _waiting(receipt, marked)
        key, experiment = tags.key_at(tags.RELEASE, receipt), _experiment(client, models[0][1])
        run, written = _release_run(client, experiment, receipt), False
        if run is None or run.info.status != "FINISHED" or not all(key in each.tags for each in marked):
            run, written = run or _new_run(client, experiment, receipt), True
            _write(client, receipt, manifest, marked, models, run)
        for each in marked:
            for untrue in sorted(tags.unwanted(each.tags, receipt)):
                each.drop(untrue)
                written = True
    what = f"Release {receipt.number}, channel {receipt.channel}"
    detail = f"{what}, is noted in MLflow." if written else f"{what}, was noted in MLflow already."
    return Noted(state="written" if written else "unchanged", detail=detail, run_id=run.info.run_id)


def write_failure(name: str, version: str, channel: str, problem: str) -> Noted:
    """Note a failure; see ``note_failure``."""
    with _opened() as client:
        place = _Version(client, client.get_model_version(name, version))
        written = _mark(place, {tags.ERROR: tags.error_of(channel, problem)})
    detail = f"The failure is noted at models:/{name}/{version}."
    return Noted(state="written" if written else "unchanged", detail=detail)


@contextmanager
def _opened() -> Iterator[MlflowClient]:
    """A client that gives up in time and prints nothing; a local store that is not there is not made."""
    import mlflow

    _must_exist(mlflow.get_tracking_uri())
    with patient(_QUIET):
        yield mlflow.MlflowClient()


def _must_exist(uri: str) -> None:
    scheme, _, rest = uri.partition(":")
    place = Path(unquote(rest.removeprefix("///")) if scheme == "sqlite" else unquote(urlsplit(uri).path))
    if scheme in ("sqlite", "file") and not place.exists():
        raise NotFound(
            f"The MLflow store {place} is not there.",
            remedy="Set MLFLOW_TRACKING_URI to the store that the model came from, then run the same release again.",
            field="registry",
        )


class _Marked(Protocol):
    """What carries our tags."""

    tags: Mapping[str, str]

    def put(self, key: str, value: str) -> None: ...
    def drop(self, key: str) -> None: ...


class _Version:
    """A registered model's version."""

    def __init__(self, client: MlflowClient, version: ModelVersion) -> None:
        self._client, self._name, self._version = client, version.name, str(version.version)
        self.tags: Mapping[str, str] = dict(version.tags)
        self._description: str = version.description or ""

    def put(self, key: str, value: str) -> None:
        self._client.set_model_version_tag(self._name, self._version, key, value)

    def drop(self, key: str) -> None:
        self._client.delete_model_version_tag(self._name, self._version, key)

    def describe(self, receipt: Receipt) -> None:
        """Our paragraph in the description, if it is not there."""
        told = tags.described(self._description, receipt)
        if told != self._description:
            self._client.update_model_version(self._name, self._version, description=told)


class _LoggedModel:
    """A logged model."""

    def __init__(self, client: MlflowClient, model_id: str) -> None:
        self._client, self._id = client, model_id
        self.tags: Mapping[str, str] = dict(client.get_logged_model(model_id).tags or {})

    def put(self, key: str, value: str) -> None:
        self._client.set_logged_model_tags(self._id, {key: value})

    def drop(self, key: str) -> None:
        self._client.delete_logged_model_tag(self._id, key)


def _marked(client: MlflowClient, lineages: list[MlflowLineage]) -> Iterator[_Marked]:
    """Each version and each logged model once, whatever share of the bundle came from it."""
    for (name, version), lineage in {(each.registered_model, each.version): each for each in lineages}.items():
        if name is not None and version is not None:
            found = client.get_model_version(name, version)
            _must_be(found, lineage)
            yield _Version(client, found)
    for model_id in sorted({each.model_id for each in lineages if each.model_id is not None}):
        yield _LoggedModel(client, model_id)


def _must_be(version: ModelVersion, lineage: MlflowLineage) -> None:
    """Another store may have a model of the same name; it is not told what became of this one."""
    if lineage.run_id is not None and version.run_id and version.run_id != lineage.run_id:
        raise Conflict(
            f"models:/{version.name}/{version.version} is another model in this MLflow store.",
            remedy="Set MLFLOW_TRACKING_URI to the store that the model came from, then run the same release again.",
            field="registry",
        )


def _mark(place: _Marked, wanted: Mapping[str, str]) -> bool:
    """Write the tags that say something else, or nothing, now."""
    missing = {key: value for key, value in wanted.items() if place.tags.get(key) != value}
    for key, value in missing.items():
        place.put(key, value)
    return bool(missing)


def _waiting(receipt: Receipt, marked: list[_Marked]) -> Noted:
    change = str(receipt.change)
    wanted = {tags.CHANGE: change, tags.key_at(tags.CHANGE, receipt): change}
    written = [_mark(each, wanted) for each in marked if each.tags.get(tags.key_at(tags.CHANGE, receipt)) != change]
    detail = f"Change {change}, which waits for signatures, is noted in MLflow."
    return Noted(state="written" if any(written) else "unchanged", detail=detail)


def _write(
    client: MlflowClient,
    receipt: Receipt,
    manifest: Manifest,
    marked: list[_Marked],
    models: list[tuple[ModelEntry, MlflowLineage]],
    run: Run,
) -> None:
    """Everything that a release is told, the end of its run last."""
    for each in marked:
        _mark(each, tags.tags_of(receipt))
        if isinstance(each, _Version):
            each.describe(receipt)
    if run.info.status != "FINISHED":
        _fill(client, run, manifest, models)
        client.set_terminated(run.info.run_id)


def _release_run(client: MlflowClient, experiment: str, receipt: Receipt) -> Run | None:
    """The run that holds this release at this place; a finished one before one that was interrupted."""
    wanted = f"tags.kind = 'release' and tags.`mlpublish.bundle_sha256` = '{receipt.sha256}'"
    identity = tags.identity_of(receipt).items()
    found = [run for run in client.search_runs([experiment], wanted) if identity <= run.data.tags.items()]
    return min(found, key=lambda run: (run.info.status != "FINISHED", run.info.start_time), default=None)


def _new_run(client: MlflowClient, experiment: str, receipt: Receipt) -> Run:
    return client.create_run(
        experiment,
        run_name=f"release {receipt.number} → {receipt.channel}",
        tags={
            "kind": "release",
            "mlflow.source.name": f"mlpublish {__version__}",
            "mlflow.note.content": tags.paragraph_of(receipt),
            **tags.identity_of(receipt),
        },
    )


def _experiment(client: MlflowClient, lineage: MlflowLineage) -> str:
    """Where the model was made."""
    if lineage.run_id is not None:
        return str(client.get_run(lineage.run_id).info.experiment_id)
    return _NO_EXPERIMENT if lineage.model_id is None else str(client.get_logged_model(lineage.model_id).experiment_id)


def _fill(client: MlflowClient, run: Run, manifest: Manifest, models: list[tuple[ModelEntry, MlflowLineage]]) -> None:
    """The manifest, the parity metrics and the models that they are of; written twice, they are the same."""
    from mlflow.entities import LoggedModelInput, Metric

    run_id, moment = run.info.run_id, run.info.start_time
    client.log_text(run_id, manifest.to_bytes().decode(), MANIFEST_PATH)
    linked = sorted({lineage.model_id for _, lineage in models if lineage.model_id is not None})
    if linked:
        client.log_inputs(run_id, models=[LoggedModelInput(model_id=each) for each in linked])
    metrics = [
        Metric(key, value, moment, 0, model_id=lineage.model_id, run_id=run_id)
        for entry, lineage in models
        for key, value in tags.metrics_of(entry, alone=len(manifest.models) == 1)
    ]
    client.log_batch(run_id, metrics=metrics)
