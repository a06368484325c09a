"""A frame of numbers and texts with gaps, and whether a model that was fitted on it is read as it answers, in doubles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mlpublish.converting import frames
from mlpublish.converting.from_sklearn import beginning, column_names
from mlpublish.converting.graph.answer import Answer
from mlpublish.converting.graph.node import Node
from mlpublish.converting.of_sklearn.composing import steps_of
from mlpublish.converting.of_sklearn.kinds import know_all
from mlpublish.converting.of_sklearn.reading import answered
from tests.converting.graphs import values
from tests.converting.of_sklearn.agreeing import asked

know_all()

_R = np.random.default_rng(5)


def homes(rows: int, *, gaps: bool = True) -> pd.DataFrame:
    """Homes, some of whose facts are missing."""
    frame = pd.DataFrame(
        {
            "size": _R.normal(80, 20, rows).round(1),
            "rooms": _R.integers(1, 6, rows),
            "city": _R.choice(["Rome", "Oslo", "Bern"], rows),
            "lift": _R.integers(0, 2, rows).astype(bool),
            "heating": _R.choice(["gas", "oil"], rows),
        }
    )
    if gaps:
        frame.loc[::5, "size"] = np.nan
        frame.loc[1::4, "city"] = np.nan
        frame.loc[::6, "heating"] = np.nan
    return frame


HOMES, OTHERS, WHOLE = homes(60), homes(20), homes(60, gaps=False)
RENT = np.asarray(HOMES["rooms"] * 300.0 + HOMES["size"].fillna(70) * 5 + (HOMES["city"] == "Rome") * 400)
DEAR = (np.median(RENT) < RENT).astype(int)
THREE = np.digitize(RENT, np.quantile(RENT, [0.3, 0.7]))


def read(model: Any) -> tuple[Answer, tuple[frames.Known, ...]]:
    """The graph of a model that was fitted on named columns, and the columns."""
    first = next(iter(steps_of(model)))
    names = column_names(first)
    assert names is not None
    answer = answered(model, beginning(first, names))
    return answer, frames.columns_of(answer, names)


def assert_agrees(model: Any, samples: pd.DataFrame = OTHERS) -> Node:
    """The last end of a model's graph is what the model says."""
    answer, columns = read(model)
    table = frames.fitted(samples, columns)
    method = next(
        getattr(model, name) for name in ("predict_proba", "predict", "transform") if callable(getattr(model, name, None))
    )
    wanted = np.asarray(asked(method, table), dtype=np.float64).reshape(len(samples), -1)
    np.testing.assert_allclose(values(answer.ends[-1], frames.border(table, columns)), wanted, rtol=1e-9, atol=1e-12)
    return answer.ends[-1]
