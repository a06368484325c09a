"""Which Core ML models a graph becomes: one, or a pipeline of them; and what stands at the file's border."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting.graph.answer import Answer

Border: TypeAlias = Literal["float32 array", "double array", "double", "text", "float32 row"]
"""An input's kind: an array of (n,), one number, one text, or an ML Program's (1, 1) for one column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of the file.

    Args:
        feature: its name.
        column: the column that the library knows it as; None for the one array.
    """

    feature: str
    column: str | None
    border: Border


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A graph with everything decided but the target.

    Args:
        inputs: in the order in which the file declares them.
    """

    answer: Answer
    inputs: tuple[Input, ...]

    def features(self, columns: Mapping[str, NDArray[np.generic]] | NDArray[np.float64]) -> Mapping[str, NDArray[np.generic]]:
        """Rows as the file takes them: input -> (rows, …).

        Args:
            columns: column -> (rows,), doubles or texts; or the one array, (rows, features).
        """
        raise NotImplementedError

    def write(self, folder: Path, name: str, *, target: str) -> Path:
        """Write ``<name>.mlmodel``, or ``<name>.mlpackage`` where an ML Program is needed.

        Raises:
            ConversionError: the target has no such operation.
        """
        raise NotImplementedError


def planned(answer: Answer) -> Plan:
    """Decide how a graph is written: as classic models wherever Core ML has one, with ML Programs for the arithmetic between.

    Raises:
        ConversionError: a column is read as texts and as numbers.
    """
    raise NotImplementedError
