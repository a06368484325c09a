"""How a fitted estimator is read: the reader of its class, found in one table, for steps inside of steps too.

Each family's module has its ``READERS``; ``kinds`` makes them known. Nothing here imports a family.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import getattr_static
from typing import Any, TypeAlias

import numpy as np

from mlpublish.converting.graph.answer import Answer, Classified, Labels, Number, Predicted
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.of_sklearn.instead import OTHERWISE, remedy_for
from mlpublish.converting.source import PREDICTION, class_name
from mlpublish.errors import ConversionError

Reads: TypeAlias = Callable[[Any, Node], Node]
"""A fitted estimator and what comes in -> what goes out."""

ANSWERING = ("predict", "predict_proba", "decision_function", "transform")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What can be read of one class of estimators, by the method that the graph stands for.

    Args:
        transform: ``transform``.
        predict: ``predict`` of what is no classifier.
        classify: ``predict`` and, where there is one, ``predict_proba``.
        decide: ``decision_function``: (classes,), or 1 for two classes.
        answer: for what answers in another way than by ``classify`` or ``predict`` alone.
        last: for what is only a shell: the fitted estimator that answers in its place, by all of its methods.
        before: what a shell makes of x for its last estimator; nothing by default.
    """

    transform: Reads | None = None
    predict: Reads | None = None
    classify: Callable[[Any, Node], Classified] | None = None
    decide: Reads | None = None
    answer: Callable[[Any, Node], Answer] | None = None
    last: Callable[[Any], Any] | None = None
    before: Reads | None = None


_LIBRARIES = ("sklearn", "xgboost", "lightgbm")

_KNOWN: dict[str, Reader] = {}


def know(readers: Mapping[str, Reader]) -> None:
    """Add to the table.

    Args:
        readers: by the class's public name, such as ``sklearn.linear_model.Ridge``.
    """
    _KNOWN.update(readers)


def transformed(step: Any, x: Node) -> Node:
    """What ``transform`` makes of x."""
    step, x, reader = _opened(step, x)
    if reader.transform is None:
        raise not_read(step, "transform")
    return reader.transform(step, x)


def predicted(step: Any, x: Node) -> Node:
    """What ``predict`` says to x, of an estimator that is no classifier."""
    step, x, reader = _opened(step, x)
    if reader.predict is None:
        raise not_read(step, "predict")
    return reader.predict(step, x)


def classified(step: Any, x: Node) -> Classified:
    """What a classifier says to x."""
    step, x, reader = _opened(step, x)
    if reader.classify is None:
        raise not_read(step, "predict_proba")
    return reader.classify(step, x)


def decided(step: Any, x: Node) -> Node:
    """What ``decision_function`` says to x."""
    step, x, reader = _opened(step, x)
    if reader.decide is None:
        raise not_read(step, "decision_function")
    return reader.decide(step, x)


def answered(step: Any, x: Node) -> Answer:
    """What the last step of a model says: classes, a prediction, or, of a transformer, what it makes of x as a prediction."""
    step, x, reader = _opened(step, x)
    if reader.answer is not None:
        return reader.answer(step, x)
    if reader.classify is not None:
        return reader.classify(step, x)
    read = reader.predict or reader.transform
    if read is None:
        raise not_read(step, "predict")
    node = read(step, x)
    if not node.width:
        raise ConversionError(
            f"{class_name(type(step))} gives no columns.", remedy="Fit it so that something is left to tell.", field="model"
        )
    return Predicted(numbers=(Number(name=PREDICTION, node=node),))


def can(step: Any, method: str) -> bool:
    """Whether a field of Reader, such as ``classify``, is there for a step."""
    reader = _reader_of(step)
    return getattr(reader, method) is not None if reader.last is None else can(reader.last(step), method)


def innermost(step: Any) -> Any:
    """The fitted estimator that answers in a step's place; mostly the step itself."""
    reader = _reader_of(step)
    return step if reader.last is None else innermost(reader.last(step))


def not_read(step: object, method: str = "") -> ConversionError:
    """The error for an estimator, or a method of it, that is not converted."""
    what = class_name(type(step)) + (f".{method}" if method else "")
    return ConversionError(
        f"{what} is not converted.",
        remedy=OTHERWISE if method else remedy_for(type(step)),
        field="model",
    )


def _opened(step: Any, x: Node) -> tuple[Any, Node, Reader]:
    """The estimator that answers in a step's place, what comes in there, and its reader."""
    reader = _reader_of(step)
    _check_fits(step, x)
    if reader.last is None:
        return step, x, reader
    return _opened(reader.last(step), x if reader.before is None else reader.before(step, x))


def _reader_of(step: Any) -> Reader:
    """The reader of a step's class, or of the one that a user's class inherits from, as whose it must then answer.

    A library's own subclass is another estimator: it has its own reader, or none.
    """
    for kind in type(step).__mro__:
        reader = _KNOWN.get(class_name(kind)) or _KNOWN.get(public_name(kind))
        if reader is not None:
            if reader.last is None:  # of a shell, what is inside tells more
                check_fitted(step)
            _check_untouched(step, kind)
            return reader
        if kind.__module__.partition(".")[0] in _LIBRARIES:
            break
    raise not_read(step)


def public_name(kind: type) -> str:
    """A class by its library's public module: ``sklearn.linear_model.Ridge``."""
    return f"{'.'.join(kind.__module__.split('.')[:2])}.{kind.__qualname__}"


def check_fitted(step: Any) -> None:
    """Raises:
    ConversionError: the estimator is not fitted.
    """
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(step)
    except (NotFittedError, TypeError) as exc:
        raise ConversionError(
            f"{class_name(type(step))} is not fitted.", remedy="Fit the model before it is converted.", field="model"
        ) from exc


def _check_untouched(step: Any, base: type) -> None:
    """A subclass or an instance that answers in its own way cannot be read from its attributes."""
    for method in ANSWERING:  # statically: scikit-learn's conditional methods are made anew at every look
        if method in vars(step) or getattr_static(type(step), method, None) is not getattr_static(base, method, None):
            raise ConversionError(
                f"{class_name(type(step))} has its own {method}; its attributes do not tell what it does.",
                remedy=f"Convert a plain {base.__name__}.",
                field="model",
            )


def _check_fits(step: Any, x: Node) -> None:
    """A node must be as wide as what the step was fitted on."""
    wanted = getattr(step, "n_features_in_", None)
    if wanted is not None and wanted != x.width:
        raise ConversionError(
            f"{class_name(type(step))} was fitted on {wanted} features; what comes before it gives {x.width}.",
            remedy="Fit the whole pipeline again.",
            field="n_features_in_",
        )


def finite(values: Any, step: Any, attribute: str) -> Doubles:
    """A fitted attribute's numbers.

    Raises:
        ConversionError: one is NaN or infinite.
    """
    dense = values.toarray() if hasattr(values, "toarray") else values  # sparsify() makes scipy's
    numbers = np.asarray(dense, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ConversionError(
            f"{class_name(type(step))}.{attribute} holds NaN or infinity.",
            remedy="Fit the model again on clean data.",
            field=attribute,
        )
    return numbers


def labels_of(classes: Any) -> Labels:
    """The labels as Core ML has them: whole numbers of 64 bits or texts; booleans become 0 and 1.

    Raises:
        ConversionError: they are of another type, or too large.
    """
    held = np.asarray(classes)
    values = held.tolist()
    if held.dtype.kind in "iub":
        _check_held(values)
        return tuple(int(value) for value in values)
    if all(isinstance(value, str) for value in values):
        _check_held(values)
        return tuple(values)
    raise ConversionError(
        f"The class labels {values[:3]} are of type {held.dtype}; Core ML has whole numbers and texts.",
        remedy="Fit the model on labels that are integers or strings.",
        field="classes_",
    )


def _check_held(values: list[Any]) -> None:
    """Raises:
    ConversionError: a label is larger than the file's whole numbers, or a text that UTF-8 has no bytes for.
    """
    for value in values:
        text = isinstance(value, str)
        if value.encode(errors="ignore").decode() != value if text else value > np.iinfo(np.int64).max:
            raise ConversionError(
                f"The class label {value!a} is {'no text in UTF-8' if text else 'larger than a whole number of 64 bits'}.",
                remedy="Fit the model on other labels: Core ML holds whole numbers of 64 bits and texts.",
                field="classes_",
            )
