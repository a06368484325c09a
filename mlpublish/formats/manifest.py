"""manifest.json, the last file of a bundle: what is inside, where it came from, and how it was proven.

No app and no release number stand in it: the same converted models give the same bytes for every app.
Which reader takes which version: docs/formats.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from zlib_ng.zlib_ng import crc32

from mlpublish.formats.evidence import Interface, ParityReport, Provenance
from mlpublish.formats.wire import Reader, dump

MANIFEST_PATH = "manifest.json"
MANIFEST_FORMAT = 1
_CHUNK = 1 << 20  # bytes
MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
VERSION = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file: its place, its length in bytes, its sha256; its CRC-32 where it was measured for a record.

    The CRC saves ``bundle`` a reading. It is no part of the manifest, and two entries are equal without it.
    """

    path: PurePosixPath
    length: int
    sha256: str
    crc: int | None = field(default=None, compare=False)

    @classmethod
    def of(cls, path: PurePosixPath, file: Path) -> FileEntry:
        """Describe a file of the disk that stands, or will stand, at ``path``."""
        digest, crc, length = hashlib.sha256(), 0, 0
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                crc = crc32(chunk, crc)
                length += len(chunk)
        return cls(path=path, length=length, sha256=digest.hexdigest(), crc=crc)

    def to_dict(self) -> dict[str, Any]:
        return {"path": str(self.path), "length": self.length, "sha256": self.sha256}

    @classmethod
    def from_reader(cls, reader: Reader) -> FileEntry:
        return cls(
            path=reader.relative_path("path"),
            length=reader.whole_number("length"),
            sha256=reader.digest("sha256"),
        )

    def to_record(self) -> dict[str, Any]:
        """The same with the CRC, for the record of a converted model."""
        return self.to_dict() | ({} if self.crc is None else {"crc32": self.crc})

    @classmethod
    def from_record(cls, reader: Reader) -> FileEntry:
        crc = reader.optional("crc32", lambda name: reader.whole_number(name, most=0xFFFFFFFF))
        return replace(cls.from_reader(reader), crc=crc)


def digest_of_files(files: Iterable[FileEntry]) -> str:
    """One sha256 of several files: that of the lines that ``sha256sum`` prints of them, in the order of their paths."""
    lines = (f"{entry.sha256}  {entry.path}\n" for entry in sorted(files, key=lambda entry: str(entry.path)))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One model of a bundle.

    Args:
        path: its file or package inside the bundle; the name stays the same after every update.
        kind: the Core ML specification's type, such as ``mlProgram`` or ``pipelineClassifier``.
        specification_version: Core ML's; it decides the lowest system version.
        precision: ``float16`` or ``float32`` of the weights; ``double`` for classic models.
        golden: the folder of golden inputs and outputs, if samples were kept.
    """

    name: str
    path: PurePosixPath
    kind: str
    specification_version: int
    precision: str
    interface: Interface
    provenance: Provenance
    parity: ParityReport | None = None
    golden: PurePosixPath | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "path": str(self.path),
            "kind": self.kind,
            "specification_version": self.specification_version,
            "precision": self.precision,
            "interface": self.interface.to_dict(),
            "provenance": self.provenance.to_dict(),
            "parity": None if self.parity is None else self.parity.to_dict(),
            "golden": None if self.golden is None else str(self.golden),
        }

    @classmethod
    def from_reader(cls, reader: Reader) -> ModelEntry:
        return cls(
            name=reader.text("name", MODEL_NAME),
            path=reader.relative_path("path"),
            kind=reader.text("kind"),
            specification_version=reader.whole_number("specification_version", least=1),
            precision=reader.text("precision"),
            interface=Interface.from_reader(reader.inner("interface")),
            provenance=Provenance.from_reader(reader.inner("provenance")),
            parity=reader.optional("parity", lambda name: ParityReport.from_reader(reader.inner(name))),
            golden=reader.optional("golden", reader.relative_path),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A bundle's table of contents; ``files`` lists every other file of the bundle, sorted by path."""

    name: str
    version: str
    models: tuple[ModelEntry, ...]
    files: tuple[FileEntry, ...]
    created_by: str

    @property
    def unpacked_length(self) -> int:
        """Bytes that the files take on the device, the manifest itself apart."""
        return sum(entry.length for entry in self.files)

    @property
    def specification_version(self) -> int:
        """The highest of the models', 0 without a model."""
        return max((model.specification_version for model in self.models), default=0)

    def files_of(self, model: ModelEntry) -> tuple[FileEntry, ...]:
        """The files of one model, by their place in its package; a single file by its own name."""
        inside = (entry for entry in self.files if model.path in (entry.path, *entry.path.parents))
        return tuple(
            replace(
                entry, path=PurePosixPath(entry.path.name) if entry.path == model.path else entry.path.relative_to(model.path)
            )
            for entry in inside
        )

    def to_bytes(self) -> bytes:
        return dump(
            {
                "format_version": MANIFEST_FORMAT,
                "name": self.name,
                "version": self.version,
                "models": [model.to_dict() for model in self.models],
                "files": [entry.to_dict() for entry in self.files],
                "created_by": self.created_by,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        reader = Reader.parse(data, what=MANIFEST_PATH)
        reader.version("format_version", known=MANIFEST_FORMAT)
        files = tuple(FileEntry.from_reader(each) for each in reader.each("files"))
        if len({str(entry.path).casefold() for entry in files}) != len(files):
            reader.refuse("files", "a list without a path twice")
        return cls(
            name=reader.text("name", MODEL_NAME),
            version=reader.text("version", VERSION),
            models=tuple(ModelEntry.from_reader(each) for each in reader.each("models")),
            files=files,
            created_by=reader.text("created_by"),
        )
