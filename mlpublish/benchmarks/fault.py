"""What a fault is: a small, named edit of something that was sound."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

FACTOR = 1.05
SCALED = f"one tensor × {FACTOR}"
_PLACES = 6


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in one place.

    Args:
        kind: what is done, such as ``dropped layer``.
        place: to what: a layer, a tensor, a tree.
        seed: edits a copy of the sound thing, and gives back what stands for it from then on.
    """

    kind: str
    place: str
    seed: Callable[[Any], Any]

    def seeded(self, sound: Any) -> Any:
        """A faulty copy; what is sound stays so."""
        return self.seed(copy.deepcopy(sound))


def spread(places: Sequence[T]) -> list[T]:
    """A first, a last and some between: at most six, evenly."""
    count = min(len(places), _PLACES)
    return [places[round(number * (len(places) - 1) / max(1, count - 1))] for number in range(count)]
