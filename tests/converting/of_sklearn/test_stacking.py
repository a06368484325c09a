from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor, StackingClassifier, StackingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import AMOUNT, HELD_OUT, ROWS, THREE, TWO, assert_classifies, assert_predicts, of

LABELS = pytest.mark.parametrize(
    "target",
    [TWO, THREE, np.array(["no", "yes", "maybe"])[THREE], np.array([-3, 8])[TWO]],
    ids=["two", "three", "texts", "numbers"],
)


def members() -> list:
    return [
        ("bayes", GaussianNB()),
        ("scaled", make_pipeline(StandardScaler(), SVC())),
        ("forest", RandomForestClassifier(3, max_depth=3, random_state=0)),
        ("line", Perceptron(random_state=0)),
    ]


def fitted(model, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(ROWS, target)


@LABELS
@pytest.mark.parametrize("method", ["auto", "predict"])
@pytest.mark.parametrize("through", [False, True], ids=["answers", "answers and features"])
def test_a_classifier_stands_on_answers(through, method, target):
    model = fitted(StackingClassifier(members(), cv=2, stack_method=method, passthrough=through), target)
    used = {"predict"} if method == "predict" else {"predict_proba", "decision_function"}
    assert set(model.stack_method_) == used
    assert_classifies(model)


@pytest.mark.parametrize("final", [GaussianNB(), SVC(), DecisionTreeClassifier(max_depth=3)], ids=["bayes", "machine", "tree"])
@LABELS
def test_the_last_word_is_any_classifiers(target, final):
    assert_classifies(fitted(StackingClassifier(members(), final, cv=2), target))


def test_pairs_of_classes_may_be_features():
    four = np.digitize(AMOUNT, np.quantile(AMOUNT, [0.25, 0.5, 0.75]))
    model = StackingClassifier([("machine", make_pipeline(StandardScaler(), SVC(decision_function_shape="ovo")))], cv=2)
    assert_classifies(fitted(model, four))


def test_a_dropped_member_is_not_heard():
    assert_classifies(fitted(StackingClassifier(members(), cv=2).set_params(scaled="drop"), THREE))


def test_members_may_be_fitted_before():
    before = [(name, fitted(member, THREE * 2 - 3)) for name, member in members()]
    assert_classifies(fitted(StackingClassifier(before, cv="prefit"), THREE * 2 - 3))
    assert_classifies(fitted(StackingClassifier(before, cv="prefit", stack_method="predict"), THREE * 2 - 3))


def test_a_regressor_may_be_a_classifiers_member():
    assert_classifies(fitted(StackingClassifier([("line", LinearRegression()), ("bayes", GaussianNB())], cv=2), THREE))


def test_texts_are_no_features():
    model = fitted(StackingClassifier([("bayes", GaussianNB())], cv=2, stack_method="predict"), TWO)
    model.estimators_[0].fit(ROWS, np.array(["no", "yes"])[TWO])
    with pytest.raises(ConversionError, match="answers in texts where the next step needs numbers"):
        of(model)


def test_several_labels_per_row_are_refused():
    model = StackingClassifier([("forest", RandomForestClassifier(2))], RandomForestClassifier(2), cv=2)
    with pytest.raises(ConversionError, match="several labels per row"):
        of(fitted(model, np.column_stack([TWO, 1 - TWO])))


@pytest.mark.parametrize("through", [False, True], ids=["answers", "answers and features"])
@pytest.mark.parametrize("final", [None, RandomForestRegressor(3, random_state=0)], ids=["ridge", "forest"])
def test_a_regressor_stands_on_answers(final, through):
    under = [("line", LinearRegression()), ("machine", make_pipeline(StandardScaler(), SVR())), ("ridge", Ridge())]
    model = StackingRegressor(under, final, cv=2, passthrough=through)
    assert assert_predicts(fitted(model, AMOUNT), HELD_OUT).width == 1


def test_the_default_last_word_is_logistic():
    assert isinstance(fitted(StackingClassifier(members(), cv=2), TWO).final_estimator_, LogisticRegression)
