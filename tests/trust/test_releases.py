"""A release's folder: whose signatures it gathers, and the detached signature that travels with its bundle."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tuf.api.metadata import Targets

from mlpublish.artifacts import Bundle, Release
from mlpublish.errors import (
    AlreadyPublished,
    DigestMismatch,
    NotFound,
    RecipeError,
    ThresholdNotMet,
    VerificationError,
)
from mlpublish.formats.channel import signature_path
from mlpublish.formats.policy import Policy
from mlpublish.publishing.publish import publish
from mlpublish.repository import pinning, review, review_files
from mlpublish.repository.development import Development
from mlpublish.repository.review import Where
from mlpublish.signing.sign import sign
from mlpublish.trust import roles
from mlpublish.trust.changes import Review
from mlpublish.trust.detached import sign_detached
from mlpublish.trust.folders import write_review
from mlpublish.trust.intents import Intent
from mlpublish.trust.keys import crypto_signer, new_key
from mlpublish.trust.releases import read_release, signature_file
from mlpublish.trust.verify import verify
from tests.production import APP, Production

NewRelease = Callable[..., Release]
PIN = crypto_signer(new_key("rsa", bits=2048))
PIN_TEXT = str(PIN.public_key.keyval["public"])


@pytest.fixture
def release(new_release: NewRelease) -> Release:
    return new_release(b"one")


@pytest.fixture
def root(release: Release, development: Development) -> bytes:
    return development.first_root(APP.id)


# ── whose signatures it gathers ─────────────────────────────────────────────────────────────────────────────────────────


def unsigned(release: Release) -> None:
    """The role without its signature, which lies in ``reviews`` too."""
    file = release.folder / "targets.json"
    role = roles.parse(file.read_bytes(), Targets, "targets")
    role.signatures.clear()
    file.write_bytes(role.to_bytes())


def review_of(release: Release) -> Path:
    (file,) = (release.folder / "reviews").iterdir()
    return file


def test_a_review_of_this_change_signs_the_role(release: Release, root: bytes) -> None:
    unsigned(release)
    assert [len(role.signed_by) for role in verify(release.folder, root=root).roles] == [1, 1]
    review_of(release).unlink()
    with pytest.raises(ThresholdNotMet, match="0 of 1"):
        verify(release.folder, root=root)


@pytest.mark.parametrize(
    "other",
    [
        lambda said: replace(said, change_id="targets-2-00000000000000000000000000000000"),
        lambda said: replace(said, app_id="com.acme.other"),
        lambda said: replace(said, digests={"targets": "0" * 64}),
    ],
)
def test_a_review_of_anything_else_does_not(release: Release, root: bytes, other: Callable[[Review], Review]) -> None:
    """Even where its signature would hold."""
    unsigned(release)
    file = review_of(release)
    file.write_bytes(other(Review.from_bytes(file.read_bytes())).to_bytes())
    with pytest.raises(ThresholdNotMet, match="0 of 1"):
        verify(release.folder, root=root)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"format": 1}', b"[" * 100_000])
def test_a_broken_review_is_named(release: Release, root: bytes, content: bytes) -> None:
    review_of(release).write_bytes(content)
    with pytest.raises(VerificationError, match=f"reviews/{review_of(release).name}"):
        verify(release.folder, root=root)


def test_what_is_handed_in_is_what_was_verified(release: Release, root: bytes, development: Development) -> None:
    """Somebody puts a change of the policy beside a release that verifies."""
    held = read_release(release.folder)
    assert held.change is not None
    good = held.change.change
    evil = roles.following(held.targets, held.targets.signed.version, 80)
    policy = Policy(app_id=APP.id, floors={"ios/2.0": 1})
    evil.signed.targets["policy.json"] = roles.target_file("policy.json", policy.to_bytes(), policy.to_dict())
    other_bytes = replace(good.edits["targets"], metadata=evil.to_bytes())
    channels = roles.following(development.app(APP.id).head().channels, 2, 80)
    more = {**good.edits, "channels": replace(good.edits["targets"], metadata=channels.to_bytes())}
    for edits in ({"targets": other_bytes}, more, {"channels": more["channels"]}):
        (release.folder / "change.json").write_bytes(replace(good, edits=edits).to_bytes())
        for look in (lambda: verify(release.folder, root=root), lambda: publish(release, to=development.folder)):
            with pytest.raises(VerificationError, match=r"change\.json .* and targets\.json do not say the same") as caught:
                look()
            assert "Do not publish it" in caught.value.remedy
    assert development.app(APP.id).head().releases == {}


def test_a_release_of_an_older_mlpublish_is_still_read_and_published(
    release: Release, root: bytes, development: Development
) -> None:
    (release.folder / "change.json").unlink()
    assert verify(release.folder, root=root).number == 1
    assert publish(release, to=development.folder).created


# ── the detached signature ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pinned(development: Development) -> Development:
    """A development repository whose first root the pinned key signed."""
    development.app(APP.id)
    pinning.cosign(Where(app=APP.id, at=development.folder), PIN)
    return development


@pytest.fixture
def legacy(pinned: Development, new_release: NewRelease) -> Release:
    return new_release(b"one", legacy=PIN)


def test_it_is_named_by_the_app_role_and_published_with_the_bundle(legacy: Release, pinned: Development) -> None:
    content = signature_file(legacy.bundle.path).read_bytes()
    target = read_release(legacy.folder).targets.signed.targets["releases/1/bundle.zip.sig"]
    assert (target.length, target.hashes) == (256, roles.target_file("x", content).hashes)
    assert publish(legacy, to=pinned.folder).created
    assert pinned.app(APP.id).store.read(roles.stored_at(target)) == content
    assert not publish(legacy, to=pinned.folder).created


def test_with_the_pin_a_release_is_held_against_it_too(legacy: Release) -> None:
    report = verify(legacy.folder, pin=PIN_TEXT)
    name = signature_file(legacy.bundle.path).name
    assert f"The pinned key {PIN.public_key.keyid[:12]} signed these bytes ({name})." in report.proven
    assert any(name in limit and "neither freshness nor the app" in limit for limit in report.not_proven)


def test_without_the_pin_it_is_told_that_nobody_looked(legacy: Release, pinned: Development) -> None:
    report = verify(legacy.folder, root=pinned.first_root(APP.id))
    assert any("--pin" in limit for limit in report.not_proven)
    assert not any("pinned key" in sentence for sentence in report.proven)


def test_an_altered_one_is_refused_with_or_without_the_pin(legacy: Release, pinned: Development) -> None:
    file = signature_file(legacy.bundle.path)
    for content in (file.read_bytes()[::-1], b"", bytes(256)):
        file.write_bytes(content)
        for trust in ({"pin": PIN_TEXT}, {"root": pinned.first_root(APP.id)}):
            with pytest.raises(DigestMismatch, match=r"\.zip\.sig is not the signature that the app role names for release 1"):
                verify(legacy.folder, **trust)  # type: ignore[arg-type]


def test_a_missing_one_is_refused_by_name_where_the_pin_is_asked_for(legacy: Release, pinned: Development) -> None:
    file = signature_file(legacy.bundle.path)
    file.unlink()
    with pytest.raises(VerificationError, match=file.name) as caught:
        verify(legacy.folder, pin=PIN_TEXT)
    assert "--legacy-key" in caught.value.remedy
    assert verify(legacy.folder, root=pinned.first_root(APP.id)).number == 1


def test_one_that_another_key_made_is_not_the_pins(pinned: Development, new_release: NewRelease) -> None:
    other = new_release(b"one", legacy=crypto_signer(new_key("rsa", bits=2048)))
    with pytest.raises(DigestMismatch, match="is not what the key"):
        verify(other.folder, pin=PIN_TEXT)


def test_one_that_no_role_names_is_held_against_the_pin_alone(pinned: Development, new_release: NewRelease) -> None:
    plain = new_release(b"one")
    assert not any("pinned key" in sentence for sentence in verify(plain.folder, pin=PIN_TEXT).proven)
    file = signature_file(plain.bundle.path)
    file.write_bytes(sign_detached(plain.bundle.path, PIN))
    assert any("pinned key" in sentence for sentence in verify(plain.folder, pin=PIN_TEXT).proven)
    file.write_bytes(bytes(256))
    with pytest.raises(DigestMismatch):
        verify(plain.folder, pin=PIN_TEXT)


def test_a_bare_bundle_is_verified_by_what_lies_beside_it_and_by_nothing_else(new_bundle: Callable[..., Bundle]) -> None:
    made = new_bundle(b"one")
    file = signature_file(made.path)
    assert file.name == f"{made.path.name}.sig"
    with pytest.raises(VerificationError, match=f"There is no .*{file.name}") as caught:
        verify(made.path, pin=PIN_TEXT)
    assert file.name in caught.value.remedy
    file.write_bytes(sign_detached(made.path, PIN))
    report = verify(made.path, pin=PIN_TEXT)
    assert (report.kind, report.roles, report.app) == ("bundle", (), None)
    assert f"The pinned key {PIN.public_key.keyid[:12]} signed these bytes" in report.proven[0]
    assert [limit.partition(":")[0] for limit in report.not_proven[:2]] == ["Freshness", "The app"]
    for content in (bytes(256), b"", b"x" * 300):
        file.write_bytes(content)
        with pytest.raises(DigestMismatch, match="is not what the key"):
            verify(made.path, pin=PIN_TEXT)
    with pytest.raises(VerificationError, match=r"There is no .*model\.sig"):
        verify(made.path, pin=str(crypto_signer(new_key()).public_key.keyval["public"]))
    with pytest.raises(RecipeError, match="A root and a pin"):
        verify(made.path, pin=PIN_TEXT, root=b"")


def test_it_stands_for_one_signature_as_the_number_does_for_one_bundle(
    legacy: Release, pinned: Development, new_release: NewRelease, tmp_path: Path
) -> None:
    publish(legacy, to=pinned.folder)
    assert new_release(b"one", legacy=PIN).number == 1
    with pytest.raises(AlreadyPublished, match="Release 1 stands for other bytes"):
        new_release(b"one", legacy=crypto_signer(new_key("rsa", bits=2048)))
    again = new_release(b"one", out=tmp_path / "again")
    assert not publish(again, to=pinned.folder).created
    assert signature_path(1) in pinned.app(APP.id).head().targets.signed.targets


def test_it_can_be_added_to_a_release_that_stands(pinned: Development, new_release: NewRelease) -> None:
    publish(new_release(b"one"), to=pinned.folder)
    later = new_release(b"one", legacy=PIN)
    assert (later.number, publish(later, to=pinned.folder).created) == (1, True)
    target = pinned.app(APP.id).head().targets.signed.targets[signature_path(1)]
    assert pinned.app(APP.id).store.read(roles.stored_at(target)) == signature_file(later.bundle.path).read_bytes()


def test_it_goes_with_the_release_and_its_number_is_never_used_again(legacy: Release, pinned: Development) -> None:
    publish(legacy, to=pinned.folder)
    review.propose(Where(app=APP.id, at=pinned.folder), Intent(kind="policy", remove=(1,)))
    head = pinned.app(APP.id).head()
    assert [path for path in head.targets.signed.targets if path.startswith("releases/")] == []
    assert head.policy.retired == (1,)


@pytest.fixture
def waiting(production: Production, tmp_path: Path) -> tuple[Release, str]:
    """A release with a detached signature that one of two holders signed, and its change."""
    production.stand()
    bundle, alice = production.new_bundle(b"one"), production.signer("alice")
    release = sign(
        bundle,
        repository=production.tree,
        root=production.first_root,
        app=APP,
        signer=alice,
        legacy=PIN,
        out=tmp_path / "release",
    )
    change = publish(release, to=production.at).change
    assert change is not None
    return release, change


def stands(production: Production, release: Release) -> bool:
    """Whether the very signature of the release's folder was published."""
    target = production.head().targets.signed.targets[signature_path(1)]
    return production.store.read(roles.stored_at(target)) == signature_file(release.bundle.path).read_bytes()


def test_reviewers_see_it_and_carry_it(production: Production, waiting: tuple[Release, str], tmp_path: Path) -> None:
    release, change = waiting
    shown = review_files.save(production.where("bob"), tmp_path / "saved", change)
    assert any(each.what == "signature beside release 1" for each in shown.differences)
    carried = signature_file(tmp_path / "saved" / release.bundle.path.name)
    assert carried.read_bytes() == signature_file(release.bundle.path).read_bytes()
    review_files.sign(tmp_path / "saved", signer=production.signer("bob"), root=production.first_root)
    assert review_files.submit(tmp_path / "saved", to=production.at).state == "committed"
    assert stands(production, release)


def test_a_release_that_nobody_published_is_submitted_with_it(production: Production, tmp_path: Path) -> None:
    production.stand()
    bundle, alice = production.new_bundle(b"one"), production.signer("alice")
    release = sign(
        bundle,
        repository=production.tree,
        root=production.first_root,
        app=APP,
        signer=alice,
        legacy=PIN,
        out=tmp_path / "release",
    )
    review_files.sign(release.folder, signer=production.signer("bob"), root=production.first_root)
    assert review_files.submit(release.folder, to=production.at).state == "committed"
    assert stands(production, release)


def test_a_release_that_is_made_again_keeps_it(production: Production, waiting: tuple[Release, str]) -> None:
    release, change = waiting
    production.overtake()
    again = review.rebase(production.where("alice"), change)
    assert any(each.what == "signature beside release 1" for each in again.differences)
    assert production.sign("bob", again.change.id).state == "committed"
    assert stands(production, release)


def test_nobody_is_shown_to_have_said_what_is_not_signed_with_that_key(
    production: Production, waiting: tuple[Release, str]
) -> None:
    """A file can put words into anybody's mouth."""
    release, _ = waiting
    root = production.first_root
    assert [each.review.keyid for each in review_files.look(release.folder, root=root).reviews] == [production.id("alice")]
    said = Review.from_bytes(review_of(release).read_bytes())
    forged = replace(said, keyid=production.id("bob"), comment="I looked at the parity, all is well.")
    write_review(release.folder, forged)
    report = review_files.look(release.folder, root=root)
    assert [each.review.keyid for each in report.reviews] == [production.id("alice")]
    assert report.missing == 1


def test_one_that_is_added_later_is_reviewed_by_files_as_well(production: Production, tmp_path: Path) -> None:
    production.stand()
    production.release(b"one", "alice", "bob")
    bundle, alice = production.new_bundle(b"one"), production.signer("alice")
    release = sign(
        bundle,
        repository=production.tree,
        root=production.first_root,
        app=APP,
        signer=alice,
        legacy=PIN,
        out=tmp_path / "release",
    )
    report = review_files.sign(release.folder, signer=production.signer("bob"), root=production.first_root)
    done = {each.what for each in report.differences if not each.routine}
    assert done - {"expires"} == {"signature beside release 1"}  # the expiry is another one in another second
    assert review_files.submit(release.folder, to=production.at).state == "committed"
    assert stands(production, release)


def test_what_no_role_names_is_not_handed_on(pinned: Development, new_release: NewRelease, tmp_path: Path) -> None:
    """A folder from somebody else: a link beside the bundle must not carry a private file of its publisher away."""
    (tmp_path / "private").write_text("a secret of whoever publishes")
    plain = new_release(b"one")
    signature_file(plain.bundle.path).symlink_to(tmp_path / "private")
    assert signature_path(1) not in read_release(plain.folder).beside
    assert publish(plain, to=pinned.folder).created


def test_a_named_one_is_a_regular_file(legacy: Release, pinned: Development, tmp_path: Path) -> None:
    file = signature_file(legacy.bundle.path)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotFound, match="symbolic link"):
        publish(legacy, to=pinned.folder)


def test_a_pipe_in_the_place_of_the_bundle_is_not_waited_for(legacy: Release) -> None:
    legacy.bundle.path.unlink()
    os.mkfifo(legacy.bundle.path)
    with pytest.raises(NotFound, match="no bundle"):
        read_release(legacy.folder)
