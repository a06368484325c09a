"""Functions of one number, imputation, tables: what a saved program says, beside the graph in doubles."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlpublish.converting.graph.answer import Number, Predicted
from mlpublish.converting.graph.columnwise import Clipped, Function, Imputed, IsMissing, Lookup, Name, Scaled
from mlpublish.converting.graph.node import Array, Join, Node, Pick
from mlpublish.errors import ConversionError
from tests.converting.writing.programs import BACKENDS, asked, differences, saved

NAN = math.nan
SPECIAL = [
    0.0,
    -0.0,
    0.5,
    1.5,
    2.5,
    -0.5,
    -1.5,
    -2.5,
    1.0,
    -1.0,
    1e-6,
    -1e-6,
    3e-9,
    0.49999,
    0.50001,
    -0.49999,
    20.0,
    -20.0,
    88.0,
]
ROWS = np.array([*SPECIAL, NAN, math.inf, -math.inf])[:, np.newaxis]
BOUNDS = {Name.TAN: 2e-5, Name.EXP: 2e-5, Name.EXP2: 1e-5, Name.EXPM1: 2e-5}


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_function_of_one_number(tmp_path, backend):
    x = Array(size=1)
    nodes = {name.name.lower(): Function(of=x, name=name) for name in Name}
    for name, gap in differences(tmp_path, nodes, ROWS, backend=backend).items():
        assert gap <= BOUNDS.get(Name[name.upper()], 5e-7), name


def test_near_its_zero_a_function_keeps_its_digits(tmp_path):
    near, far = np.array([1e-30, -3e-9, 2e-5, -0.01, 0.3, -0.499]), np.array([-80.0, -30.0, -15.0, -8.0, -3.0, -1.0])
    x = Array(size=12)
    functions = {
        Name.EXPM1: (np.expm1, near),
        Name.LOG1P: (np.log1p, near),
        Name.CBRT: (np.cbrt, near),
        Name.SOFTPLUS: (lambda x: np.log1p(np.exp(x)), far),
        Name.EXPIT: (lambda x: 1 / (1 + np.exp(-x)), far),
    }
    numbers = tuple(Number(name=name.name, node=Function(of=x, name=name)) for name in functions)
    row = np.concatenate([near, far]).astype(np.float32)
    got = asked(saved(tmp_path, Predicted(numbers=numbers)), row[np.newaxis])
    for name, (function, where) in functions.items():
        place = slice(0, 6) if where is near else slice(6, 12)
        np.testing.assert_allclose(got[name.name][0, place], function(row[place].astype(np.float64)), rtol=3e-6)


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_are_picked_joined_moved_held_and_filled(tmp_path, width, backend):
    random = np.random.default_rng(width)
    x = Array(size=width)
    first = Pick(of=x, places=(0,))
    nodes: dict[str, Node] = {
        "scaled": Scaled(of=x, shift=random.normal(size=width), scale=random.normal(size=width)),
        "above": Clipped(of=x, low=-0.5, high=math.inf),
        "below": Clipped(of=x, low=-math.inf, high=0.5),
        "between": Clipped(of=x, low=-0.5, high=0.5),
        "free": Clipped(of=x, low=-math.inf, high=math.inf),
        "imputed": Imputed(of=x, values=random.normal(size=width)),
        "imputed_0": Imputed(of=x, values=random.normal(size=width), missing=0.0),
        "missing": IsMissing(of=x),
        "missing_0": IsMissing(of=x, missing=0.0),
        "turned": Pick(of=x, places=tuple(reversed(range(width)))),
        "twice": Pick(of=x, places=(0, width - 1, 0)),
        "last": Pick(of=x, places=(width - 1,)),
        "joined": Join(parts=(x, first, x)),
        "alone": Join(parts=(first,)),
    }
    rows = np.vstack([random.normal(size=(5, width)), np.zeros((1, width)), np.full((1, width), NAN)])
    gaps = differences(tmp_path, nodes, rows, backend=backend)
    assert gaps.pop("scaled") < 5e-7
    assert gaps.pop("imputed") < 1e-7
    assert gaps.pop("imputed_0") < 1e-7
    assert set(gaps.values()) == {0.0}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_number_is_looked_up(tmp_path, backend):
    x = Array(size=1)
    table = np.array([[1.0, 0.0], [0.25, -2.0], [NAN, 7.0]])
    nodes = {
        "known": Lookup(of=x, keys=(3.0, -1.5, 0.0), table=table, unknown=np.array([9.0, 9.5])),
        "lost": Lookup(of=x, keys=(3.0, NAN, 0.0), table=table, unknown=np.zeros(2)),
        "refused": Lookup(of=x, keys=(3.0, 0.0), table=table[:2], unknown=None),
        "one": Lookup(of=x, keys=(0.1,), table=np.ones((1, 1)), unknown=np.zeros(1)),
    }
    rows = np.array([[3.0], [-1.5], [0.0], [-0.0], [2.0], [NAN], [math.inf]])
    assert set(differences(tmp_path, nodes, rows, backend=backend).values()) == {0.0}
    got = asked(tmp_path / "model.mlpackage", np.array([[0.1]]), backend=backend)
    assert got["output_3"].tolist() == [[1.0]]  # as float32 has it, on both sides


def test_categories_that_float32_cannot_tell_apart_are_refused(tmp_path):
    node = Lookup(of=Array(size=1), keys=(2.0**24, 2.0**24 + 1), table=np.eye(2), unknown=None)
    with pytest.raises(ConversionError, match="one and the same in float32"):
        saved(tmp_path, Predicted(numbers=(Number(name="prediction", node=node),)))


def test_a_mean_that_is_large_beside_the_deviations_loses_nothing(tmp_path):
    years = Scaled(of=Array(size=2), shift=np.array([-1987.123456789, -1.6e9 - 0.3]), scale=np.array([0.7, 1e-3]))
    rows = np.column_stack([np.arange(1980.0, 2000.0), 1.6e9 + 128 * np.arange(20.0)])
    assert differences(tmp_path, {"scaled": years}, rows)["scaled"] < 3e-7


def test_a_number_beyond_float32_is_refused(tmp_path):
    node = Scaled(of=Array(size=1), shift=np.zeros(1), scale=np.array([1e39]))
    with pytest.raises(ConversionError, match="1e\\+39, which float32 does not reach"):
        saved(tmp_path, Predicted(numbers=(Number(name="prediction", node=node),)))
