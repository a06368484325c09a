"""What lies unpacked on a device: how it gets there, and how it is known again.

A bundle brings its manifest, which says what every file must be. A plain zip of the predecessor brings none, so the device
writes down what it unpacked, in a hidden file beside: no archive that is taken holds a hidden name.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlpublish.checking import sandbox
from mlpublish.errors import DigestMismatch
from mlpublish.formats.archive import Archive
from mlpublish.formats.legacy_zip import LegacyArchive
from mlpublish.formats.manifest import MANIFEST_PATH, Manifest
from mlpublish.formats.wire import MAX_DOCUMENT, Reader, digest_of, dump
from mlpublish.storage.in_folder import flush_folder, read_regular, replace_file
from mlpublish.trust.bundles import check_contents, manifest_digest, read_manifest

RECORD = ".unpacked.json"
RECORD_FORMAT = 1

_PIECE = 256 * 1024  # bytes
_CORE_ML = (".mlmodel", ".mlmodelc", ".mlpackage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What a folder on the device must hold.

    Args:
        said_in: the file that says so.
        sha256: of that file.
        files: name -> (length in bytes, sha256) of every other file.
        models: name -> place; in a plain zip, which names none, every Core ML file by its stem, or by its place where
            several have the same stem.
    """

    said_in: str
    sha256: str
    files: Mapping[str, tuple[int, str]]
    models: Mapping[str, PurePosixPath]

    @classmethod
    def of(cls, folder: Path) -> Unpacked:
        """What a folder says of itself; its files are not read.

        Raises:
            OSError, FormatError: it says nothing, or nothing that can be read.
        """
        record = sandbox.read(folder / RECORD)
        if record is not None:
            return cls._of_record(record)
        return cls._of_manifest(read_regular(folder / MANIFEST_PATH, MAX_DOCUMENT, links=False))

    @classmethod
    def _of_manifest(cls, data: bytes) -> Unpacked:
        manifest = Manifest.from_bytes(data)
        files = {str(entry.path): (entry.length, entry.sha256) for entry in manifest.files}
        models = {model.name: model.path for model in manifest.models}
        return cls(said_in=MANIFEST_PATH, sha256=digest_of(data), files=files, models=models)

    @classmethod
    def _of_record(cls, data: bytes) -> Unpacked:
        reader = Reader.parse(data, what=RECORD)
        reader.version("format", known=RECORD_FORMAT)
        files = {each.text("path"): (each.whole_number("length"), each.digest("sha256")) for each in reader.each("files")}
        models = _by_name({place for path in map(PurePosixPath, files) if (place := _model_of(path)) is not None})
        return cls(said_in=RECORD, sha256=digest_of(data), files=files, models=models)

    def wrong_in(
        self, folder: Path, *, signed: str | None = None, before_piece: Callable[[], None] = lambda: None
    ) -> str | None:
        """What is wrong with the folder's files, if anything; every byte is read (about a second per gigabyte).

        Args:
            signed: the sha256 that ``said_in`` had when it was unpacked, if that is known.
            before_piece: called before each piece that is read; what it raises ends the work.
        """
        if signed not in (None, self.sha256):
            return f"The file {self.said_in} of the bundle is altered."
        present = _contents(folder, before_piece)
        present.pop(self.said_in, None)
        for name in sorted(self.files.keys() | present.keys()):
            if self.files.get(name) != present.get(name):
                how = "missing" if name not in present else "added" if name not in self.files else "altered"
                return f"The file {name} of the bundle is {how}."
        return None


def unpack_bundle(
    archive: Archive, folder: Path, on_bytes: Callable[[int], None], *, manifest_sha256: str | None = None
) -> Manifest:
    """Unpack a bundle into a new folder, and hold it against its manifest.

    Args:
        on_bytes: called with the length of each piece that was written.
        manifest_sha256: what the app role says of the manifest inside, where an app role says something.

    Raises:
        BundleError: a file does not hold together, or there is no manifest.
        DigestMismatch: the manifest is not the signed one, or does not say what is inside.
    """
    manifest = read_manifest(archive)
    if manifest_sha256 not in (None, manifest_digest(archive)):
        raise DigestMismatch(
            "The manifest inside the bundle is not the one that was signed.",
            remedy="Sign and publish the bundle again.",
            field=MANIFEST_PATH,
        )
    check_contents(manifest, archive.unpack(folder, on_bytes))
    return manifest


def unpack_plain(archive: LegacyArchive, folder: Path, on_bytes: Callable[[int], None]) -> None:
    """Unpack a zip that has no manifest into a new folder, and write down what came.

    Raises:
        BundleError: a file does not hold together.
    """
    written = archive.unpack(folder, on_bytes)
    files = [{"path": name, "length": length, "sha256": sha256} for name, (length, sha256) in sorted(written.items())]
    replace_file(folder / RECORD, dump({"format": RECORD_FORMAT, "files": files}))


def digest_in(file: Path, before_piece: Callable[[], None]) -> bytes:
    """sha256 of a file, in constant memory.

    Args:
        before_piece: called before each piece that is read; what it raises ends the work.
    """
    digest = hashlib.sha256()
    with file.open("rb", buffering=0) as stream:
        while piece := stream.read(_PIECE):
            before_piece()
            digest.update(piece)
    return digest.digest()


def flush_folders(folder: Path) -> None:
    """Make the names of all that was unpacked durable."""
    for each in [folder, *(inner for inner in folder.rglob("*") if inner.is_dir())]:
        flush_folder(each)


def _model_of(file: PurePosixPath) -> PurePosixPath | None:
    """The Core ML file that a file is or lies in, the outermost."""
    return next((place for place in (*reversed(file.parents), file) if place.suffix in _CORE_ML), None)


def _by_name(places: Collection[PurePosixPath]) -> dict[str, PurePosixPath]:
    stems = Counter(place.stem for place in places)
    return {place.stem if stems[place.stem] == 1 else str(place): place for place in sorted(places)}


def _contents(folder: Path, before_piece: Callable[[], None]) -> dict[str, tuple[int, str]]:
    """The files below a folder; a link or a pipe counts as one of no length, because no bundle holds any."""
    found: dict[str, tuple[int, str]] = {}
    for file in folder.rglob("*"):
        before_piece()
        name = file.relative_to(folder).as_posix()
        if file.is_file() and not file.is_symlink():
            found[name] = (file.stat().st_size, digest_in(file, before_piece).hex())
        elif not file.is_dir() or file.is_symlink():
            found[name] = (0, "")
    return found
