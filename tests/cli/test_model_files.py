"""Models from files on the command line: converted and released under the file's name, and refused in one line."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

_R = np.random.default_rng(5)
FRAME = pd.DataFrame({"size": _R.normal(size=60), "city": np.array(["Ulm", "Bonn"])[_R.integers(0, 2, 60)]})
WORDS = np.where(FRAME["size"] > 0, "large", "small")


@pytest.fixture
def cities(here):
    """``cities.skops``, and samples beside it as CSV and Parquet."""
    skops = pytest.importorskip("skops.io", reason="needs skops: pip install 'mlpublish[skops]'")
    columns = make_column_transformer((OneHotEncoder(), ["city"]), (StandardScaler(), ["size"]))
    skops.dump(make_pipeline(columns, LogisticRegression()).fit(FRAME, WORDS), here / "cities.skops")
    FRAME.to_csv(here / "held.csv", index=False)
    FRAME.to_parquet(here / "held.parquet")
    return here / "cities.skops"


@pytest.mark.parametrize("samples", ["held.csv", "held.parquet"])
def test_a_file_is_converted_on_samples_from_a_table(cli, cities, samples):
    made = cli("convert", cities.name, "--samples", samples, "-o", "out", "--json").result
    assert (made["name"], made["parity"]["samples"], made["parity"]["label_agreement"]) == ("cities", 60, "1.0")


def test_a_file_is_released(cli, cities):
    cli("repo", "init", "--dev", "dev")
    app = ("--app", "com.acme.cities", "--app-version", "1.0")
    whole = ("--to", "file:dev/repository", "--repository", "dev", "--samples", "held.csv", "--json")
    made = cli("release", cities.name, *app, *whole)
    assert made.result["created"] is True


def test_a_pickle_needs_a_word(cli, here):
    np.save("rows.npy", np.eye(2))
    joblib.dump(LogisticRegression().fit(np.eye(2), [0, 1]), here / "m.pkl")
    told = cli("convert", "m.pkl", "--samples", "rows.npy", "-o", "out")
    assert told.code == 1
    assert "--trust-pickle" in told.line
    assert not (here / "out").exists()
    assert cli("convert", "m.pkl", "--samples", "rows.npy", "-o", "out", "--trust-pickle", "--json").result["name"] == "m"


@pytest.mark.parametrize(
    ("name", "content", "code", "told"),
    [
        ("m.json", b"{}", 1, "no whole model of XGBoost"),
        ("m.ubj", b"{", 1, "cut off"),
        ("m.txt", b"tree", 1, "no whole model of LightGBM"),
        ("m.skops", b"", 1, "is empty"),
        ("m.json", None, 6, "There is no file m.json"),
    ],
    ids=["json", "ubj", "txt", "empty", "nothing"],
)
def test_a_file_without_a_model_is_one_line_and_leaves_nothing(cli, here, below, name, content, code, told):
    np.save("rows.npy", np.eye(2))
    if content is not None:
        (here / name).write_bytes(content)
    before = below(here)
    ran = cli("convert", name, "--samples", "rows.npy", "-o", "out")
    assert ran.code == code
    assert told in ran.line
    assert below(here) == before
