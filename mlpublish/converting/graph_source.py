"""What every source has in common whose model is a graph: the plan of the file, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting.graph.answer import Answer
from mlpublish.converting.source import Precision
from mlpublish.converting.writing.plan import planned
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import Provenance


class GraphSource:
    """A model that was read as a graph; a library's source adds what its model says.

    Args:
        answer: the graph.
        provenance: without the converters.
        order: the columns, in the order in which the file shall declare them.
    """

    precision: Precision = "float32"

    def __init__(self, answer: Answer, provenance: Provenance, order: Sequence[str] = ()) -> None:
        self._answer = answer
        self._plan = planned(answer, order)
        self.provenance = replace(provenance, converters={library: version(library) for library in self._plan.libraries})

    def rows(self, samples: object) -> Mapping[str, NDArray[np.generic]] | NDArray[np.float64]:
        """Samples as the graph takes them: column -> doubles or texts, or the one array.

        Raises:
            ConversionError: they do not fit the model.
        """
        raise NotImplementedError

    def inputs(self, samples: object) -> Mapping[str, NDArray[np.generic]]:
        return self._plan.features(self.rows(samples))

    def write(self, folder: Path, name: str, *, samples: object, precision: Precision, target: str) -> Path:  # noqa: ARG002
        if precision != "float32":
            raise ConversionError(
                f"Only networks are written in {precision}.", remedy="Use precision='auto'.", field="precision"
            )
        return self._plan.write(folder, name, target=target)
