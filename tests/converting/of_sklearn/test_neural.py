from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor

from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import AMOUNT, HELD_OUT, ROWS, THREE, TWO, assert_classifies, assert_predicts, of

CALM = (ROWS - ROWS.mean(axis=0)) / ROWS.std(axis=0)
NEW = np.vstack([(HELD_OUT[:25] - ROWS.mean(axis=0)) / ROWS.std(axis=0), np.full((1, 4), 1e4)])
ACTIVATIONS = pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])


def fitted(kind, target, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # five rounds are few
        return kind(max_iter=5, random_state=0, **{"hidden_layer_sizes": (5, 3), **settings}).fit(CALM, target)


@ACTIVATIONS
@pytest.mark.parametrize(
    "target", [TWO, THREE, np.array(["no", "yes"])[TWO], TWO.astype(bool)], ids=["two classes", "three", "texts", "bools"]
)
def test_a_classifier_is_its_layers(target, activation):
    assert_classifies(fitted(MLPClassifier, target, activation=activation), NEW)


@ACTIVATIONS
@pytest.mark.parametrize("hidden", [(), (4,), (3, 2, 3)], ids=["none hidden", "one", "three"])
def test_a_regressor_is_its_layers(hidden, activation):
    assert assert_predicts(fitted(MLPRegressor, AMOUNT, activation=activation, hidden_layer_sizes=hidden), NEW).width == 1


def test_several_targets_are_several_numbers():
    assert assert_predicts(fitted(MLPRegressor, np.column_stack([AMOUNT, -AMOUNT])), NEW).width == 2


@pytest.mark.skipif("loss" not in MLPRegressor().get_params(), reason="scikit-learn 1.7")
def test_counts_have_a_logarithmic_link():
    assert_predicts(fitted(MLPRegressor, np.abs(np.rint(AMOUNT)), loss="poisson"), NEW[:25])


def test_several_labels_per_row_are_refused():
    with pytest.raises(ConversionError, match="several labels per row"):
        of(fitted(MLPClassifier, np.column_stack([TWO, 1 - TWO, TWO])))


def test_an_unknown_activation_is_refused():
    model = fitted(MLPRegressor, AMOUNT)
    model.activation = "gelu"
    with pytest.raises(ConversionError, match="with the activation gelu") as caught:
        of(model)
    assert caught.value.field == "activation"
