from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import scipy.special
from sklearn.preprocessing import FunctionTransformer

from mlpublish.converting.graph.columnwise import Function, Name
from mlpublish.converting.graph.node import Array
from mlpublish.converting.of_sklearn.reading import transformed
from mlpublish.errors import ConversionError
from tests.converting.graphs import values
from tests.converting.of_sklearn.agreeing import asked

ROWS = np.array([[-3.0, -0.5, 0.0], [0.25, 0.5, 0.75], [1.0, 1.5, 2.5], [1e-3, 30.0, np.nan], [7.0, -1e-9, 0.1]])

FUNCTIONS = {
    **{
        f"numpy.{name}": getattr(np, name)
        for name in (
            *("absolute", "fabs", "exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sqrt", "cbrt", "square"),
            *("reciprocal", "negative", "sign", "floor", "ceil", "rint", "round", "around", "sin", "cos", "tan", "arctan"),
            *("tanh", "positive", "array", "asarray", "copy", "deg2rad", "radians", "rad2deg", "degrees"),
        )
    },
    **{f"scipy.special.{name}": getattr(scipy.special, name) for name in ("exp2", "expm1", "log1p", "cbrt", "expit", "logit")},
    "None": None,
}


def read(model):
    return transformed(model, Array(size=3))


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_function_is_known_by_itself(function):
    model = FunctionTransformer(function).fit(ROWS)
    np.testing.assert_allclose(values(read(model), ROWS), asked(model.transform, ROWS), rtol=1e-12, atol=1e-300)


def test_every_function_of_the_graph_that_numpy_or_scipy_has_can_be_read():
    read_as = {
        node.name for each in FUNCTIONS.values() if isinstance(node := read(FunctionTransformer(each).fit(ROWS)), Function)
    }
    assert set(Name) - read_as == {Name.RELU, Name.SOFTPLUS, Name.POSITIVE}


@pytest.mark.parametrize(
    "function",
    [lambda rows: rows, np.frompyfunc(lambda x: x, 1, 1), np.exp.reduce, np.heaviside, abs, np.cumsum],
    ids=["lambda", "made a ufunc", "method", "of two", "builtin", "over rows"],
)
def test_other_functions_are_refused(function):
    model = FunctionTransformer(function)
    with pytest.raises(ConversionError, match="what a function of yours computes cannot be read") as caught:
        read(model)
    assert caught.value.field == "func"
    assert "numpy.log1p" in caught.value.remedy


def test_a_function_of_the_same_name_is_refused():
    def log1p(rows):
        return rows

    with pytest.raises(ConversionError, match="func=log1p is not converted"):
        read(FunctionTransformer(log1p).fit(ROWS))


def test_a_function_without_a_name_is_refused_by_its_kind():
    with pytest.raises(ConversionError, match=r"func=functools\.partial is not converted"):
        read(FunctionTransformer(partial(np.round, decimals=2)).fit(ROWS))


def test_arguments_are_refused():
    model = FunctionTransformer(np.round, kw_args={"decimals": 1}).fit(ROWS)
    with pytest.raises(ConversionError, match="with kw_args is not converted") as caught:
        read(model)
    assert caught.value.field == "kw_args"
