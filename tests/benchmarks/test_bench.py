"""The benchmarks run, and the study of faults finds what it says; how fast, is for whoever runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mlpublish
from mlpublish.benchmarks.evaluate import bench_evaluate
from mlpublish.benchmarks.mutations import study
from mlpublish.benchmarks.speed import Speed
from mlpublish.benchmarks.study_page import page_of
from mlpublish.benchmarks.trial import Study, Trial
from mlpublish.errors import RecipeError

PAGE = Path(mlpublish.__file__).parent / "docs/parity-study.md"


@pytest.fixture(scope="module")
def some() -> Study:
    pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    pytest.importorskip("xgboost", reason="needs XGBoost: pip install 'mlpublish[xgboost]'")
    return study("mlp", "three classes", "boosted", progress=False)


def test_every_fault_of_a_conversion_is_caught(some):
    assert len(some.trials) > 20
    assert list(some.missed()) == []


def test_the_twin_shows_what_the_shipped_file_hides(some):
    assert any("one tensor × 1.05" in each for each in some.hidden())
    assert not any(each.kind == "off-by-one class" and not each.alone for each in some.trials)


def test_the_page_knows_the_kinds_of_faults_and_says_what_a_study_of_some_says(some):
    page = PAGE.read_text()
    for trial in some.trials:
        assert f"| {trial.kind} |" in page
    for sentence in some.hidden():
        assert sentence.rpartition(" (")[0] in page
    assert page.splitlines()[0] == page_of(some).splitlines()[0]


def test_a_fault_without_effect_is_no_miss_and_a_nan_is_no_pass():
    trial = {"model": "m", "is_network": True, "kind": "k", "place": "p"}
    silent = Trial(**trial, effect=0.0, with_twin=False, alone=False)
    broken = Trial(**trial, effect=float("nan"), with_twin=False, alone=False)
    assert not silent.matters
    assert list(Study(trials=(silent, broken)).missed()) == ["m: k at p (moves the float32 file's answers by nan)"]


def test_a_model_that_is_not_in_the_study_is_named():
    with pytest.raises(RecipeError, match="resnet"):
        study("resnet", progress=False)


def test_a_bar_is_a_ratio_or_seconds():
    assert Speed(name="n", source=2.0, ours=3.0, bar=2.0).measured == 1.5
    assert not Speed(name="n", source=None, ours=0.7, bar=0.5).kept


@pytest.mark.parametrize(("names", "rounds"), [(["resnet50"], 1), (["load"], 0)])
def test_a_benchmark_that_is_none_is_refused(names, rounds):
    with pytest.raises(RecipeError, match=r"resnet50|rounds"):
        bench_evaluate(*names, rounds=rounds, progress=False)


def test_the_command_measures_programs_and_opening():
    pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    command = [sys.executable, "-m", "mlpublish", "bench", "evaluate", "bert_tiny", "load", "--rounds", "1", "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["result"]
    assert [each["name"] for each in told["speeds"]][:3] == [
        "bert_tiny, float32 file, exact", "bert_tiny, float16 file, exact", "bert_tiny, float16 file, device",
    ]  # fmt: skip
    assert all(each["seconds"] > 0 for each in told["speeds"])
