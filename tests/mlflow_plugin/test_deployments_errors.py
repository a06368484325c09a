"""Whatever happens behind the deployments door leaves as one line, with MLflow's code and an exit code."""

from __future__ import annotations

import click
import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from mlpublish.errors import AlreadyPublished, Conflict, EndpointRefused, NotFound, RecipeError
from mlpublish.mlflow_plugin.deployments_errors import DeploymentError, told

REMEDY = {"remedy": "Do this."}


@pytest.mark.parametrize(
    ("error", "code", "exit_code", "line"),
    [
        (RecipeError("It is wrong.", **REMEDY), "INVALID_PARAMETER_VALUE", 2, "It is wrong. Do this."),
        (NotFound("It is gone.", **REMEDY), "RESOURCE_DOES_NOT_EXIST", 6, "It is gone. Do this."),
        (AlreadyPublished("It is there.", **REMEDY), "RESOURCE_ALREADY_EXISTS", 5, "It is there. Do this."),
        (Conflict("It moved.", **REMEDY), "ABORTED", 5, "It moved. Do this."),
        (EndpointRefused("No.", status=401, **REMEDY), "UNAUTHENTICATED", 4, "No. Do this."),
        (EndpointRefused("No.", status=403, **REMEDY), "PERMISSION_DENIED", 4, "No. Do this."),
        (MlflowException("Not\n there.", RESOURCE_DOES_NOT_EXIST), "RESOURCE_DOES_NOT_EXIST", 6, "Not there."),
        (MlflowException("Broken."), "INTERNAL_ERROR", 1, "Broken."),
        (requests.ConnectionError("No\nroute."), "TEMPORARILY_UNAVAILABLE", 7, "A server did not answer: No route."),
        (FileNotFoundError(2, "No such file", "rows.npz"), "INTERNAL_ERROR", 1, "The system refused: No such file (rows.npz)."),
        (ZeroDivisionError("\x1b[31mred"), "INTERNAL_ERROR", 1, "An error that mlpublish did not expect: ZeroDivisionError"),
    ],
)
def test_an_error_is_one_line_with_mlflows_code_and_an_exit_code(error, code, exit_code, line):
    with pytest.raises(DeploymentError) as caught, told():
        raise error
    assert isinstance(caught.value, MlflowException)
    assert isinstance(caught.value, click.ClickException)
    assert (caught.value.error_code, caught.value.exit_code) == (code, exit_code)
    assert caught.value.message.startswith(line)
    assert caught.value.message.isprintable()
    assert caught.value.__cause__ is error


def test_an_error_that_was_told_is_not_told_again():
    with pytest.raises(DeploymentError) as caught, told(), told():
        raise RecipeError("It is wrong.", **REMEDY)
    assert caught.value.message == "It is wrong. Do this."
