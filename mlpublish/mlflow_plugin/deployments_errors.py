"""How the deployments door tells an error: one line on MLflow's command line, an MlflowException with its code in Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import click
import requests
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes

from mlpublish.addresses import without_credentials
from mlpublish.errors import AlreadyPublished, Conflict, EndpointRefused, InternalError, MlpublishError
from mlpublish.reporting.text import one_line

_BY_EXIT_CODE = {
    2: codes.INVALID_PARAMETER_VALUE,
    3: codes.INVALID_STATE,
    4: codes.UNAUTHENTICATED,
    6: codes.RESOURCE_DOES_NOT_EXIST,
    7: codes.TEMPORARILY_UNAVAILABLE,
}
_EXIT_CODES = {codes.ErrorCode.Name(code): exit_code for exit_code, code in _BY_EXIT_CODE.items()}


class DeploymentError(MlflowException, click.ClickException):  # type: ignore[misc,unused-ignore]
    """One line on MLflow's command line, and an MlflowException with its code in Python.

    Args:
        told: the fact and the remedy.
        code: one of MLflow's error codes.
        exit_code: of the command line; docs/exit-codes.md.
    """

    def __init__(self, told: str, *, code: int, exit_code: int) -> None:
        line = one_line(re.sub(r"\s+", " ", without_credentials(told))).strip()
        MlflowException.__init__(self, line, error_code=code)
        click.ClickException.__init__(self, line)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance


@contextmanager
def told() -> Iterator[None]:
    """Let every error leave as a DeploymentError: MLflow's command line shows a traceback of any other."""
    try:
        yield
    except DeploymentError:
        raise
    except Exception as exc:  # a door: whatever happens gets one line and a code
        raise _translated(exc) from exc


def _translated(exc: Exception) -> DeploymentError:
    match exc:
        case MlpublishError():
            return DeploymentError(str(exc), code=_code_of(exc), exit_code=exc.exit_code)
        case MlflowException():
            code = codes.ErrorCode.Value(exc.error_code)
            return DeploymentError(exc.message, code=code, exit_code=_EXIT_CODES.get(exc.error_code, 1))
        case requests.RequestException():
            text = f"A server did not answer: {exc}. Check its address, and try again."
            return DeploymentError(text, code=codes.TEMPORARILY_UNAVAILABLE, exit_code=7)
        case OSError():
            where = f" ({exc.filename})" if exc.filename else ""
            text = f"The system refused: {exc.strerror or exc}{where}. Check path and permissions."
            return DeploymentError(text, code=codes.INTERNAL_ERROR, exit_code=1)
    text = f"An error that mlpublish did not expect: {type(exc).__name__}: {exc}. Call it from Python to see where."
    return DeploymentError(text, code=codes.INTERNAL_ERROR, exit_code=1)


def _code_of(error: MlpublishError) -> int:
    match error:
        case AlreadyPublished():
            return codes.RESOURCE_ALREADY_EXISTS
        case Conflict():
            return codes.ABORTED
        case EndpointRefused(status=403):
            return codes.PERMISSION_DENIED
        case InternalError():
            return codes.INTERNAL_ERROR
    return _BY_EXIT_CODE.get(error.exit_code, codes.INVALID_PARAMETER_VALUE)
