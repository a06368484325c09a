"""How long conversions take and how much memory, beside coremltools' own converters where they read the same model."""

from __future__ import annotations

import json
import pickle
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mlpublish.benchmarks.conversions import Conversion, ConversionsReport, Took
from mlpublish.benchmarks.fitted import MODELS
from mlpublish.benchmarks.machine import machine
from mlpublish.errors import MissingExtra, RecipeError
from mlpublish.reporting.progress import Progress, shown

NAMES = tuple(MODELS)


def bench_convert(*names: str, rounds: int = 3, progress: Progress = True) -> ConversionsReport:
    """Convert models of 500 trees, and a pipeline, each time in a process of its own.

    Args:
        names: some of ``NAMES``; by default all.
        rounds: of how many a median is taken.
        progress: False for silence, or a function that is told each phase.

    Raises:
        RecipeError: a name is none, or ``rounds`` is not positive.
        MissingExtra: a model's library is not installed.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown or rounds < 1:
        what = f"{unknown[0]!r} is no benchmark." if unknown else f"{rounds} rounds are none."
        raise RecipeError(what, remedy=f"Use some of {', '.join(NAMES)}, and one round or more.", field="names")
    chosen = [name for name in NAMES if name in names or not names]
    with shown(progress, steps=2 * len(chosen)) as tell, TemporaryDirectory(prefix="mlpublish-bench-") as folder:
        done = []
        for name in chosen:
            tell(f"Fitting {name}")
            fitted = _fitted(name, Path(folder))
            tell(f"Converting {name}")
            turns = [(_turn("ours", fitted), _turn("theirs", fitted)) for _ in range(rounds)]
            ours, theirs = (_median(each) for each in zip(*turns, strict=True))
            done.append(Conversion(name=name, ours=ours, theirs=theirs))
    libraries = ("coremltools", "scikit-learn", "xgboost-cpu", "lightgbm")
    return ConversionsReport(conversions=tuple(done), rounds=rounds, machine=machine(*libraries))


def _fitted(name: str, folder: Path) -> Path:
    try:
        fitted = MODELS[name]()
    except ImportError as exc:
        raise MissingExtra(f"{name} is not installed.", remedy=f"Run: python -m pip install 'mlpublish[{name}]'") from exc
    path = folder / f"{name}.pickle"
    path.write_bytes(pickle.dumps(fitted))
    return path


def _turn(who: str, fitted: Path) -> Took:
    with TemporaryDirectory(dir=fitted.parent) as out:
        command = [sys.executable, "-m", "mlpublish.benchmarks.converted", who, str(fitted), f"{out}/made"]
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    return Took(**json.loads(ran.stdout))


def _median(turns: tuple[Took, ...]) -> Took:
    """The one of the median time, with the median peak."""
    if any(each.refused for each in turns):
        return next(each for each in turns if each.refused)
    peaks = [each.peak_mb for each in turns if each.peak_mb is not None]
    seconds = [each.seconds for each in turns if each.seconds is not None]
    return replace(turns[0], seconds=statistics.median(seconds), peak_mb=statistics.median(peaks))
