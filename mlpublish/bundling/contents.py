"""What goes into a bundle, and where: models, their evidence, other files, and the manifest that lists them all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlpublish.artifacts import ConvertedModel
from mlpublish.errors import BundleError
from mlpublish.formats.manifest import FileEntry, Manifest, ModelEntry
from mlpublish.version import __version__

Content = tuple[PurePosixPath, Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The files of a bundle but for its manifest, and what the manifest says of the models."""

    models: tuple[ModelEntry, ...]
    files: tuple[Content, ...]

    def manifest(self, name: str, version: str | None) -> Manifest:
        """The manifest; without a version it gets the content's own digest, cut to 12 digits."""
        entries = tuple(sorted((FileEntry.of(path, file) for path, file in self.files), key=lambda entry: str(entry.path)))
        return Manifest(
            name=name,
            version=version or self._own_version(entries),
            models=self.models,
            files=entries,
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
    for model in models:
        _refuse_changed(model)
    placed = [content for model in models for content in _model_files(model)]
    placed += [(PurePosixPath("files", file.name), file) for file in files]
    return Contents(models=tuple(_model_entry(model) for model in models), files=tuple(placed))


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
        golden=None if model.golden is None else PurePosixPath("evidence", model.name),
    )


def _model_path(model: ConvertedModel) -> PurePosixPath:
    """A stable name, never a version in it: an app finds its file after every update."""
    return PurePosixPath("models", f"{model.name}{model.path.suffix}")


def _model_files(model: ConvertedModel) -> Iterator[Content]:
    if model.path.is_dir():
        yield from _below(model.path, _model_path(model))
    else:
        yield (_model_path(model), model.path)
    if model.golden is not None:
        yield from _below(model.golden, PurePosixPath("evidence", model.name))


def _refuse_changed(model: ConvertedModel) -> None:
    """The evidence is of the file that was measured; another one must not travel under it."""
    files = _below(model.path, PurePosixPath()) if model.path.is_dir() else [(PurePosixPath(model.path.name), model.path)]
    golden = [] if model.golden is None else _below(model.golden, PurePosixPath())
    found = [{FileEntry.of(path, file) for path, file in each} for each in (files, golden)]
    if found != [set(model.files), set(model.evidence)]:
        raise BundleError(
            f"The model {model.name} changed after it was converted: its evidence is not of these files.",
            remedy="Convert it again, or bundle the model file from a folder without its record (then without evidence).",
            field="models",
        )


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
