"""A commit may die before any of its writes: what was current stays current and whole, and the next run repairs.

The store is bent, our functions are not: it raises before its k-th write.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tuf.api.metadata import TargetFile

from mlpublish.artifacts import Bundle, Release
from mlpublish.formats.channel import Channel, Entry
from mlpublish.formats.status import UpdateStatus
from mlpublish.publishing.publish import publish
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import Edit

if TYPE_CHECKING:
    from tests.repository.conftest import Steered

NewBundle = Callable[..., Bundle]
NewRelease = Callable[..., Release]
Edits = dict[str, Edit]
FindBlob = Callable[[TargetFile], bytes | Path | None]
OFFERS_TWO = Channel(channel="stable", platform="ios", entries=(Entry(app_version="2.0", release=2),))


def crash_before(write: int) -> Callable[[int, str], None]:
    def before_write(number: int, path: str) -> None:
        if number == write:
            raise InterruptedError(path)

    return before_write


def count_writes(steered: Steered, edits: Edits, find: FindBlob) -> int:
    """How many writes the commit makes; done in a copy of the repository."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Development(Path(shutil.copytree(steered.development.folder, Path(scratch, "dev"))))
        numbers: list[int] = []
        bent = replace(steered, development=copy).bent(lambda number, _: numbers.append(number))
        bent.commit(edits, copy.online(), find)
        return len(numbers)


def crash(steered: Steered, edits: Edits, find: FindBlob, write: int) -> None:
    """Let the commit die before this write; what was current is current still, and whole."""
    before = steered.head().tag
    with pytest.raises(InterruptedError):
        steered.bent(crash_before(write)).commit(edits, steered.development.online(), find)
    assert steered.head().tag == before
    steered.assert_whole()


@pytest.mark.parametrize("write", range(4))
def test_a_crash_before_each_write_of_a_channel_edit(steered: Steered, tmp_path: Path, write: int) -> None:
    edits, find = steered.channel_edit(OFFERS_TWO)
    assert count_writes(steered, edits, find) == 4  # the channel file, the role, the snapshot, the timestamp
    assert steered.installed(tmp_path / "old") == (UpdateStatus.SUCCESS, 1)
    crash(steered, edits, find, write)
    assert steered.installed(tmp_path / "old") == (UpdateStatus.SUCCESS, 1)
    assert steered.installed(tmp_path / "fresh") == (UpdateStatus.SUCCESS, 1)
    steered.set(2)
    steered.assert_whole()
    assert steered.installed(tmp_path / "old") == (UpdateStatus.SUCCESS, 2)


@pytest.mark.parametrize("write", range(4))
def test_after_a_crashed_channel_edit_another_edit_goes_through_at_once(steered: Steered, write: int) -> None:
    edits, find = steered.channel_edit(OFFERS_TWO)
    crash(steered, edits, find, write)
    steered.set(1, app_version="2.0", rollout=50)
    steered.set(2, app_version="2.0", channel="beta")
    assert steered.show().entries[0].release == 1
    assert steered.show(channel="beta").entries[0].release == 2
    steered.assert_whole()


@pytest.mark.parametrize("write", range(5))
def test_a_crash_before_each_write_of_a_release_and_the_same_run_again(
    steered: Steered, new_release: NewRelease, tmp_path: Path, write: int
) -> None:
    release = new_release(b"three")
    edits, find = steered.release_edit(release)
    assert count_writes(steered, edits, find) == 5  # the bundle, model.sig, the role, the snapshot, the timestamp
    crash(steered, edits, find, write)
    assert sorted(steered.head().releases) == [1, 2]
    assert steered.installed(tmp_path / "device") == (UpdateStatus.SUCCESS, 1)
    assert publish(release, to=steered.to).created is True
    assert publish(release, to=steered.to).created is False
    assert sorted(steered.head().releases) == [1, 2, 3]
    steered.assert_whole()


@pytest.mark.parametrize("write", range(5))
def test_after_a_crashed_release_another_one_is_published_and_neither_is_lost(
    steered: Steered, new_release: NewRelease, tmp_path: Path, write: int
) -> None:
    edits, find = steered.release_edit(new_release(b"three"))
    crash(steered, edits, find, write)
    published = steered.publish(b"four")
    steered.assert_whole()
    assert published in steered.head().releases
    if write > 2:  # its role stood there in full, so it was adopted
        assert sorted(steered.head().releases) == [1, 2, 3, 4]


@pytest.mark.parametrize("write", range(2))
def test_a_crash_before_each_write_of_a_renewal(steered: Steered, write: int) -> None:
    crash(steered, {}, lambda _: None, write)
    version = steered.head().timestamp.signed.version
    assert steered.development.app(steered.app.id).commit({}, steered.development.online(), lambda _: None)
    assert steered.head().timestamp.signed.version == version + 1
