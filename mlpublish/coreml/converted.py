"""Converted models on disk: take up a Core ML file that somebody else wrote, copy a model whole, see that nothing changed."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath

from mlpublish.artifacts import ConvertedModel
from mlpublish.coreml import package
from mlpublish.errors import FormatError, RecipeError
from mlpublish.formats.evidence import Provenance
from mlpublish.formats.manifest import MODEL_NAME, FileEntry

IN_MLFLOW = PurePosixPath("data", "coreml")
"""Where a model of our flavor lies in an MLflow model's artifacts, whole: file, record and golden data."""


def foreign(path: Path, folder: Path) -> ConvertedModel:
    """A Core ML file that somebody else wrote: a copy in ``folder``, normalised and described, but without evidence.

    Raises:
        NotFound, FormatError: no Core ML model is there.
        RecipeError: its stem is no model's name.
    """
    described = package.describe(path)
    copy = _copied(path, folder / path.name)
    package.normalise(copy)
    return ConvertedModel(
        path=copy,
        name=_checked(path.stem),
        kind=described.kind,
        specification_version=described.specification_version,
        precision=described.precision,
        interface=described.interface,
        provenance=Provenance(framework="coreml", framework_version="unknown", source=described.kind),
        parity=None,
        files=package.files_of(copy),
    )


def copied(model: ConvertedModel, folder: Path, name: str | None = None) -> ConvertedModel:
    """A model with its evidence and its record in another folder, which exists.

    Args:
        name: the copy's; by default the model's.

    Raises:
        FormatError: the model changed since it was converted.
        RecipeError: the name is none, or the folder holds such a model already.
    """
    check_unchanged(model)
    called = model.name if name is None else _checked(name)
    path = _copied(model.path, folder / f"{called}{model.path.suffix}")
    golden = None if model.golden is None else _copied(model.golden, folder / f"{called}.golden")
    files = model.files if path.is_dir() else tuple(replace(each, path=PurePosixPath(path.name)) for each in model.files)
    return replace(model, name=called, path=path, golden=golden, files=files).write()


def read_only(folder: Path) -> ConvertedModel:
    """The one converted model that lies in a folder, as it was converted.

    Raises:
        FormatError: there is none, there are several, or it changed since.
    """
    records = sorted(folder.glob("*.converted.json"))
    if len(records) != 1:
        raise FormatError(
            f"{folder.absolute().name} holds {len(records)} converted models, not one.",
            remedy="Name the folder that convert wrote for this model, or convert it again.",
            field="model",
        )
    model = ConvertedModel.read(records[0])
    check_unchanged(model)
    return model


def check_unchanged(model: ConvertedModel) -> None:
    """See that a model's files, and those of its evidence, are the ones that were measured when it was converted.

    Raises:
        FormatError: one is missing, new, or another; the error names it.
    """
    kept = () if model.golden is None else model.golden.glob("*")
    found = {*package.files_of(model.path), *(FileEntry.of(PurePosixPath(each.name), each) for each in kept)}
    apart = sorted(str(each.path) for each in found ^ {*model.files, *model.evidence})
    if apart:
        raise FormatError(
            f"{apart[0]} changed after {model.name} was converted: its evidence is not of this file.",
            remedy="Convert the model again.",
            field="model",
        )


def _copied(source: Path, place: Path) -> Path:
    if place.exists():
        raise RecipeError(f"{place} exists already.", remedy="Name another folder, or remove what is there.", field="out")
    if source.is_dir():
        shutil.copytree(source, place)
    else:
        shutil.copyfile(source, place)
    return place


def _checked(name: str) -> str:
    if re.fullmatch(MODEL_NAME, name) is None:
        raise RecipeError(
            f"{name!r} is not a name.",
            remedy="Use up to 64 letters, digits, _ and -, a letter or digit first.",
            field="name",
        )
    return name
