"""Open a ``.skops`` file, which names the types it is made of before any of them is made.

skops trusts the types of scikit-learn that are public, and numpy's arrays. Of the others, those that a fitted model of the
libraries that we convert is made of are trusted here: each is filled with numbers, and none runs what a file tells it to.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

from mlpublish.converting.files.skops_archive import unpacked
from mlpublish.converting.files.skops_boosters import BOOSTERS, check_boosters
from mlpublish.converting.quiet import silence
from mlpublish.errors import ConversionError, MissingExtra
from mlpublish.shown import cut, fact

_METRICS = ("Chebyshev", "Euclidean", "Manhattan", "Minkowski")
_SCORES = ("chi2", "f_classif", "f_regression")

TRUSTED = frozenset(
    {
        "collections.OrderedDict",
        *BOOSTERS,
        *(f"lightgbm.sklearn.LGBM{kind}" for kind in ("Classifier", "Ranker", "Regressor")),
        "numpy.dtype",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.compose._column_transformer._RemainderColsList",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        *(f"sklearn.feature_selection._univariate_selection.{name}" for name in _SCORES),
        "sklearn.feature_selection._mutual_info.mutual_info_classif",
        "sklearn.feature_selection._mutual_info.mutual_info_regression",
        *(f"sklearn.metrics._dist_metrics.{name}Distance{bits}" for name in _METRICS for bits in ("32", "64")),
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        *(f"xgboost.sklearn.XGB{kind}" for kind in ("Classifier", "RFClassifier", "Ranker", "RFRegressor", "Regressor")),
    }
)


def opened_skops(path: Path, content: bytes) -> object:
    """Load a model.

    Raises:
        ConversionError: it is no such file, unpacks to too much, or holds types that are not trusted; the error names them.
        MissingExtra: skops is not installed.
    """
    try:
        import skops.io
    except ImportError as exc:
        raise MissingExtra(f"{path} needs skops.", remedy="Run pip install 'mlpublish[skops]'.") from exc
    if not zipfile.is_zipfile(BytesIO(content)):
        raise _unreadable(path, "it is no archive of skops")
    try:
        with silence():
            content = unpacked(content)
            unknown = skops.io.get_untrusted_types(data=content)
            strange = sorted(set(unknown) - TRUSTED)
            if not strange:
                if not BOOSTERS.isdisjoint(unknown):
                    check_boosters(content)  # what is no whole model would end this process
                model: object = skops.io.loads(content, trusted=list(unknown))
                return model
    except ConversionError as exc:
        raise _unreadable(path, exc.problem.rstrip(".")) from exc
    except RecursionError as exc:
        raise _unreadable(path, "its schema is nested too deeply") from exc
    except Exception as exc:  # a file that was changed raises every kind
        raise _unreadable(path, fact(exc)) from exc
    raise ConversionError(
        f"{path} holds types that are not trusted: {cut(', '.join(strange), 500)}.",
        remedy="If you trust them, load it with skops.io.load(file, trusted=[…]) and give the object.",
        field="model",
    )


def _unreadable(path: Path, told: str) -> ConversionError:
    return ConversionError(f"{path} cannot be read: {told}.", remedy="Write it again with skops.io.dump.", field="model")
