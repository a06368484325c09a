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


@pytest.mark.parametrize(
    "name",
    [
        "int",
        "sklearn.linear_model.LogisticRegression",
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.feature_extraction.text.CountVectorizer",
        "xgboost.sklearn.XGBClassifier",
        "lightgbm.sklearn.LGBMClassifier",
        "torch.nn.modules.linear.Linear",
    ],
)
def test_a_class_is_named_as_it_is_imported(name):
    module, _, kind = name.rpartition(".")
    found = getattr(pytest.importorskip(module or "builtins", exc_type=ImportError), kind)
    assert class_name(found) == name


def test_a_class_of_a_script_or_of_a_private_module_is_named_alone():
    for module in ("__main__", "_mine.models"):
        assert class_name(type("Mine", (), {"__module__": module})) == "Mine"
