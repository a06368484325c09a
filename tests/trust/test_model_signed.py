"""``model.sig`` beside a release's bundle: signed once, carried wherever the bundle goes, and never one that does not hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import TargetFile

from mlpublish.artifacts import Bundle, Release
from mlpublish.errors import (
    AlreadyPublished,
    DigestMismatch,
    FormatError,
    MlpublishError,
    NotFound,
    RecipeError,
    VerificationError,
)
from mlpublish.formats.channel import bundle_path, model_signature_path
from mlpublish.formats.wire import digest_of, dump
from mlpublish.publishing.publish import publish
from mlpublish.repository import review, review_files
from mlpublish.repository.development import Development
from mlpublish.repository.edits import edits_for
from mlpublish.repository.endpoint import endpoint_for
from mlpublish.repository.founding import Held
from mlpublish.repository.head import Head, Read
from mlpublish.repository.records import Received
from mlpublish.repository.review import Where
from mlpublish.signing.sign import describe, sign
from mlpublish.trust import roles
from mlpublish.trust.bundles import open_bundle
from mlpublish.trust.changes import Change, Edit, reviewed
from mlpublish.trust.folders import read_change
from mlpublish.trust.intents import Intent
from mlpublish.trust.keys import crypto_signer, new_key
from mlpublish.trust.model_signature import contents_of, name_of, sign_model
from mlpublish.trust.releases import read_release, write_release
from mlpublish.trust.signer import Signer
from tests.production import APP, Production, rotation

NewRelease = Callable[..., Release]
PATH = model_signature_path(1)
STRANGER = crypto_signer(new_key())


def in_role(release: Release) -> TargetFile | None:
    return read_release(release.folder).targets.signed.targets.get(PATH)


def standing(at: Development | Production) -> bytes | None:
    """The model.sig that is published as release 1."""
    place = at.app(APP.id) if isinstance(at, Development) else at.repository
    target = place.head().targets.signed.targets.get(PATH)
    return None if target is None else place.store.read(roles.stored_at(target))


# ── signing and publishing ──────────────────────────────────────────────────────────────────────────────────────────────


def test_it_is_a_target_of_the_app_role_and_published_with_the_bundle(
    new_release: NewRelease, development: Development
) -> None:
    release = new_release(b"one")
    content = (release.folder / "model.sig").read_bytes()
    signed, keyid = read_release(release.folder), development.signer("targets").public_key.keyid
    assert (in_role(release), signed.beside) == (roles.target_file(PATH, content), {PATH: content})
    assert (signed.release.model_signed_by, release.model_signed_by) == (None, keyid), "a folder by itself proves no signer"
    assert release.rows()["model.sig"] == f"by the key {keyid[:12]}"
    assert publish(release, to=development.folder).created
    assert standing(development) == content


def test_it_is_published_over_a_server(new_release: NewRelease, development: Development, server: Any) -> None:
    release = new_release(
        b"one", repository=server.url, root=development.first_root(APP.id), signer=development.key_uri("targets")
    )
    token = (development.folder / "tokens" / "deployer").read_text().strip()
    assert publish(release, to=server.url, token=token).created
    assert standing(development) == (release.folder / "model.sig").read_bytes()


def test_the_same_bundle_again_is_no_other_release(new_release: NewRelease, development: Development, tmp_path: Path) -> None:
    """ECDSA signs with a random number each time; what stands is taken, so nothing is published twice."""
    first = new_release(b"one", out=tmp_path / "first")
    publish(first, to=development.folder)
    head = development.app(APP.id).head()
    again = new_release(b"one", out=tmp_path / "again")
    assert (again.number, again.model_signed_by) == (1, first.model_signed_by)
    assert (again.folder / "model.sig").read_bytes() == standing(development)
    assert not publish(again, to=development.folder).created
    assert development.app(APP.id).head() == head


def test_of_two_who_sign_the_same_bundle_at_once_the_slower_has_nothing_to_do(
    new_release: NewRelease, development: Development, tmp_path: Path
) -> None:
    faster, slower = (new_release(b"one", out=tmp_path / name) for name in ("faster", "slower"))
    assert (faster.folder / "model.sig").read_bytes() != (slower.folder / "model.sig").read_bytes()
    assert [publish(each, to=development.folder).created for each in (faster, slower, slower)] == [True, False, False]
    assert standing(development) == (faster.folder / "model.sig").read_bytes()


def test_under_a_number_that_stands_another_one_is_refused(
    new_release: NewRelease, development: Development, tmp_path: Path
) -> None:
    one = new_release(b"one", out=tmp_path / "one")
    other = new_release(b"two", out=tmp_path / "two")
    publish(one, to=development.folder)
    with pytest.raises(AlreadyPublished):
        publish(other, to=development.folder)


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_key_of_another_kind_makes_none_and_that_is_said(production: Production, tmp_path: Path, kind: str) -> None:
    signer = crypto_signer(new_key(kind, bits=2048))
    production.folder.rename(tmp_path / "unused")
    production.make(targets=Held(keys=(signer.public_key, production.public("alice"))))
    production.stand("alice", "bob", "olga")
    release = signed_by(signer, production, tmp_path / "release")
    assert not (release.folder / "model.sig").exists()
    assert (in_role(release), release.model_signed_by) == (None, None)
    assert release.rows()["model.sig"] == "none (an ECDSA P-256 key makes one for a new release)"
    assert publish(release, to=production.at).created
    again = signed_by(production.signer("alice"), production, tmp_path / "again")
    assert (again.model_signed_by, publish(again, to=production.at).created) == (None, False), "what stands stays as it is"


def signed_by(signer: Signer, production: Production, out: Path, content: bytes = b"one", **keywords: Any) -> Release:
    where: dict[str, Any] = {"repository": production.tree, "root": production.first_root, "app": APP}
    return sign(production.new_bundle(content), signer=signer, out=out, **(where | keywords))


def test_one_of_a_holder_who_left_stays_with_its_release(production: Production, tmp_path: Path) -> None:
    production.stand()
    production.release(b"one", "alice", "bob")
    made = standing(production)
    production.agree(rotation("targets", drop=[production.id("alice")], add=[production.public("dave")]), "bob", "carol")
    again = signed_by(production.signer("dave"), production, tmp_path / "again")
    assert (again.model_signed_by, (again.folder / "model.sig").read_bytes()) == (production.id("alice"), made)
    assert not publish(again, to=production.at).created


def test_it_goes_with_the_release(new_release: NewRelease, development: Development) -> None:
    publish(new_release(b"one"), to=development.folder)
    review.propose(Where(app=APP.id, at=development.folder), Intent(kind="policy", remove=(1,)))
    assert standing(development) is None


def test_a_release_of_an_older_mlpublish_has_none_and_is_as_good(
    craft: Callable[..., Release], new_release: NewRelease, development: Development
) -> None:
    plain = craft()
    assert (read_release(plain.folder).beside, publish(plain, to=development.folder).created) == ({}, True)
    again = new_release(b"one")
    assert (again.model_signed_by, publish(again, to=development.folder).created) == (None, False)


# ── what does not hold ──────────────────────────────────────────────────────────────────────────────────────────────────


def crafted(
    bundle: Bundle, head: Head, read: Read, holder: Signer, out: Path, beside: Mapping[str, bytes] | None = None
) -> Release:
    """A release's folder whose app role, signed by a holder, names whatever is given beside the bundle."""
    facts = describe(bundle.manifest, app=APP, number=1, digest=contents_of(bundle)["manifest.json"])
    added = [roles.described(bundle_path(1), bundle.length, bundle.sha256, facts.to_dict())]
    added += [roles.target_file(path, content) for path, content in (beside or {}).items()]
    intent = Intent(kind="release", release=1)
    edits = edits_for(intent, head, read, added=added)
    change = Change(app_id=APP.id, intent=intent, proposed_by=holder.public_key.keyid, edits=edits)
    return write_release(
        out,
        bundle=bundle,
        app=APP,
        number=1,
        change=change,
        review=reviewed(change, ("targets",), holder),
        present=head.present,
        roots=head.roots,
        beside=beside or {},
    )


@pytest.fixture
def craft(development: Development, new_bundle: Callable[..., Bundle], tmp_path: Path) -> Callable[..., Release]:
    """``craft(beside)``: a crafted release of the development repository."""

    def made(beside: Mapping[str, bytes] | None = None) -> Release:
        place = development.app(APP.id)
        signer = development.signer("targets")
        return crafted(new_bundle(b"one"), place.head(), place.store.read, signer, tmp_path / "crafted", beside)

    return made


def wrong_ones(bundle: Bundle, holder: Signer) -> dict[str, tuple[bytes, type[MlpublishError], str]]:
    contents, name = contents_of(bundle), name_of(bundle)
    more = contents | {".github/w.bin": "0" * 64}
    fewer = {path: digest for path, digest in contents.items() if path != "manifest.json"}
    return {
        "no document": (b"signature", FormatError, "is not a JSON document"),
        "a stranger's": (sign_model(contents, STRANGER, name=name), VerificationError, "not signed by a key that is trusted"),
        "another model's": (sign_model(contents, holder, name="fraud-9"), VerificationError, r"name is 'fraud-9'"),
        "a file more": (sign_model(more, holder, name=name), DigestMismatch, r"\.github/w\.bin of the bundle is missing"),
        "a file less": (sign_model(fewer, holder, name=name), DigestMismatch, r"manifest\.json of the bundle is not listed"),
    }


WRONG = ("no document", "a stranger's", "another model's", "a file more", "a file less")


@pytest.mark.parametrize("wrong", WRONG)
def test_one_that_the_role_names_and_that_does_not_hold_is_neither_read_nor_published(
    craft: Callable[..., Release], new_bundle: Callable[..., Bundle], development: Development, wrong: str
) -> None:
    development.app(APP.id)
    content, error, told = wrong_ones(new_bundle(b"one"), development.signer("targets"))[wrong]
    bad = craft({PATH: content})
    for act in (lambda: read_release(bad.folder), lambda: publish(bad, to=development.folder)):
        with pytest.raises(error, match=told):
            act()
    assert development.app(APP.id).head().releases == {}


def test_another_file_in_its_place_is_told(new_release: NewRelease, development: Development) -> None:
    release = new_release(b"one")
    file, contents = release.folder / "model.sig", contents_of(open_bundle(release.bundle.path))
    again = sign_model(contents, development.signer("targets"), name=name_of(release.bundle))
    for other in (file.read_bytes()[:-1], b"", again):
        file.write_bytes(other)
        with pytest.raises(DigestMismatch, match=r"model\.sig is not the signature that the app role names") as caught:
            read_release(release.folder)
        assert caught.value.field == "model.sig"


def test_one_that_is_missing_or_no_file_of_its_own_is_told(new_release: NewRelease) -> None:
    release = new_release(b"one")
    file = release.folder / "model.sig"
    file.rename(release.folder / "elsewhere")
    with pytest.raises(NotFound, match=r"model\.sig cannot be read") as caught:
        read_release(release.folder)
    assert caught.value.field == "model.sig"
    file.symlink_to(release.folder / "elsewhere")
    with pytest.raises(NotFound, match="symbolic link"):
        read_release(release.folder)


def test_one_that_no_role_names_is_not_looked_at(craft: Callable[..., Release]) -> None:
    plain = craft()
    (plain.folder / "model.sig").write_bytes(b"whatever")
    assert read_release(plain.folder).beside == {}


# ── reviews ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def waiting(production: Production, tmp_path: Path) -> tuple[Release, str]:
    """A release that alice signed, one of two, and its change."""
    production.stand()
    release = signed_by(production.signer("alice"), production, tmp_path / "release")
    change = publish(release, to=production.at).change
    assert change is not None
    return release, change


def test_reviewers_see_it_sign_the_same_bytes_and_carry_it(
    production: Production, waiting: tuple[Release, str], tmp_path: Path
) -> None:
    release, change = waiting
    content = (release.folder / "model.sig").read_bytes()
    shown = review_files.save(production.where("bob"), tmp_path / "saved", change)
    (told,) = (each.after for each in shown.differences if each.what == "model.sig of release 1")
    assert told == f"{len(content)} bytes, sha256 {roles.target_file(PATH, content).hashes['sha256']}"
    assert (tmp_path / "saved" / "model.sig").read_bytes() == content
    review_files.sign(tmp_path / "saved", signer=production.signer("bob"), root=production.first_root)
    assert review_files.submit(tmp_path / "saved", to=production.at).state == "committed"
    assert standing(production) == content


def test_a_release_that_nobody_published_is_submitted_with_it(production: Production, tmp_path: Path) -> None:
    production.stand()
    release = signed_by(production.signer("alice"), production, tmp_path / "release")
    review_files.sign(release.folder, signer=production.signer("bob"), root=production.first_root)
    assert review_files.submit(release.folder, to=production.at).state == "committed"
    assert standing(production) == (release.folder / "model.sig").read_bytes()


def test_a_release_that_is_made_again_keeps_it(production: Production, waiting: tuple[Release, str]) -> None:
    release, change = waiting
    production.overtake()
    again = review.rebase(production.where("alice"), change)
    assert production.sign("bob", again.change.id).state == "committed"
    assert standing(production) == (release.folder / "model.sig").read_bytes()


@pytest.mark.parametrize("wrong", WRONG)
def test_nobody_is_shown_or_signs_a_change_whose_model_sig_does_not_hold(
    production: Production, new_bundle: Callable[..., Bundle], tmp_path: Path, wrong: str
) -> None:
    production.stand()
    alice, bundle = production.signer("alice"), new_bundle(b"one")
    content, error, told = wrong_ones(bundle, alice)[wrong]
    bad = crafted(bundle, production.head(), production.store.read, alice, tmp_path / "crafted", {PATH: content})
    kept_unseen(production, bad)
    bob, root = production.signer("bob"), production.first_root
    acts: list[Callable[[], object]] = [
        lambda: review.show(production.where("bob")),
        lambda: production.sign("bob"),
        lambda: review_files.save(production.where("bob"), tmp_path / "saved"),
        lambda: review_files.look(bad.folder, root=root),
        lambda: review_files.sign(bad.folder, signer=bob, root=root),
    ]
    for act in acts:
        with pytest.raises(error, match=told):
            act()
    assert not (tmp_path / "saved").exists()


def kept_unseen(production: Production, release: Release) -> None:
    """As an endpoint keeps a change that looks at nothing; ours would refuse it."""
    found, store = read_change(release.folder), production.store
    for path, place in ((bundle_path(1), release.bundle.path), (PATH, release.folder / "model.sig")):
        store.create(roles.stored_at(read_targets(found.change)[path]), place)
    store.create(f"changes/{found.change.id}/change.json", found.change.to_bytes())
    for review_ in found.reviews:
        received = Received(review=review_, at=review_.at)
        store.create(f"changes/{found.change.id}/reviews/{review_.keyid}.json", dump(received.to_dict()))
    store.create("changes/open.json", dump({"format": 1, "change": found.change.id}))


def read_targets(change: Change) -> Mapping[str, TargetFile]:
    role = change.targets()
    assert role is not None
    return role.signed.targets


def test_a_folder_has_room_for_one(production: Production, tmp_path: Path) -> None:
    """``sign`` makes no change with two releases; one that somebody made by hand is looked at where it is."""
    production.stand()
    alice, (one, two) = production.signer("alice"), map(production.new_bundle, (b"one", b"two"))
    role = roles.following(production.head().targets, 2, 80)
    contents: dict[str, bytes | Path] = {}
    for number, bundle in enumerate((one, two), 1):
        facts = describe(bundle.manifest, app=APP, number=number, digest=contents_of(bundle)["manifest.json"])
        content, path = sign_model(contents_of(bundle), alice, name=name_of(bundle)), model_signature_path(number)
        target = roles.described(bundle_path(number), bundle.length, bundle.sha256, facts.to_dict())
        role.signed.targets |= {target.path: target, path: roles.target_file(path, content)}
        contents |= {bundle.sha256: bundle.path, digest_of(content): content}
    edit = Edit.of(production.head().targets, role)
    intent = Intent(kind="release", release=1)
    change = Change(app_id=APP.id, intent=intent, proposed_by=production.id("alice"), edits={"targets": edit})
    endpoint_for(production.at).propose(APP.id, change, (reviewed(change, ("targets",), alice),), contents)
    with pytest.raises(RecipeError, match=r"adds several releases, and model\.sig of release 2"):
        review_files.save(production.where("bob"), tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
    assert production.sign("bob").state == "committed"
