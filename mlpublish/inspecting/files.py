"""The files of one model, wherever they lie: in a folder, or inside a bundle's zip; links are not followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO, Protocol

from mlpublish.coreml import package
from mlpublish.errors import FormatError, NotFound
from mlpublish.formats.archive import Archive
from mlpublish.formats.manifest import FileEntry

_MOST = 10_000  # files of a package; more are no model


class ModelFiles(Protocol):
    """What is looked at of a model.

    Args:
        path: where the specification can be read from: the model itself, or a copy without its weights.
        entries: every file, by its place in the package; a single file by its own name.
        problems: what is wrong with the files, in sentences.
    """

    path: Path
    entries: tuple[FileEntry, ...]
    problems: tuple[str, ...]

    def length(self, name: str) -> int | None:
        """A file's length in bytes; None if there is none of that name."""

    def read_at(self, name: str, offset: int, length: int) -> bytes:
        """A piece of a file; shorter where the file ends."""


class OnDisk:
    """A model on disk, also one whose package is not as it should be.

    Raises:
        NotFound: nothing is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()
        self._open: dict[str, BinaryIO] = {}
        self.problems: tuple[str, ...] = ()
        try:
            self.entries = package.files_of(path)
        except FormatError as exc:
            self.entries, self.problems = tuple(_regular(path)), (exc.problem,)
        if any(_as_text(entry) != entry for entry in self.entries):
            self.entries = tuple(_as_text(entry) for entry in self.entries)
            self.problems += ("The name of a file is no UTF-8.",)
        self._lengths = {str(entry.path): entry.length for entry in self.entries}

    def __enter__(self) -> OnDisk:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def length(self, name: str) -> int | None:
        return self._lengths.get(name)

    def read_at(self, name: str, offset: int, length: int) -> bytes:
        if name not in self._open:
            base = self.path.parent if self.path.is_file() else self.path
            self._open[name] = self._stack.enter_context((base / name).open("rb"))
        self._open[name].seek(offset)
        return self._open[name].read(length)


class InZip:
    """A model inside a bundle's zip that was read whole; its small files are copied, its weights stay where they are.

    Args:
        archive: the zip, read and open.
        inside: the model's place in it.
        entries: its files, as the manifest names them.
        scratch: a folder for the copies.
    """

    problems: tuple[str, ...] = ()

    def __init__(self, archive: Archive, inside: PurePosixPath, entries: tuple[FileEntry, ...], scratch: Path) -> None:
        self.entries, self._archive = entries, archive
        self.path = scratch / inside.name
        is_file = len(entries) == 1 and str(entries[0].path) == inside.name
        packed = {entry.name: entry for entry in archive.entries}
        places = {str(each.path): str(inside if is_file else inside / each.path) for each in entries}
        self._packed = {name: packed[place] for name, place in places.items() if place in packed}
        for name, entry in self._packed.items():
            if is_file or name.endswith((".json", ".mlmodel")):
                file = self.path if is_file else self.path / name
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("wb") as copy:
                    copy.writelines(archive.chunks(entry))

    def length(self, name: str) -> int | None:
        return self._packed[name].length if name in self._packed else None

    def read_at(self, name: str, offset: int, length: int) -> bytes:
        return self._archive.piece(self._packed[name], offset, length)


def specification_in(path: Path) -> Path:
    """The file that holds a model's specification, also of a package that is not as it should be.

    Raises:
        NotFound, FormatError: none can be found.
    """
    try:
        return package.specification(path)
    except FormatError:
        usual = path / "Data" / "com.apple.CoreML" / "model.mlmodel"
        if _is_regular(usual) and not any(each.is_symlink() for each in (usual.parent, usual.parent.parent)):
            return usual
        raise


def _regular(path: Path) -> Iterator[FileEntry]:
    """The regular files of a folder that is no sound package, as long as they are not longer than any package is."""
    count, left = 0, package.MAX_PACKAGE
    for here, _, names in os.walk(path):
        for name in sorted(names):
            file = Path(here) / name
            count += 1
            if count > _MOST:
                raise FormatError(f"{path.name} holds more than {_MOST} files.", remedy="Name a model.", field="what")
            if _is_regular(file) and file.stat().st_size <= left:
                left -= file.stat().st_size
                yield FileEntry.of(PurePosixPath(file.relative_to(path).as_posix()), file)


def _as_text(entry: FileEntry) -> FileEntry:
    """A file whose name can be told."""
    return replace(entry, path=PurePosixPath(str(entry.path).encode(errors="replace").decode()))


def _is_regular(file: Path) -> bool:
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except OSError:
        return False


def readable(path: Path) -> Path:
    """A path at which something lies.

    Raises:
        NotFound: nothing does.
    """
    if not os.path.lexists(path):
        raise NotFound(f"There is nothing at {path}.", remedy="Check the path.", field="what")
    return path
