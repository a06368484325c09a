"""Support vector machines of libsvm: SVC, NuSVC, SVR, NuSVR, OneClassSVM."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Linear
from mlpublish.converting.graph.answer import Classified, Number, Predicted
from mlpublish.converting.graph.columnwise import Clipped, Function, Name, Scaled, times
from mlpublish.converting.graph.machines import Coupled, Kernel, KernelName, SupportVectors, Votes
from mlpublish.converting.graph.node import Node
from mlpublish.converting.of_sklearn.pairs import class_scores
from mlpublish.converting.of_sklearn.reading import Reader, finite, labels_of
from mlpublish.converting.source import PREDICTION, SCORE, class_name
from mlpublish.errors import ConversionError

_LEAST_PAIR = 1e-7
"""libsvm keeps the probabilities of pairs this far away from 0 and 1."""


def _kernel(step: Any) -> Kernel:
    if not isinstance(step.kernel, str) or step.kernel not in tuple(KernelName):
        name = step.kernel if isinstance(step.kernel, str) else "a function"
        raise ConversionError(
            f"{class_name(type(step))} with the kernel {name} is not converted.",
            remedy=f"Use one of the kernels {', '.join(KernelName)}.",
            field="kernel",
        )
    # gamma='scale' is computed from the training rows, and only the private attribute keeps what came out
    gamma = float(finite(step._gamma, step, "gamma"))
    return Kernel(name=KernelName(step.kernel), gamma=gamma, coef0=float(step.coef0), degree=int(step.degree))


def _regression(step: Any, x: Node) -> Node:
    """The one decision of a regression, and of a machine that knows one class only."""
    coefficients = finite(step.dual_coef_, step, "dual_coef_")
    offset = finite(step.intercept_, step, "intercept_")
    vectors = finite(step.support_vectors_, step, "support_vectors_")
    if not len(vectors):  # every training row lay inside of the tube
        return Linear(of=x, weights=np.zeros((1, x.width)), offset=offset)
    return SupportVectors(of=x, kernel=_kernel(step), vectors=vectors, counts=(), coefficients=coefficients, rho=-offset)


def _machine(step: Any, x: Node) -> SupportVectors:
    """A classifier's decisions, with libsvm's signs: scikit-learn turns those of two classes around."""
    turned = -1.0 if len(step.classes_) == 2 else 1.0
    return SupportVectors(
        of=x,
        kernel=_kernel(step),
        vectors=finite(step.support_vectors_, step, "support_vectors_"),
        counts=tuple(int(count) for count in step.n_support_),
        coefficients=turned * finite(step.dual_coef_, step, "dual_coef_"),
        rho=-turned * finite(step.intercept_, step, "intercept_"),
    )


def _by_class(machine: SupportVectors) -> Node:
    """``decision_function`` for more than two classes by ``decision_function_shape='ovr'``."""
    seconds = times(machine, -1)
    return class_scores(Function(of=seconds, name=Name.POSITIVE), seconds, len(machine.counts))


def _decide(step: Any, x: Node) -> Node:
    machine = _machine(step, x)
    if len(step.classes_) == 2:
        return times(machine, -1)
    return _by_class(machine) if step.decision_function_shape == "ovr" else machine


def _classify(step: Any, x: Node) -> Classified:
    """``predict`` counts the pairs' votes even where ``predict_proba`` has another favourite."""
    machine = _machine(step, x)
    return Classified(classes=labels_of(step.classes_), scores=_scores(step, machine), probabilities=_coupled(step, machine))


def _scores(step: Any, machine: SupportVectors) -> Node:
    if step.break_ties and step.decision_function_shape == "ovo":
        raise ConversionError(
            f"{class_name(type(step))} does not predict with break_ties=True and decision_function_shape='ovo'.",
            remedy="Use decision_function_shape='ovr', or break_ties=False.",
            field="break_ties",
        )
    if step.break_ties and len(machine.counts) > 2:
        return _by_class(machine)
    return Votes(of=machine, classes=len(machine.counts))


def _coupled(step: Any, machine: SupportVectors) -> Node | None:
    if not hasattr(step, "predict_proba"):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # scikit-learn 1.9 takes probability=True out, and these with it
        slopes, offsets = finite(step.probA_, step, "probA_"), finite(step.probB_, step, "probB_")
    if not len(slopes):
        return None  # it was fitted without probabilities
    pairs = Function(of=Linear(of=machine, weights=np.diag(-slopes), offset=-offsets), name=Name.EXPIT)
    return Coupled(of=Clipped(of=pairs, low=_LEAST_PAIR, high=1 - _LEAST_PAIR), classes=len(machine.counts))


def _inlier(decision: Node) -> Node:
    """1, or -1 where the decision is not above 0."""
    above = Function(of=decision, name=Name.POSITIVE)
    return Scaled(of=above, shift=np.array([-0.5]), scale=np.array([2.0]))


def _inlier_answer(step: Any, x: Node) -> Predicted:
    decision = _regression(step, x)
    return Predicted(
        numbers=(Number(name=PREDICTION, node=_inlier(decision), whole=True), Number(name=SCORE, node=decision)),
    )


_CLASSIFIER = Reader(classify=_classify, decide=_decide)
_REGRESSOR = Reader(predict=_regression)

READERS: Mapping[str, Reader] = {
    "sklearn.svm.SVC": _CLASSIFIER,
    "sklearn.svm.NuSVC": _CLASSIFIER,
    "sklearn.svm.SVR": _REGRESSOR,
    "sklearn.svm.NuSVR": _REGRESSOR,
    "sklearn.svm.OneClassSVM": Reader(
        predict=lambda step, x: _inlier(_regression(step, x)), decide=_regression, answer=_inlier_answer
    ),
}
