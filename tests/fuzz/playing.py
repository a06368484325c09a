"""Do with a model what may be done with one from a stranger: look at it, open it, ask it once."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mlpublish.coreml import evaluate, golden
from mlpublish.coreml.package import describe, files_of
from mlpublish.errors import MlpublishError
from mlpublish.formats.interface import Feature

MAX_GIVEN = 1 << 20
"""Elements of an input that are given; a model that wants more is not asked."""

_COLOURS = {"RGB": 3, "BGR": 3}


class Hidden(Exception):
    """A refusal that was no judgement: memory ran out, and what said so was taken for a broken file."""


def play(path: Path, *, backend: str, thorough: bool) -> str:
    """Look, open, ask.

    Args:
        thorough: look in every way; ``inspect`` alone does most of them.

    Returns:
        How far it came: ``refused``, ``loaded`` (not asked, or refused then) or ``ran``.

    Raises:
        Exception: anything that is no MlpublishError.
    """
    try:
        return _play(path, backend, _looks() if thorough else _looks()[-1:])
    except MlpublishError as exc:
        _hides_nothing(exc)
        return "refused"


def _play(path: Path, backend: str, looks: Sequence[Callable[[Path], Any]]) -> str:
    if not path.suffix:
        golden.read(path)
        return "ran"
    for look in looks:
        with suppress(MlpublishError):
            look(path)
    model = evaluate.load(path, backend=backend)
    inputs = _given(model)
    if inputs is None:
        return "loaded"
    try:
        if model.description.interface.states:
            model.predict_with_state(inputs, model.initial_state())
        else:
            model.predict(inputs)
    except MlpublishError as exc:
        _hides_nothing(exc)
        return "loaded"
    return "ran"


def _hides_nothing(exc: BaseException) -> None:
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, MemoryError) or "allocate memory" in str(cause):
            raise Hidden(f"out of memory: {exc}") from exc
        cause = cause.__cause__ or cause.__context__


@cache
def _looks() -> tuple[Callable[[Path], Any], ...]:
    try:
        inspect = importlib.import_module("mlpublish.inspecting.inspect").inspect
    except (ImportError, AttributeError):
        return describe, files_of, evaluate.unsupported
    return describe, files_of, evaluate.unsupported, inspect


def _given(model: Any) -> Mapping[str, Any] | None:
    random = np.random.default_rng(0)
    features = model.description.interface.inputs
    if not all(_can_be_given(each.shape) for each in features):
        return None
    return {each.name: _value(each, random) for each in features}


def _can_be_given(shape: tuple[int, ...]) -> bool:
    return len(shape) <= 64 and all(size >= 0 for size in shape) and math.prod(shape) <= MAX_GIVEN


def _value(feature: Feature, random: np.random.Generator) -> Any:
    match feature.kind:
        case "image":
            height, width = feature.shape or (1, 1)  # a file may leave the size open
            dtype = np.float16 if feature.color_space == "GRAYSCALE_FLOAT16" else np.uint8
            return random.integers(0, 256, size=(_COLOURS.get(feature.color_space, 1), height, width)).astype(dtype)
        case "int64":
            return np.int64(random.integers(0, 3))
        case "string":
            return np.asarray("b")
        case "dictionary":
            return {0: 1.0, 1: 2.0} if feature.dtype == "int64" else {"a": 1.0, "b": 2.0}
    if np.dtype(feature.dtype).kind in "iu":
        return random.integers(0, 2, size=feature.shape).astype(feature.dtype)
    return random.normal(size=feature.shape).astype(np.float32)
