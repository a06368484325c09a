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
from mlpublish.formats.evidence import Provenance
from mlpublish.formats.manifest import MODEL_NAME, VERSION, FileEntry, Manifest


def bundle(
    *models: ConvertedModel | Path | str,
    name: str | None = None,
    version: str | None = None,
    files: Iterable[Path | str] = (),
    out: Path | str | None = None,
) -> Bundle:
    """Put models, their evidence and other files into one zip; the same parts give the same bytes on any machine.

    Args:
        models: what ``convert()`` gave, the folder that it wrote, or a ``.mlmodel`` or ``.mlpackage`` (which then comes
            without evidence, and the manifest says so).
        name: the bundle's name; by default the model's (with several models it must be given).
        version: by default the registered MLflow version, else the first 12 hex digits of the content's digest.
        files: other files to carry, such as labels; they lie in ``files/``.
        out: the zip to write, or a folder for ``<name>-<version>.zip``; by default the current folder.

    Returns:
        The Bundle. A zip of the same bytes that stands there already is taken as it is.

    Raises:
        BundleError: a part cannot be bundled, or another file stands at ``out``.
        RecipeError: a name or version is missing, or not one.
    """
    with tempfile.TemporaryDirectory(prefix="mlpublish-bundle-") as aside:
        converted = [model for given in models for model in _opened(given, Path(aside))]
        return _bundled(converted, [Path(file) for file in files], name, version, out)


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
        sha256 = archive.write(written, parts, known=contents.known, manifest=manifest)
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


def _bare(foreign: Path, aside: Path) -> ConvertedModel:
    """A Core ML file that somebody else wrote: normalised (a copy of it) and described, but without evidence."""
    from mlpublish.coreml import package

    described = package.describe(foreign)
    path = Path(tempfile.mkdtemp(dir=aside)) / foreign.name
    if foreign.is_dir():
        shutil.copytree(foreign, path)
    else:
        shutil.copyfile(foreign, path)
    package.normalise(path)
    return ConvertedModel(
        path=path,
        name=_checked("name", path.stem, MODEL_NAME) or path.stem,
        kind=described.kind,
        specification_version=described.specification_version,
        precision=described.precision,
        interface=described.interface,
        provenance=Provenance(framework="coreml", framework_version="unknown", source=described.kind),
        parity=None,
        files=package.files_of(path),
    )


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
