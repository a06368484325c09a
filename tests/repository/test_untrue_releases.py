"""A release that is not what is said of it is refused before its number stands for it, however it is handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mlpublish.artifacts import Bundle
from mlpublish.errors import EndpointRefused, VerificationError
from mlpublish.formats import archive
from mlpublish.formats.channel import ReleaseFacts, bundle_path, model_signature_path, signature_path
from mlpublish.formats.manifest import MANIFEST_PATH
from mlpublish.formats.wire import digest_of
from mlpublish.repository.endpoint import Commit, endpoint_for
from mlpublish.repository.place import Place
from mlpublish.signing.sign import describe
from mlpublish.trust import roles
from mlpublish.trust.changes import Change, Edit, reviewed
from mlpublish.trust.intents import Intent
from mlpublish.trust.keys import crypto_signer, new_key
from mlpublish.trust.model_signature import contents_of, name_of, sign_model
from tests.production import APP, Production, rotation

Below = Callable[[Path], dict[str, str]]
BUNDLE, BESIDE = bundle_path(1), model_signature_path(1)


@dataclass
class Told:
    """What somebody would sign as release 1, and the bytes that go with it.

    Args:
        longer: target path -> bytes that the role says too much.
    """

    bundle: Bundle
    facts: ReleaseFacts
    content: dict[str, bytes] = field(default_factory=dict)
    longer: dict[str, int] = field(default_factory=dict)

    def say(self, **facts: object) -> None:
        self.facts = replace(self.facts, **facts)  # type: ignore[arg-type]

    def repack(self, change: Callable[[dict[str, bytes]], object]) -> None:
        """Another zip, well formed, with the same manifest."""
        with self.bundle.path.open("rb") as stream:
            opened = archive.Archive.read(stream)
            files = {entry.name: b"".join(opened.chunks(entry)) for entry in opened.entries}
        change(files)
        place = self.bundle.path.with_name("bent.zip")
        archive.write(place, list(files.items()))
        self.content[BUNDLE] = place.read_bytes()

    def sign_with(self, name: str, stood: Production | None = None, files: dict[str, str] | None = None) -> None:
        signer = crypto_signer(new_key()) if stood is None else stood.signer(name)
        self.content[BESIDE] = sign_model(files or contents_of(self.bundle), signer, name=name_of(self.bundle))


def true(stood: Production, content: bytes = b"one") -> Told:
    bundle = stood.new_bundle(content)
    facts = describe(bundle.manifest, app=APP, number=1, digest=contents_of(bundle)[MANIFEST_PATH])
    return Told(bundle, facts, {BUNDLE: bundle.path.read_bytes()})


def change_of(stood: Production, told: Told, *, signed_by: str) -> Change:
    head = stood.head()
    role = roles.following(head.targets, head.targets.signed.version + 1, 80)
    for path, content in told.content.items():
        custom = told.facts.to_dict() if path == BUNDLE else None
        length = len(content) + told.longer.get(path, 0)
        role.signed.targets[path] = roles.described(path, length, digest_of(content), custom)
    edits = {"targets": Edit.of(head.targets, role)}
    return Change(app_id=APP.id, intent=Intent(kind="release", release=1), proposed_by=stood.id(signed_by), edits=edits)


def hand_in(stood: Production, told: Told, kind: str, *names: str) -> str:
    """As a change that waits, as one that everybody signed, or as a plain commit; past ``publish``, which would look."""
    first, *others = names or ("alice", "bob")
    change = change_of(stood, told, signed_by=first)
    signing = (first,) if kind == "waiting" else (first, *others)
    reviews = tuple(reviewed(change, ("targets",), stood.signer(name)) for name in signing)
    blobs: dict[str, bytes | Path] = {digest_of(content): content for content in told.content.values()}
    endpoint = endpoint_for(stood.at, token=stood.token)
    if kind == "commit":
        endpoint.commit(APP.id, Commit(edits=change.signed_with(reviews), blobs=blobs))
    else:
        endpoint.propose(APP.id, change, reviews, blobs)
    return change.id


def other_list(told: Told, stood: Production) -> None:
    told.sign_with("alice", stood, contents_of(told.bundle) | {"models/digits.mlmodel": "0" * 64})


def without_bundle(told: Told) -> None:
    told.sign_with("alice")
    del told.content[BUNDLE]


UNTRUE: dict[str, tuple[Callable[[Told, Production], object], str]] = {
    "a stranger's model.sig": (lambda told, _: told.sign_with("a stranger"), "not signed by a key that is trusted"),
    "an operator's model.sig": (lambda told, stood: told.sign_with("olga", stood), "not signed by a key that is trusted"),
    "a model.sig over other files": (other_list, r"models/digits\.mlmodel of the bundle is altered"),
    "a model.sig that is none": (lambda told, _: told.content.update({BESIDE: b"signature"}), "is not a JSON document"),
    "a model.sig without a bundle": (lambda told, _: without_bundle(told), "names no bundle of release 1"),
    "another name": (lambda told, _: told.say(name="other"), "says of release 1: other"),
    "another version": (lambda told, _: told.say(version="9"), "says of release 1: digits 9"),
    "another unpacked length": (lambda told, _: told.say(unpacked_length=1), "1 bytes unpacked"),
    "another system": (lambda told, _: told.say(minimum_os="99.0"), r"from system 99\.0"),
    "another manifest": (lambda told, _: told.say(manifest="0" * 64), "manifest 000000000000"),
    "another app": (lambda told, _: told.say(app_id="com.acme.other"), "names no bundle of release 1 for com"),
    "a bundle that is no zip": (lambda told, _: told.content.update({BUNDLE: b"no zip"}), "archive is refused"),
    "a file that no manifest lists": (
        lambda told, _: told.repack(lambda files: files.update({"models/more.mlmodel": b"x"})),
        r"models/more\.mlmodel of the bundle is not listed",
    ),
    "a file of another length": (
        lambda told, _: told.repack(lambda files: files.update({"models/digits.mlmodel": b"longer than it was"})),
        r"models/digits\.mlmodel of the bundle is altered",
    ),
}


@pytest.mark.parametrize("kind", ["waiting", "complete", "commit"])
@pytest.mark.parametrize("case", UNTRUE)
def test_it_is_refused_and_nothing_is_kept(stood: Production, below: Below, case: str, kind: str) -> None:
    bend, problem = UNTRUE[case]
    told = true(stood)
    bend(told, stood)
    before = below(stood.tree)
    with pytest.raises(VerificationError, match=problem) as caught:
        hand_in(stood, told, kind)
    assert "Sign the bundle again" in caught.value.remedy
    assert (caught.value.field or "").startswith(("releases/1/", "models/"))
    assert below(stood.tree) == before


@pytest.mark.parametrize("kind", ["waiting", "complete", "commit"])
@pytest.mark.parametrize("path", [BUNDLE, BESIDE, signature_path(1)])
def test_a_length_is_that_of_the_bytes(stood: Production, path: str, kind: str) -> None:
    told = true(stood)
    told.sign_with("alice", stood)
    told.content[signature_path(1)] = b"detached"
    told.longer[path] = 1
    with pytest.raises(VerificationError, match=r"has \d+ bytes"):
        hand_in(stood, told, kind)
    told.longer.clear()
    hand_in(stood, told, "commit")
    assert set(stood.head().releases) == {1}


@pytest.mark.parametrize("kind", ["waiting", "complete", "commit"])
def test_over_a_server_too_and_a_true_one_takes_its_number_afterwards(there: Production, kind: str) -> None:
    told = true(there)
    told.sign_with("a stranger")
    with pytest.raises(VerificationError, match=r"model\.sig.*not signed by a key that is trusted"):
        hand_in(there, told, kind)
    assert there.head().releases == {}
    assert there.release(b"one") == 1
    there.assert_whole()


def test_what_waits_while_its_signer_is_dropped_is_not_signed_any_more(production: Production) -> None:
    """A change is held when it is handed in, and again by whoever holds the role when it would be committed."""
    stood = production.stand("bob", "carol", "olga")
    told = true(stood)
    told.sign_with("alice", stood)
    waiting = hand_in(stood, told, "waiting", "bob")
    head = stood.head()
    root = roles.following(head.root, 2, 300)
    root.signed.revoke_key(stood.id("alice"), "targets")
    intent = rotation("targets", drop=[stood.id("alice")])
    change = Change(app_id=APP.id, intent=intent, proposed_by=stood.id("bob"), edits={"root": Edit.of(head.root, root)})
    reviews = tuple(reviewed(change, ("root",), stood.signer(name)) for name in ("bob", "carol"))
    endpoint_for(stood.at).propose(APP.id, change, reviews, {})
    kept = stood.changes.read(waiting).change
    online = Place.find(stood.folder).online()
    assert online is not None
    with pytest.raises(VerificationError, match="not signed by a key that is trusted") as caught:
        stood.changes.add(waiting, reviewed(kept, ("targets",), stood.signer("carol")), online, lambda _: None)
    assert "review reject" in caught.value.remedy
    assert stood.head().releases == {}
    stood.changes.add(waiting, reviewed(kept, (), stood.signer("carol"), verdict="reject", comment="x"), online, lambda _: None)
    assert stood.changes.read(waiting).closed is not None
    assert stood.release(b"one", "bob", "carol") == 1


@pytest.mark.parametrize("edits", ["none", "another release"])
def test_one_that_lies_there_finished_is_not_adopted(stood: Production, edits: str) -> None:
    """An older mlpublish, or a hand in the folder, wrote it in full, and broke off before it was current."""
    told = true(stood)
    told.say(version="9")
    change = change_of(stood, told, signed_by="alice")
    reviews = tuple(reviewed(change, ("targets",), stood.signer(name)) for name in ("alice", "bob"))
    role = change.role("targets")
    for path, content in told.content.items():
        stood.store.create(roles.stored_at(role.signed.targets[path]), content)  # type: ignore[union-attr]
    stood.store.create(f"metadata/{role.signed.version}.targets.json", change.signed_with(reviews)["targets"].metadata)
    if edits == "none":
        endpoint_for(stood.at).commit(APP.id, Commit(edits={}))
        assert stood.head().releases == {}
    assert stood.release(b"two") == 1
    assert stood.head().releases[1].version != "9"


def test_what_stands_is_nobody_elses_burden(stood: Production) -> None:
    """Whatever became of a release that stands: the next one is published all the same."""
    stood.release(b"one")
    stored = stood.tree / APP.id / roles.stored_at(stood.head().targets.signed.targets[BUNDLE])
    stored.write_bytes(b"rotten")
    assert stood.release(b"two") == 2


def test_the_same_again_changes_nothing(stood: Production) -> None:
    told = true(stood)
    told.sign_with("alice", stood)
    change = change_of(stood, told, signed_by="alice")
    reviews = tuple(reviewed(change, ("targets",), stood.signer(name)) for name in ("alice", "bob"))
    blobs: dict[str, bytes | Path] = {digest_of(content): content for content in told.content.values()}
    commit = Commit(edits=change.signed_with(reviews), blobs=blobs)
    assert [endpoint_for(stood.at).commit(APP.id, each) for each in (commit, commit, replace(commit, blobs={}))] == [
        True, False, False,
    ]  # fmt: skip


def test_what_was_not_handed_in_is_told_as_that(stood: Production) -> None:
    told = true(stood)
    told.sign_with("alice", stood)
    for missing in (BUNDLE, BESIDE):
        change = change_of(stood, told, signed_by="alice")
        reviews = tuple(reviewed(change, ("targets",), stood.signer(name)) for name in ("alice", "bob"))
        blobs: dict[str, bytes | Path] = {digest_of(told.content[path]): told.content[path] for path in told.content}
        del blobs[digest_of(told.content[missing])]
        with pytest.raises(EndpointRefused, match="were not handed in") as caught:
            endpoint_for(stood.at).propose(APP.id, change, reviews, blobs)
        assert caught.value.field == missing
