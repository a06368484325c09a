"""One model's faults before the parity gate."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from mlpublish.benchmarks.classic_faults import linear_faults, tree_faults
from mlpublish.benchmarks.classic_models import CLASSIC_MODELS
from mlpublish.benchmarks.fault import Fault
from mlpublish.benchmarks.network_faults import network_faults
from mlpublish.benchmarks.small_networks import one_thread, trained
from mlpublish.benchmarks.trial import Trial
from mlpublish.converting.from_sklearn import SklearnSource
from mlpublish.converting.from_torch import TorchSource
from mlpublish.converting.parity import EXACT, FLOAT16, gate, measure
from mlpublish.converting.source import Precision, Source, source_for
from mlpublish.coreml.package import read
from mlpublish.coreml.schema import Message
from mlpublish.formats.evidence import ParityReport

_numbers = count()


def network_trials(name: str, folder: Path) -> Iterator[Trial]:
    """Convert the faulty network to both files and hold them against the sound network's answers."""
    with one_thread():
        network, rows = trained(name)
    sound = TorchSource(network)
    _pass(_asked(sound, sound, rows, folder, "float32"), _asked(sound, sound, rows, folder, "float16"))
    for fault in network_faults(network, is_classifier=name != "restoring"):
        faulty = TorchSource(fault.seeded(network))
        twin, shipped = (_asked(faulty, sound, rows, folder, precision) for precision in ("float32", "float16"))
        yield Trial(
            model=name, is_network=True, kind=fault.kind, place=fault.place, effect=twin.max_rel_diff,
            with_twin=not (twin.passed and shipped.passed), alone=not shipped.passed,
        )  # fmt: skip


def classic_trials(name: str, folder: Path) -> Iterator[Trial]:
    """Write a faulty file, from the faulty estimator or by an edit of the sound file, and hold it against the sound model."""
    model, rows = CLASSIC_MODELS[name]()
    sound = source_for(model)
    path = sound.write(folder, f"sound{next(_numbers)}", samples=rows, precision="float32", target="iOS16")
    _pass(_measured(path, sound, rows))
    is_linear = isinstance(sound, SklearnSource)
    faults = linear_faults(model) if is_linear else tree_faults(read(path))
    for fault in faults:
        faulty = _linear(fault, model, rows, folder) if is_linear else _edited(fault, read(path), folder)
        report = _measured(faulty, sound, rows)
        caught, effect = not report.passed, report.max_rel_diff
        if report.label_agreement is not None and report.label_agreement < 1:
            effect = max(effect, 1 - report.label_agreement)
        yield Trial(
            model=name, is_network=False, kind=fault.kind, place=fault.place, effect=effect, with_twin=caught, alone=caught
        )


def _asked(written: Source, sound: Source, rows: Any, folder: Path, precision: Precision) -> ParityReport:
    path = written.write(folder, f"faulty{next(_numbers)}", samples=rows, precision=precision, target="iOS16")
    return _measured(path, sound, rows, precision)


def _measured(path: Path, sound: Source, rows: Any, precision: Precision = "float32") -> ParityReport:
    allowed = FLOAT16 if precision == "float16" else EXACT
    return measure(path, samples=sound.inputs(rows), expected=sound.answers(rows), tolerance=allowed)


def _pass(*reports: ParityReport) -> None:
    """The sound files must pass, or the study would count what is no fault."""
    for report in reports:
        gate(report)


def _linear(fault: Fault, model: Any, rows: Any, folder: Path) -> Path:
    faulty = SklearnSource(fault.seeded(model))
    return faulty.write(folder, f"faulty{next(_numbers)}", samples=rows, precision="float32", target="iOS16")


def _edited(fault: Fault, spec: Message, folder: Path) -> Path:
    path = folder / f"faulty{next(_numbers)}.mlmodel"
    path.write_bytes(fault.seed(spec).SerializeToString())
    return path
