from __future__ import annotations

import numpy as np
import pytest

from mlpublish.converting.graph.answer import Number, Predicted
from mlpublish.converting.graph.columnwise import Lookup
from mlpublish.converting.graph.node import Column, Join
from mlpublish.converting.writing.plan import planned
from mlpublish.coreml import evaluate
from mlpublish.coreml.package import read
from mlpublish.errors import ConversionError
from tests.converting.graphs import values
from tests.converting.writing.forests import forest, grown, split
from tests.converting.writing.validating import check

TOWN = Column(name="town", feature="town")
KEYS = ("Oslo", "Rome", "Ulm", "")
TEXTS = np.array(["Rome", "Ulm", "Oslo", "", "Rome", "Bonn"])


def looked_up(rows, unknown=None, keys=KEYS):
    table = np.array(rows, dtype=np.float64)
    return Lookup(of=TOWN, keys=keys, table=table, unknown=None if unknown is None else np.array(unknown, dtype=np.float64))


def written(tmp_path, *nodes):
    plan = planned(Predicted(numbers=tuple(Number(name=f"y{at}", node=node) for at, node in enumerate(nodes))))
    path = plan.write(tmp_path, "m", target="iOS16")
    check(read(path))
    return plan, path


TABLES = {
    "one place each": (np.eye(4), np.zeros(4)),
    "one place each, no other": (np.eye(4), None),
    "rows that are the same": (np.eye(3)[[0, 1, 2, 1]], np.zeros(3)),
    "rows of nothing": (np.vstack([np.zeros(3), np.eye(3)]), np.zeros(3)),
    "another order": (np.eye(4)[[2, 0, 3, 1]], np.zeros(4)),
    "a place of what is unknown": (np.eye(3)[[0, 1, 1, 0]], [0, 0, 1]),
    "whole numbers": ([[0], [1], [2], [-1]], [-7]),
    "whole numbers, no other": ([[0], [1], [2], [-1]], None),
    "numbers": ([[0.1], [-2.5], [1e9], [0.1]], [0.125]),
    "several numbers": ([[0.1, 5], [-2.5, 0], [1e9, 7], [0.1, 5]], [0.125, 1e-9]),
}
KINDS = ("oneHotEncoder", "categoricalMapping", "featureVectorizer", "glmRegressor", "treeEnsembleRegressor")


@pytest.mark.parametrize(("table", "unknown"), TABLES.values(), ids=TABLES)
def test_a_table_of_texts_is_written_in_doubles(tmp_path, table, unknown):
    node = looked_up(table, unknown)
    trees = forest(node, *(grown(np.random.default_rng(at), node.width, 2, places=[0.5, 0.1, 2.0, -1.0]) for at in range(6)))
    plan, path = written(tmp_path, trees)
    assert path.suffix == ".mlmodel"
    assert {each.WhichOneof("Type") for each in read(path).pipelineRegressor.pipeline.models} <= set(KINDS)
    rows = {"town": TEXTS if unknown is not None else TEXTS[:5]}
    got = evaluate.load(path).predict_rows(plan.features(rows))["y0"]
    np.testing.assert_array_equal(got, values(trees, rows)[:, 0])


@pytest.mark.parametrize("name", [name for name, (_, unknown) in TABLES.items() if unknown is None])
def test_what_the_library_refuses_is_refused(tmp_path, name):
    plan, path = written(tmp_path, forest(looked_up(*TABLES[name]), split(0, 0.5)))
    with pytest.raises(ConversionError, match="Bonn"):
        evaluate.load(path).predict_rows(plan.features({"town": TEXTS}))


@pytest.mark.parametrize(("table", "unknown"), [([[0], [1], [2], [np.nan]], [-1]), ([[0], [1], [2], [3]], [np.nan])])
def test_what_stands_for_no_number_takes_a_program_and_is_still_exact(tmp_path, table, unknown):
    trees = forest(looked_up(table, unknown), *(split(0, at + 0.5, missing=at == 1) for at in range(4)))
    plan, path = written(tmp_path, trees)
    assert path.suffix == ".mlpackage"
    got = evaluate.load(path).predict_rows(plan.features({"town": TEXTS}))["y0"]
    np.testing.assert_array_equal(got, values(trees, {"town": TEXTS})[:, 0])


def test_any_other_table_takes_a_program(tmp_path):
    table = np.random.default_rng(0).normal(size=(4, 40))
    table[1, 3] = np.nan
    node = looked_up(table, np.zeros(40))
    plan, path = written(tmp_path, node)
    assert path.suffix == ".mlpackage"
    got = evaluate.load(path).predict_rows(plan.features({"town": TEXTS}))["y0"]
    np.testing.assert_allclose(got, values(node, {"town": TEXTS}), rtol=1e-6)


def test_texts_alone_are_an_answer(tmp_path):
    plan, path = written(tmp_path, Join(parts=(looked_up(np.eye(4), np.zeros(4)), looked_up([[3], [2], [1], [0]], [9]))))
    assert path.suffix == ".mlmodel"
    got = evaluate.load(path).predict_rows(plan.features({"town": TEXTS}))["y0"]
    assert got.tolist() == [
        [0, 1, 0, 0, 2],
        [0, 0, 1, 0, 1],
        [1, 0, 0, 0, 3],
        [0, 0, 0, 1, 0],
        [0, 1, 0, 0, 2],
        [0, 0, 0, 0, 9],
    ]


def test_a_column_of_texts_and_of_numbers_is_refused():
    node = Join(parts=(looked_up(np.eye(4), np.zeros(4)), TOWN))
    with pytest.raises(ConversionError, match="'town' is read as texts and as numbers"):
        planned(Predicted(numbers=(Number(name="y", node=node),)))
