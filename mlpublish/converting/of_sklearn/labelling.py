"""Labels of classifiers inside of classifiers: what a member votes for, and a composite's own names for the classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Chosen, Linear, of_two
from mlpublish.converting.graph.answer import Classified
from mlpublish.converting.graph.columnwise import Function, Name
from mlpublish.converting.graph.node import Node
from mlpublish.converting.of_sklearn.reading import labels_of
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError


def votes(answer: Classified) -> Node:
    """1 for the class that is the label, 0 for the others."""
    if answer.scores.width == len(answer.classes):
        return Chosen(of=answer.scores)
    return of_two(Function(of=answer.scores, name=Name.POSITIVE))


def label_number(answer: Classified) -> Node:
    """The label as a number, for labels that are whole numbers.

    Raises:
        ConversionError: they are texts.
    """
    if isinstance(answer.classes[0], str):
        raise ConversionError(
            "A member of an ensemble answers in texts where the next step needs numbers.",
            remedy="Fit the member on whole numbers, or use stack_method='predict_proba'.",
            field="classes_",
        )
    return Linear(of=votes(answer), weights=np.array([answer.classes], dtype=np.float64), offset=np.zeros(1))


def probabilities(member: Any, answer: Classified) -> Node:
    """What ``predict_proba`` of a member says.

    Raises:
        ConversionError: it has none.
    """
    if answer.probabilities is None:
        raise ConversionError(
            f"{class_name(type(member))} tells no probabilities.",
            remedy="Use a member that has predict_proba.",
            field="estimators_",
        )
    return answer.probabilities


def named(step: Any, answer: Classified) -> Classified:
    """A member's answer under the composite's own labels: the member was fitted on their places, 0, 1, …

    Raises:
        ConversionError: the member knows other classes.
    """
    _check_places(step, answer)
    return replace(answer, classes=labels_of(step.classes_))


def checked(step: Any, answer: Classified) -> Classified:
    """A member's answer, which must tell of all of the composite's classes in their order.

    Raises:
        ConversionError: the member knows other classes.
    """
    if answer.classes != labels_of(step.classes_):
        _check_places(step, answer)
    return answer


def _check_places(step: Any, answer: Classified) -> None:
    if answer.classes != tuple(range(len(step.classes_))):
        raise ConversionError(
            f"{class_name(type(step))} has {len(step.classes_)} classes; a member of it knows others: {answer.classes[:3]}.",
            remedy="Fit the whole ensemble again, on rows of every class.",
            field="classes_",
        )
