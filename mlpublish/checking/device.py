"""The app's sandbox on disk, as one device has it.

    DIR/{device.json, state.json, lock, metadata/…, cache/…, downloads/<sha256>.part, releases/<n>-<sha256, 12 digits>/…}

``state.json`` says which release is in use and which was before; it is replaced in one step, after the new release lies
unpacked, verified and flushed beside the current one. So at any moment, after any crash, the model in use is whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from mlpublish.artifacts import App
from mlpublish.checking import sandbox
from mlpublish.checking.outcome import NO_SPACE, DeviceFailure
from mlpublish.checking.state import DEVICE_FORMAT, Installed, State, read_state
from mlpublish.checking.unpacked import Unpacked, flush_folders
from mlpublish.errors import FormatError, NewerFormat, RecipeError
from mlpublish.formats.status import UpdateStatus
from mlpublish.formats.wire import Reader, dump
from mlpublish.storage.in_folder import flush_folder, make_folder

_TIME_STEP = timedelta(hours=1)  # a finer one would write state.json at checks that bring nothing new
_FOLDERS = ("metadata", "metadata/root_history", "cache", "downloads", "releases")


class Device:
    """One app's sandbox, held by one check at a time; open it with ``Device.opened``."""

    def __init__(self, folder: Path, device_id: str, state: State) -> None:
        self.folder = folder
        self.id = device_id
        self.state = state

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path, app_id: str) -> Iterator[Device]:
        """Open a device's folder, made if absent.

        Raises:
            DeviceFailure: ALREADY_IN_PROGRESS if another check holds it, NOT_ENOUGH_SPACE if the disk is full.
            RecipeError: the folder is another app's device, something else, or cannot be used.
            NewerFormat: it was written by a newer mlpublish.
        """
        with contextlib.ExitStack() as held:
            with _accessible(folder):
                lock = held.enter_context(_prepared(folder))
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as exc:
                    busy = f"Another check is at work in {folder}."
                    raise DeviceFailure(UpdateStatus.FAILURE_ALREADY_IN_PROGRESS, busy) from exc
                device_id = _identity(folder / "device.json", app_id)
                for name in _FOLDERS:
                    sandbox.keep_folder(folder / name)
                make_folder(folder / "metadata")
                device = cls(folder, device_id, read_state(folder / "state.json"))
            yield device

    def path_of(self, installed: Installed) -> Path:
        return self.folder / "releases" / installed.folder

    def current_for(self, app: App) -> Installed | None:
        """The release in use; one that was installed for another app version does not count."""
        return self._usable(self.state.current, app)

    def previous_for(self, app: App) -> Installed | None:
        return self._usable(self.state.previous, app)

    def unpacked(self, installed: Installed) -> Unpacked:
        """What a release's folder says that it holds.

        Raises:
            OSError, FormatError: it says nothing that can be read.
        """
        return Unpacked.of(self.path_of(installed))

    def models_of(self, installed: Installed) -> dict[str, Path]:
        """Model name -> its place on the device's disk."""
        return {name: self.path_of(installed) / place for name, place in self.unpacked(installed).models.items()}

    def part_of(self, name: str) -> Path:
        """Where a bundle is gathered until it is whole; its digest, or its signature's, is its name."""
        return self.folder / "downloads" / f"{name}.part"

    @property
    def follows_repository(self) -> bool:
        """Whether signed metadata was accepted here, once."""
        return any((self.folder / "metadata").iterdir())

    @contextlib.contextmanager
    def incoming(self, installed: Installed) -> Iterator[Path]:
        """A place beside the current release to unpack a new one into; gone afterwards, unless ``take`` took it."""
        place = self.folder / "releases" / f".incoming-{installed.folder}"
        sandbox.remove(place)
        make_folder(place.parent)
        try:
            yield place
        finally:
            with contextlib.suppress(OSError):  # the next check removes it
                sandbox.remove(place)

    def take(self, installed: Installed, incoming: Path) -> None:
        """Make a release the one in use that was unpacked, verified and flushed beside the current one."""
        place = self.path_of(installed)
        outgoing = place.parent / f".outgoing-{installed.folder}"
        flush_folders(incoming)
        new = replace(installed, manifest_sha256=Unpacked.of(incoming).sha256)
        if os.path.lexists(place):  # the previous release, or of a check that died before the swap; never half there
            sandbox.remove(outgoing)
            place.rename(outgoing)
        incoming.rename(place)
        flush_folder(place.parent)
        before = self.state.current
        again = before is not None and before.folder == new.folder
        self.save(replace(self.state, current=new, previous=self.state.previous if again else before))
        self.sweep()

    def sweep(self, *, but: Path | None = None) -> None:
        """Drop what neither the current nor the previous release needs, and what was gathered of others.

        Args:
            but: a part that is still wanted.
        """
        kept = {each.folder for each in (self.state.current, self.state.previous) if each is not None}
        for folder in (self.folder / "releases").glob("*"):
            if folder.name not in kept:
                with contextlib.suppress(OSError):  # what cannot be removed is in nobody's way
                    sandbox.remove(folder)
        for part in (self.folder / "downloads").glob("*"):
            if part != but or not sandbox.is_own(part):
                sandbox.remove(part)

    def leave(self, app: App, withdrawn: Mapping[int, str], floor: int) -> None:
        """Stop using a withdrawn release: back to the previous one, else to the app's own model."""
        previous = self.previous_for(app)
        fits = previous is not None and previous.release not in withdrawn and self._goes_back_to(previous, floor)
        self.save(replace(self.state, current=previous if fits else None, previous=None))

    def leave_altered(self, app: App, before_piece: Callable[[], None] = lambda: None) -> None:
        """Stop using a release whose files are not as they were unpacked; every byte is read (about a second per gigabyte).

        Args:
            before_piece: called before each piece that is read; what it raises ends the work.

        Raises:
            DeviceFailure: INTEGRITY, if there was one; the previous release is in use then, else none.
        """
        current, previous = self.current_for(app), self.previous_for(app)
        wrong = None if current is None else self._wrong_in(current, before_piece)
        if current is None or wrong is None:
            return
        floor = self.state.floors.get(f"{app.platform}/{app.version}", 0)
        fits = previous is not None and self._goes_back_to(previous, floor, before_piece)
        self.save(replace(self.state, current=previous if fits else None, previous=None))
        raise DeviceFailure(
            UpdateStatus.FAILURE_INTEGRITY,
            f"{wrong} Something on the device changed {current.title} after it was installed; it is used no more. "
            "Check again to fetch it anew.",
        )

    def forget_withdrawn(self, withdrawn: Mapping[int, str]) -> None:
        """A previous release that was withdrawn is never gone back to."""
        if self.state.previous is not None and self.state.previous.release in withdrawn:
            self.save(replace(self.state, previous=None))

    def raise_floor(self, app: App, floor: int) -> int:
        """Remember the highest floor seen for an app version, and give it back."""
        key = f"{app.platform}/{app.version}"
        highest = max(floor, self.state.floors.get(key, 0))
        if highest != self.state.floors.get(key, 0):
            self.save(replace(self.state, floors=MappingProxyType({**self.state.floors, key: highest})))
        return highest

    def saw_verified(self, at: datetime) -> None:
        """Remember the newest time at which everything verified, to the hour."""
        if self.state.verified_at is None or at - self.state.verified_at >= _TIME_STEP:
            self.save(replace(self.state, verified_at=at))

    def save(self, state: State) -> None:
        """The one step that changes what is in use."""
        sandbox.write(self.folder / "state.json", state.to_bytes())
        self.state = state

    def _usable(self, installed: Installed | None, app: App) -> Installed | None:
        if installed is None or (installed.platform, installed.app_version) != (app.platform, app.version):
            return None
        if self.path_of(installed).is_symlink():
            return None  # what is there is not ours
        try:
            self.unpacked(installed)
        except (OSError, FormatError):
            return None  # lost on the device: it is fetched again
        return installed

    def _goes_back_to(self, previous: Installed, floor: int, before_piece: Callable[[], None] = lambda: None) -> bool:
        """Whether the previous release may be used again; under a repository, a zip that none numbers may not."""
        allowed = not self.follows_repository if previous.release is None else previous.release >= floor
        return allowed and self._wrong_in(previous, before_piece) is None

    def _wrong_in(self, installed: Installed, before_piece: Callable[[], None] = lambda: None) -> str | None:
        unpacked = self.unpacked(installed)
        return unpacked.wrong_in(self.path_of(installed), signed=installed.manifest_sha256, before_piece=before_piece)


def default_folder(app_id: str) -> Path:
    """Where a device lives if nobody says: ``$XDG_DATA_HOME/mlpublish/devices/<app id>``."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data, "mlpublish", "devices", app_id)


@contextlib.contextmanager
def _accessible(folder: Path) -> Iterator[None]:
    """What the disk says against a device's folder, before a check begins, said once."""
    try:
        yield
    except OSError as exc:
        if exc.errno in NO_SPACE:
            raise DeviceFailure(
                UpdateStatus.FAILURE_NOT_ENOUGH_SPACE, f"The disk of {folder} is full. Free some space and check again."
            ) from exc
        raise RecipeError(
            f"The device folder {folder} cannot be used: {exc.strerror}.",
            remedy="Name another one with --device.",
            field="device",
        ) from exc


def _prepared(folder: Path) -> BinaryIO:
    """The folder's lock, open; the folder is made if absent, the lock first: it is what tells a device's folder."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "lock").exists():
        raise RecipeError(
            f"{folder} holds something else than a device.", remedy="Name a new folder with --device.", field="device"
        )
    for name in ("lock", "metadata.new", *_FOLDERS):
        if (folder / name).is_symlink():  # what is swept below it would be somebody else's
            raise RecipeError(f"{folder / name} is a link.", remedy="Name a new folder with --device.", field="device")
    make_folder(folder, mode=0o700)
    return sandbox.open_lock(folder / "lock")


def _identity(file: Path, app_id: str) -> str:
    """The device's id, drawn once (and again if the disk spoiled it); it decides about rollouts and tells nothing else."""
    try:
        reader = Reader.parse(sandbox.read(file) or b"", what=file.name)
        reader.version("format", known=DEVICE_FORMAT)
        owner, device_id = reader.text("app"), reader.text("device_id")
    except NewerFormat:
        raise
    except FormatError:
        owner, device_id = app_id, secrets.token_hex(16)
        sandbox.write(file, dump({"format": DEVICE_FORMAT, "app": owner, "device_id": device_id}))
    if owner != app_id:
        raise RecipeError(
            f"{file.parent} is a device of {owner}, not of {app_id}.",
            remedy="Name another folder with --device.",
            field="device",
        )
    return device_id
