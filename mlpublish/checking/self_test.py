"""The golden self-test: a new model is asked what its source model answered, before it is used.

What is run is the very file that was unpacked, by our evaluator (numpy; no torch, no coremltools, no MLflow). That the bytes
are the signed ones is known by then; this finds a release whose model is not the one that was proven. A model that cannot be
asked here is not the worse for it: the report says why it was not.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlpublish.checking.outcome import DeviceFailure
from mlpublish.checking.play import Play
from mlpublish.errors import ConversionError, MlpublishError
from mlpublish.formats.evidence import ParityReport
from mlpublish.formats.manifest import Manifest, ModelEntry
from mlpublish.formats.status import UpdateStatus

if TYPE_CHECKING:
    from mlpublish.coreml.compare import Answers, Difference
    from mlpublish.coreml.golden import Golden

_COPIES = 3  # times its length that a model takes in memory: float16 weights become float32, beside the file itself
_ROUNDING = 2.0  # another processor sums in another order
_SAMPLES = "samples"  # what the evaluator blames where inputs are not the model's
_REMEDY = (
    "Publish a release whose model and golden data come from one conversion. What came is kept: a check costs no download."
)


class _NotRun(Exception):
    """Why a model is not asked."""


def self_test(play: Play, folder: Path, manifest: Manifest) -> None:
    """Ask every model of an unpacked release; what comes out stands in ``play.self_tests``.

    Raises:
        DeviceFailure: INTEGRITY if one answers otherwise, CANCELED.
    """
    for model in manifest.models:
        play.stop_if_canceled()
        try:
            asked = _asked(folder, manifest, model, play.stop_if_canceled)
        except _NotRun as exc:
            play.self_tests[model.name] = f"not run: {exc}"
            continue
        play.self_tests[model.name] = asked.told
        if asked.wrong:
            raise DeviceFailure(
                UpdateStatus.FAILURE_INTEGRITY,
                f"The new model {model.name} does not answer as its golden data says: {'; '.join(asked.wrong)}. {_REMEDY}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """How one model answered: what the report says, and what is wrong, one text for each output."""

    told: str
    wrong: tuple[str, ...]


def _asked(folder: Path, manifest: Manifest, model: ModelEntry, before_row: Callable[[], None]) -> _Asked:
    if model.golden is None or model.parity is None:
        raise _NotRun("it comes without golden data")
    _refuse_too_large(manifest, model)
    try:
        wanted, answers = _answers(folder / model.golden, folder / model.path, before_row)
        found = wanted.differences(answers)
    except ConversionError as exc:  # an input or an output is not the model's, or of another shape
        return _Asked(told=f"failed: {exc.problem}", wrong=(exc.problem.removesuffix("."),))
    return _judged(found, model.parity, wanted.samples)


def _answers(kept: Path, model: Path, before_row: Callable[[], None]) -> tuple[Golden, Answers]:
    """What the evaluator does not know or cannot read says nothing against a signed file."""
    try:
        from mlpublish.coreml import golden
        from mlpublish.coreml.evaluate import Model

        wanted = golden.read(kept)
        return wanted, wanted.ask(Model(model), before_row)
    except ImportError as exc:
        raise _NotRun(f"{exc.name} is not installed") from exc
    except MlpublishError as exc:
        if exc.field == _SAMPLES:
            raise
        raise _NotRun(exc.problem) from exc


def _judged(found: Mapping[str, Difference], parity: ParityReport, samples: int) -> _Asked:
    wrong = tuple(text for name, each in found.items() if (text := wrong_with(name, each, parity, samples)))
    worst = max(each.max_rel for each in found.values())
    passed = f"passed: {samples} golden samples, within {worst:.1e} (relative)"
    return _Asked(told=f"failed: {'; '.join(wrong)}" if wrong else passed, wrong=wrong)


def wrong_with(name: str, found: Difference, parity: ParityReport, samples: int) -> str | None:
    """What is wrong with one output's answers, if anything.

    The parity report's bound holds over all its samples; golden data is a few of them. So where their own largest value is
    small, the difference may also be as large as the largest absolute one that was measured, with room for rounding. And a
    share of labels that must agree is rarely whole for so few: the misses that it allows are rounded up.

    Args:
        found: how far the output's answers are from the wanted ones.
        parity: what was measured, and allowed, when the model was converted.
        samples: how many were asked.
    """
    allowed = parity.tolerance
    if not (found.max_rel <= allowed.rel or found.max_abs <= _ROUNDING * parity.max_abs_diff):
        return f"its output {name!r} differs by {found.max_rel:.1e} (relative), allowed {allowed.rel:.1e}"
    missed = 0 if found.labels is None else round((1 - found.labels) * samples)
    if missed > (may_miss := math.ceil((1 - allowed.labels) * samples - 1e-9)):
        return f"its output {name!r} gives another label to {missed} of {samples} samples, allowed {may_miss}"
    return None


def _refuse_too_large(manifest: Manifest, model: ModelEntry) -> None:
    inside = f"{model.path}/"
    length = sum(entry.length for entry in manifest.files if entry.path == model.path or str(entry.path).startswith(inside))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if _COPIES * length > memory:
        raise _NotRun(f"it has {length} bytes, and takes up to {_COPIES} times as much memory; this machine has {memory}")
