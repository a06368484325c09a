"""Whatever lies in a device's folder: nothing outside is touched, nothing is waited for, and nothing blocks it for good."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlpublish.errors import RecipeError
from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.formats.wire import digest_of
from tests.phones import files_in

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

pytestmark = pytest.mark.timeout(60)  # a pipe that is waited for never ends

PLACES = [
    "device.json",
    "state.json",
    "metadata.new",
    "metadata/timestamp.json",
    "metadata/root.json",
    "metadata/junk.json",
    "metadata/root_history/1.root.json",
    "metadata/root_history",
    "cache",
    "cache/old",
    "cache/{channel}.json",
    "downloads",
    "downloads/old.part",
    "downloads/{new}.part",
    "releases/junk",
    "releases/.incoming-2-{short}",
    "releases/.outgoing-2-{short}",
    "releases/2-{short}",
    "releases/{current}",
    "releases/{current}/manifest.json",
]
REFUSED = ("metadata.new", "metadata/root_history", "cache", "downloads")


class Outside:
    """What is not the device's, and what may lead there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "below").mkdir(parents=True)
        (folder / "file").write_bytes(b"kept" * 10)
        (folder / "below" / "file").write_bytes(b"kept too")
        self.before = files_in(folder)

    def folder_with_files(self, place: Path) -> None:
        shutil.copytree(self.folder, place)

    def file(self, place: Path) -> None:
        place.write_bytes(b"hello")

    def pipe(self, place: Path) -> None:
        os.mkfifo(place)

    def link_to_folder(self, place: Path) -> None:
        place.symlink_to(self.folder)

    def link_to_file(self, place: Path) -> None:
        place.symlink_to(self.folder / "file")

    def link_to_nothing(self, place: Path) -> None:
        place.symlink_to(self.folder / "nothing")

    def link_in_a_circle(self, place: Path) -> None:
        place.symlink_to(place)

    def second_name(self, place: Path) -> None:
        os.link(self.folder / "file", place)


KINDS = [name for name in vars(Outside) if not name.startswith("_")]


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(tmp_path / "outside")


@pytest.fixture
def waiting(lab: Lab) -> Lab:
    """Release 1 is in use, and release 2 waits."""
    lab.release()
    lab.updates_to(1)
    lab.release()
    return lab


def planted(lab: Lab, place: str, plant: Callable[[Path], None]) -> Path:
    """A copy of the phone, with something put at a place of it."""
    phone = Path(shutil.copytree(lab.phone, lab.folder / plant.__name__))
    digest = digest_of(lab.stored(2).read_bytes())
    (current,), (channel,) = (phone / "releases").iterdir(), (phone / "cache").iterdir()
    file = phone / place.format(new=digest, short=digest[:12], current=current.name, channel=channel.stem)
    if file.is_dir():
        shutil.rmtree(file)
    file.unlink(missing_ok=True)
    plant(file)
    return phone


@pytest.mark.parametrize("place", PLACES)
def test_what_lies_wrong_is_removed_and_nothing_outside_is_touched(waiting: Lab, outside: Outside, place: str) -> None:
    for kind in KINDS:
        phone = planted(waiting, place, getattr(outside, kind))
        if kind.startswith("link") and place in REFUSED:
            with pytest.raises(RecipeError, match="is a link"):
                waiting.check(device=phone)
        else:
            if (place, kind) == ("downloads/{new}.part", "file"):  # wrong bytes of an earlier check cost a retry
                waiting.fails(UpdateStatus.FAILURE_INTEGRITY, device=phone)
            waiting.updates_to(2, device=phone)
            assert waiting.updates_to(2, device=phone).reason is Reason.ALREADY_INSTALLED, kind
            assert all(each.name[0] in "12" for each in (phone / "releases").iterdir()), kind
        assert files_in(outside.folder) == outside.before, kind
        assert not (outside.folder / "nothing").exists(), kind


@pytest.mark.parametrize("kind", ["pipe", "folder_with_files"])
def test_a_lock_that_is_none_is_an_error_of_the_call(waiting: Lab, outside: Outside, kind: str) -> None:
    phone = planted(waiting, "lock", getattr(outside, kind))
    with pytest.raises(RecipeError, match="cannot be used"):
        waiting.check(device=phone)


def test_a_linked_release_is_not_in_use(lab: Lab, tmp_path: Path) -> None:
    """Somebody else may write where it leads; the very same release is fetched anew, and what was linked stays."""
    lab.release()
    path = lab.updates_to(1).path
    assert path is not None
    elsewhere = path.rename(tmp_path / "elsewhere")
    path.symlink_to(elsewhere)
    report = lab.updates_to(1)
    assert (report.reason, path.is_symlink()) == (None, False)
    assert files_in(elsewhere) == files_in(path)


def test_a_pipe_among_the_files_of_a_release_was_added(lab: Lab) -> None:
    lab.release()
    path = lab.updates_to(1).path
    assert path is not None
    os.mkfifo(path / "pipe")
    lab.fails(UpdateStatus.FAILURE_INTEGRITY, "The file pipe of the bundle is added.")
    lab.updates_to(1)
