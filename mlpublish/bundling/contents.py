"""What goes into a bundle, and where: models, their evidence, other files, and the manifest that lists them all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mlpublish.artifacts import ConvertedModel
from mlpublish.errors import BundleError
from mlpublish.formats.manifest import FileEntry, Manifest, ModelEntry
from mlpublish.version import __version__

Content = tuple[PurePosixPath, Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The files of a bundle but for its manifest, what was measured of them, and what the manifest says of the models."""

    models: tuple[ModelEntry, ...]
    files: tuple[Content, ...]
    known: tuple[FileEntry, ...]

    def manifest(self, name: str, version: str | None, entries: Sequence[FileEntry]) -> Manifest:
        """The manifest; without a version it gets the content's own digest, cut to 12 digits.

        Args:
            name: the bundle's.
            version: the bundle's, if it was given.
            entries: the files as they are, measured while they were written.

        Raises:
            BundleError: a file is not the one that was measured when its model was converted.
        """
        found = {entry.path: entry for entry in entries}
        for entry in self.known:
            if found[entry.path] != entry:
                raise changed(str(entry.path))
        listed = tuple(sorted(entries, key=lambda entry: str(entry.path)))
        return Manifest(
            name=name,
            version=version or self._own_version(listed),
            models=self.models,
            files=listed,
            created_by=f"mlpublish {__version__}",
        )

    def _own_version(self, entries: Sequence[FileEntry]) -> str:
        registered = {model.provenance.mlflow.version for model in self.models if model.provenance.mlflow is not None} - {None}
        if len(registered) == 1:
            return str(registered.pop())
        listed = "".join(f"{entry.sha256}  {entry.path}\n" for entry in entries)
        return hashlib.sha256(listed.encode()).hexdigest()[:12]


def contents_of(models: Sequence[ConvertedModel], files: Sequence[Path]) -> Contents:
    """Give every file its place.

    Raises:
        BundleError: two models or two files have one name, a file is none, or a model changed since it was converted.
    """
    _refuse_twice([model.name for model in models], "models")
    _refuse_twice([file.name for file in files], "files")
    for file in files:
        if not file.is_file():
            raise BundleError(f"{file} is no file.", remedy="Name an existing file.", field="files")
    placed = [content for model in models for content in _model_files(model)]
    known = [entry for model in models for entry in _known(model)]
    for path in sorted({path for path, _ in placed} ^ {entry.path for entry in known}):
        raise changed(str(path))
    placed += [(PurePosixPath("files", file.name), file) for file in files]
    return Contents(models=tuple(_model_entry(model) for model in models), files=tuple(placed), known=tuple(known))


def changed(file: str) -> BundleError:
    """The evidence is of the files that were measured; others must not travel under it."""
    return BundleError(
        f"{file} changed after its model was converted: the evidence is not of this file.",
        remedy="Convert the model again, or bundle it from a folder without its record (then without evidence).",
        field="models",
    )


def _model_entry(model: ConvertedModel) -> ModelEntry:
    return ModelEntry(
        name=model.name,
        path=_model_path(model),
        kind=model.kind,
        specification_version=model.specification_version,
        precision=model.precision,
        interface=model.interface,
        provenance=model.provenance,
        parity=model.parity,
        golden=None if model.golden is None else _golden_path(model),
    )


def _model_path(model: ConvertedModel) -> PurePosixPath:
    """A stable name, never a version in it: an app finds its file after every update."""
    return PurePosixPath("models", f"{model.name}{model.path.suffix}")


def _golden_path(model: ConvertedModel) -> PurePosixPath:
    return PurePosixPath("evidence", model.name)


def _model_files(model: ConvertedModel) -> Iterator[Content]:
    if model.path.is_dir():
        yield from _below(model.path, _model_path(model))
    else:
        yield (_model_path(model), model.path)
    if model.golden is not None:
        yield from _below(model.golden, _golden_path(model))


def _known(model: ConvertedModel) -> Iterator[FileEntry]:
    """What was measured of a model's files when it was converted, each at its place in the bundle."""
    place = _model_path(model)
    for entry in model.files:
        yield replace(entry, path=place / entry.path if model.path.is_dir() else place)
    for entry in model.evidence:
        yield replace(entry, path=_golden_path(model) / entry.path)


def _below(folder: Path, place: PurePosixPath) -> Iterator[Content]:
    for file in sorted(folder.rglob("*")):
        if file.is_symlink() or not (file.is_file() or file.is_dir()):
            raise BundleError(f"{file} is neither a file nor a folder.", remedy="Put the file itself there.", field=str(file))
        if file.is_file():
            yield (place / file.relative_to(folder).as_posix(), file)


def _refuse_twice(names: Sequence[str], what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BundleError(f"Two {what} are called {twice[0]}.", remedy="Give each its own name.", field=what)
