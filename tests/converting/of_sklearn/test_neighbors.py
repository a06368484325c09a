from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestCentroid, RadiusNeighborsClassifier

from mlpublish.converting.from_sklearn import SklearnSource
from mlpublish.converting.graph.algebra import Nearest
from mlpublish.coreml.evaluate import load
from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import (
    AMOUNT,
    HELD_OUT,
    ROWS,
    THREE,
    TWO,
    asked,
    assert_classifies,
    assert_predicts,
    of,
)
from tests.converting.of_sklearn.filed import assert_filed

NEW = np.vstack([HELD_OUT[:25], ROWS[:5], HELD_OUT[25:]])  # some are training rows: at distance 0

METRICS = {
    "default": {},
    "manhattan": {"metric": "manhattan"},
    "chebyshev": {"metric": "chebyshev"},
    "l2": {"metric": "l2"},
    "minkowski 1": {"p": 1},
    "minkowski 3": {"p": 3},
    "minkowski 1.5": {"p": 1.5},
    "minkowski, endless": {"p": np.inf},
    "weighted": {"metric": "minkowski", "p": 3, "metric_params": {"w": np.array([1.0, 0.5, 2.0, 0.0])}},
    "p among the settings": {"metric": "minkowski", "metric_params": {"p": 3}},
}


@pytest.mark.parametrize("settings", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("weights", ["uniform", "distance", None])
@pytest.mark.filterwarnings("ignore:Parameter p is found in metric_params")
def test_a_classifier_asks_the_nearest(weights, settings):
    model = KNeighborsClassifier(n_neighbors=5, weights=weights, algorithm="kd_tree", **settings)
    if settings.get("metric") == "minkowski":
        model.algorithm = "auto"
    assert isinstance(assert_classifies(model.fit(ROWS, THREE), NEW).scores, Nearest)


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree", "ball_tree"])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_a_regressor_is_a_mean_of_the_nearest(weights, algorithm):
    rows = HELD_OUT if algorithm == "brute" else NEW  # its distance to a training row is not 0 but near it
    model = KNeighborsRegressor(n_neighbors=4, weights=weights, algorithm=algorithm)
    assert assert_predicts(model.fit(ROWS, AMOUNT), rows).width == 1
    assert assert_predicts(model.fit(ROWS, np.column_stack([AMOUNT, -AMOUNT, AMOUNT**2])), rows).width == 3


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_two_training_rows_in_one_place_share_the_answer(weights):
    rows, amounts = np.array([[0.0], [0.0], [1.0], [5.0]]), np.array([1.0, 3.0, 100.0, 1000.0])
    assert_predicts(KNeighborsRegressor(n_neighbors=3, weights=weights).fit(rows, amounts), np.array([[0.0], [0.4], [1.0]]))


def test_of_as_many_votes_the_first_class_wins():
    model = KNeighborsClassifier(n_neighbors=2).fit(np.array([[0.0], [1.0], [9.0]]), ["b", "a", "c"])
    assert model.predict([[0.5]]) == ["a"]
    assert_classifies(model, np.array([[0.4], [0.6], [8.0]]))


@pytest.mark.parametrize(
    "labels", [np.array(["no", "yes"]), np.array([-5, 7]), np.array([False, True])], ids=["texts", "numbers", "bools"]
)
def test_labels_are_kept(labels):
    assert_classifies(KNeighborsClassifier().fit(ROWS, labels[TWO]), NEW)


def test_fitted_on_sparse_rows_it_is_the_same():
    assert_classifies(KNeighborsClassifier(weights="distance").fit(csr_matrix(ROWS), TWO), HELD_OUT)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"weights": lambda distances: 1 / (1 + distances)}, "weights"),
        ({"metric": "cosine", "algorithm": "brute"}, "metric"),
        ({"metric": lambda a, b: abs(a - b).sum()}, "metric"),
        ({"metric": "seuclidean", "metric_params": {"V": np.ones(4)}, "algorithm": "brute"}, "metric"),
    ],
    ids=["weights", "cosine", "function", "seuclidean"],
)
def test_other_weights_and_metrics_are_refused(change, field):
    with pytest.raises(ConversionError, match="is not converted") as caught:
        of(KNeighborsClassifier(**change).fit(ROWS, TWO))
    assert caught.value.field == field


def test_several_outputs_of_a_classifier_are_refused():
    with pytest.raises(ConversionError, match="KNeighborsClassifier with several outputs"):
        of(KNeighborsClassifier().fit(ROWS, np.column_stack([TWO, THREE])))


def test_more_neighbours_than_rows_are_refused():
    model = KNeighborsRegressor().fit(ROWS, AMOUNT).set_params(n_neighbors=61)
    with pytest.raises(ConversionError, match="61 neighbours of 60 rows"):
        of(model)


def test_a_radius_is_refused():
    with pytest.raises(ConversionError, match="RadiusNeighborsClassifier is not converted"):
        of(RadiusNeighborsClassifier().fit(ROWS, TWO))


def test_the_training_rows_are_still_where_they_are_read():
    """They have no public name; a scikit-learn that keeps them elsewhere must fail here."""
    model = KNeighborsRegressor().fit(ROWS, AMOUNT)
    np.testing.assert_array_equal(model._fit_X, ROWS)
    np.testing.assert_array_equal(model._y, AMOUNT)


@pytest.mark.parametrize(
    "settings", [{}, {"metric": "manhattan"}, {"shrink_threshold": 0.3}], ids=["plain", "manhattan", "shrunken"]
)
@pytest.mark.parametrize("target", [TWO, THREE], ids=["two classes", "three"])
def test_the_nearest_centroid_wins(target, settings):
    assert_classifies(NearestCentroid(**settings).fit(ROWS, target))


@pytest.mark.skipif(not hasattr(NearestCentroid, "predict_proba"), reason="scikit-learn 1.6")
@pytest.mark.parametrize("target", [TWO, THREE], ids=["two classes", "three"])
def test_a_centroid_has_a_prior(target, tmp_path):
    model = NearestCentroid(priors="empirical").fit(ROWS, target)
    assert_classifies(model)
    assert_filed(model, tmp_path, rows=HELD_OUT[:26], within=1e-5)


@pytest.mark.parametrize("settings", [{}, {"metric": "manhattan"}, {"shrink_threshold": 0.3}], ids=lambda each: str(each))
@pytest.mark.parametrize("target", [TWO, THREE], ids=["two classes", "three"])
@pytest.mark.parametrize("constant", [3.0, 0.1], ids=["exact", "rounded"])
@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_ has at least 1 zero:UserWarning")
def test_a_column_that_was_constant_may_move_far(constant, target, settings, tmp_path):
    """It adds as much to every distance, and more than float32 has digits for."""
    model = NearestCentroid(**settings).fit(_widened(ROWS, constant), target)
    rows = _widened(HELD_OUT[:25], constant + 1e6)
    source = SklearnSource(
        model
    )  # no gate: probabilities of a column that has only rounding errors are the library's own noise
    saved = load(source.write(tmp_path, "moved", samples=rows, precision="float32", target="iOS16"))
    got = saved.predict_rows(source.inputs(rows))
    np.testing.assert_array_equal(got["classLabel"], asked(model.predict, rows))


@pytest.mark.skipif(not hasattr(NearestCentroid, "predict_proba"), reason="scikit-learn 1.6")
@pytest.mark.parametrize("priors", ["uniform", "empirical"])
@pytest.mark.parametrize("target", [TWO, THREE], ids=["two classes", "three"])
@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_ has at least 1 zero:UserWarning")
def test_probabilities_keep_their_digits_when_a_constant_column_moves_far(target, priors, tmp_path):
    model = NearestCentroid(priors=priors).fit(_widened(ROWS, 3.0), target)
    assert_filed(model, tmp_path, rows=_widened(HELD_OUT[:25], 1e5), within=1e-4)


def _widened(rows: np.ndarray, constant: float) -> np.ndarray:
    return np.column_stack([rows, np.full(len(rows), constant)])
