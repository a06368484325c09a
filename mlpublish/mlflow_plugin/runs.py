"""The run that a logged model belongs to, and the model's evidence on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlpublish.artifacts import ConvertedModel
from mlpublish.converting.mlflow_errors import translated
from mlpublish.errors import NotFound
from mlpublish.formats.evidence import ParityReport

if TYPE_CHECKING:
    from mlflow.entities import Run

METRICS = "mlpublish.parity."
"""Begins the names of the metrics; a lineage leaves them out, so that evidence does not change what is released."""


@contextmanager
def run_for(model: ConvertedModel) -> Iterator[Run]:
    """The active run; else the one that trained the model, which stays as it is; else a new one, ended with the block.

    Raises:
        NotFound: the run that trained the model is not in this tracking store.
    """
    import mlflow

    active, lineage = mlflow.active_run(), model.provenance.mlflow
    if active is not None:
        yield active
    elif lineage is not None and lineage.run_id is not None:
        yield _trained(lineage.run_id)
    else:
        with mlflow.start_run() as run:
            yield run


def _trained(run_id: str) -> Run:
    """A run that may have ended: resuming it would make an end of now, and a success of a failure."""
    from mlflow import MlflowClient

    remedy = "Set MLFLOW_TRACKING_URI to the store that the model was converted from, or log it within mlflow.start_run()."
    try:
        with translated(f"runs:/{run_id}"):
            run = MlflowClient().get_run(run_id)
    except NotFound as exc:
        raise NotFound(f"The run {run_id}, which trained the model, is not in MLflow.", remedy=remedy, field="model") from exc
    if run.info.lifecycle_stage != "active":
        raise NotFound(f"The run {run_id}, which trained the model, was deleted.", remedy=remedy, field="model")
    return run


def log_evidence(report: ParityReport, *, run_id: str, model_id: str, file: str, step: int) -> None:
    """Log a parity report as the run's artifact ``file``, and its numbers as metrics of the run and the model."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    numbers = {
        "samples": float(report.samples),
        "max_abs_diff": report.max_abs_diff,
        "max_rel_diff": report.max_rel_diff,
        "label_agreement": report.label_agreement,
    }
    now = int(time.time() * 1000)  # milliseconds
    metrics = [
        Metric(METRICS + name, value, now, step, model_id=model_id, run_id=run_id)
        for name, value in numbers.items()
        if value is not None
    ]
    client = MlflowClient()
    client.log_batch(run_id, metrics=metrics)
    client.log_dict(run_id, report.to_dict(), file)
