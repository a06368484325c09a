from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

from mlpublish.converting.from_sklearn import SklearnSource
from mlpublish.converting.source import class_name, source_for
from mlpublish.errors import ConversionError


class Mine(LogisticRegression):
    pass


class Boosted(BaseEstimator):
    """As a boosting library's estimator: its own package first, scikit-learn's behind it."""


Boosted.__module__ = "torch.boosting"


def test_a_users_subclass_belongs_to_the_library_behind_it():
    assert isinstance(source_for(Mine().fit(np.eye(4), [0, 1, 0, 1])), SklearnSource)


def test_the_nearest_library_is_asked():
    pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    with pytest.raises(ConversionError, match=r"torch\.boosting\.Boosted is not a torch\.nn\.Module"):
        source_for(Boosted())


@pytest.mark.parametrize("thing", [None, 7, "text", {}, object(), np.eye(2), LogisticRegression])
def test_what_is_no_model_is_named(thing):
    with pytest.raises(ConversionError, match="sklearn, torch") as refused:
        source_for(thing)
    assert class_name(type(thing)) in str(refused.value)


def test_classes_are_named_as_they_are_imported():
    assert class_name(LogisticRegression) == "sklearn.linear_model.LogisticRegression"
    assert class_name(int) == "int"
