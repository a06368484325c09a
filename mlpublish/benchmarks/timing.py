"""How long two works take, turn by turn, so that whatever else the machine does meets both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """How long a work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def medians(*works: Callable[[], object], rounds: int) -> tuple[float, ...]:
    """The median seconds of each work, over rounds in which each has its turn; a first round is thrown away."""
    taken: list[list[float]] = [[seconds(work) for work in works] for _ in range(rounds + 1)][1:]
    return tuple(statistics.median(column) for column in zip(*taken, strict=True))
