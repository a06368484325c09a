"""The table of everything that is read: every module beside this one that has READERS, and the boosting libraries' own."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from mlpublish.converting import of_sklearn
from mlpublish.converting.of_sklearn.reading import know

_OTHERS = ("mlpublish.converting.from_xgboost", "mlpublish.converting.from_lightgbm")


def know_all() -> None:
    """Make every family's readers known; none of the libraries is imported by it."""
    beside = [f"{of_sklearn.__name__}.{module.name}" for module in iter_modules(of_sklearn.__path__)]
    for name in (*beside, *_OTHERS):
        know(getattr(import_module(name), "READERS", {}))
