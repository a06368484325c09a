"""A check that goes well: something new is in use, or there is a reason why nothing is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlpublish.artifacts import App
from mlpublish.checking.check import check
from mlpublish.errors import NotFound, RecipeError
from mlpublish.formats import archive
from mlpublish.formats.status import ProgressStatus, Reason, UpdateStatus
from mlpublish.formats.wire import digest_of
from mlpublish.publishing.publish import publish
from mlpublish.reports import CheckReport
from mlpublish.repository import channels
from mlpublish.signing.sign import sign
from mlpublish.trust.verify import verify

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

ROLES = ("root", "timestamp", "snapshot", "targets", "channels")


def test_a_release_arrives_whole_and_the_next_check_has_nothing_new(lab: Lab) -> None:
    lab.release(b"weights of one")
    report = lab.updates_to(1)
    assert (report.offered, report.reason) == (1, None)
    assert report.downloaded == lab.stored(1).stat().st_size
    assert report.path is not None
    assert {name: path.read_bytes() for name, path in report.models.items()} == {"digits": b"weights of one"}
    assert report.models["digits"].is_relative_to(report.path)
    assert {role: len(keys) for role, keys in report.signed_by.items()} == dict.fromkeys(ROLES, 1)
    again = lab.updates_to(1)
    assert (again.reason, again.downloaded, again.path) == (Reason.ALREADY_INSTALLED, 0, report.path)
    assert json.dumps(again.to_dict())


def test_nothing_new_costs_two_requests(lab: Lab) -> None:
    lab.release()
    lab.updates_to(1)
    lab.web.asked.clear()
    lab.updates_to(1)
    assert [path.rpartition("/")[2] for path, _ in lab.web.asked] == ["2.root.json", "timestamp.json"]


def test_a_manifest_with_a_member_of_a_later_time_travels_all_the_way(lab: Lab, tmp_path: Path) -> None:
    """Within a format version members may be added, and who does not know them passes them on untouched."""
    lab.release(b"one")
    with lab.stored(1).open("rb") as stream:
        document = json.loads(archive.Archive.read(stream).content("manifest.json", at_most=10**6))
    manifest = json.dumps(document | {"added": "later"}).encode()
    archive.write(tmp_path / "later.zip", [("models/digits.mlmodel", b"one"), ("manifest.json", manifest)])
    signed = sign(tmp_path / "later.zip", repository=lab.development.folder, app=lab.app, out=tmp_path / "later")
    assert verify(signed.folder, root=lab.development.first_root(lab.app.id)).number == 2
    publish(signed, to=lab.development.folder)
    assert lab.head().releases[2].manifest == digest_of(manifest)
    lab.offer(2)
    path = lab.updates_to(2).path
    assert path is not None
    assert (path / "manifest.json").read_bytes() == manifest


def test_the_next_release_replaces_the_one_in_use_and_the_previous_one_is_kept(lab: Lab) -> None:
    for number in (1, 2, 3):
        lab.release()
        report = lab.updates_to(number)
    assert report.path is not None
    assert sorted(folder.name.partition("-")[0] for folder in report.path.parent.iterdir()) == ["2", "3"]
    assert not any((lab.phone / "downloads").iterdir())


def test_a_rollback_on_purpose_is_installed(lab: Lab) -> None:
    lab.release()
    lab.release()
    lab.updates_to(2)
    channels.rollback(lab.app.id, to=lab.development.folder, app_version="2.0")
    assert lab.updates_to(1).reason is None


def paused(lab: Lab) -> None:
    channels.pause(lab.app.id, to=lab.development.folder, app_version="2.0")


def removed(lab: Lab) -> None:
    channels.remove(lab.app.id, to=lab.development.folder, app_version="2.0")


def withdrawn(lab: Lab) -> None:
    lab.offer(2)
    lab.policy(withdrawn={2: "biased"})


def nothing(lab: Lab) -> None:
    """All stays as it is."""


REASONS: list[tuple[Reason, Callable[[Lab], object], dict[str, Any]]] = [
    (Reason.ALREADY_INSTALLED, nothing, {}),
    (Reason.NO_SUCH_CHANNEL, nothing, {"channel": "beta"}),
    (Reason.NO_RELEASE_FOR_APP_VERSION, removed, {}),
    (Reason.NOT_IN_ROLLOUT, lambda lab: lab.bend_entry(release=2, rollout=0), {}),
    (Reason.PAUSED, paused, {}),
    (Reason.OS_TOO_OLD, lambda lab: lab.offer(2), {"os_version": "12.4"}),
    (Reason.OLDER_THAN_SHIPPED, lambda lab: lab.offer(2), {"shipped_release": 3}),
    (Reason.WITHDRAWN, withdrawn, {}),
]


@pytest.mark.parametrize(("reason", "prepare", "keywords"), REASONS, ids=[row[0].value for row in REASONS])
def test_no_update_always_has_its_reason(
    lab: Lab, reason: Reason, prepare: Callable[[Lab], object], keywords: dict[str, Any]
) -> None:
    lab.release()
    lab.updates_to(1)
    lab.release(offer=False)
    prepare(lab)
    report = lab.updates_to(1, **keywords)
    assert report.reason is reason
    assert reason.sentence in report.detail
    assert report.downloaded == 0


def test_the_table_reaches_every_reason() -> None:
    assert [row[0] for row in REASONS] == list(Reason)


def test_a_withdrawn_release_is_left_for_the_previous_one(lab: Lab) -> None:
    for number in (1, 2):
        lab.release()
        lab.updates_to(number)
    lab.policy(withdrawn={2: "biased"})
    report = lab.updates_to(1)
    assert report.reason is Reason.WITHDRAWN
    assert lab.updates_to(1).reason is Reason.WITHDRAWN
    lab.offer(1)
    assert lab.updates_to(1).reason is Reason.ALREADY_INSTALLED


def test_a_withdrawn_release_without_a_previous_one_is_left_for_the_apps_own_model(lab: Lab, tmp_path: Path) -> None:
    lab.release()
    lab.updates_to(1)
    lab.policy(withdrawn={1: "biased"})
    report = lab.check(shipped=tmp_path / "Shipped.mlmodelc")
    assert (report.status, report.installed, report.reason) == (UpdateStatus.SUCCESS, None, Reason.WITHDRAWN)
    assert report.path == tmp_path / "Shipped.mlmodelc"
    lab.release()
    assert lab.updates_to(2).reason is None


def test_until_something_is_installed_the_model_that_came_with_the_app_is_used(lab: Lab, tmp_path: Path) -> None:
    lab.release(offer=False)
    shipped = {"shipped": tmp_path / "Shipped.mlmodelc", "shipped_release": 1}
    report = lab.check(**shipped)
    assert (report.reason, report.path, report.installed) == (Reason.NO_SUCH_CHANNEL, shipped["shipped"], None)
    lab.release()
    assert lab.updates_to(2, **shipped).path != shipped["shipped"]


def test_a_release_of_another_app_version_does_not_count_after_the_app_was_updated(lab: Lab) -> None:
    lab.release()
    lab.updates_to(1)
    newer = App(id=lab.app.id, version="2.1")
    report = lab.check(newer)
    assert (report.installed, report.reason) == (None, Reason.NO_RELEASE_FOR_APP_VERSION)
    lab.release(b"for 2.1", offer=False, app=newer)
    lab.offer(2, app_version="2.1")
    assert lab.check(newer).installed == 2


class Ear:
    """Writes down what a listener hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def on_start(self, total: int) -> None:
        self.heard.append(("start", total))

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
        self.heard.append((status, total, done))

    def on_finish(self, status: UpdateStatus) -> None:
        self.heard.append(("finish", status))


def test_a_listener_hears_start_download_unzipping_and_finish(lab: Lab) -> None:
    lab.release(b"w" * 3_000_000)
    ear = Ear()
    lab.updates_to(1, listener=ear)
    length = lab.stored(1).stat().st_size
    assert ear.heard[0] == ("start", length)
    assert ear.heard[-1] == ("finish", UpdateStatus.SUCCESS)
    downloads = [done for status, _, done in ear.heard[1:-1] if status is ProgressStatus.DOWNLOAD_IN_PROGRESS]
    unzips = [done for status, _, done in ear.heard[1:-1] if status is ProgressStatus.UNZIP_IN_PROGRESS]
    assert downloads == sorted(downloads)
    assert downloads[-1] == length
    assert unzips == sorted(unzips)
    assert unzips[-1] == 3_000_000


def test_from_a_folder_it_is_the_same_device(lab: Lab) -> None:
    lab.release()
    for at in (lab.development.folder, f"file:{lab.development.repository}"):
        assert lab.updates_to(1, at=at).installed == 1
    lab.release()
    lab.updates_to(2)


def test_in_a_development_repository_the_root_is_found_by_itself(lab: Lab) -> None:
    lab.release()
    found = check("com.acme.digits", app_version="2.0", at=lab.development.folder, device=lab.phone)
    assert found.installed == 1
    named = check(lab.app, at=lab.web.url, repository=lab.development.folder, device=lab.phone)
    assert named.status is UpdateStatus.SUCCESS


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"root": None}, "no trust on first use"),
        ({"pin": "x", "root": b"y"}, "A root and a pin"),
        ({"pin": "no key", "root": None}, "neither a public key nor a certificate"),
        ({"at": "ftp://example.com"}, "no server and no folder"),
        ({"at": "nothing-here"}, "no server and no folder"),
        ({"os_version": "iOS 17"}, "os_version"),
    ],
)
def test_a_call_that_makes_no_sense_is_an_error_and_no_status(lab: Lab, keywords: dict[str, Any], told: str) -> None:
    lab.release()
    with pytest.raises(RecipeError) as caught:
        lab.check(**keywords)
    assert told in f"{caught.value.problem} {caught.value.field}"


def test_app_and_version_must_be_named_and_files_must_exist(lab: Lab) -> None:
    lab.release()
    with pytest.raises(RecipeError, match="No app is named"):
        check(at=lab.web.url)
    with pytest.raises(RecipeError, match="No app version"):
        check("com.acme.digits", at=lab.web.url)
    with pytest.raises(NotFound, match=r"nothing\.json"):
        lab.check(root=lab.folder / "nothing.json")


def test_a_report_shows_itself_in_a_notebook_with_everything_escaped(lab: Lab) -> None:
    lab.release()
    report: CheckReport = lab.updates_to(1)
    assert "SUCCESS" in report._repr_html_()
    assert "<script" not in report._repr_html_()
