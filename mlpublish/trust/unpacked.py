"""A bundle that was unpacked (by a device, or with ``unzip``): read, and held against the manifest that lies in it.

The folder is somebody else's: only regular files are opened, never through a link, a file of another length is not hashed, and
nothing that the manifest does not list may be there. An empty folder carries nothing and is passed over.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlpublish.errors import DigestMismatch, StorageError
from mlpublish.formats.archive import MAX_ENTRIES
from mlpublish.formats.manifest import MANIFEST_PATH, FileEntry, Manifest
from mlpublish.formats.wire import digest_of, digest_of_stream
from mlpublish.trust.bundles import check_contents
from mlpublish.trust.folders import read_document
from mlpublish.trust.links import named
from mlpublish.trust.model_signature import MODEL_SIGNATURE

_DEEPEST, _LONGEST = 32, 512  # parts and characters of a name, as wire.is_relative_path takes it


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """The folder of an unpacked bundle whose files are exactly those of its manifest.

    Args:
        files: every file, the manifest last.
    """

    folder: Path
    manifest: Manifest
    files: tuple[FileEntry, ...]


def read_unpacked(folder: Path) -> Unpacked:
    """Read an unpacked bundle whole; a ``model.sig`` at its top is none of its files, but a file.

    Raises:
        NotFound, FormatError: its manifest is missing, or is none.
        DigestMismatch: a file is missing, added, altered, or no regular file; or lies deeper than any of a bundle may.
        StorageError: it cannot be read.
    """
    with named(MANIFEST_PATH):
        content = read_document(folder / MANIFEST_PATH)
        manifest = Manifest.from_bytes(content)
    listed = {str(entry.path): entry.length for entry in manifest.files}
    found = {_told(name): _measured(folder / name, _told(name), listed.get(name)) for name in _names(folder)}
    check_contents(manifest, found)
    last = FileEntry(path=PurePosixPath(MANIFEST_PATH), length=len(content), sha256=digest_of(content))
    return Unpacked(folder=folder, manifest=manifest, files=(*manifest.files, last))


def _names(folder: Path) -> Iterator[str]:
    """The files below a folder, by their place in it."""
    count = 0
    for place, folders, files in os.walk(folder, onerror=_refuse):
        for each in sorted(folders):
            name = (Path(place) / each).relative_to(folder).as_posix()
            if name == MODEL_SIGNATURE or (Path(place) / each).is_symlink():
                raise _no_file(_told(name))
            _refuse_deep(name)  # before it is walked into: the system has a limit of its own
        for file in sorted(files):
            name = (Path(place) / file).relative_to(folder).as_posix()
            if name == MODEL_SIGNATURE and not stat.S_ISREG((folder / name).lstat().st_mode):
                raise _no_file(name)
            if name in (MANIFEST_PATH, MODEL_SIGNATURE):
                continue
            count += 1
            if count > MAX_ENTRIES:
                raise DigestMismatch(
                    f"{folder} holds more than {MAX_ENTRIES} files.", remedy="Unpack the bundle again.", field=_told(name)
                )
            yield name


def _told(name: str) -> str:
    """A name as it can be told: one that is no UTF-8 could not be printed."""
    return name.encode(errors="replace").decode()


def _measured(file: Path, name: str, listed: int | None) -> tuple[int, str]:
    """Length and sha256; where the length says already that it is another file, it is not read."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK  # without O_NONBLOCK a pipe that nobody writes to is waited for
    try:
        with open(file, "rb", opener=lambda path, mode: os.open(path, mode | flags)) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _no_file(name)
            return status.st_size, digest_of_stream(stream) if status.st_size == listed else ""
    except OSError as exc:
        if file.is_symlink() or not file.is_file():
            raise _no_file(name) from exc
        _refuse(exc)
        raise


def _refuse_deep(name: str) -> None:
    if name.count("/") + 1 >= _DEEPEST or len(os.fsencode(name)) > _LONGEST:
        raise DigestMismatch(
            f"{_told(name)[:_LONGEST]} lies deeper, or is called longer, than any file of a bundle may.",
            remedy="Unpack the bundle again from its zip.",
            field=_told(name).partition("/")[0],
        )


def _no_file(name: str) -> DigestMismatch:
    return DigestMismatch(
        f"{name} is no regular file.", remedy="A bundle holds nothing else: unpack it again from its zip.", field=name
    )


def _refuse(exc: OSError) -> None:
    """``os.walk`` would pass over a folder that cannot be read, and with it over what somebody put there."""
    raise StorageError(
        f"{exc.filename} cannot be read: {exc.strerror}.", remedy="Check its permissions, then verify again.", field="what"
    ) from exc
