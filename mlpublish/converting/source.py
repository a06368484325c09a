"""The contract between ``convert`` and whoever holds a trained model: a Source.

An adapter stands in the entry point group ``mlpublish.sources`` under the name of the package whose classes it converts
(``sklearn``, ``torch``). The nearest one among a model's own and inherited classes is taken: an estimator of a boosting
library that inherits from scikit-learn is the boosting library's, and a user's subclass of a torch module is torch's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from mlpublish import plugins
from mlpublish.coreml.compare import Answers
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import MlflowLineage, Provenance

Precision: TypeAlias = Literal["float16", "float32"]

INPUT = "input"
"""The one array input of a model that was not fitted on named columns."""

LABEL = "classLabel"
PROBABILITIES = "classProbability"
PREDICTION = "prediction"
SCORE = "score"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a MODEL argument stood for: the object itself, and what the place it came from knows of it.

    Args:
        model: the object that the training library made.
        name: what to call the file, unless the caller says.
        samples: rows to ask the model with, unless the caller gives some.
        lineage: where it came from in MLflow.
    """

    model: object
    name: str | None = None
    samples: object | None = None
    lineage: MlflowLineage | None = None


class Source(Protocol):
    """One trained model: it can be asked, and it can be written as Core ML. Nothing here changes the model.

    The constructor takes the model and raises ConversionError if it is of a kind, or in a state, that is not converted.
    """

    precision: Precision
    """What ``auto`` means: ``float16`` for networks, ``float32`` for everything else."""

    provenance: Provenance

    def __init__(self, model: object) -> None: ...

    def inputs(self, samples: object) -> Mapping[str, NDArray[np.generic]]:
        """Samples as the Core ML file takes them: input -> (rows, …).

        Raises:
            ConversionError: they do not fit the model; the error names the numbers.
        """

    def answers(self, samples: object) -> Answers:
        """What the model itself says to samples, in the Core ML file's output names."""

    def write(self, folder: Path, name: str, *, samples: object, precision: Precision, target: str) -> Path:
        """Write ``<name>.mlmodel`` or ``<name>.mlpackage`` into a folder.

        Args:
            samples: rows that passed ``inputs``; a traced network learns its shapes from the first.
            target: the deployment target, such as ``iOS16``.

        Raises:
            ConversionError: the model, or the precision for it, cannot be written.
        """


def source_for(model: object) -> Source:
    """The source that handles an object.

    Raises:
        ConversionError: none does; the error names the object's class and what is installed.
    """
    known = plugins.names(plugins.SOURCES)
    for kind in type(model).__mro__:
        library = kind.__module__.partition(".")[0]
        if library in known:
            return cast(type[Source], plugins.find(plugins.SOURCES, library))(model)
    raise ConversionError(
        f"A {class_name(type(model))} is not a model that can be converted.",
        remedy=f"Give a fitted model of one of: {', '.join(known)}; or an MLflow URI (models:/name@alias).",
        field="model",
    )


def class_name(kind: type) -> str:
    """A class as its users import it: by the module above the first private part of its path."""
    public = list(takewhile(lambda part: not part.startswith("_"), kind.__module__.split(".")))
    return ".".join([*public, kind.__qualname__]) if public != ["builtins"] else kind.__qualname__
