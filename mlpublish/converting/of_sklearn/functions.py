"""FunctionTransformer: functions of NumPy and SciPy that a graph has too, each known by itself and not by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.columnwise import Function, Name, times
from mlpublish.converting.graph.node import Node
from mlpublish.converting.of_sklearn.reading import Reader
from mlpublish.converting.source import class_name
from mlpublish.errors import ConversionError

_OF_NUMPY: tuple[tuple[Callable[..., Any], Name], ...] = (
    (np.absolute, Name.ABSOLUTE),
    (np.fabs, Name.ABSOLUTE),
    (np.exp, Name.EXP),
    (np.exp2, Name.EXP2),
    (np.expm1, Name.EXPM1),
    (np.log, Name.LOG),
    (np.log1p, Name.LOG1P),
    (np.log2, Name.LOG2),
    (np.log10, Name.LOG10),
    (np.sqrt, Name.SQRT),
    (np.cbrt, Name.CBRT),
    (np.square, Name.SQUARE),
    (np.reciprocal, Name.RECIPROCAL),
    (np.negative, Name.NEGATIVE),
    (np.sign, Name.SIGN),
    (np.floor, Name.FLOOR),
    (np.ceil, Name.CEIL),
    (np.rint, Name.ROUND),
    (np.round, Name.ROUND),
    (np.around, Name.ROUND),
    (np.sin, Name.SIN),
    (np.cos, Name.COS),
    (np.tan, Name.TAN),
    (np.arctan, Name.ARCTAN),
    (np.tanh, Name.TANH),
)
_OF_SCIPY = ("exp2", "expm1", "log1p", "cbrt", "expit", "logit")
_SAME = (None, np.positive, np.array, np.asarray, np.ascontiguousarray, np.asfortranarray, np.copy)
_TURNS: tuple[tuple[Callable[..., Any], float], ...] = (
    (np.deg2rad, np.pi / 180),
    (np.radians, np.pi / 180),
    (np.rad2deg, 180 / np.pi),
    (np.degrees, 180 / np.pi),
)


def applied(function: Callable[..., Any] | None, x: Node, *, by: object, field: str) -> Node:
    """A function of each number, as a node.

    Args:
        function: of NumPy or ``scipy.special``; None changes nothing.
        by: the estimator that has it, for the error.
        field: its parameter, for the error.

    Raises:
        ConversionError: it is none of the known ones; what it computes cannot be read.
    """
    if any(function is each for each in _SAME):
        return x
    for known, factor in _TURNS:
        if function is known:
            return times(x, factor)
    for known, name in (*_OF_NUMPY, *_of_scipy()):
        if function is known:
            return Function(of=x, name=name)
    raise ConversionError(
        f"{class_name(type(by))} with {field}={getattr(function, '__name__', class_name(type(function)))} is not converted: "
        "what a function of yours computes cannot be read.",
        remedy="Use a function of NumPy or scipy.special itself, such as numpy.log1p; or compute it before the model.",
        field=field,
    )


def _of_scipy() -> tuple[tuple[Callable[..., Any], Name], ...]:
    import scipy.special  # type: ignore[import-untyped]

    return tuple((getattr(scipy.special, name), Name(name)) for name in _OF_SCIPY)


def _transformed(step: Any, x: Node) -> Node:
    if step.kw_args:
        raise ConversionError(
            f"{class_name(type(step))} with kw_args is not converted.",
            remedy="Use a function of NumPy or scipy.special that needs no arguments, such as numpy.log1p.",
            field="kw_args",
        )
    return applied(step.func, x, by=step, field="func")


READERS: Mapping[str, Reader] = {"sklearn.preprocessing.FunctionTransformer": Reader(transform=_transformed)}
