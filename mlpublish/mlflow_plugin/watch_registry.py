"""Where an alias of MLflow's registry points now."""

from __future__ import annotations

from mlpublish.addresses import without_credentials
from mlpublish.errors import EndpointUnreachable
from mlpublish.mlflow_plugin.watch_state import Pointed

_MISSING = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")


def pointed_at(model: str, alias: str) -> Pointed | None:
    """Ask the registry.

    Returns:
        The version, or None where there is no such alias, or no such model.

    Raises:
        EndpointUnreachable: the registry does not answer, or refuses.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        found = MlflowClient().get_model_version_by_alias(model, alias)
    except MlflowException as exc:
        if exc.error_code in _MISSING or (exc.error_code == "INVALID_PARAMETER_VALUE" and "not found" in str(exc)):
            return None
        raise _unreachable(exc) from exc
    except (RequestException, SQLAlchemyError, OSError) as exc:
        raise _unreachable(exc) from exc
    return Pointed(version=str(found.version), created=int(found.creation_timestamp))


def _unreachable(exc: Exception) -> EndpointUnreachable:
    first = next(iter(str(exc).splitlines()), type(exc).__name__)
    told = without_credentials(first)[:200].rstrip(".")
    return EndpointUnreachable(
        f"The MLflow registry does not answer: {told}.",
        remedy="Check [watch] tracking_uri (MLFLOW_TRACKING_URI) and the server.",
        field="tracking_uri",
    )
