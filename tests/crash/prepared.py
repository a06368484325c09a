"""A prepared state on disk, and what must hold of it after every kill.

    ROOT/{dev/, bundles/<n>.zip, signed/<n>/, old/}

``dev`` is a development repository where releases 1 and 2 are published and channel stable offers release 1; release 3 is
signed. ``old`` is a device that has release 1; ``fresh`` will be one that has nothing yet.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

from mlpublish.artifacts import App
from mlpublish.bundling.bundle import bundle
from mlpublish.checking.check import check
from mlpublish.checking.device import Device
from mlpublish.cli import outcome
from mlpublish.cli.main import group
from mlpublish.formats.status import UpdateStatus
from mlpublish.formats.wire import digest_of
from mlpublish.publishing.publish import publish
from mlpublish.repository import channels
from mlpublish.repository.apps import Apps
from mlpublish.repository.development import Development
from mlpublish.repository.head import Head
from mlpublish.signing.sign import sign
from mlpublish.trust import roles

APP = App(id="com.acme.digits", version="2.0")
DEVICES = ("old", "fresh")
_LARGE = 1_100_000  # bytes; more than what is copied or unpacked at once


@dataclass(frozen=True, slots=True)
class State:
    """The state below one folder."""

    root: Path

    @property
    def development(self) -> Development:
        return Development(self.root / "dev")

    def words(self, line: str, **names: str) -> list[str]:
        """A command line's words, the names in braces filled in; ``{app}`` stands for the app and its version."""
        known = {"root": str(self.root), "dev": str(self.root / "dev")} | names
        app = ["--app", APP.id, "--app-version", APP.version]
        return [word for part in line.split() for word in (app if part == "{app}" else [part.format_map(known)])]

    def run(self, line: str, **names: str) -> int:
        """Run a command line in this process; give its exit code, and print why it failed."""
        code, _, errors = self.told(line, **names)
        if code and errors:
            print(f"{line}: {errors}", end="")  # a test's log, or the sweep's
        return code

    def told(self, line: str, **names: str) -> tuple[int, str, str]:
        """The same; give what it said on stdout and stderr too."""
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as errors:
            try:
                outcome.run(group, self.words(line, **names))
            except SystemExit as left:
                return left.code if isinstance(left.code, int) else 1, out.getvalue(), errors.getvalue()

    def head(self, app_id: str = APP.id) -> Head:
        return Apps(self.development.repository).repository(app_id).head()

    def offered(self) -> int:
        """The release that channel stable offers."""
        (entry,) = channels.show(APP.id, at=self.root / "dev").channel.entries
        return entry.release

    def waits(self) -> bool:
        """Whether a change waits for signatures, or has them all and is not committed, as its reviewers see it."""
        listed = json.loads(self.told("review list --at {dev} --open --json")[1])["result"]["changes"]
        return any(each["state"] in ("waiting", "complete") for each in listed)

    def assert_readable(self) -> None:
        """Every app's head verifies, and every target that it names is there with its bytes."""
        for app in Apps(self.development.repository):
            head = app.head()
            for target in (head.targets.signed.targets | head.channels.signed.targets).values():
                target.verify_length_and_hashes(app.store.read(roles.stored_at(target)))

    def held(self, device: str) -> int | None:
        """The release that a device has in use; it and the one to fall back to must be whole, file by file, by themselves."""
        if not (self.root / device).is_dir():
            return None
        with Device.opened(self.root / device, APP.id) as opened:
            current, previous = opened.current_for(APP), opened.previous_for(APP)
            assert current == opened.state.current, f"what {device} has in use cannot be read"
            for each in filter(None, (current, previous)):
                _assert_same(opened.path_of(each), self._bundle(each.sha256))
            return None if current is None else current.release

    def updated(self, device: str) -> int | None:
        """Play the device once; it must end well, and with a whole release."""
        report = check(APP, at=self.root / "dev", device=self.root / device)
        assert report.status is UpdateStatus.SUCCESS, report.detail
        assert report.installed == self.held(device)
        return report.installed

    def _bundle(self, sha256: str) -> Path:
        (found,) = (file for file in (self.root / "bundles").iterdir() if digest_of(file.read_bytes()) == sha256)
        return found


def prepare(root: Path) -> State:
    """Make the state that every scenario begins from."""
    state = State(root)
    root.mkdir(parents=True)
    development = Development.make(root / "dev")
    for number in (1, 2, 3):
        release = sign(_bundle(root, number), repository=development.folder, app=APP, out=root / "signed" / str(number))
        if number < 3:
            publish(release, to=development.folder)
    channels.set(APP.id, to=development.folder, app_version=APP.version, release=1)
    assert state.updated("old") == 1
    return state


def _bundle(root: Path, number: int) -> Path:
    made = root / "parts" / str(number)
    made.mkdir(parents=True)
    (made / "labels.txt").write_text(f"labels of {number}\n")
    (made / "vocabulary.bin").write_bytes(bytes([number]) * _LARGE)
    files = [made / "labels.txt", made / "vocabulary.bin"]
    return bundle(files=files, name="digits", version=str(number), out=root / "bundles" / f"{number}.zip").path


def _assert_same(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive) as whole:
        assert {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} == set(whole.namelist())
        for name in whole.namelist():
            assert (folder / name).read_bytes() == whole.read(name), name
