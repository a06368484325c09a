"""How fast saved models run here, beside the libraries that they came from: same machine, same inputs, turn by turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from mlpublish.benchmarks.machine import machine
from mlpublish.benchmarks.speed import LOAD_BAR, PROGRAM_BAR, TREES_BAR, Speed, SpeedReport
from mlpublish.benchmarks.timing import medians
from mlpublish.errors import MissingExtra, RecipeError
from mlpublish.reporting.progress import Progress, shown

NAMES = ("resnet18", "mobilenet_v3", "vit_tiny", "bert_tiny", "forest", "boosting", "load")


def bench_evaluate(*names: str, rounds: int = 15, progress: Progress = True) -> SpeedReport:
    """Time saved models against their sources.

    Args:
        names: some of ``NAMES``; by default all.
        rounds: of how many rounds a median is taken.
        progress: False for silence, or a function that is told each phase.

    Raises:
        RecipeError: a name is none, or ``rounds`` is not positive.
        MissingExtra: torch is not installed.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown or rounds < 1:
        what = f"{unknown[0]!r} is no benchmark." if unknown else f"{rounds} rounds are none."
        raise RecipeError(what, remedy=f"Use some of {', '.join(NAMES)}, and one round or more.", field="names")
    chosen = [name for name in NAMES if name in names or not names]
    works: dict[str, Callable[[Path, int], Iterator[Speed]]] = {"load": _loading}
    if set(chosen) - {"forest", "boosting"}:
        works |= _programs()
    if {"forest", "boosting"} & set(chosen):
        works |= _ensembles()
    speeds: list[Speed] = []
    with shown(progress, steps=len(chosen)) as tell, TemporaryDirectory(prefix="mlpublish-bench-") as folder:
        for name in chosen:
            tell(f"Measuring {name}")
            speeds += works[name](Path(folder), rounds)
    return SpeedReport(speeds=tuple(speeds), rounds=rounds, machine=machine("torch", "scikit-learn"))


def _programs() -> dict[str, Callable[[Path, int], Iterator[Speed]]]:
    try:
        from mlpublish.benchmarks import of_programs
    except ImportError as exc:
        raise MissingExtra("torch is not installed.", remedy="Run: python -m pip install 'mlpublish[torch]'") from exc
    return of_programs.works(PROGRAM_BAR)


def _ensembles() -> dict[str, Callable[[Path, int], Iterator[Speed]]]:
    from mlpublish.benchmarks import of_trees

    return of_trees.works(TREES_BAR)


def _loading(folder: Path, rounds: int) -> Iterator[Speed]:
    """Opening alone; and the first answer after it, which reads the weights, without what an answer takes of an open model."""
    from mlpublish.benchmarks import of_programs
    from mlpublish.coreml import evaluate

    for precision in of_programs.PRECISIONS:
        path = of_programs.large(folder, precision)
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6
        open_model = evaluate.load(path)
        zeros = {each.name: np.zeros(each.shape, np.float32) for each in open_model.description.interface.inputs}
        works = (partial(evaluate.load, path), partial(_first_answer, path, zeros), partial(open_model.predict, zeros))
        opening, first, again = medians(*works, rounds=rounds)
        yield Speed(name=f"opening {size:.0f} MB, {precision}", source=None, ours=opening, bar=LOAD_BAR)
        yield Speed(name=f"opening {size:.0f} MB, {precision}, weights read", source=None, ours=first - again, bar=LOAD_BAR)


def _first_answer(path: Path, inputs: Mapping[str, NDArray[np.generic]]) -> object:
    from mlpublish.coreml import evaluate

    return evaluate.load(path).predict(inputs)
