"""Open, describe and normalise a Core ML model on disk: a ``.mlmodel`` file or an ``.mlpackage`` folder.

A package is a folder with ``Manifest.json`` (item ids -> paths under ``Data/``; one is the specification) and its weights.
What comes from outside is read strictly: no link, nothing outside of the folder, nothing cut.
"""

from __future__ import annotations

import json
import math
import os
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlpublish.coreml.interface import MAIN, function_of, functions_of, interface_of
from mlpublish.coreml.schema import Message, parse_model, schema
from mlpublish.errors import FormatError, NotFound
from mlpublish.formats.interface import Feature, Interface
from mlpublish.formats.manifest import FileEntry
from mlpublish.formats.wire import MAX_DOCUMENT, Reader

SUFFIXES = (".mlmodel", ".mlpackage")
PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")

_MANIFEST = "Manifest.json"
_ITEMS = uuid.UUID("5b2f8a4e-6f3c-5d52-9a57-3a7f0f1c9d10")  # ours; an item's id is uuid5 of it and the item's path
_DATE = "com.github.apple.coremltools.conversion_date"
_LOCAL_BUILD = re.compile(r"(?<=\d)\+[a-z0-9.]+$")  # 2.13.0+cpu and 2.13.0+cu130 write the same program
_MOST_SPECIFICATION = (1 << 31) - 1  # bytes; protobuf reads no more
MAX_PACKAGE = 1 << 36
"""Bytes of all files of a package (64 GiB): one with holes in it claims any length, and digesting that never ends."""

_DEEPEST = 32  # folders in folders; os.walk calls itself for each

_REMEDY = "Get the model again from where it was made; it may be cut or altered."


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a saved model says about itself.

    Args:
        kind: the specification's type, such as ``mlProgram`` or ``pipelineClassifier``.
        interface: of ``function``.
        precision: ``float16`` or ``float32``, whichever most weights of its ML Programs have; ``double`` for classic models.
        function: the function that is described: the wanted one, else the default one; ``main`` where the model names none.
        functions: all of them.
    """

    kind: str
    specification_version: int
    interface: Interface
    precision: str
    function: str = MAIN
    functions: tuple[str, ...] = (MAIN,)

    @property
    def states(self) -> tuple[Feature, ...]:
        """What the model remembers from one run to the next; empty for most."""
        return self.interface.states


def describe(path: Path, function: str | None = None) -> Description:
    """Read what a model says about itself.

    Args:
        function: which of several functions is meant; by default the model's own default.

    Raises:
        NotFound: nothing is there.
        FormatError: it is not a Core ML model, or is cut or altered.
        ConversionError: it has no such function.
    """
    return description_of(read(path), path.name, function)


def description_of(spec: Message, what: str, function: str | None = None) -> Description:
    """The same for a specification that was read already; ``what`` names it in errors."""
    kind = spec.WhichOneof("Type")
    called = function_of(spec.description, what, function)
    programs = [each.mlProgram for each in models_in(spec) if each.WhichOneof("Type") == "mlProgram"]
    return Description(
        kind=kind,
        specification_version=spec.specificationVersion,
        interface=interface_of(spec.description, what, called),
        precision=_weights_precision(programs) if programs else "double",
        function=called,
        functions=functions_of(spec.description),
    )


def read(path: Path) -> Message:
    """The specification (a ``Model`` message) of a model on disk."""
    return read_file(specification(path), path.name)


def read_file(file: Path, what: str) -> Message:
    """The specification in a file; ``what`` names the model in errors.

    Raises:
        FormatError: it is none, or larger than protobuf reads.
    """
    return parse_model(_content(file, _MOST_SPECIFICATION, what), what=what)


def specification(path: Path) -> Path:
    """The file that holds a model's specification, after a look at the whole package."""
    if not path.exists():
        raise NotFound(f"There is no model at {path}.", remedy="Check the path.", field="path")
    if path.is_file():
        return path
    length = 0
    for entry in _walk(path):
        if entry.is_symlink() or not entry.is_file():
            raise _broken(path, f"{entry.relative_to(path)} is a link or a special file")
        length += entry.stat().st_size
        if length > MAX_PACKAGE:
            raise _broken(path, f"its files claim more than {MAX_PACKAGE} bytes")
    manifest = _manifest(path)
    root = manifest.inner("itemInfoEntries").inner(manifest.text("rootModelIdentifier"))
    found = path / "Data" / root.relative_path("path")
    if not found.is_file():
        raise _broken(path, f"{found.relative_to(path)} is missing")
    return found


def files_of(path: Path) -> tuple[FileEntry, ...]:
    """Every file of a model, sorted by path, with length and sha256.

    Paths are relative to a package; a ``.mlmodel`` is one file under its own name.
    """
    specification(path)
    base = path.parent if path.is_file() else path
    files = [path] if path.is_file() else list(_walk(path))
    named = {PurePosixPath(file.relative_to(base).as_posix()): file for file in files}
    return tuple(FileEntry.of(name, named[name]) for name in sorted(named))


def normalise(path: Path) -> None:
    """Rewrite a model in place so that the same model gives the same bytes in every process and on every machine.

    Protobuf maps are written in order, the day of conversion and local build labels are dropped, and the random item ids
    of a package are replaced by ids made from the items' paths. Items that are empty folders are dropped, because archives
    of files do not carry them. Weights are not touched.

    Raises:
        FormatError: it is not a Core ML model.
    """
    spec = read(path)
    _drop_volatile(spec)
    _replace(specification(path), spec.SerializeToString(deterministic=True))
    if path.is_dir():
        _replace(path / _MANIFEST, _stable_manifest(path, _manifest(path)))


def models_in(spec: Message) -> Iterator[Message]:
    """A model, and those of the pipelines in it; the depth is bounded by protobuf's reader."""
    waiting = [spec]
    while waiting:
        model = waiting.pop()
        yield model
        kind = model.WhichOneof("Type")
        if kind in PIPELINES:
            waiting.extend((model.pipeline if kind == "pipeline" else getattr(model, kind).pipeline).models)


def _drop_volatile(spec: Message) -> None:
    for model in models_in(spec):
        _drop_volatile_of(model)


def _drop_volatile_of(spec: Message) -> None:
    stated = spec.description.metadata.userDefined
    stated.pop(_DATE, None)
    for key, value in list(stated.items()):
        stated[key] = _LOCAL_BUILD.sub("", value)
    kind = spec.WhichOneof("Type")
    if kind == "mlProgram" and "buildInfo" in spec.mlProgram.attributes:
        for pair in spec.mlProgram.attributes["buildInfo"].immediateValue.dictionary.values:
            texts = pair.value.immediateValue.tensor.strings.values
            texts[:] = [_LOCAL_BUILD.sub("", text) for text in texts]


def _stable_manifest(path: Path, manifest: Reader) -> bytes:
    entries = manifest.inner("itemInfoEntries")
    places = {item: entries.inner(item).relative_path("path") for item in entries.values}
    empty = {item for item, place in places.items() if _drop_if_empty(path / "Data" / place)}
    ids = {item: str(uuid.uuid5(_ITEMS, str(place))) for item, place in places.items() if item not in empty}
    document = dict(manifest.values) | {
        "itemInfoEntries": {ids[item]: entries.values[item] for item in ids},
        "rootModelIdentifier": ids[manifest.text("rootModelIdentifier")],
    }
    return (json.dumps(document, indent=4, sort_keys=True) + "\n").encode()


def _drop_if_empty(folder: Path) -> bool:
    if not folder.is_dir() or any(folder.iterdir()):
        return False
    folder.rmdir()
    return True


def _manifest(path: Path) -> Reader:
    file = path / _MANIFEST
    if not file.is_file():
        raise _broken(path, f"{_MANIFEST} is missing")
    return Reader.parse(_content(file, MAX_DOCUMENT, path.name), what=f"{path.name}/{_MANIFEST}")


def _weights_precision(programs: list[Message]) -> str:
    """The float type that most elements of the constants have, of those that are held compressed the type they stand for."""
    names = schema("MIL").DataType
    elements: Counter[int] = Counter()  # a hostile file has types without a name
    for function in (each for program in programs for each in program.functions.values()):
        for block in function.block_specializations.values():
            for operation in block.operations:
                if operation.type.startswith("const"):  # const and constexpr_…
                    for result in operation.outputs:
                        sizes = (max(1, each.constant.size) for each in result.type.tensorType.dimensions)
                        elements[result.type.tensorType.dataType] += math.prod(sizes)
    return "float16" if elements[names.FLOAT16] > elements[names.FLOAT32] else "float32"


def _walk(folder: Path) -> Iterator[Path]:
    """Everything under a folder that is not a plain folder; links are not followed.

    Raises:
        FormatError: it has folders in folders, more than any package.
    """
    for here, folders, files in os.walk(folder):
        if len(Path(here).parts) - len(folder.parts) > _DEEPEST:
            raise _broken(folder, f"it has folders in folders, more than {_DEEPEST} deep")
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        yield from (Path(here) / name for name in sorted(files + links))


def _content(file: Path, most: int, what: str) -> bytes:
    """A file's bytes, if they are not more than any such file has: one that claims more could not even be held."""
    length = file.stat().st_size
    if length > most:
        raise FormatError(f"{what}: {file.name} has {length} bytes, more than {most}.", remedy=_REMEDY, field=what)
    return file.read_bytes()


def _replace(file: Path, data: bytes) -> None:
    part = file.with_name(file.name + ".part")
    part.write_bytes(data)
    part.replace(file)


def _broken(path: Path, what: str) -> FormatError:
    return FormatError(f"{path.name} is no Core ML package: {what}.", remedy=_REMEDY, field=path.name)
