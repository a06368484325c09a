"""What a stage of a classic specification is: opened once, run on all rows at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.schema import Message

Rows: TypeAlias = dict[str, NDArray[np.generic]]
"""Feature -> array whose first axis is the row: numbers (rows, …), texts (rows,), dictionaries as objects (rows,); a
classifier's probabilities are (rows, classes)."""

Run: TypeAlias = Callable[[Rows], Rows]
"""What is known so far -> what the stage adds to it."""


class Family(Protocol):
    """A module of stages of some kinds."""

    KINDS: tuple[str, ...]
    """The specification types that it runs, as ``WhichOneof("Type")`` names them."""

    @staticmethod
    def unsupported(stage: Message) -> list[str]:
        """What the stage asks for that is not evaluated here."""

    @staticmethod
    def opened(stage: Message) -> Run:
        """Read a stage for which ``unsupported`` is empty.

        Raises:
            ValueError, KeyError, IndexError: it does not hold together.
        """

    @staticmethod
    def classes(stage: Message) -> tuple[int | str, ...]:
        """The labels in the order of the probabilities; empty where the stage is no classifier."""
