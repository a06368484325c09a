"""Describe one model, as far as that goes: what cannot be told becomes a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from mlpublish.coreml.evaluate import unsupported
from mlpublish.coreml.interface import MAIN, feature_of, function_of, functions_of
from mlpublish.coreml.labels import labels_of
from mlpublish.coreml.package import description_of, read_file
from mlpublish.coreml.schema import Message
from mlpublish.errors import MlpublishError
from mlpublish.formats.interface import Feature, Interface
from mlpublish.inspecting import stages
from mlpublish.inspecting.contents import Contents
from mlpublish.inspecting.facts import Evidence, Function, ModelFacts
from mlpublish.inspecting.files import ModelFiles, specification_in

T = TypeVar("T")
_NOTED = "com.github.apple.coremltools."
_NEWEST = 10  # of the specification versions that minimum_os knows
# What a specification that lies about itself makes Python say; each is told, none ends the inspection.
_LIES = (ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RecursionError, TypeError, ValueError)


class _Findings:
    """What goes wrong while a model is described."""

    def __init__(self, known: tuple[str, ...]) -> None:
        self.sentences = list(known)

    def trying(self, what: str, work: Callable[[], T], otherwise: T) -> T:
        """Do a part of the work; if it cannot be done, say so and go on."""
        try:
            return work()
        except MlpublishError as exc:
            self.add(exc.problem)
        except _LIES as exc:
            self.add(f"{what} cannot be told: {type(exc).__name__}: {exc}.")
        return otherwise

    def add(self, sentence: str) -> None:
        if sentence not in self.sentences:
            self.sentences.append(sentence)


def describe(name: str, files: ModelFiles, evidence: Evidence | None = None) -> ModelFacts:
    """Describe a model.

    Args:
        name: its file or package.
        files: where it lies.
        evidence: what came with it.

    Raises:
        NotFound, FormatError: there is no specification that can be read, so there is nothing to tell.
    """
    spec = read_file(specification_in(files.path), name)
    found = _Findings(files.problems)
    if spec.specificationVersion > _NEWEST:
        found.add(f"The specification version {spec.specificationVersion} is newer than any that is known here ({_NEWEST}).")
    inside = found.trying("What it holds", lambda: stages.contents_of(spec, files), Contents())
    for problem in inside.problems:
        found.add(problem)
    function = found.trying("Its default function", lambda: function_of(spec.description, name), MAIN)
    precision = found.trying("Its precision", lambda: _precision(spec, name, inside), "of unknown precision")
    metadata, made_by = _metadata(spec)
    return ModelFacts(
        name=name,
        kind=str(spec.WhichOneof("Type")),
        specification_version=int(spec.specificationVersion),
        precision=precision,
        function=function,
        functions=tuple(_function(spec, name, each, found) for each in functions_of(spec.description)),
        stages=inside.stages,
        numbers=inside.numbers,
        unsupported=_unsupported(files.path, functions_of(spec.description), found),
        metadata=metadata,
        made_by=made_by,
        files=files.entries,
        evidence=evidence,
        findings=tuple(found.sentences),
    )


def _precision(spec: Message, name: str, inside: Contents) -> str:
    """A network computes in float32 and holds its weights as float32 or float16 (NeuralNetwork.proto, ``WeightParams``)."""
    if not str(spec.WhichOneof("Type")).startswith("neuralNetwork"):
        return description_of(spec, name).precision
    held = inside.numbers.by_dtype
    return "float16" if held.get("float16", 0) // 2 > held.get("float32", 0) // 4 else "float32"


def _function(spec: Message, what: str, name: str, found: _Findings) -> Function:
    named = [each for each in spec.description.functions if each.name == name]
    side = named[0] if named else spec.description
    sides = {key: _features(getattr(side, key), what, found) for key in ("input", "output", "state")}
    return Function(
        name=name,
        interface=Interface(inputs=sides["input"], outputs=sides["output"], states=sides["state"]),
        labels=found.trying("Its labels", lambda: labels_of(spec, name), ()),
    )


def _features(described: Iterable[Message], what: str, found: _Findings) -> tuple[Feature, ...]:
    """Those that can be read."""
    read = [found.trying("A feature", partial(feature_of, each, what), None) for each in described]
    return tuple(each for each in read if each is not None)


def _unsupported(path: Path, functions: tuple[str, ...], found: _Findings) -> tuple[str, ...] | None:
    told: set[str] = set()
    for each in functions:
        names = found.trying("What is not evaluated", partial(unsupported, path, each), None)
        if names is None:
            return None
        told |= set(names)
    return tuple(sorted(told))


def _metadata(spec: Message) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What people wrote into it, and what coremltools did."""
    said = spec.description.metadata
    told = {
        "author": said.author,
        "license": said.license,
        "version": said.versionString,
        "description": said.shortDescription,
    }
    added = {f"note {key}": value for key, value in sorted(said.userDefined.items()) if not key.startswith(_NOTED)}
    noted = {key.removeprefix(_NOTED): value for key, value in sorted(said.userDefined.items()) if key.startswith(_NOTED)}
    made_by = {"coremltools": noted.pop("version", ""), **noted}
    return {key: value for key, value in {**told, **added}.items() if value}, {k: v for k, v in made_by.items() if v}
