"""Whether a fitted estimator's graph says what the estimator itself says, in doubles."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import sklearn

from mlpublish.converting.graph.answer import Classified, Predicted
from mlpublish.converting.graph.node import Array, Node
from mlpublish.converting.of_sklearn.kinds import know_all
from mlpublish.converting.of_sklearn.reading import answered, can, decided, transformed
from tests.converting.graphs import values

know_all()

VERSION = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
OLD = VERSION < (1, 8)
"""LogisticRegression has multi_class."""

DIVIDES_BY_0 = VERSION < (1, 9)
"""One against the rest has no probabilities where all are 0."""

_R = np.random.default_rng(7)
ROWS = _R.normal(size=(60, 4)) * [1, 10, 0.1, 3] + [0, 30, 0, -5]
HELD_OUT = np.vstack([_R.normal(size=(25, 4)) * [2, 20, 0.2, 6] + [0, 30, 0, -5], np.zeros((1, 4)), np.full((1, 4), 1e4)])
AMOUNT = ROWS @ [1, 0.2, 3, -1] + _R.normal(size=60)
TWO = (ROWS @ [1, 0.2, 3, -1] > 11).astype(int)
THREE = np.digitize(ROWS @ [1, 0.2, 3, -1], [9, 13])


def of(model: Any, *, method: Any = answered) -> Any:
    """What is read of a fitted estimator on one array."""
    return method(model, Array(size=model.n_features_in_))


def assert_transforms(model: Any, rows: np.ndarray = HELD_OUT) -> Node:
    """The graph of ``transform`` is the estimator's."""
    node: Node = of(model, method=transformed)
    np.testing.assert_allclose(values(node, rows), asked(model.transform, rows), rtol=1e-9, atol=1e-9)
    return node


def assert_predicts(model: Any, rows: np.ndarray = HELD_OUT) -> Node:
    """The graph of ``predict`` is the regressor's."""
    answer = of(model)
    assert isinstance(answer, Predicted)
    wanted = np.asarray(asked(model.predict, rows)).reshape(len(rows), -1)
    np.testing.assert_allclose(values(answer.numbers[0].node, rows), wanted, rtol=1e-9, atol=1e-9)
    return answer.numbers[0].node


def assert_classifies(model: Any, rows: np.ndarray = HELD_OUT) -> Classified:
    """The graph's labels, probabilities and decisions are the classifier's; it has no more than the classifier has."""
    answer = of(model)
    assert isinstance(answer, Classified)
    assert answer.classes == tuple(model.classes_.tolist())
    scores = values(answer.scores, rows)
    place = (scores[:, 0] > 0).astype(int) if scores.shape[1] == 1 else np.argmax(scores, axis=1)
    np.testing.assert_array_equal(np.asarray(answer.classes)[place], asked(model.predict, rows))
    assert (answer.probabilities is not None) == hasattr(model, "predict_proba")
    if answer.probabilities is not None:
        got, wanted = values(answer.probabilities, rows), asked(model.predict_proba, rows)
        if DIVIDES_BY_0:
            got = np.where(np.isnan(wanted), np.nan, got)
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)
    if hasattr(model, "decision_function") and can(model, "decide"):
        wanted = asked(model.decision_function, rows).reshape(len(rows), -1)
        np.testing.assert_allclose(values(of(model, method=decided), rows), wanted, rtol=1e-9, atol=1e-9)
    return answer


def asked(method: Any, rows: np.ndarray) -> Any:
    """What the library says, dense; what it warns of is not the subject."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        said = method(rows)
    return said.toarray() if hasattr(said, "toarray") else np.asarray(said)
