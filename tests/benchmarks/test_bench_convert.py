"""The benchmark of conversions runs, and tells what it saw; how fast, is for whoever runs it."""

from __future__ import annotations

import pytest

from mlpublish.benchmarks import convert
from mlpublish.benchmarks.conversions import Conversion, Took
from mlpublish.benchmarks.fitted import MODELS
from mlpublish.errors import RecipeError


def small_boosting():
    xgboost = pytest.importorskip("xgboost", reason="needs XGBoost: pip install 'mlpublish[xgboost]'")
    from tests.converting.sources.data import NUMBERS

    return xgboost.XGBRegressor(n_estimators=20).fit(NUMBERS.x, NUMBERS.y), NUMBERS.held


def test_both_converters_are_measured_in_processes_of_their_own(monkeypatch):
    monkeypatch.setitem(MODELS, "xgboost", small_boosting)
    (one,) = convert.bench_convert("xgboost", rounds=1, progress=False).conversions
    assert one.kept
    for took in (one.ours, one.theirs):
        assert 0 < took.seconds < 60
        assert took.peak_mb >= took.before_mb > 50
    assert 1000 < one.ours.length <= one.theirs.length


def test_what_is_refused_says_why_and_is_no_bar_kept():
    took = Took(seconds=1.0, peak_mb=1.0, before_mb=1.0, length=10)
    refused = Took(refused="NameError: no")
    assert refused.cells() == ("NameError: no", "", "")
    assert Conversion(name="n", ours=took, theirs=refused).kept
    assert not Conversion(name="n", ours=refused, theirs=took).kept
    assert not Conversion(name="n", ours=took, theirs=Took(seconds=1.0, peak_mb=1.0, before_mb=1.0, length=9)).kept


@pytest.mark.parametrize(("names", "rounds"), [(["resnet50"], 1), (["forest"], 0)])
def test_a_benchmark_that_is_none_is_refused(names, rounds):
    with pytest.raises(RecipeError, match=r"resnet50|rounds"):
        convert.bench_convert(*names, rounds=rounds, progress=False)
