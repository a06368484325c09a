"""What every archive that was read strictly can do: tell its files, their digests, and unpack them into a new folder."""

from __future__ import annotations

import hashlib
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from mlpublish.errors import BundleError
from mlpublish.formats.lanes import Lane, NewFile

Digests = dict[str, tuple[int, str]]  # name -> (length in bytes, sha256)
Taker = Callable[[bytes], None]
_DEVICE = re.compile(r"con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9]", re.IGNORECASE)


class Packed(Protocol):
    """A file of an archive: its name, its length in bytes once it is unpacked."""

    @property
    def name(self) -> str: ...

    @property
    def length(self) -> int: ...


E = TypeVar("E", bound=Packed)


class ReadArchive(ABC, Generic[E]):
    """An archive whose structure was checked; its contents are checked as they are read.

    Args:
        entries: its files.
        length: its own length in bytes.
    """

    def __init__(self, entries: Sequence[E], length: int) -> None:
        self.entries = tuple(entries)
        self.length = length

    @abstractmethod
    def chunks(self, entry: E) -> Iterator[bytes]:
        """A file's content in pieces of at most 1 MiB, its CRC checked at the end.

        Raises:
            BundleError: the CRC does not hold, or the file ends early.
        """

    @property
    def unpacked_length(self) -> int:
        """Bytes that the files take once they are unpacked."""
        return sum(entry.length for entry in self.entries)

    def content(self, name: str, *, at_most: int) -> bytes:
        """A small file's whole content.

        Raises:
            BundleError: there is no such file, or it has more bytes than allowed.
        """
        entry = next((entry for entry in self.entries if entry.name == name), None)
        if entry is None:
            raise broken(f"there is no {name}")
        if entry.length > at_most:
            raise broken(f"{name} has {entry.length} bytes, more than {at_most}")
        return b"".join(self.chunks(entry))

    def digests(self, on_bytes: Callable[[int], None] = lambda _: None) -> Digests:
        """The length and sha256 of every file, without writing any.

        Args:
            on_bytes: called after every piece with its length; what it raises stops the work.

        Raises:
            BundleError: a CRC does not hold.
        """
        return self._each(lambda _: nullcontext(lambda _: None), on_bytes)

    def unpack(self, folder: Path, on_bytes: Callable[[int], None] = lambda _: None) -> Digests:
        """Write every file into a new folder, durably; if that fails, the folder is gone again.

        Args:
            folder: made here; it must not exist.
            on_bytes: called after every piece with its length; what it raises stops the work.

        Returns:
            The length and sha256 of what was written.

        Raises:
            BundleError: a CRC does not hold.
        """
        folder.mkdir(parents=True)
        try:
            return self._each(lambda entry: _new_file(folder / entry.name), on_bytes)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _each(self, taken_by: Callable[[E], AbstractContextManager[Taker]], on_bytes: Callable[[int], None]) -> Digests:
        """Read every file once; its digest is made beside the reading, and somebody takes its pieces."""
        digests = {entry.name: hashlib.sha256() for entry in self.entries}
        with Lane() as hashing:
            for entry in self.entries:
                with taken_by(entry) as take:
                    for chunk in self.chunks(entry):
                        hashing.do(digests[entry.name].update, chunk)
                        take(chunk)
                        on_bytes(len(chunk))
        return {entry.name: (entry.length, digests[entry.name].hexdigest()) for entry in self.entries}


@contextmanager
def _new_file(place: Path) -> Iterator[Taker]:
    place.parent.mkdir(parents=True, exist_ok=True)
    with NewFile(place) as file:
        yield file.write


def refuse_shared_places(names: Iterable[str], key: Callable[[str], str]) -> None:
    """Refuse names of which a file system could make one place, and a file that is another one's folder too.

    Args:
        names: of files.
        key: what a careless file system takes a name for.

    Raises:
        BundleError: two names have one place.
    """
    taken: dict[str, str] = {}
    for name in names:
        if key(name) in taken:
            raise broken(f"{name} stands twice for some file systems", RENAME)
        taken[key(name)] = name
    folders = {parent for name in taken for parent in parents(name)}
    if folders & taken.keys():
        raise broken(f"{taken[min(folders & taken.keys())]} is a file and a folder", RENAME)


def names_a_device(name: str) -> bool:
    """Whether a part of a name is a device to Windows, with whatever ending (``con``, ``aux.txt``)."""
    return any(_DEVICE.fullmatch(part.partition(".")[0].rstrip()) for part in name.split("/"))


def parents(name: str) -> Iterator[str]:
    """The folders that a name lies in, the nearest first."""
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


RENAME = "Rename one and bundle again; if the archive was given to you, get it again from where it was made."


def broken(how: str, remedy: str = "Get the bundle again from where it was made.") -> BundleError:
    """The one error of an archive that is not taken."""
    return BundleError(f"The archive is refused: {how}.", remedy=remedy)
