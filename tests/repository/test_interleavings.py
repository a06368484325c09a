"""Two or three at once, in every order that matters: one stands still before a write while another one does it all.

Chance hides what an unlucky moment loses, so the moments are fixed. With ``naive`` the swap does not compare, as a plain PUT
does not; the very same interleavings then lose work, so these tests can fail.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import permutations, product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tuf.api.metadata import TargetFile

from mlpublish.errors import AlreadyPublished, Conflict
from mlpublish.formats.channel import Channel, Entry
from mlpublish.formats.status import UpdateStatus
from mlpublish.repository import channels
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import Edit
from mlpublish.repository.repository import AppRepository
from mlpublish.storage.in_folder import FolderStore

if TYPE_CHECKING:
    from tests.repository.conftest import Steered

KINDS = ("publish", "steer stable", "steer beta", "renew")
MOMENTS = (
    "targets/",
    "metadata/",
    ".snapshot.json",
    "timestamp.json",
)  # before the blob, the role, and what makes them current


@dataclass
class Actor:
    """Somebody who publishes, steers or renews once, and does it again when told that somebody else was faster."""

    steered: Steered
    name: str
    kind: str
    published: set[str] = field(default_factory=set)

    def act(self, through: AppRepository | None = None) -> None:
        """Do it, through a repository that somebody bent or through the plain one."""
        repository = through or self.steered.development.app(self.steered.app.id)
        for attempt in range(5):
            edits, find = self._edits(attempt)
            try:
                repository.commit(edits, self.steered.development.online(), find)
            except (AlreadyPublished, Conflict):
                continue
            return
        raise AssertionError("five conflicts in a row, and only two others are there")

    def stands(self) -> bool:
        """Whether what was done is current; a renewal says nothing that could be lost."""
        head = self.steered.head()
        if self.kind == "publish":
            return self.published <= {target.hashes["sha256"] for target in head.targets.signed.targets.values()}
        return self.kind == "renew" or self._entry in self._present().entries

    @property
    def _entry(self) -> Entry:
        return Entry(app_version=f"9.{len(self.name)}", release=1)

    def _present(self) -> Channel:
        name = self.kind.removeprefix("steer ")
        named = f"channels/ios/{name}.json" in self.steered.head().channels.signed.targets
        return self.steered.show(channel=name) if named else Channel(channel=name, platform="ios")

    def _edits(self, attempt: int) -> tuple[dict[str, Edit], Callable[[TargetFile], bytes | Path | None]]:
        if self.kind == "renew":
            return {}, lambda _: None
        if self.kind != "publish":
            return self.steered.channel_edit(self._present().with_entry(self._entry))
        out = self.steered.to.parent / f"{self.name}-{attempt}"
        release = self.steered.new_release(self.name.encode(), out=out, repository=self.steered.to)
        self.published = {release.bundle.sha256}
        return self.steered.release_edit(release)


def copies(steered: Steered, folder: Path) -> Iterator[Steered]:
    """The same state again and again, each in a folder of its own."""
    for number in range(1000):
        yield replace(steered, development=Development(shutil.copytree(steered.to, folder / str(number) / "dev")))


def before(moment: str, act: Callable[[], object]) -> Callable[[int, str], None]:
    """Let somebody act before the first write of this kind, once."""
    came: list[str] = []

    def before_write(_number: int, path: str) -> None:
        if moment in path and not came:
            came.append(path)
            act()

    return before_write


@pytest.mark.parametrize("mine", KINDS)
def test_of_two_at_once_neither_loses_anything(steered: Steered, tmp_path: Path, mine: str) -> None:
    states = copies(steered, tmp_path / "copies")
    for theirs, moment in product(KINDS, MOMENTS[2:] if mine == "renew" else MOMENTS):
        each = next(states)
        me, other = Actor(each, "me", mine), Actor(each, "other", theirs)
        me.act(each.bent(before(moment, other.act)))
        assert (me.stands(), other.stands()) == (True, True), (mine, theirs, moment)
        each.assert_whole()


@pytest.mark.parametrize("theirs", ["publish", "steer stable", "steer beta"])
@pytest.mark.parametrize("mine", ["publish", "steer stable", "steer beta"])
def test_the_same_two_lose_work_and_a_device_where_the_swap_does_not_compare(
    steered: Steered, tmp_path: Path, mine: str, theirs: str
) -> None:
    """The device that came in between saw what is gone now, and takes it for an attack."""
    me, other = Actor(steered, "me", mine), Actor(steered, "other", theirs)

    def act() -> None:
        other.act()
        assert steered.installed(tmp_path / "device") == (UpdateStatus.SUCCESS, 1)

    me.act(steered.bent(before("timestamp.json", act), naive=True))
    assert (me.stands(), other.stands()) == (True, False)
    assert steered.installed(tmp_path / "device")[0] is UpdateStatus.FAILURE_INTEGRITY


@pytest.mark.parametrize("theirs", ["publish", "steer stable", "steer beta"])
def test_so_does_a_renewal_and_no_device_sees_it(steered: Steered, theirs: str) -> None:
    other = Actor(steered, "other", theirs)
    Actor(steered, "me", "renew").act(steered.bent(before("timestamp.json", other.act), naive=True))
    assert other.stands() is False


def test_of_three_inside_each_other_none_loses_anything(steered: Steered, tmp_path: Path) -> None:
    states = copies(steered, tmp_path / "copies")
    for kinds in permutations(("publish", "steer stable", "renew")):
        for first, second in product(("metadata/", "timestamp.json"), repeat=2):
            each = next(states)
            me, other, third = (Actor(each, name, kind) for name, kind in zip(("me", "other", "thirdly"), kinds, strict=True))
            inner = each.bent(before(second, third.act))
            me.act(each.bent(before(first, lambda: other.act(inner))))  # noqa: B023 - called before the next turn
            assert [actor.stands() for actor in (me, other, third)] == [True] * 3, (kinds, first, second)
            each.assert_whole()


def test_two_who_steer_the_same_entry_end_with_one_of_both(steered: Steered, tmp_path: Path) -> None:
    for each, moment in zip(copies(steered, tmp_path / "copies"), MOMENTS, strict=False):
        mine = each.show().with_entry(Entry(app_version="2.0", release=2))
        edits, find = each.channel_edit(mine)
        try:
            bent = each.bent(before(moment, lambda: each.set(2, rollout=50)))  # noqa: B023 - called before the next turn
            bent.commit(edits, each.development.online(), find)
            told = "made it"
        except Conflict:
            told = "conflict"
        (entry,) = each.show().entries
        assert (told, entry.rollout) in {("conflict", 50), ("made it", 50)}  # who was first is told, or was overtaken


class Forgetful(FolderStore):
    """Never sees what an earlier run signed and did not make current."""

    def exists(self, path: str) -> bool:
        return not path.startswith("metadata/") and super().exists(path)


@pytest.mark.parametrize(("kind", "adopted"), [(FolderStore, True), (Forgetful, False)])
def test_what_died_before_its_swap_is_adopted_by_the_next_who_comes(
    steered: Steered, kind: type[FolderStore], adopted: bool
) -> None:
    """Without adoption its number is stepped over, and its author, who is gone, never knows."""
    dying, next_one = Actor(steered, "dying", "steer stable"), Actor(steered, "next", "steer beta")

    def die() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        dying.act(steered.bent(before("timestamp.json", die)))
    next_one.act(AppRepository(kind(steered.store.folder), steered.app.id))
    assert (dying.stands(), next_one.stands()) == (adopted, True)
    dying.act()
    assert (dying.stands(), next_one.stands()) == (True, True)
    steered.assert_whole()


def test_a_rollback_that_died_before_its_swap_is_one_step_when_it_is_run_again(steered: Steered) -> None:
    """The second run adopts the first one's work, and must not go back once more from there."""
    assert steered.set(steered.publish(b"three")).entries[0].release == 3
    back = Channel(channel="stable", platform="ios", entries=(Entry(app_version="2.0", release=2),))
    edits, find = steered.channel_edit(back)

    def die() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        steered.bent(before("timestamp.json", die)).commit(edits, steered.development.online(), find)
    assert steered.show().entries[0].release == 3
    channels.rollback(steered.app.id, to=steered.to, app_version="2.0")
    assert steered.show().entries[0].release == 2
