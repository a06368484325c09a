"""What the models of the catalogue are fitted on, and rows that none of them has seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

TRAINED, HELD = 160, 48


@dataclass(frozen=True, kw_only=True)
class Data:
    """Rows to fit on with their targets, and held-out rows; arrays or frames.

    Args:
        groups: how many rows belong to each query, for rankings.
    """

    x: Any
    y: Any
    held: Any
    groups: tuple[int, ...] = ()

    def of(self, targets: Any) -> Data:
        """The same rows with other targets."""
        return replace(self, y=targets)


_R = np.random.default_rng(7)
_ALL = _R.normal(size=(TRAINED + HELD, 5)) * [1, 10, 0.1, 3, 1] + [0, 100, 0, -5, 2]
_ALL[:, 1] = _ALL[:, 1].round()  # values that come again, and meet splits
_ALL[:, 4] = _ALL[:, 4].round(1)
_X, _HELD = _ALL[:TRAINED], _ALL[TRAINED:]
_SIGNAL = np.sin(_X[:, 0]) * 3 + _X[:, 1] / 5 + np.abs(_X[:, 3]) + _R.normal(size=TRAINED) / 4

NUMBERS = Data(x=_X, y=_SIGNAL, held=_HELD)
TWO_NUMBERS = NUMBERS.of(np.column_stack([_SIGNAL, _X[:, 0] - _X[:, 4] * 2]))
POSITIVE = NUMBERS.of(np.exp((_SIGNAL - 26) / 6))
COUNTS = NUMBERS.of(np.random.default_rng(8).poisson(np.exp((_SIGNAL - 26) / 4)).astype(float))
RANKED = replace(NUMBERS.of(np.digitize(_SIGNAL, [23, 26, 29])), groups=(20,) * (TRAINED // 20))

TWO = NUMBERS.of((_SIGNAL > 26).astype(int))
BOOLEANS = NUMBERS.of(_SIGNAL > 26)
THREE = NUMBERS.of(np.digitize(_SIGNAL, [24.5, 27.5]))
TEXTS = NUMBERS.of(np.asarray(["low", "mid", "high"])[THREE.y])
TWO_TEXTS = NUMBERS.of(np.asarray(["no", "yes"])[TWO.y])
ODD_LABELS = NUMBERS.of(np.asarray([-3, 5, 40])[THREE.y])


def with_gaps(data: Data) -> Data:
    """The same, where a tenth of the numbers is missing."""
    random = np.random.default_rng(9)

    def made(rows: Any) -> Any:
        return np.where(random.random(rows.shape) < 0.1, np.nan, rows)

    return replace(data, x=made(data.x), held=made(data.held))


def with_zeros(data: Data) -> Data:
    """The same, where a fifth of the numbers is 0."""
    random = np.random.default_rng(10)

    def made(rows: Any) -> Any:
        return np.where(random.random(rows.shape) < 0.2, 0.0, rows)

    return replace(data, x=made(data.x), held=made(data.held))


def above_zero(data: Data) -> Data:
    """The same, all numbers at or above 0."""
    return replace(data, x=np.abs(data.x), held=np.abs(data.held))


def _frame(rows: Any, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    made = pd.DataFrame({"age": rows[:, 1], "income (kEUR)": rows[:, 3], "x 1": rows[:, 0]})
    made["town"] = random.choice(["Bern", "Köln", "Wien"], len(rows))
    made["size"] = random.choice(["S", "M", "L"], len(rows))
    return made


_FRAME, _HELD_FRAME = _frame(_X, 11), _frame(_HELD, 12)
_FROM_FRAME = _SIGNAL + _FRAME["town"].map({"Bern": 0, "Köln": 2, "Wien": -1}) + _FRAME["size"].map({"S": 0, "M": 1, "L": 3})

FRAME = Data(x=_FRAME, y=_FROM_FRAME.to_numpy(), held=_HELD_FRAME)
FRAME_TWO = FRAME.of((FRAME.y > 27).astype(int))
FRAME_TEXTS = FRAME.of(np.asarray(["low", "mid", "high"])[np.digitize(FRAME.y, [25, 28.5])])
NUMBER_FRAME = Data(x=_FRAME[["age", "income (kEUR)", "x 1"]], y=_SIGNAL, held=_HELD_FRAME[["age", "income (kEUR)", "x 1"]])
NUMBER_FRAME_THREE = NUMBER_FRAME.of(THREE.y)
NUMBER_COLUMNS, TEXT_COLUMNS = ["age", "income (kEUR)", "x 1"], ["town", "size"]


def frame_with_gaps(data: Data) -> Data:
    """A frame where numbers and texts are missing."""
    random = np.random.default_rng(13)

    def made(rows: pd.DataFrame) -> pd.DataFrame:
        gone = rows.copy()
        for column in rows.columns:
            missing = np.nan if pd.api.types.is_numeric_dtype(rows[column]) else None
            gone.loc[random.random(len(rows)) < 0.1, column] = missing
        return gone

    return replace(data, x=made(data.x), held=made(data.held))


def with_unknown(data: Data) -> Data:
    """A frame whose held-out rows have a town that no training row has."""
    held = data.held.copy()
    held.loc[held.index[::5], "town"] = "Graz"
    return replace(data, held=held)
