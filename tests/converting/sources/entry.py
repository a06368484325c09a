"""One model of the catalogue, and what its library says to rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tests.converting.sources.data import Data

Said: TypeAlias = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One model that must be right.

    Args:
        library: ``scikit-learn``, ``XGBoost``, ``LightGBM``.
        estimator: what the page's row is called.
        variant: which of the estimator's forms; different for each entry of one estimator.
        fit: fits a new one.
        said: what the library says to rows, in the Core ML file's output names; by default by the estimator's methods.
        here: whether the installed library has this form.
    """

    library: str
    estimator: str
    variant: str
    data: Data
    fit: Callable[[Data], Any]
    said: Callable[[Any, Any], Said] | None = None
    here: bool = True

    @property
    def id(self) -> str:
        return f"{self.library}/{self.estimator}/{self.variant}"

    def asked(self, model: Any, rows: Any) -> Said:
        """The library's own answers."""
        return (self.said or by_methods)(model, rows)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One model that is refused by name.

    Args:
        what: how the page's row is called.
        names: a word of the error, the estimator's or the setting's name.
    """

    library: str
    what: str
    data: Data
    fit: Callable[[Data], Any]
    names: str
    here: bool = True

    @property
    def id(self) -> str:
        return f"{self.library}/{self.what}"


def fitted(make: Callable[[], Any]) -> Callable[[Data], Any]:
    """Fits what is made, on data; rankers with their groups."""

    def fit(data: Data) -> Any:
        groups = {"group": list(data.groups)} if data.groups else {}
        return make().fit(data.x, data.y, **groups)

    return fit


def of_scikit_learn(estimator: str, /, **forms: tuple[Callable[[], Any], Data]) -> tuple[Entry, ...]:
    """Entries of one estimator of scikit-learn: variant -> (constructor, data)."""
    return tuple(
        Entry(library="scikit-learn", estimator=estimator, variant=name.replace("_", " "), data=data, fit=fitted(make))
        for name, (make, data) in forms.items()
    )


def by_methods(model: Any, rows: Any) -> Said:
    """What scikit-learn's methods say."""
    if hasattr(model, "classes_") and hasattr(model, "predict"):
        labels = np.asarray(model.predict(rows))
        said = {"classLabel": labels.astype(np.int64) if labels.dtype == bool else labels}
        return said | ({"classProbability": model.predict_proba(rows)} if hasattr(model, "predict_proba") else {})
    if not hasattr(model, "predict"):
        return {"prediction": _dense(model.transform(rows))}
    return {"prediction": np.asarray(model.predict(rows))}


def with_scores(model: Any, rows: Any) -> Said:
    """An outlier detector: its prediction and its decision function."""
    return {"prediction": model.predict(rows), "score": model.decision_function(rows)}


def _dense(made: Any) -> np.ndarray:
    return made.toarray() if hasattr(made, "toarray") else np.asarray(made)
