"""What the watcher remembers across a crash: what it released, what it had begun, and which deliveries it has seen.

Losing all of it is harmless. ``release()`` makes no second release of the same bytes, and a delivery only makes the watcher
look at the registry.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from mlpublish.errors import Conflict, FormatError, NewerFormat, StorageError
from mlpublish.formats.wire import Reader, dump
from mlpublish.mlflow_plugin.webhooks import WINDOW
from mlpublish.storage.in_folder import make_folder, read_regular, replace_file

T = TypeVar("T")

_FORMAT = 1
_MOST = 4096  # deliveries that are remembered; more do not come within the window
_MAX_FILE = 1 << 20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointed:
    """A model version that an alias points at.

    Args:
        created: unix milliseconds; a version that is deleted and made again has the same number and another one.
    """

    version: str
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was released last.

    Args:
        at: UTC.
    """

    pointed: Pointed
    release: int
    sha256: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of one mapping.

    Args:
        begun: a release was begun whose outcome was never noted; the channel may offer it, or not.
    """

    done: Done | None = None
    begun: bool = False

    def settled(self, pointed: Pointed) -> bool:
        """Whether this very version was released, and nothing was begun since."""
        return not self.begun and self.done is not None and self.done.pointed == pointed


class Ledger:
    """The records of all mappings, in one file that is replaced whole."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "released.json"
        self._records = _records(self._file)

    def record(self, mapping: str) -> Record:
        return self._records.get(mapping, Record())

    def begin(self, mapping: str) -> None:
        """Note durably that the channel may move from now on."""
        self._keep(mapping, replace(self.record(mapping), begun=True))

    def give_up(self, mapping: str) -> None:
        """Note that it did not move."""
        self._keep(mapping, replace(self.record(mapping), begun=False))

    def finish(self, mapping: str, done: Done) -> None:
        """Note that it offers this now."""
        self._keep(mapping, Record(done=done))

    def _keep(self, mapping: str, record: Record) -> None:
        if record == self.record(mapping):
            return
        self._records[mapping] = record
        _write(self._file, {"models": {name: asdict(each) for name, each in self._records.items()}})


class Deliveries:
    """The ids of the deliveries that were taken, until they would be refused for their age."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "deliveries.json"
        self._lock = threading.Lock()
        reader = _reader(self._file)
        self._seen = {} if reader is None else _blamed(self._file, lambda: reader.number_map("seen"))

    def take(self, delivery: str, *, sent: int, now: float) -> bool:
        """Note a delivery durably.

        Returns:
            Whether it is new.
        """
        with self._lock:
            if delivery in self._seen:
                return False
            young = {each: at for each, at in self._seen.items() if at >= now - WINDOW}
            newest = sorted(young.items(), key=lambda each: each[1])[-_MOST + 1 :]
            seen = {**dict(newest), delivery: sent}
            _write(self._file, {"seen": seen})  # before it counts as taken: where this fails, MLflow sends it again
            self._seen = seen
            return True


@contextmanager
def held(folder: Path) -> Iterator[Path]:
    """Make the state folder, hold it against a second watcher, and keep scratch files inside of it.

    A release that was killed leaves its scratch behind; whoever holds the folder next clears it away.

    Raises:
        Conflict: another watcher holds it.
        StorageError: it cannot be made or written.
    """
    try:
        make_folder(folder, mode=0o700)
        lock = (folder / "lock").open("ab")
    except OSError as exc:
        raise _refused(exc) from exc
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise Conflict(
                f"Another watcher is at work in {folder}.",
                remedy="Stop it first, or give this one its own folder: [watch] state.",
                field="state",
            ) from exc
        scratch = _emptied(folder / "scratch")
        before, tempfile.tempdir = tempfile.tempdir, str(scratch)
        try:
            yield folder
        finally:
            tempfile.tempdir = before


def _emptied(scratch: Path) -> Path:
    try:
        if scratch.is_dir() and not scratch.is_symlink():
            shutil.rmtree(scratch)
        else:
            scratch.unlink(missing_ok=True)
        scratch.mkdir(mode=0o700)
    except OSError as exc:
        raise _refused(exc) from exc
    return scratch


def _records(file: Path) -> dict[str, Record]:
    reader = _reader(file)
    if reader is None:
        return {}
    return _blamed(file, lambda: {name: _record(reader.inner("models").inner(name)) for name in reader.inner("models").values})


def _record(reader: Reader) -> Record:
    return Record(done=reader.optional("done", lambda name: _done(reader.inner(name))), begun=reader.truth("begun"))


def _done(reader: Reader) -> Done:
    pointed = reader.inner("pointed")
    return Done(
        pointed=Pointed(version=pointed.text("version"), created=pointed.whole_number("created")),
        release=reader.whole_number("release", least=1),
        sha256=reader.digest("sha256"),
        at=reader.text("at"),
    )


def _reader(file: Path) -> Reader | None:
    """A state file, if there is one yet."""
    try:
        content = read_regular(file, _MAX_FILE)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise _refused(exc) from exc

    def parsed() -> Reader:
        reader = Reader.parse(content, what=file.name)
        reader.version("format", known=_FORMAT)
        return reader

    return _blamed(file, parsed)


def _blamed(file: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except NewerFormat:
        raise
    except FormatError as exc:
        raise StorageError(
            f"{file} is damaged: {exc.problem}",
            remedy="Remove it: nothing is released twice for that.",
            field="state",
        ) from exc


def _write(file: Path, content: dict[str, object]) -> None:
    try:
        replace_file(file, dump({"format": _FORMAT, **content}))
    except OSError as exc:
        raise _refused(exc) from exc


def _refused(exc: OSError) -> StorageError:
    return StorageError(
        f"The state folder cannot be used: {exc.strerror or exc} ({exc.filename}).",
        remedy="Check its permissions and the space left, or name another: [watch] state.",
        field="state",
    )
