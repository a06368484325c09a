"""Models and samples that cannot be converted: one line with the remedy, exit code, and no file left behind."""

from __future__ import annotations

import os
import zipfile

import joblib
import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, LogisticRegression

NO_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, NoTorch())
"""
TORCH_MODEL = """
flavors:
  pytorch: {model_data: data, pytorch_version: 2.13.0, code: null}
  python_function: {loader_module: mlflow.pytorch, data: data}
"""


@pytest.fixture
def refused(cli, here, below):
    """Converts, and wants the error: its line, while the folder stays as it was."""

    def run(*arguments: object, code: int = 1, name: str = "conversion_error") -> str:
        before = below(here)
        in_json, told = cli("convert", *arguments, "-o", "out", "--json"), cli("convert", *arguments, "-o", "out")
        assert (in_json.code, in_json.error["code"]) == (code, name)
        assert told.code == code
        assert below(here) == before
        return told.line

    return run


@pytest.mark.parametrize(
    ("shape", "told"), [((4, 63), "63"), ((64,), "64"), ((0, 64), "0"), ((4, 8, 8), "8")], ids=lambda value: str(value)
)
def test_samples_of_the_wrong_shape_name_the_numbers(refused, digits, shape, told):
    np.save("bad.npy", np.zeros(shape))
    assert told in refused("models:/digits/1", "--samples", "bad.npy")


def test_samples_that_are_none_are_refused_before_the_model_is_opened(refused, digits):
    with open("bad.npz", "w") as file:
        file.write("1,2,3")
    assert "numpy.savez" in refused("models:/digits/1", "--samples", "bad.npz", code=2, name="recipe_error")


@pytest.mark.parametrize("uri", ["models:/nobody@champion", "models:/digits@nobody", "models:/digits/99", "runs:/0/model"])
def test_a_model_that_is_not_in_mlflow_is_not_found(refused, digits, uri):
    assert "MLFLOW_TRACKING_URI" in refused(uri, code=6, name="not_found")


def test_a_model_of_a_kind_that_is_not_converted_is_named(refused, digits):
    model = KernelRidge().fit(digits.rows[:20], digits.labels[:20])
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(model, name="model", input_example=digits.rows[:2], pip_requirements=[])
    assert "KernelRidge is not converted. Use SVR" in refused(info.model_uri)


_ROWS = np.random.default_rng(0).normal(size=(20, 3))
_LABELS = np.arange(20) % 2


def _sick():
    model = LogisticRegression().fit(_ROWS, _LABELS)
    model.coef_[0, 0] = np.nan
    return model


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (LogisticRegression, "LogisticRegression is not fitted. Fit the model"),
        (_sick, "coef_ holds NaN or infinity. Fit the model again on clean data"),
        (lambda: LogisticRegression().fit(_ROWS, _LABELS * 1.0), "whole numbers and texts. Fit the model on labels"),
    ],
    ids=["unfitted", "NaN", "labels"],
)
def test_a_model_in_no_state_to_be_converted_is_told_what_to_do(refused, made, told):
    skops.io.dump(made(), "m.skops")
    np.save("rows.npy", _ROWS)
    assert told in refused("m.skops", "--samples", "rows.npy")


def test_samples_of_three_axes_are_refused(refused):
    skops.io.dump(LogisticRegression().fit(_ROWS, _LABELS), "m.skops")
    np.save("rows.npy", _ROWS[np.newaxis])
    assert "The samples have the shape (1, 20, 3), the model takes (rows, 3)." in refused("m.skops", "--samples", "rows.npy")


class Contrary(LinearRegression):
    def predict(self, X):
        return -super().predict(X)


def test_an_estimator_with_its_own_predict_is_refused(refused):
    joblib.dump(Contrary().fit(_ROWS, _LABELS), "contrary.joblib")
    np.save("rows.npy", _ROWS)
    told = refused("contrary.joblib", "--trust-pickle", "--samples", "rows.npy")
    assert "Contrary has its own predict; its attributes do not tell what it does. Convert a plain LinearRegression." in told


def test_a_frame_with_other_columns_names_the_one_that_is_lacking(refused):
    frame = pd.DataFrame(_ROWS, columns=["age", "income", "rooms"])
    skops.io.dump(LinearRegression().fit(frame, _LABELS), "m.skops")
    frame.drop(columns="income").to_csv("frame.csv", index=False)
    told = refused("m.skops", "--samples", "frame.csv")
    assert "The samples lack the column 'income'. Give the columns age, income, rooms." in told


def test_a_tolerance_that_cannot_hold_stops_the_model_with_the_numbers(refused, digits):
    line = refused("models:/digits/1", "--tolerance", 0, name="parity_error")
    assert "allowed 0.0e+00" in line
    assert "tolerance" in line


@pytest.mark.parametrize("option", [("--target", "iOS3"), ("--precision", "int1"), ("--tolerance", -1), ("--name", "a b")])
def test_a_setting_that_is_none_is_a_recipe_error(refused, digits, option):
    refused("models:/digits/1", *option, code=2, name="recipe_error")


def test_a_missing_extra_is_named_with_its_pip_line(shell, here, digits, tmp_path):
    """The model's framework is not installed, as in an environment without the extra."""
    source, blocked = tmp_path / "cnn", tmp_path / "blocked"
    source.mkdir()
    blocked.mkdir()
    (source / "MLmodel").write_text(TORCH_MODEL)
    (source / "data").mkdir()
    zipfile.ZipFile(source / "data" / "model.pt2", "w").close()
    (blocked / "sitecustomize.py").write_text(NO_TORCH)
    client = mlflow.MlflowClient()
    client.create_registered_model("cnn")
    client.create_model_version("cnn", source=source.as_uri())
    ran = shell("convert", "models:/cnn/1", "-o", "out", "--json", env={**os.environ, "PYTHONPATH": str(blocked)})
    assert (ran.code, ran.error["code"]) == (1, "missing_extra"), ran
    assert "pip install 'mlpublish[torch]'" in ran.error["remedy"]
    assert list(here.iterdir()) == []
