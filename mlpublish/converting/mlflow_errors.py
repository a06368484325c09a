"""MLflow's errors as ours: a model that is not there, a store that lost it, a server that does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlpublish.errors import (
    ConversionError,
    EndpointRefused,
    EndpointUnreachable,
    MissingExtra,
    MlpublishError,
    NotFound,
    PublishError,
)
from mlpublish.shown import fact

if TYPE_CHECKING:
    from mlflow.exceptions import MlflowException
    from requests import RequestException

_EXTRAS = ("torch", "xgboost", "lightgbm")
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
_REFUSED = {"UNAUTHENTICATED": 401, "CUSTOMER_UNAUTHORIZED": 401, "PERMISSION_DENIED": 403}
_TRANSIENT = ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED")
_DOWNLOADING = "The following failures occurred while downloading"
_GONE = ("No such artifact", "Failed to download artifacts")


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Let MLflow's errors leave the block as ours; ``uri`` is what they are about.

    Raises:
        NotFound: it is not in MLflow, or the artifact store lost it.
        EndpointUnreachable, EndpointRefused: the server does not answer, or answers that it cannot now or will not.
        MissingExtra: a framework that we convert from is not installed.
        ConversionError: whatever else keeps MLflow from giving it.
    """
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    try:
        yield
    except MlflowException as exc:
        raise _error(uri, exc) from exc
    except RequestException as exc:  # artifacts come through the server, which MLflow asks itself
        raise _lost(uri) if _status(exc) == 404 else _unreachable() from exc
    except ModuleNotFoundError as exc:
        raise _missing(uri, str(exc.name)) from exc
    except FileNotFoundError as exc:
        raise _lost(uri) from exc


@contextmanager
def answering() -> Iterator[None]:
    """Let a server that does not answer, or refuses, leave the block as our error; the rest of MLflow's are its own."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    try:
        yield
    except RequestException as exc:
        raise _unreachable() from exc
    except MlflowException as exc:
        unanswered = _unanswered(exc)
        if unanswered is None:
            raise
        raise unanswered from exc


def _error(uri: str, exc: MlflowException) -> MlpublishError:
    told = fact(exc)
    if told.startswith(_GONE) or (told.startswith(_DOWNLOADING) and ("404" in str(exc) or "No such file" in str(exc))):
        return _lost(uri)
    if exc.error_code in _MISSING or "not found" in told or told.startswith("No versions"):
        return NotFound(
            f"{uri} is not in MLflow: {told}.",
            remedy="Check the URI, and that MLFLOW_TRACKING_URI is the right store.",
            field="model",
        )
    return _unanswered(exc) or ConversionError(
        f"MLflow cannot give {uri}: {told}.",
        remedy="Use models:/<name>@<alias>, models:/<name>/<version> or runs:/<id>/<path>.",
        field="model",
    )


def _unanswered(exc: MlflowException) -> PublishError | None:
    """The error of a server that did not answer, or answered 401, 403, 429 or 5xx; None if it is another error."""
    from mlflow.exceptions import RestException
    from requests import RequestException

    text = str(exc)
    if exc.error_code in _REFUSED:
        return EndpointRefused(
            "The MLflow tracking server refuses these credentials.",
            remedy="Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.",
            field="model",
            status=_REFUSED[exc.error_code],
        )
    failed = isinstance(exc, RestException) and exc.error_code == "INTERNAL_ERROR"
    broken = "failed with error code 5" in text or text.startswith(_DOWNLOADING)
    if isinstance(exc.__context__, RequestException) or exc.error_code in _TRANSIENT or failed or broken:
        return _unreachable()
    return None


def _status(exc: RequestException) -> int | None:
    return None if exc.response is None else exc.response.status_code


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


def _unreachable() -> EndpointUnreachable:
    return EndpointUnreachable(
        "The MLflow tracking server did not answer.", remedy="Check MLFLOW_TRACKING_URI and the server.", field="model"
    )


def _lost(uri: str) -> NotFound:
    return NotFound(
        f"MLflow knows {uri}, but files of it are gone from the artifact store.",
        remedy="Restore them from a backup, or log the model again.",
        field="model",
    )
