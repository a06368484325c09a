"""The sandbox on disk: whose it is, who may hold it, and what becomes of what lies in it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlpublish.artifacts import App
from mlpublish.checking.check import check
from mlpublish.checking.device import Device, default_folder
from mlpublish.checking.state import Installed, State
from mlpublish.errors import FormatError, NewerFormat, RecipeError
from mlpublish.formats.status import Reason, UpdateStatus

if TYPE_CHECKING:
    from tests.checking.conftest import Lab


def test_a_device_draws_an_id_once_and_keeps_it(tmp_path: Path) -> None:
    with Device.opened(tmp_path / "one", "com.acme.digits") as first:
        drawn = first.id
    with (
        Device.opened(tmp_path / "one", "com.acme.digits") as again,
        Device.opened(tmp_path / "two", "com.acme.digits") as other,
    ):
        assert again.id == drawn != other.id


def test_it_lives_in_the_users_data_folder_unless_told_otherwise(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    lab.release()
    report = lab.check(device=None)
    assert report.path is not None
    assert default_folder(lab.app.id) == tmp_path / "data" / "mlpublish" / "devices" / lab.app.id
    assert report.path.is_relative_to(default_folder(lab.app.id))


def test_another_apps_device_is_refused_and_left_alone(lab: Lab) -> None:
    lab.release()
    lab.updates_to(1)
    before = (lab.phone / "state.json").read_bytes()
    other = App(id="com.acme.other", version="1.0")
    with pytest.raises(RecipeError, match=r"is a device of com\.acme\.digits"):
        check(other, at=lab.web.url, device=lab.phone, root=lab.development.first_root(lab.app.id))
    assert (lab.phone / "state.json").read_bytes() == before


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(lab: Lab) -> None:
    lab.release()
    lab.phone.mkdir(parents=True)
    (lab.phone / "thesis.tex").write_text("mine")
    with pytest.raises(RecipeError, match="something else than a device"):
        lab.check()
    assert [file.name for file in lab.phone.iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made_or_written_is_refused(lab: Lab, tmp_path: Path) -> None:
    lab.release()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecipeError, match="cannot be used"):
        lab.check(device=tmp_path / "file")
    with pytest.raises(RecipeError, match="cannot be used"):
        lab.check(device=tmp_path / "file" / "below")
    lab.updates_to(1)
    (lab.phone / "lock").unlink()
    (lab.phone / "lock").mkdir()  # what root, too, cannot open for writing
    with pytest.raises(RecipeError, match="cannot be used"):
        lab.check()


@pytest.mark.parametrize("content", [b"", b"{}", b"no root"])
def test_a_root_that_is_none_is_the_callers_mistake(lab: Lab, content: bytes) -> None:
    lab.release()
    with pytest.raises(RecipeError, match="The root that is given is not one of") as told:
        lab.check(root=content)
    assert told.value.field == "root"
    lab.updates_to(1)


def test_what_an_abandoned_release_left_behind_makes_room_for_the_next_one(lab: Lab) -> None:
    lab.release()
    lab.updates_to(1)
    lab.release()
    (lab.phone / "releases" / ".incoming-7-abc").mkdir()
    (lab.phone / "downloads" / "old.part").write_bytes(b"x")
    lab.facts(2, unpacked_length=2**62)
    lab.fails(UpdateStatus.FAILURE_NOT_ENOUGH_SPACE)
    assert [folder.name[0] for folder in (lab.phone / "releases").iterdir()] == ["1"]
    assert not any((lab.phone / "downloads").iterdir())


def test_a_withdrawn_release_is_not_left_for_an_altered_one(lab: Lab) -> None:
    for number in (1, 2):
        lab.release()
        path = lab.updates_to(number).models["digits"]
        if number == 1:
            first = path
    first.write_bytes(b"altered")
    lab.policy(withdrawn={2: "biased"})
    report = lab.check()
    assert (report.installed, report.path, report.reason) == (None, None, Reason.WITHDRAWN)


def test_a_check_is_canceled_while_it_reads_what_is_installed(lab: Lab) -> None:
    lab.release()
    path = lab.updates_to(1).path
    assert path is not None
    read: list[int] = []

    def stop() -> None:
        read.append(1)
        if len(read) == 2:
            raise KeyboardInterrupt

    with Device.opened(lab.phone, lab.app.id) as device, pytest.raises(KeyboardInterrupt):
        device.leave_altered(lab.app, stop)
    assert len(read) == 2


@pytest.mark.parametrize("name", ["device.json", "state.json"])
def test_a_device_of_a_newer_format_is_refused_and_left_alone(lab: Lab, name: str) -> None:
    lab.release()
    lab.updates_to(1)
    file = lab.phone / name
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 2}))
    before = file.read_bytes()
    with pytest.raises(NewerFormat, match="Upgrade"):
        lab.check()
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["device.json", "state.json"])
@pytest.mark.parametrize("content", [b"{", b"", b'{"format": 1}'])
def test_a_file_that_the_disk_spoiled_heals(lab: Lab, name: str, content: bytes) -> None:
    lab.release()
    lab.updates_to(1)
    (lab.phone / name).write_bytes(content)
    lab.updates_to(1)
    assert lab.updates_to(1).reason is Reason.ALREADY_INSTALLED


@pytest.mark.parametrize("loss", ["folder", "manifest", "cut manifest"])
def test_a_release_that_was_lost_on_the_device_is_fetched_again(lab: Lab, loss: str) -> None:
    lab.release()
    path = lab.updates_to(1).path
    assert path is not None
    if loss == "folder":
        shutil.rmtree(path)
    elif loss == "manifest":
        (path / "manifest.json").unlink()
    else:
        (path / "manifest.json").write_bytes(b"{")
    assert lab.updates_to(1).reason is None
    assert lab.updates_to(1).reason is Reason.ALREADY_INSTALLED


def test_a_manifest_that_was_altered_on_the_device_is_told_from_a_sound_one(lab: Lab) -> None:
    """It says where the models are; and it could list files that were altered with it."""
    lab.release()
    path = lab.updates_to(1).path
    assert path is not None
    manifest = path / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"created_by": "mlpublish', b'"created_by": "xlpublish'))
    report = lab.fails(UpdateStatus.FAILURE_INTEGRITY, "The file manifest.json of the bundle is altered.")
    assert report.path is None
    assert lab.updates_to(1).reason is None


def test_what_an_older_mlpublish_installed_stays_in_use(lab: Lab) -> None:
    """It did not note the manifest's digest."""
    lab.release()
    lab.updates_to(1)
    state = json.loads((lab.phone / "state.json").read_bytes())
    del state["current"]["manifest_sha256"]
    (lab.phone / "state.json").write_text(json.dumps(state))
    assert lab.updates_to(1).reason is Reason.ALREADY_INSTALLED


@pytest.mark.parametrize("file", ["timestamp.json", "snapshot.json", "targets.json"])
def test_cached_metadata_that_a_power_cut_left_half_written_heals(lab: Lab, file: str) -> None:
    lab.release()
    lab.updates_to(1)
    cached = lab.phone / "metadata" / file
    cached.write_bytes(cached.read_bytes()[:50])
    lab.release()
    lab.updates_to(2)


def test_what_a_dead_check_left_behind_is_swept(lab: Lab) -> None:
    lab.release()
    lab.updates_to(1)
    for left in ("releases/.incoming-2-abc", "releases/7-0123456789ab"):
        (lab.phone / left).mkdir()
        (lab.phone / left / "half").write_bytes(b"x")
    (lab.phone / "downloads" / "old.part").write_bytes(b"x")
    lab.release()
    lab.updates_to(2)
    assert sorted(folder.name[0] for folder in (lab.phone / "releases").iterdir()) == ["1", "2"]
    assert not any((lab.phone / "downloads").iterdir())


def test_a_rollback_that_fails_keeps_the_previous_release_too(lab: Lab) -> None:
    for number in (1, 2):
        lab.release()
        lab.updates_to(number)
    lab.facts(1, manifest_sha256="0" * 64)
    lab.offer(1)
    lab.fails(UpdateStatus.FAILURE_INTEGRITY)
    assert sorted(folder.name[0] for folder in (lab.phone / "releases").iterdir()) == ["1", "2"]


def test_a_state_is_read_back_as_it_was_written() -> None:
    installed = Installed(release=3, sha256="a" * 64, platform="ios", app_version="2.0")
    whole = State(
        current=installed, previous=installed, floors={"ios/2.0": 2}, verified_at=datetime(2026, 1, 31, 12, tzinfo=UTC)
    )
    unnumbered = replace(installed, release=None, manifest_sha256="b" * 64)
    for state in (State(), State(current=installed), State(current=unnumbered, previous=installed), whole):
        assert State.from_bytes(state.to_bytes()) == state
    with pytest.raises(FormatError, match="verified_at must be a time in UTC"):
        State.from_bytes(whole.to_bytes().replace(b"2026-01-31T", b"tomorrow "))


def test_a_check_whose_folder_is_taken_tells_its_listener(lab: Lab) -> None:
    lab.release()
    lab.updates_to(1)
    heard: list[UpdateStatus] = []

    class Ear:
        def on_start(self, total: int) -> None:
            raise AssertionError

        def on_progress(self, *_: object) -> None:
            raise AssertionError

        def on_finish(self, status: UpdateStatus) -> None:
            heard.append(status)

    with Device.opened(lab.phone, lab.app.id):
        report = lab.check(listener=Ear())
    assert report.status is UpdateStatus.FAILURE_ALREADY_IN_PROGRESS
    assert heard == [UpdateStatus.FAILURE_ALREADY_IN_PROGRESS]


@pytest.mark.parametrize("name", ["cache", "downloads", "releases", "metadata", "metadata/root_history", "lock"])
def test_a_link_that_was_planted_in_the_folder_is_refused(lab: Lab, tmp_path: Path, name: str) -> None:
    """What is swept below it would be somebody else's."""
    lab.release()
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("kept")
    lab.phone.mkdir(exist_ok=True)
    (lab.phone / "lock").touch()
    (lab.phone / name).parent.mkdir(exist_ok=True)
    (lab.phone / name).unlink(missing_ok=True)
    (lab.phone / name).symlink_to(victim)
    with pytest.raises(RecipeError, match="is a link"):
        lab.check()
    assert (victim / "precious").read_text() == "kept"


def test_a_spoiled_root_heals_from_the_history(lab: Lab) -> None:
    lab.release()
    lab.updates_to(1)
    (lab.phone / "metadata" / "root.json").write_bytes(b"")
    lab.release()
    lab.updates_to(2)
