"""The verb ``note``: what became of a model is written where it came from; a note that fails takes nothing back.

A release that is published stands, whatever the registry says. So a note never raises: its outcome is data, and running the
same release again completes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mlpublish.addresses import without_credentials
from mlpublish.artifacts import Receipt
from mlpublish.errors import MlpublishError
from mlpublish.formats.manifest import Manifest
from mlpublish.formats.noted import Noted

_LONGEST = 300  # characters of what a registry said


def note_release(receipt: Receipt, manifest: Manifest) -> Noted | None:
    """Note a release, or the change that it waits as, in the registry that its models came from.

    The model versions and logged models get tags, the versions one paragraph in their description, and a release run holds the
    manifest and the parity metrics. What stands there already is not written again.

    Args:
        receipt: what the endpoint took; ``channel`` names the channel, also where the release still waits for it.
        manifest: the bundle's.

    Returns:
        What came of it; None where no model came from a registry.
    """
    if all(model.provenance.mlflow is None for model in manifest.models):
        return None

    def noted() -> Noted:
        from mlpublish.registry import in_mlflow  # MLflow takes a second to load

        return in_mlflow.write_release(receipt, manifest)

    return _outcome(noted, "run the same release again")


def note_failure(name: str, version: str, *, channel: str, problem: str) -> Noted:
    """Note at a model version that it could not be released; the next release of it to the same channel takes the note away.

    Args:
        name, version: of the registered model.
        channel: the channel that it was meant for.
        problem: what happened; it becomes one line of at most 500 characters.
    """

    def noted() -> Noted:
        from mlpublish.registry import in_mlflow

        return in_mlflow.write_failure(name, version, channel, problem)

    return _outcome(noted, "try again")


def _outcome(write: Callable[[], Noted], remedy: str) -> Noted:
    try:
        return write()
    except MlpublishError as error:
        return Noted(state="failed", detail=error.problem, remedy=error.remedy)
    except Exception as error:  # noqa: BLE001 - the release stands, and whatever a tracking or artifact store raises must not hide it
        said = _first_line(error)
        detail = f"The registry could not be written: {type(error).__name__}{said and f': {said}'}."
        return Noted(
            state="failed", detail=detail, remedy=f"See to the MLflow store, then {remedy}; nothing else is done twice."
        )


def _first_line(error: Exception) -> str:
    line = re.sub(r"\s+", " ", without_credentials(str(error))).strip().rstrip(".")
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
