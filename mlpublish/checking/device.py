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
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from mlpublish.artifacts import App
from mlpublish.checking.outcome import DeviceFailure
from mlpublish.checking.state import DEVICE_FORMAT, Installed, State, read_state
from mlpublish.errors import DigestMismatch, FormatError, NewerFormat, RecipeError
from mlpublish.formats.archive import Archive
from mlpublish.formats.manifest import MANIFEST_PATH, Manifest
from mlpublish.formats.status import UpdateStatus
from mlpublish.formats.wire import Reader, digest_of_stream, dump
from mlpublish.storage.in_folder import flush_folder, make_folder, replace_file
from mlpublish.trust.bundles import check_contents, manifest_digest, read_manifest

_TIME_STEP = timedelta(hours=1)  # a finer one would write state.json at checks that bring nothing new


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
            DeviceFailure: ALREADY_IN_PROGRESS if another check holds it.
            RecipeError: the folder is another app's device, or something else.
            NewerFormat: it was written by a newer mlpublish.
        """
        with _prepared(folder) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise DeviceFailure(UpdateStatus.FAILURE_ALREADY_IN_PROGRESS, f"Another check is at work in {folder}.") from exc
            yield cls(folder, _identity(folder / "device.json", app_id), read_state(folder / "state.json"))

    def path_of(self, installed: Installed) -> Path:
        return self.folder / "releases" / installed.folder

    def current_for(self, app: App) -> Installed | None:
        """The release in use; one that was installed for another app version does not count."""
        return self._usable(self.state.current, app)

    def previous_for(self, app: App) -> Installed | None:
        return self._usable(self.state.previous, app)

    def manifest_of(self, installed: Installed) -> Manifest:
        return Manifest.from_bytes((self.path_of(installed) / MANIFEST_PATH).read_bytes())

    def part_of(self, sha256: str) -> Path:
        """Where a bundle is gathered until it is whole."""
        return self.folder / "downloads" / f"{sha256}.part"

    def install(self, installed: Installed, bundle: Path, manifest_sha256: str, on_bytes: Callable[[int], None]) -> None:
        """Unpack a verified bundle beside the current release, then make it the one in use.

        Args:
            bundle: the zip, its digest verified.
            manifest_sha256: what the app role says of the manifest inside.
            on_bytes: called with the length of each piece that was written.

        Raises:
            BundleError: the archive is not one that ``bundle()`` writes.
            DigestMismatch: the manifest is not the signed one, or does not say what is inside.
        """
        place = self.path_of(installed)
        incoming, outgoing = (place.parent / f".{way}-{installed.folder}" for way in ("incoming", "outgoing"))
        for left in (incoming, outgoing):
            shutil.rmtree(left, ignore_errors=True)
        make_folder(place.parent)
        try:
            with bundle.open("rb") as stream:
                archive = Archive.read(stream)
                manifest = read_manifest(archive)
                _check_manifest(archive, manifest_sha256)
                check_contents(manifest, archive.unpack(incoming, on_bytes))
            _flush_folders(incoming)
            if place.exists():  # the previous release, or a check that died before the swap; never to be found half there
                place.rename(outgoing)
            incoming.rename(place)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        flush_folder(place.parent)
        before = self.state.current
        self.save(replace(self.state, current=installed, previous=before if before != installed else self.state.previous))
        bundle.unlink()
        self._sweep()

    def leave(self, app: App, withdrawn: Mapping[int, str], floor: int) -> None:
        """Stop using a withdrawn release: back to the previous one, else to the app's own model."""
        previous = self.previous_for(app)
        fits = previous is not None and previous.release not in withdrawn and previous.release >= floor
        kept = previous if fits else None
        self.save(replace(self.state, current=kept, previous=None))

    def leave_altered(self, app: App) -> None:
        """Stop using a release whose files are not as they were unpacked; every byte is read (about a second per gigabyte).

        Raises:
            DeviceFailure: INTEGRITY, if there was one; the previous release is in use then, else none.
        """
        current, previous = self.current_for(app), self.previous_for(app)
        wrong = None if current is None else self._altered(current)
        if current is None or wrong is None:
            return
        floor = self.state.floors.get(f"{app.platform}/{app.version}", 0)
        fits = previous is not None and previous.release >= floor and self._altered(previous) is None
        self.save(replace(self.state, current=previous if fits else None, previous=None))
        raise DeviceFailure(
            UpdateStatus.FAILURE_INTEGRITY,
            f"{wrong} Something on the device changed release {current.release} after it was installed; it is used no more. "
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
        replace_file(self.folder / "state.json", state.to_bytes())
        self.state = state

    def _usable(self, installed: Installed | None, app: App) -> Installed | None:
        if installed is None or (installed.platform, installed.app_version) != (app.platform, app.version):
            return None
        try:
            self.manifest_of(installed)
        except (OSError, FormatError):
            return None  # lost on the device: it is fetched again
        return installed

    def _altered(self, installed: Installed) -> str | None:
        """What is wrong with an installed release's files, if anything."""
        folder = self.path_of(installed)
        try:
            check_contents(self.manifest_of(installed), _contents(folder))
        except DigestMismatch as exc:
            return exc.problem
        return None

    def _sweep(self) -> None:
        """Drop what neither the current nor the previous release needs."""
        kept = {each.folder for each in (self.state.current, self.state.previous) if each is not None}
        for folder in (self.folder / "releases").iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
        for part in (self.folder / "downloads").iterdir():
            part.unlink()


def default_folder(app_id: str) -> Path:
    """Where a device lives if nobody says: ``$XDG_DATA_HOME/mlpublish/devices/<app id>``."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data, "mlpublish", "devices", app_id)


def _prepared(folder: Path) -> BinaryIO:
    """The folder's lock, open; the folder is made if absent, the lock first: it is what tells a device's folder."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "lock").exists():
        raise RecipeError(
            f"{folder} holds something else than a device.", remedy="Name a new folder with --device.", field="device"
        )
    for name in ("lock", "metadata", "metadata.new", "cache", "downloads", "releases"):
        if (folder / name).is_symlink():  # what is swept below it would be somebody else's
            raise RecipeError(f"{folder / name} is a link.", remedy="Name a new folder with --device.", field="device")
    try:
        make_folder(folder, mode=0o700)
        lock = (folder / "lock").open("ab")
        make_folder(folder / "metadata")
    except OSError as exc:
        raise RecipeError(
            f"The device folder {folder} cannot be used: {exc.strerror}.", remedy="Name another one.", field="device"
        ) from exc
    return lock


def _identity(file: Path, app_id: str) -> str:
    """The device's id, drawn once (and again if the disk spoiled it); it decides about rollouts and tells nothing else."""
    try:
        reader = Reader.parse(file.read_bytes(), what=file.name)
        reader.version("format", known=DEVICE_FORMAT)
        owner, device_id = reader.text("app"), reader.text("device_id")
    except NewerFormat:
        raise
    except (FileNotFoundError, FormatError):
        owner, device_id = app_id, secrets.token_hex(16)
        replace_file(file, dump({"format": DEVICE_FORMAT, "app": owner, "device_id": device_id}))
    if owner != app_id:
        raise RecipeError(
            f"{file.parent} is a device of {owner}, not of {app_id}.",
            remedy="Name another folder with --device.",
            field="device",
        )
    return device_id


def _check_manifest(archive: Archive, signed: str) -> None:
    if manifest_digest(archive) != signed:
        raise DigestMismatch(
            "The manifest inside the bundle is not the one that was signed.",
            remedy="Sign and publish the bundle again.",
            field=MANIFEST_PATH,
        )


def _contents(folder: Path) -> dict[str, tuple[int, str]]:
    """The files below a folder; a link counts as a file of no length, because no bundle holds one."""
    found: dict[str, tuple[int, str]] = {}
    for file in folder.rglob("*"):
        name = file.relative_to(folder).as_posix()
        if file.is_symlink():
            found[name] = (0, "")
        elif file.is_file():
            with file.open("rb") as stream:
                found[name] = (file.stat().st_size, digest_of_stream(stream))
    return found


def _flush_folders(folder: Path) -> None:
    for each in [folder, *(inner for inner in folder.rglob("*") if inner.is_dir())]:
        flush_folder(each)
