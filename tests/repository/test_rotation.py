"""Every key is replaceable: the old ones and the new ones sign before the old ones go, and no device is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tuf.ngclient import Updater

from mlpublish.errors import EndpointRefused, MlpublishError, NotFound, RecipeError, SigningError
from mlpublish.formats.channel import bundle_path
from mlpublish.formats.status import UpdateStatus
from mlpublish.repository import review
from mlpublish.repository.renew import Rounds
from mlpublish.repository.status import status
from mlpublish.trust.intents import Intent
from mlpublish.trust.keys import read_public
from tests.production import Production, rotation
from tests.web import Web

Below = Callable[[Path], dict[str, str]]
BOTH = ("alice", "bob")


@pytest.fixture
def offered(stood: Production) -> Production:
    """Release 1 is approved and offered, and a phone has it that embeds root 1."""
    stood.release(b"one")
    stood.offer(1)
    assert stood.checked() == (UpdateStatus.SUCCESS, 1)
    return stood


def holds(production: Production, role: str, *names: str) -> None:
    """Exactly these hold a role now, and everything that is current verifies."""
    head = production.head()
    appointed = head.delegator(role).get_delegated_role(role)
    assert sorted(appointed.keyids) == sorted(production.id(name) for name in names)
    production.assert_whole()


def follows(production: Production, *, by: tuple[str, ...] = BOTH) -> None:
    """The phone that knew root 1, a fresh one, and python-tuf's client take a release that is made now."""
    number = production.release(b"after %d" % len(production.head().releases), *by)
    holders = production.head().targets.signed.get_delegated_role("channels").keyids
    production.offer(number, next(name for name in ("olga", "otto", "oscar") if production.id(name) in holders))
    assert production.checked() == (UpdateStatus.SUCCESS, number)
    assert production.checked(f"fresh-{number}") == (UpdateStatus.SUCCESS, number)


@pytest.fixture
def web(production: Production) -> Iterator[Web]:
    production.tree.mkdir(exist_ok=True)
    served = Web(production.tree)
    yield served
    served.close()


def ngclient_reads(production: Production, folder: Path, web: Web, path: str) -> bytes:
    """What python-tuf's own client gets, which keeps its trust in ``folder`` and began with root 1."""
    for name in ("metadata", "targets"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    base = f"{web.url}/apps/{production.app.id}"
    updater = Updater(
        metadata_dir=str(folder / "metadata"),
        metadata_base_url=f"{base}/metadata/",
        target_dir=str(folder / "targets"),
        target_base_url=f"{base}/targets/",
        bootstrap=production.first_root.read_bytes(),
    )
    info = updater.get_targetinfo(path)
    assert info is not None
    return Path(updater.download_target(info)).read_bytes()


# ── root and app keys ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_root_key_is_replaced(offered: Production) -> None:
    intent = rotation("root", add=offered.publics(("dave",)), drop=(offered.id("carol"),))
    report = offered.propose("alice", intent)
    assert (report.state, {need.role for need in report.needs}) == ("waiting", {"root"})
    assert offered.sign("bob").state == "committed"
    holds(offered, "root", "alice", "bob", "dave")
    holds(offered, "targets", "alice", "bob", "carol")
    follows(offered)


def test_all_root_keys_at_once_need_the_old_and_the_new(offered: Production) -> None:
    new = ("rita", "ron", "rosa")
    intent = rotation("root", add=offered.publics(new), drop=tuple(map(offered.id, ("alice", "bob", "carol"))))
    offered.propose("alice", intent)
    assert offered.sign("bob").state == "waiting"
    assert offered.sign("ron").state == "waiting"
    assert offered.sign("rosa").state == "committed"
    holds(offered, "root", *new)
    follows(offered)
    with pytest.raises(SigningError, match=r"holds none of the roles.*rita.*ron.*rosa"):
        offered.propose("alice", rotation("root", threshold=1))


@pytest.mark.parametrize(("threshold", "names"), [(3, ("alice", "bob", "carol")), (1, ("alice", "bob"))])
def test_the_root_threshold_goes_up_and_down(offered: Production, threshold: int, names: tuple[str, ...]) -> None:
    offered.agree(rotation("root", threshold=threshold), *names)
    assert offered.head().root.signed.roles["root"].threshold == threshold
    follows(offered)


def test_the_app_threshold_up_asks_for_the_signatures_that_are_missing(offered: Production) -> None:
    report = offered.propose("alice", rotation("targets", threshold=3))
    assert sorted(report.change.edits) == ["root", "targets"]  # two signatures on the present app role would be too few
    assert offered.sign("bob").state == "waiting"
    assert offered.sign("carol").state == "committed"
    follows(offered, by=("alice", "bob", "carol"))


def test_the_app_threshold_down_takes_the_present_app_role_as_it_is(offered: Production) -> None:
    report = offered.agree(rotation("targets", threshold=1), *BOTH)
    assert list(report.change.edits) == ["root"]
    assert offered.publish(b"alone", "carol").created is True
    follows(offered, by=("alice",))


def test_an_app_key_that_signed_the_present_role_is_replaced_by_signing_it_again(offered: Production) -> None:
    intent = rotation("targets", add=offered.publics(("dave",)), drop=(offered.id("alice"),))
    report = offered.propose("alice", intent)
    assert sorted(report.change.edits) == ["root", "targets"]
    offered.sign("bob")
    assert offered.sign("dave").state == "committed"
    holds(offered, "targets", "bob", "carol", "dave")
    holds(offered, "root", "alice", "bob", "carol")
    with pytest.raises(SigningError):
        offered.publish(b"by alice")
    follows(offered, by=("dave", "carol"))


def test_all_app_keys_at_once(offered: Production) -> None:
    new = ("rita", "ron")
    intent = rotation("targets", add=offered.publics(new), drop=tuple(map(offered.id, ("alice", "bob", "carol"))))
    offered.propose("alice", intent)
    for name, state in (("bob", "waiting"), ("rita", "waiting"), ("ron", "committed")):
        assert offered.sign(name).state == state
    holds(offered, "targets", *new)
    follows(offered, by=new)


# ── operators and online keys ───────────────────────────────────────────────────────────────────────────────────────────


def test_an_operator_who_signed_the_channels_is_replaced_by_signing_them_again(offered: Production) -> None:
    intent = rotation("channels", add=offered.publics(("oscar",)), drop=(offered.id("olga"),))
    report = offered.propose("alice", intent)
    assert sorted(report.change.edits) == ["channels", "targets"]
    assert offered.sign("bob").state == "waiting"  # or no device could read the channels any more
    assert offered.checked() == (UpdateStatus.SUCCESS, 1)
    before = offered.head().timestamp.signed.version
    assert offered.sign("oscar").state == "committed"
    assert offered.head().timestamp.signed.version == before + 1  # both roles in one commit
    holds(offered, "channels", "oscar", "otto")
    with pytest.raises(SigningError):
        offered.offer(1, "olga", rollout=50)
    follows(offered)


def test_an_operator_who_did_not_sign_is_dropped_by_reviewers_alone(offered: Production) -> None:
    report = offered.agree(rotation("channels", drop=(offered.id("otto"),)), *BOTH)
    assert list(report.change.edits) == ["targets"]
    holds(offered, "channels", "olga")
    follows(offered)


def test_an_online_key_is_first_listed_and_then_appointed(production: Production) -> None:
    production.stand()
    production.release(b"one")
    production.offer(1)
    production.checked()
    intent = rotation("online", add=production.publics(("online2",)), drop=(production.id("online"),))
    production.propose("alice", intent)
    with pytest.raises(EndpointRefused, match="nobody signs with here") as refused:
        production.sign("bob")
    assert "List its key under [online] snapshot in server.toml" in refused.value.remedy
    assert f"mlpublish review sign {production.changes.list().open}" in refused.value.remedy
    assert [todo.who for todo in status(production.where()).todos] == ["one who signed it"]
    holds(production, "timestamp", "online")
    toml = production.folder / "server.toml"
    one = f'"{production.uri("online")}"'
    toml.write_text(toml.read_text().replace(one, f'[{one}, "{production.uri("online2")}"]'))
    assert production.sign("bob").state == "committed"
    for role in ("snapshot", "timestamp"):
        holds(production, role, "online2")
    follows(production)
    toml.write_text(toml.read_text().replace(f"{one}, ", ""))
    follows(production)
    assert status(production.where()).todos == ()


def test_an_online_key_through_a_running_server_that_was_restarted(production: Production, serving: Any) -> None:
    production.stand()
    intent = rotation("online", add=production.publics(("online2",)), drop=(production.id("online"),))
    with serving(production.folder) as server:
        there = production.served(server.url)
        there.propose("alice", intent)
        with pytest.raises(EndpointRefused, match="nobody signs with here"):
            there.sign("bob")
    toml = production.folder / "server.toml"
    one = f'"{production.uri("online")}"'
    toml.write_text(toml.read_text().replace(one, f'[{one}, "{production.uri("online2")}"]'))
    with serving(production.folder) as server:
        there = production.served(server.url, "monitor")
        assert there.sign("alice").state == "committed"
        follows(production.served(server.url))


# ── a later expiry ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("role", "names", "edited"),
    [("root", BOTH, ["root"]), ("targets", BOTH, ["targets"]), ("channels", ("otto",), ["channels"])],
)
def test_with_nothing_named_a_role_is_made_again(
    stood: Production, role: str, names: tuple[str, ...], edited: list[str]
) -> None:
    versions = stood.head()
    report = stood.agree(rotation(role), *names)
    assert list(report.change.edits) == edited
    head = stood.head()
    for name in ("targets", "channels"):
        assert head.role(name).signed.version == versions.role(name).signed.version + (name == role)
    assert head.root.signed.version == 1 + (role == "root")
    assert status(stood.where()).todos == ()


def test_what_is_online_is_renewed_otherwise(stood: Production) -> None:
    with pytest.raises(RecipeError, match="Neither a key nor a threshold") as refused:
        stood.propose("alice", rotation("online"))
    assert "repo renew" in refused.value.remedy


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("intent", "told"),
    [
        (lambda p: rotation("root", drop=("00000000",)), "not the id of one key"),
        (lambda p: rotation("root", drop=(p.id("alice")[:7],)), "not the id of one key"),
        (lambda p: rotation("root", add=p.publics(("bob",))), "has the key .* already"),
        (lambda p: rotation("root", threshold=4), "nobody can reach"),
        (lambda p: rotation("targets", drop=(p.id("alice"), p.id("bob"))), "nobody can reach"),
        (lambda p: rotation("channels", drop=(p.id("olga"), p.id("otto"))), "nobody can reach"),
    ],
)
def test_a_rotation_that_cannot_be_meant_changes_nothing(
    stood: Production, below: Below, intent: Callable[[Production], Intent], told: str
) -> None:
    before = below(stood.tree)
    with pytest.raises(MlpublishError, match=told):
        stood.propose("alice", intent(stood))
    assert below(stood.tree) == before


def test_one_key_twice_under_two_names_is_refused(stood: Production) -> None:
    """The same key in another hand's file is still one person."""
    again = read_public(stood.uri("alice"), holder="mallory")
    with pytest.raises(RecipeError, match="has the key"):
        stood.propose("alice", rotation("root", add=(again,)))


def test_who_drops_a_key_by_its_beginning_needs_eight_digits(stood: Production) -> None:
    stood.agree(rotation("root", drop=(stood.id("carol")[:8],)), *BOTH)
    holds(stood, "root", "alice", "bob")
    with pytest.raises(NotFound, match="not the id of one key"):
        stood.propose("alice", rotation("root", drop=(stood.id("carol"),)))


# ── many ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fifty_rotations_and_a_device_that_knew_root_1(production: Production, web: Web, tmp_path: Path) -> None:
    production.stand()
    production.release(b"one")
    production.offer(1)
    assert production.checked() == (UpdateStatus.SUCCESS, 1)
    client = tmp_path / "ngclient"
    one = ngclient_reads(production, client, web, bundle_path(1))
    holders = ["alice", "bob", "carol"]
    for number in range(50):
        new, old = f"holder-{number}", holders.pop(0)
        intent = rotation("root", add=production.publics((new,)), drop=(production.id(old),))
        holders.append(new)
        production.agree(intent, *holders[:2])
    assert production.head().root.signed.version == 51
    follows(production)
    assert ngclient_reads(production, client, web, bundle_path(1)) == one
    assert len(ngclient_reads(production, tmp_path / "fresh", web, bundle_path(2))) > 0
    assert len(review.show(production.where(holders[1]), "root-2-").differences) > 0


def test_a_root_that_ran_out_is_signed_again_also_through_a_server(there: Production) -> None:
    there.release(b"one")
    there.offer(1)
    there.checked()
    there.expire("root")
    assert there.checked()[0] is UpdateStatus.FAILURE_INTEGRITY
    there.agree(rotation("root"), "carol", "bob")
    assert there.checked() == (UpdateStatus.SUCCESS, 1)
    assert Rounds.at(there.folder).play().failed == {}


@pytest.mark.parametrize("way", ["folder", "server"])
def test_python_tuf_reads_before_and_after_each_rotation(
    production: Production, web: Web, tmp_path: Path, way: str, serving: Any
) -> None:
    toml = production.folder / "server.toml"
    uri = f'"{production.uri("online")}"'
    toml.write_text(toml.read_text().replace(uri, f'[{uri}, "{production.uri("online2")}"]'))
    production.stand()
    production.release(b"one")
    one = ngclient_reads(production, tmp_path / "old", web, bundle_path(1))
    with serving(production.folder) as server:
        there = production if way == "folder" else production.served(server.url)
        for number, (intent, names) in enumerate(rotations(there)):
            there.agree(intent, *names)
            for folder in ("old", f"fresh-{number}"):
                assert ngclient_reads(there, tmp_path / folder, web, bundle_path(1)) == one
    assert production.head().root.signed.version == 6


def rotations(production: Production) -> tuple[tuple[Intent, tuple[str, ...]], ...]:
    """Every role's keys, one after another, and who signs."""
    new, old = production.publics, production.id
    return (
        (rotation("root", add=new(("rita",)), drop=(old("carol"),)), ("alice", "bob")),
        (rotation("targets", add=new(("ron",)), drop=(old("alice"),)), ("alice", "bob", "ron")),
        (rotation("channels", add=new(("oscar",)), drop=(old("olga"),)), ("bob", "ron", "oscar")),
        (rotation("online", add=new(("online2",)), drop=(old("online"),)), ("bob", "rita")),
        (rotation("targets", threshold=3), ("alice", "bob", "ron", "carol")),
        (rotation("targets", threshold=1), ("alice", "rita")),
    )
