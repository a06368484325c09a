"""A classifier's labels, as its specification holds them, without running anything."""

from __future__ import annotations

from mlpublish.coreml.classic import programs
from mlpublish.coreml.classic.run import classes_of
from mlpublish.coreml.interface import function_of
from mlpublish.coreml.schema import Message


def labels_of(spec: Message, function: str | None = None) -> tuple[int | str, ...]:
    """The labels in the order of the probabilities; empty where the model is no classifier, or a program computes them.

    Args:
        function: of an ML Program with several; by default its own default.

    Raises:
        ConversionError, FormatError: as ``function_of`` and ``classes_of``.
    """
    if spec.WhichOneof("Type") == "mlProgram":
        return programs.labels_of(spec.mlProgram, function_of(spec.description, "The model", function))
    return classes_of(spec)
