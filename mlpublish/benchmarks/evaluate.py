"""How fast saved models run here, beside the libraries that they came from: same machine, same inputs, turn by turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from mlpublish.benchmarks.timing import medians
from mlpublish.errors import MissingExtra, RecipeError
from mlpublish.reporting.progress import Progress, shown
from mlpublish.shown import Block, Shown, Table

PROGRAM_BAR, TREES_BAR, LOAD_BAR = 2.0, 3.0, 0.5
"""Times the source's own time, for ML Programs and for tree ensembles; seconds, for opening 100 MB."""

NAMES = ("resnet18", "mobilenet_v3", "vit_tiny", "bert_tiny", "forest", "boosting", "load")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """One saved file beside its source.

    Args:
        name: the model, what the file holds, and how it was run.
        source: median seconds of the source library; None where nothing is compared (opening a file).
        ours: median seconds of the evaluator.
        bar: what is promised: a ratio, or seconds where nothing is compared.
    """

    name: str
    source: float | None
    ours: float
    bar: float

    @property
    def measured(self) -> float:
        """What is held against the bar."""
        return self.ours if self.source is None else self.ours / self.source

    @property
    def kept(self) -> bool:
        """Whether the bar was kept."""
        return self.measured <= self.bar

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "source_seconds": self.source,
            "seconds": self.ours,
            "measured": self.measured,
            "bar": self.bar,
            "kept": self.kept,
        }

    def cells(self) -> tuple[str, ...]:
        source = "" if self.source is None else f"{self.source * 1e3:.2f} ms"
        unit = " s" if self.source is None else " ×"
        return self.name, source, f"{self.ours * 1e3:.2f} ms", f"{self.measured:.2f}{unit}", f"{self.bar:g}{unit}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SpeedReport(Shown):
    """All that was measured.

    Args:
        rounds: of how many the medians are.
        machine: what ran it: processors and libraries.
    """

    speeds: tuple[Speed, ...]
    rounds: int
    machine: str

    HEAD: ClassVar = ("model, file, run by", "source", "evaluator", "measured", "bar")

    def rows(self) -> Mapping[str, object]:
        return {each.name: "  ".join(each.cells()[1:]) + ("" if each.kept else "  MISSED") for each in self.speeds}

    def brief(self) -> str:
        return f"{sum(each.kept for each in self.speeds)} of {len(self.speeds)} bars kept"

    def blocks(self) -> Iterator[Block]:
        yield Table("Beside the source", self.HEAD, tuple(each.cells() for each in self.speeds))

    def to_dict(self) -> dict[str, Any]:
        return {"machine": self.machine, "rounds": self.rounds, "speeds": [each.to_dict() for each in self.speeds]}


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
    return SpeedReport(speeds=tuple(speeds), rounds=rounds, machine=_machine())


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
    from mlpublish.benchmarks import of_programs
    from mlpublish.coreml import evaluate

    for precision in of_programs.PRECISIONS:
        path = of_programs.large(folder, precision)
        (taken,) = medians(lambda path=path: evaluate.load(path), rounds=rounds)  # type: ignore[misc]
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6
        yield Speed(name=f"opening {size:.0f} MB, {precision}", source=None, ours=taken, bar=LOAD_BAR)


def _machine() -> str:
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for library in ("mlpublish", "numpy", "torch", "scikit-learn"):
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            found.append(f"{library} absent")
    return f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, {', '.join(found)}"
