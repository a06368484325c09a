"""Run a specification that is no ML Program alone: one stage, or the stages of a pipeline in order, ML Programs among them.

Source of the rules: Model.proto (``Model.Type``, ``Pipeline``). Every stage adds its outputs, by name, to what is known; a
later stage of a pipeline may read any of it. All rows at once, in float64, as the specification stores its numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from mlpublish.coreml.classic import (
    bayes,
    categories,
    glm,
    imputer,
    neighbors,
    numbers,
    programs,
    suppression,
    svm,
    trees,
    vectors,
)
from mlpublish.coreml.classic.programs import Setting
from mlpublish.coreml.classic.stage import Family, Label, Rows, Run
from mlpublish.coreml.interface import function_of
from mlpublish.coreml.network import run as network
from mlpublish.coreml.package import PIPELINES
from mlpublish.coreml.schema import Message
from mlpublish.errors import ConversionError

FAMILIES: tuple[Family, ...] = (glm, trees, svm, neighbors, bayes, numbers, imputer, categories, vectors, suppression, network)
"""Every family of stages; no two run the same kind."""

_FAMILY_OF = {kind: family for family in FAMILIES for kind in family.KINDS}
_DEEPEST = 32  # pipelines in pipelines; coremltools writes two


def unsupported(spec: Message) -> list[str]:
    """The kinds of stages, or settings of them, in a specification that are not evaluated here."""
    found: set[str] = set()
    for stage in _stages(spec):
        kind = str(stage.WhichOneof("Type") or "a stage without a type")
        family = _FAMILY_OF.get(kind)
        with _telling(kind):
            if kind == programs.KIND:
                found |= set(programs.unsupported(stage))
            else:
                found |= set(family.unsupported(stage)) if family else {kind}
    return sorted(found)


def classes_of(spec: Message) -> tuple[Label, ...]:
    """The labels in the order of the probabilities; empty where the model is no classifier.

    Raises:
        ConversionError: the classifier does not hold together.
    """
    stages = list(_stages(spec))
    telling = [each for each in stages if _tells_probabilities(each, spec)]
    for stage in (*reversed(telling), *reversed(stages)):
        labels = _labels(stage)
        if labels:
            return labels
    return ()


def _tells_probabilities(stage: Message, spec: Message) -> bool:
    """Whether a stage gives the probabilities that a pipeline shows; another one may give the label."""
    return str(spec.description.predictedProbabilitiesName) in [str(each.name) for each in stage.description.output]


def _labels(stage: Message) -> tuple[Label, ...]:
    kind = stage.WhichOneof("Type")
    family = _FAMILY_OF.get(kind)
    with _telling(kind):
        if kind == programs.KIND:
            return programs.labels_of(stage.mlProgram, function_of(stage.description, kind))
        return family.classes(stage) if family else ()


class Classic:
    """A classic specification, read once, ready to run.

    Args:
        spec: the saved ``Model`` message, for which ``unsupported`` is empty.
        setting: how ML Programs among the stages are run; None for a model without any.
        depth: how many pipelines it stands in.

    Raises:
        ConversionError: a stage does not hold together.
    """

    def __init__(self, spec: Message, setting: Setting | None = None, depth: int = 0) -> None:
        self._outputs = [str(each.name) for each in spec.description.output]
        self._stages: list[tuple[str, Run]] = []
        for stage in _models(spec, depth):
            kind = stage.WhichOneof("Type")
            with _telling(kind):
                run = Classic(stage, setting, depth + 1).run if kind in PIPELINES else _opened(stage, kind, setting)
            self._stages.append((kind, run))

    def run(self, inputs: Rows) -> Rows:
        """Compute every output for all rows of the inputs: feature -> (rows, …).

        Raises:
            ConversionError: a stage cannot make anything of them; the error names the kind and the reason.
        """
        known = dict(inputs)
        for kind, stage in self._stages:
            with _telling(kind), np.errstate(all="ignore"):  # infinite and NaN inputs give infinite and NaN answers
                known |= stage(known)
        missing = [name for name in self._outputs if name not in known]
        if missing:
            raise _broken(self._stages[-1][0] if self._stages else "pipeline", f"it does not make the output {missing[0]!r}")
        return {name: known[name] for name in self._outputs}


def _opened(stage: Message, kind: str, setting: Setting | None) -> Run:
    if kind == programs.KIND:
        assert setting is not None
        return programs.opened(stage, setting)
    return _FAMILY_OF[kind].opened(stage)


@contextmanager
def _telling(kind: str) -> Iterator[None]:
    try:
        yield
    except KeyError as exc:
        raise _broken(kind, f"{exc} is not there") from exc
    except (ValueError, TypeError, IndexError, OverflowError, MemoryError) as exc:
        raise _broken(kind, str(exc) or type(exc).__name__) from exc


def _broken(kind: str, why: str) -> ConversionError:
    return ConversionError(
        f"The stage {kind} cannot be run: {why}.",
        remedy="Give inputs that the model knows; if they are right, get the model again, it may be cut or altered.",
    )


def _stages(spec: Message, depth: int = 0) -> Iterator[Message]:
    """The models of a pipeline, in order, with those of pipelines inside of it."""
    for model in _models(spec, depth):
        if model.WhichOneof("Type") in PIPELINES:
            yield from _stages(model, depth + 1)
        else:
            yield model


def _models(spec: Message, depth: int) -> list[Message]:
    """The models of a pipeline; of any other model itself."""
    kind = spec.WhichOneof("Type")
    if kind not in PIPELINES:
        return [spec]
    if depth == _DEEPEST:
        raise _broken(kind, f"more than {_DEEPEST} pipelines stand in each other")
    return list((spec.pipeline if kind == "pipeline" else getattr(spec, kind).pipeline).models)
