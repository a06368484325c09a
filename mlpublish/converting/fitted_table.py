"""The table of numbers that a boosting library's model was fitted on: named columns, or an array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting import tables
from mlpublish.converting.graph.node import Array, Column, Node, joined


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedTable:
    """What samples must look like.

    Args:
        names: the columns; None for a model that was fitted on an array.
        features: how many there are.
    """

    names: tuple[str, ...] | None
    features: int

    def node(self, *, field: str) -> Node:
        """What a graph begins with.

        Args:
            field: the model's attribute that holds the columns, for errors.

        Raises:
            ConversionError: a column has no name that Core ML could give to a feature.
        """
        if self.names is None:
            return Array(size=self.features)
        features = tables.feature_names(self.names, field=field)
        columns = zip(self.names, features, strict=True)
        return joined(tuple(Column(name=name, feature=feature) for name, feature in columns))

    def numbers(self, samples: object) -> NDArray[np.float64]:
        """Samples as numbers, (rows, features), NaN for a missing one.

        Raises:
            ConversionError: they are no such table.
        """
        return tables.numbers(tables.table(samples, names=self.names, features=self.features), missing=True)

    def by_column(self, rows: NDArray[np.float64]) -> Mapping[str, NDArray[np.generic]] | NDArray[np.float64]:
        """Rows as a graph takes them."""
        return rows if self.names is None else {name: rows[:, place] for place, name in enumerate(self.names)}

    def as_fitted(self, rows: NDArray[np.float64]) -> object:
        """A frame for an estimator that was fitted on one, which then checks the columns."""
        if self.names is None:
            return rows
        import pandas as pd

        return pd.DataFrame(rows, columns=list(self.names))
