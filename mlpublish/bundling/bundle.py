"""The verb ``bundle``: converted models and other files become one reproducible zip."""

from __future__ import annotations

import filecmp
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlpublish.artifacts import Bundle, ConvertedModel
from mlpublish.bundling.contents import contents_of
from mlpublish.errors import BundleError, RecipeError
from mlpublish.formats import archive
from mlpublish.formats.manifest import MODEL_NAME, VERSION, FileEntry, Manifest
from mlpublish.reporting.progress import Progress, on_bytes, shown


def bundle(
    *models: ConvertedModel | Path | str,
    name: str | None = None,
    version: str | None = None,
    files: Iterable[Path | str] = (),
    out: Path | str | None = None,
    progress: Progress = True,
) -> Bundle:
    """Put models, their evidence and other files into one zip; the same parts give the same bytes on any machine.

    Args:
        models: what ``convert()`` gave, the folder that it wrote, or a ``.mlmodel`` or ``.mlpackage`` (which then comes
            without evidence, and the manifest says so).
        name: the bundle's name; by default the model's (with several models it must be given).
        version: by default the registered MLflow version, else the first 12 hex digits of the content's digest.
        files: other files to carry, such as labels; they lie in ``files/``.
        out: the zip to write, or a folder for ``<name>-<version>.zip``; by default the current folder.
        progress: False for silence, or a function that is told each step.

    Returns:
        The Bundle. A zip of the same bytes that stands there already is taken as it is.

    Raises:
        BundleError: a part cannot be bundled, or another file stands at ``out``.
        RecipeError: a name or version is missing, or not one.
    """
    with shown(progress, steps=2) as tell, tempfile.TemporaryDirectory(prefix="mlpublish-bundle-") as aside:
        tell("Reading the models")
        converted = [model for given in models for model in _opened(given, Path(aside))]
        extra = [Path(file) for file in files]
        tell("Writing the bundle")
        return _bundled(converted, extra, name, version, out)


def _bundled(
    converted: list[ConvertedModel], extra: list[Path], name: str | None, version: str | None, out: Path | str | None
) -> Bundle:
    if not converted and not extra:
        raise RecipeError("There is nothing to bundle.", remedy="Name a converted model or a file.", field="models")
    contents = contents_of(converted, extra)
    name, version = _name(name, converted), _checked("version", version, VERSION)
    folder = _folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=folder) as scratch:
        written = Path(scratch, "bundle.zip")
        made: list[Manifest] = []

        def manifest(entries: tuple[FileEntry, ...]) -> bytes:
            made.append(contents.manifest(name, version, entries))
            return made[0].to_bytes()

        parts = [(str(path), file) for path, file in contents.files]
        total, tell = sum(file.stat().st_size for _, file in contents.files), on_bytes()
        sha256 = archive.write(written, parts, known=contents.known, manifest=manifest, on_bytes=lambda done: tell(done, total))
        length = written.stat().st_size
        place = _place(out, f"{made[0].name}-{made[0].version}.zip")
        _settle(written, place)
    return Bundle(path=place, manifest=made[0], length=length, sha256=sha256)


def _opened(given: ConvertedModel | Path | str, aside: Path) -> Iterator[ConvertedModel]:
    """The converted models that an argument stands for."""
    if isinstance(given, ConvertedModel):
        yield given
        return
    path = Path(given)
    if path.suffix in (".mlmodel", ".mlpackage") and (path.is_file() or path.is_dir()):
        record = path.parent / f"{path.stem}.converted.json"
        yield ConvertedModel.read(record) if record.is_file() else _bare(path, aside)
        return
    records = sorted(path.glob("*.converted.json")) if path.is_dir() else []
    if not records:
        raise BundleError(
            f"{path} holds no converted model.",
            remedy="Name the folder that mlpublish convert wrote, a .mlmodel or a .mlpackage.",
            field="models",
        )
    yield from (ConvertedModel.read(record) for record in records)


def _bare(path: Path, aside: Path) -> ConvertedModel:
    from mlpublish.coreml.converted import foreign

    return foreign(path, Path(tempfile.mkdtemp(dir=aside)))


def _name(name: str | None, models: list[ConvertedModel]) -> str:
    if name is None and len(models) != 1:
        raise RecipeError(
            f"A bundle of {len(models)} models needs a name.", remedy="Give one: --name NAME (name=).", field="name"
        )
    return _checked("name", name, MODEL_NAME) or models[0].name


def _checked(field: str, value: str | None, pattern: str) -> str | None:
    if value is not None and re.fullmatch(pattern, value) is None:
        raise RecipeError(
            f"{value!r} is not a {field}.",
            remedy="Use up to 64 letters, digits, _ and - (a version may have dots and + too), a letter or digit first.",
            field=field,
        )
    return value


def _folder(out: Path | str | None) -> Path:
    """Where the zip will stand, whatever its name."""
    return _place(out, "bundle.zip").parent


def _place(out: Path | str | None, file_name: str) -> Path:
    place = Path.cwd() if out is None else Path(out)
    return place if place.suffix == ".zip" and not place.is_dir() else place / file_name


def _settle(written: Path, place: Path) -> None:
    """Move the new zip into place, unless another one stands there."""
    if not place.exists():
        shutil.move(written, place)
    elif not filecmp.cmp(written, place, shallow=False):
        raise BundleError(
            f"{place} exists and is another bundle.", remedy="Give another version, or remove the file.", field="out"
        )
