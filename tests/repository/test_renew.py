"""What is renewed when, by how many, and what people are told to renew."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlpublish.errors import Conflict, MlpublishError, NotFound, RecipeError, SigningError
from mlpublish.repository.development import Development
from mlpublish.repository.online import Online
from mlpublish.repository.renew import Rounds, due, renew
from mlpublish.repository.repository import AppRepository
from mlpublish.storage.in_folder import KEPT, FolderStore, locked, sweep
from mlpublish.trust import roles

if TYPE_CHECKING:
    from tests.repository.conftest import Steered

Lives = Callable[..., Online]


@pytest.fixture
def online(development: Development) -> Lives:
    """Keys with lives of so many days; the operator's only where its days are given."""

    def lives(
        *, snapshot: float = 7, timestamp: float = 1, channels: float | None = None, operator: str = "channels"
    ) -> Online:
        return Online(
            snapshot=(development.signer("snapshot"),),
            timestamp=(development.signer("timestamp"),),
            channels=None if channels is None else development.signer(operator),
            snapshot_days=snapshot,
            timestamp_days=timestamp,
            channels_days=channels or 7,
        )

    return lives


@pytest.fixture
def fresh(development: Development, online: Lives) -> AppRepository:
    """A repository whose snapshot and timestamp were signed a moment ago, for 7 days and 1."""
    repository = development.app("com.acme.a")
    repository.commit({}, online(), lambda _target: None)
    return repository


def shown(repository: AppRepository) -> dict[str, int]:
    head = repository.head()
    return {"timestamp": head.timestamp.signed.version, "snapshot": head.snapshot.signed.version} | {
        name: head.role(name).signed.version for name in ("targets", "channels")
    }


# ── what is due ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("hours", "names"),
    [(0, set()), (11, set()), (13, {"timestamp"}), (83, {"timestamp"}), (85, {"timestamp", "snapshot"})],
)
def test_it_is_due_once_less_than_half_a_life_is_left(fresh: AppRepository, online: Lives, hours: int, names: set[str]) -> None:
    assert due(fresh.head(), online(), now=roles.now() + timedelta(hours=hours)) == names


def test_a_snapshot_that_does_not_hold_long_enough_is_due_too(fresh: AppRepository, online: Lives) -> None:
    assert due(fresh.head(), online(snapshot=20), now=roles.now()) == {"snapshot"}
    assert due(fresh.head(), online(snapshot=10), now=roles.now()) == set()


def test_what_expires_later_than_it_ever_should_is_due_too(fresh: AppRepository, online: Lives) -> None:
    """A clock that was ahead once must not keep a repository from being renewed until then."""
    for days, names in ((-19, set()), (-21, {"timestamp"}), (-37, {"timestamp"}), (-39, {"timestamp", "snapshot"})):
        assert due(fresh.head(), online(), now=roles.now() + timedelta(days=days)) == names
    assert due(fresh.head(), online(channels=7), now=roles.now()) == set()  # 90 days: an operator may give them any life


def test_a_clock_that_is_behind_signs_nothing_and_one_that_was_ahead_is_made_good_on_purpose(
    fresh: AppRepository, online: Lives
) -> None:
    """No file tells which of the two clocks is wrong; so a person does."""
    fresh.commit({}, online(timestamp=80), lambda _target: None)
    before = {path: fresh.store.read(f"metadata/{path}") for path in fresh.store.list("metadata")}
    standing = fresh.head().timestamp.signed.expires
    for act in (lambda: renew([fresh], online()).failed[fresh.app_id], lambda: refusal(fresh, online())):
        error = act()
        assert isinstance(error, SigningError)
        told = [datetime.fromisoformat(each) for each in re.findall(r"\d{4}-\S+Z", error.problem)]
        assert (told[0], told[1] - told[2]) == (standing, timedelta(days=1))  # what stands; what would be signed, and now
        assert "date -u" in error.remedy
        assert "--shorten" in error.remedy
    assert {path: fresh.store.read(f"metadata/{path}") for path in fresh.store.list("metadata")} == before
    assert renew([fresh], replace(online(), shorten=True)).renewed == (fresh.app_id,)
    assert fresh.head().timestamp.signed.expires - roles.now() <= timedelta(days=1)
    assert renew([fresh], online()).fresh == (fresh.app_id,)


def test_a_server_may_take_over_what_a_folder_signed(fresh: AppRepository, online: Lives) -> None:
    fresh.commit({}, online(timestamp=14, snapshot=30), lambda _target: None)
    assert renew([fresh], online()).fresh == (fresh.app_id,)
    fresh.commit({}, online(), lambda _target: None)
    assert fresh.head().timestamp.signed.expires - roles.now() <= timedelta(days=1)


def test_a_snapshot_alone_that_holds_too_long_is_made_good_at_once(fresh: AppRepository, online: Lives) -> None:
    """The timestamp was signed since, and by this clock it is right."""
    fresh.commit({}, online(snapshot=80), lambda _target: None)
    assert renew([fresh], online()).renewed == (fresh.app_id,)
    assert renew([fresh], online()).fresh == (fresh.app_id,)


def refusal(repository: AppRepository, online: Online) -> MlpublishError:
    with pytest.raises(MlpublishError) as caught:
        repository.commit({}, online, lambda _target: None)
    return caught.value


def test_channels_are_due_only_for_who_may_sign_them(fresh: AppRepository, online: Lives) -> None:
    assert due(fresh.head(), online(channels=200), now=roles.now()) == {"channels"}
    assert due(fresh.head(), online(channels=100), now=roles.now()) == set()
    assert due(fresh.head(), online(channels=200, operator="targets"), now=roles.now()) == set()
    assert due(fresh.head(), online(), now=roles.now()) == set()


# ── what a round does ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_what_is_due_is_signed_again(fresh: AppRepository, development: Development, online: Lives) -> None:
    old = development.app("com.acme.b")
    old.commit({}, online(timestamp=0.1), lambda _target: None)
    before, tag = shown(old), fresh.head().tag
    done = renew([fresh, old], online())
    assert (done.renewed, done.fresh, done.failed, done.ending) == (("com.acme.b",), ("com.acme.a",), {}, ())
    assert fresh.head().tag == tag
    assert shown(old) == before | {"timestamp": before["timestamp"] + 1}  # a device up to date fetches no new snapshot
    assert old.head().timestamp.signed.expires > roles.after(0.9)
    assert renew([old], online()).fresh == ("com.acme.b",)


def test_a_snapshot_is_signed_again_with_its_timestamp(fresh: AppRepository, online: Lives) -> None:
    before, meta = shown(fresh), fresh.head().snapshot.signed.meta
    assert renew([fresh], online(snapshot=20)).renewed == ("com.acme.a",)
    assert shown(fresh) == before | {name: before[name] + 1 for name in ("timestamp", "snapshot")}
    assert fresh.head().snapshot.signed.meta == meta
    assert fresh.head().snapshot.signed.expires > roles.after(19)


def test_what_ran_out_is_renewed_as_well(fresh: AppRepository, online: Lives) -> None:
    fresh.commit({}, online(snapshot=-1, timestamp=-1), lambda _target: None)
    assert renew([fresh], online()).renewed == ("com.acme.a",)
    fresh.head().refuse_expired()


def test_work_that_a_crash_left_is_made_current_by_the_way(steered: Steered, online: Lives) -> None:
    role = steered.new_release(b"three")
    edits, find = steered.release_edit(role)

    def crash(number: int, path: str) -> None:
        if path.endswith("snapshot.json"):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        steered.bent(crash).commit(edits, online(), find)
    assert sorted(steered.head().releases) == [1, 2]
    assert renew([steered.development.app(steered.app.id)], online(timestamp=1000)).renewed
    assert sorted(steered.head().releases) == [1, 2, 3]
    steered.assert_whole()


def test_one_broken_repository_keeps_no_other_from_being_renewed(
    fresh: AppRepository, development: Development, online: Lives
) -> None:
    broken = development.app("com.acme.0")
    (development.repository / "com.acme.0" / "metadata" / "timestamp.json").write_text("{}")
    done = renew([broken, fresh], online(timestamp=5))
    assert done.renewed == ("com.acme.a",)
    assert isinstance(done.failed["com.acme.0"], MlpublishError)
    assert done.to_dict()["failed"]["com.acme.0"]["remedy"]


# ── the channels role ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_operators_key_renews_the_channels_role_as_it_stands(steered: Steered, online: Lives) -> None:
    before = steered.head()
    assert renew([steered.development.app(steered.app.id)], online(channels=200)).renewed == (steered.app.id,)
    head = steered.head()
    assert head.channels.signed.version == before.channels.signed.version + 1
    assert head.timestamp.signed.version == before.timestamp.signed.version + 1
    assert head.channels.signed.targets == before.channels.signed.targets
    assert head.channels.signed.unrecognized_fields == {roles.APP_FIELD: steered.app.id}
    assert head.channels.signed.expires > roles.after(199)
    steered.assert_whole()


def test_renewed_channels_step_over_junk(steered: Steered, online: Lives) -> None:
    version = steered.head().channels.signed.version
    steered.store.create(f"metadata/{version + 1}.channels.json", b"junk")
    assert renew([steered.development.app(steered.app.id)], online(channels=200)).renewed
    assert steered.head().channels.signed.version == version + 2


@pytest.mark.parametrize("write", range(3))
def test_an_operator_who_steers_meanwhile_loses_nothing(steered: Steered, online: Lives, write: int) -> None:
    def steer_first(number: int, _path: str) -> None:
        if number == write:
            steered.set(2)

    renew([steered.bent(steer_first)], online(channels=200))  # type: ignore[list-item]
    assert steered.show().entries[0].release == 2
    steered.assert_whole()
    renew([steered.development.app(steered.app.id)], online(channels=200))
    assert steered.head().channels.signed.expires > roles.after(199)
    assert steered.show().entries[0].release == 2


def test_channels_that_ran_out_come_back(steered: Steered, online: Lives, tmp_path: Path) -> None:
    head = steered.head()
    role = roles.signed_by(roles.following(head.channels, 99, -1), steered.development.signer("channels"))
    steered.store.create("metadata/99.channels.json", role.to_bytes())
    snapshot = roles.signed_by(roles.new_snapshot(99, 7, head.targets.signed.version, 99), *online().snapshot)
    steered.store.create("metadata/99.snapshot.json", snapshot.to_bytes())
    stamp = roles.signed_by(roles.new_timestamp(99, 1, 99), *online().timestamp)
    assert steered.store.replace_if("metadata/timestamp.json", stamp.to_bytes(), tag=head.tag)
    assert steered.installed(tmp_path / "device")[0].value == "FAILURE_INTEGRITY"
    assert renew([steered.development.app(steered.app.id)], online(channels=7)).renewed
    assert steered.installed(tmp_path / "device") == (steered.installed(tmp_path / "fresh")[0], 1)


# ── who else must act ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_people_are_told_in_time_what_only_they_can_renew(
    fresh: AppRepository, development: Development, online: Lives
) -> None:
    now = roles.now()
    assert renew([fresh], online(timestamp=1000), now=now + timedelta(days=75)).ending == ()
    told = renew([fresh], online(), now=now + timedelta(days=77)).ending
    assert [each.role for each in told] == ["targets", "channels"]
    assert renew([fresh], online(channels=7), now=now + timedelta(days=77)).ending[0].role == "targets"
    keyid = development.signer("targets").public_key.keyid
    assert (told[0].holders, told[0].threshold) == ((keyid[:12],), 1)
    assert f"{fresh.head().targets.signed.expires:%Y-%m-%d}; {keyid[:12]} must sign the app role again" in str(told[0])
    assert renew([fresh], online(), now=now + timedelta(days=352)).ending[0].role == "root"


# ── many at once ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_loses_the_swap_asks_again_and_finds_nothing_due(steered: Steered, online: Lives) -> None:
    before = steered.head()
    long = online(timestamp=1000)

    def other_first(number: int, _path: str) -> None:
        if number == 0:
            renew([steered.development.app(steered.app.id)], long)

    assert renew([steered.bent(other_first)], long).fresh == (steered.app.id,)  # type: ignore[list-item]
    assert steered.head().timestamp.signed.version == before.timestamp.signed.version + 1


def test_a_repository_that_moves_on_each_time_is_given_up(steered: Steered, online: Lives) -> None:
    with pytest.raises(Conflict, match="moved on"):
        steered.bent(lambda *_: steered.development.app(steered.app.id).commit({}, online(), lambda _: None)).renew(
            online(), lambda _head: {"timestamp"}
        )


ROUND = """
import sys, time
from pathlib import Path
from mlpublish.repository.renew import Rounds
import json

rounds = Rounds.at(sys.argv[1])
Path(sys.argv[2]).touch()
while not Path(sys.argv[3]).exists():
    pass
print(json.dumps(rounds.play().to_dict()))
"""


@pytest.mark.parametrize("days", [{}, {"channels": 300}], ids=["timestamps", "channels"])
def test_of_several_processes_exactly_one_renews_each_app(
    development: Development, online: Lives, tmp_path: Path, days: dict[str, float]
) -> None:
    apps = [f"com.acme.app{number}" for number in range(12)]
    for app_id in apps:
        development.app(app_id).commit({}, online(timestamp=0.1), lambda _: None)
    if days:  # a server's folder, whose operator's key is at hand
        toml = development.folder / "server.toml"
        toml.write_text(f'{toml.read_text()}channels = "file:../vault/channels.pem"\nchannels_days = {days["channels"]}\n')
        toml.write_text(toml.read_text().replace("file:keys/", "file:../vault/"))
        (development.folder / "keys").rename(tmp_path / "vault")
    before = {app_id: shown(development.app(app_id)) for app_id in apps}
    ready, go = [tmp_path / f"ready{number}" for number in range(4)], tmp_path / "go"
    processes = [
        subprocess.Popen([sys.executable, "-c", ROUND, development.folder, each, go], stdout=subprocess.PIPE) for each in ready
    ]
    while not all(each.exists() for each in ready):
        time.sleep(0.01)
    go.touch()
    told = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert [each["failed"] for each in told] == [{}] * 4
    for app_id in apps:
        now = shown(development.app(app_id))
        assert now["timestamp"] == before[app_id]["timestamp"] + 1
        assert now["channels"] == before[app_id]["channels"] + bool(days)
        tellers = sum(app_id in each["renewed"] for each in told)
        assert tellers == 1 or (days and tellers > 1)  # who signed the very same channels in the same second tells so too
    assert renew([development.app(app_id) for app_id in apps], Rounds.at(development.folder).online).renewed == ()


# ── a folder's rounds ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_round_renews_the_apps_that_are_named(development: Development, online: Lives) -> None:
    for app_id in ("com.acme.a", "com.acme.b"):
        development.app(app_id).commit({}, online(timestamp=0.1), lambda _: None)
    assert Rounds.at(development.folder, ("com.acme.b",)).play().renewed == ("com.acme.b",)
    assert Rounds.at(f"file:{development.repository}").play().renewed == ("com.acme.a",)


def test_a_round_stops_between_two_apps(development: Development, online: Lives) -> None:
    for app_id in ("com.acme.a", "com.acme.b"):
        development.app(app_id).commit({}, online(timestamp=0.1), lambda _: None)
    answers = iter([False, True, True])
    assert Rounds.at(development.folder).play(lambda: next(answers)).renewed == ("com.acme.a",)


def test_a_folder_that_cannot_be_renewed_is_refused(development: Development, tmp_path: Path) -> None:
    for where, app_ids, kind in (
        (None, (), RecipeError),
        ("https://updates.acme.com", (), RecipeError),
        (tmp_path, (), RecipeError),
        (tmp_path / "nothing", (), NotFound),
        (development.folder, ("com.acme.unknown",), NotFound),
    ):
        with pytest.raises(kind) as raised:
            Rounds.at(where, app_ids)  # type: ignore[arg-type]
        assert raised.value.remedy


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("live", [True, False])
def test_a_round_sweeps_what_crashed_runs_left_and_nothing_else(
    fresh: AppRepository, development: Development, old: bool, live: bool
) -> None:
    metadata = development.repository / "com.acme.a" / "metadata"
    partial = metadata / ".partial-0123456789abcdef"
    partial.write_bytes(b"half")
    (metadata / ".lock").touch()
    if old:
        os.utime(partial, (time.time() - KEPT - 1,) * 2)
    before = {each.name for each in metadata.iterdir()}
    if live:
        with locked(partial):
            Rounds.at(development.folder).play()
    else:
        Rounds.at(development.folder).play()
    swept = before - {each.name for each in metadata.iterdir()}
    assert swept == ({partial.name} if old and not live else set())


def test_a_file_that_is_being_written_is_held(tmp_path: Path) -> None:
    """The other half of the sweep: a writer's lock. A pipe has no end until the test says so."""
    os.mkfifo(tmp_path / "slow")
    code = "import sys; from pathlib import Path; from mlpublish.storage.in_folder import FolderStore as F; "
    code += "F(Path(sys.argv[1])).create('a', Path(sys.argv[2]))"
    content = bytes(2 << 20)
    writer = subprocess.Popen([sys.executable, "-c", code, tmp_path / "store", tmp_path / "slow"])
    with (tmp_path / "slow").open("wb") as pipe:
        pipe.write(content)
        pipe.flush()
        while not (found := [each for each in (tmp_path / "store").glob(".partial-*") if each.stat().st_size]):
            assert writer.poll() is None
        os.utime(found[0], (time.time() - KEPT - 1,) * 2)
        assert sweep(tmp_path) == 0
    assert writer.wait(60) == 0
    assert FolderStore(tmp_path / "store").read("a") == content
