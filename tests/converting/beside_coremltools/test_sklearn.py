"""What coremltools' converter makes of estimators of scikit-learn, and what ours does."""

from __future__ import annotations

import warnings
from importlib.metadata import version

import numpy as np
import pytest
from sklearn import cluster, decomposition, ensemble, linear_model, naive_bayes, neural_network, preprocessing
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline

from tests.converting.beside_coremltools.theirs import converted, in_the_lowest_run
from tests.converting.sources.data import NUMBERS, THREE, TWO

ROWS = NUMBERS.held.astype(np.float32)
TREES = 7


@pytest.mark.skipif(version("scikit-learn").startswith("1.5."), reason="this release is the last that coremltools reads")
def test_a_newer_scikit_learn_is_met_by_a_name_error(judge):
    model = linear_model.LinearRegression().fit(NUMBERS.x, NUMBERS.y)
    with pytest.raises(NameError):
        converted(model)
    np.testing.assert_allclose(judge.ours(model, ROWS)["prediction"], model.predict(ROWS), rtol=1e-6)


@in_the_lowest_run
def test_a_forests_probabilities_are_not_divided_by_its_trees(judge):
    model = ensemble.RandomForestClassifier(TREES, max_depth=4, random_state=0).fit(NUMBERS.x, THREE.y)
    want = model.predict_proba(ROWS)
    theirs = judge.theirs(model, ROWS)["classProbability"]
    np.testing.assert_allclose(theirs, want * TREES, rtol=1e-6)
    np.testing.assert_allclose(judge.ours(model, ROWS)["classProbability"], want, atol=1e-12)


@in_the_lowest_run
@pytest.mark.parametrize("data", [TWO, THREE], ids=["two classes", "three classes"])
def test_logistic_regression_as_it_comes_is_refused(judge, data, capsys):
    model = linear_model.LogisticRegression(max_iter=3000).fit(NUMBERS.x, data.y)
    with pytest.raises(TypeError):
        converted(model)
    assert "One Vs Rest" in capsys.readouterr().out
    np.testing.assert_allclose(judge.ours(model, ROWS)["classProbability"], model.predict_proba(ROWS), atol=1e-5)


@in_the_lowest_run
@pytest.mark.parametrize("kind", [ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor])
def test_boosting_needs_what_numpy_is_about_to_take_away(judge, kind):
    import coremltools

    model = kind(n_estimators=3, random_state=0).fit(NUMBERS.x, THREE.y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # numpy 2.4 has made this one an error
        with pytest.raises(DeprecationWarning, match="array with ndim > 0"):
            coremltools.converters.sklearn.convert(model, [f"f{place}" for place in range(5)], "target")
        ours = judge.ours(model, ROWS)
    name, want = ("classProbability", "predict_proba") if hasattr(model, "predict_proba") else ("prediction", "predict")
    np.testing.assert_allclose(ours[name], getattr(model, want)(ROWS), rtol=1e-6)


UNREAD = {
    "Lasso": lambda: linear_model.Lasso(),
    "HistGradientBoostingRegressor": lambda: ensemble.HistGradientBoostingRegressor(max_iter=3),
    "MinMaxScaler": lambda: make_pipeline(preprocessing.MinMaxScaler(), linear_model.LinearRegression()),
    "GaussianNB": lambda: naive_bayes.GaussianNB(),
    "MLPClassifier": lambda: neural_network.MLPClassifier((4,), max_iter=30),
    "KMeans": lambda: cluster.KMeans(3, n_init=1, random_state=0),
    "PCA": lambda: make_pipeline(decomposition.PCA(2), linear_model.LinearRegression()),
    "ColumnTransformer": lambda: make_pipeline(
        make_column_transformer((preprocessing.StandardScaler(), [0, 1])), linear_model.LinearRegression()
    ),
}


@in_the_lowest_run
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", UNREAD)
def test_what_it_does_not_read_is_read_here(judge, name):
    model = UNREAD[name]().fit(NUMBERS.x, THREE.y)
    with pytest.raises(ValueError, match=r"not supported|Transformer"):
        converted(model)
    got = judge.ours(model, ROWS)
    want = model.predict(ROWS.astype(np.float64))
    np.testing.assert_allclose(got.get("classLabel", got.get("prediction")), want, rtol=1e-4, atol=1e-5)
