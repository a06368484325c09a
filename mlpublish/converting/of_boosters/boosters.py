"""What a model of a boosting library must be before its trees are read: one of the library's own, and trained."""

from __future__ import annotations

from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError

_ANSWERING = ("predict", "predict_proba")


def check_untouched(model: object, *, package: str, library: str) -> None:
    """A subclass or an instance that answers in its own way cannot be read from its trees.

    Args:
        package: where the library's own classes come from, such as ``xgboost``.
        library: its name, for the error.

    Raises:
        ConversionError: it has a method of its own; the error names it.
    """
    own = [vars(model), *(vars(kind) for kind in type(model).__mro__ if kind.__module__.partition(".")[0] != package)]
    for method in _ANSWERING:
        if any(method in names for names in own):
            raise ConversionError(
                f"{class_name(type(model))} has its own {method}; its trees do not tell what it does.",
                remedy=f"Convert a plain estimator of {library}.",
                field="model",
            )


def no_model(thing: object) -> ConversionError:
    """The error for another class of the library."""
    return ConversionError(
        f"A {class_name(type(thing))} is not a trained model.", remedy="Give a Booster or a fitted estimator.", field="model"
    )


def not_fitted(model: object) -> ConversionError:
    """The error for an estimator without trees."""
    return ConversionError(
        f"{class_name(type(model))} is not fitted.", remedy="Fit the model before it is converted.", field="model"
    )
