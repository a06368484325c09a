"""Trust goes forward along the roots: each has its place, and by whom a ``model.sig`` is, the trusted ones say alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Key, Metadata, Root

from mlpublish.artifacts import App, Bundle, Release
from mlpublish.errors import FormatError, ThresholdNotMet, VerificationError
from mlpublish.publishing.publish import publish
from mlpublish.reports import VerifyReport
from mlpublish.repository.development import Development
from mlpublish.repository.verify import verify as verify_place
from mlpublish.trust import roles
from mlpublish.trust.chain import follow_roots
from mlpublish.trust.keys import crypto_signer, new_key, with_holder
from mlpublish.trust.model_signature import contents_of, name_of, sign_model
from mlpublish.trust.releases import read_release
from mlpublish.trust.verify import verify
from tests import hands
from tests.trust.test_model_signed import PATH, crafted

APP = App(id="com.acme.digits", version="2.0")
ATTACKER, MALLORY, STRANGER = (crypto_signer(new_key()) for _ in range(3))


EXPIRES = roles.after(300)


def chain(*versions: int) -> list[bytes]:
    """Roots of one holder's; a version is the same bytes however often it is asked for."""
    made = [hands.one_key_root(hands.signer("alice")) for _ in versions]
    for each, version in zip(made, versions, strict=True):
        each.signed.version, each.signed.expires = version, EXPIRES
    return [roles.signed_by(each, hands.signer("alice")).to_bytes() for each in made]


def versions_of(found: Sequence[Metadata[Root]]) -> list[int]:
    return [each.signed.version for each in found]


@pytest.mark.parametrize(
    ("trusted", "given", "before", "held"),
    [
        (1, (), [], [1]),
        (1, (1, 2, 3), [], [1, 2, 3]),
        (2, (1, 2, 3), [1], [2, 3]),
        (1, (2, 3), [], [1, 2, 3]),
        (3, (1, 2, 3), [1, 2], [3]),
        (7, (1, 2, 3), [1, 2, 3], [7]),
    ],
)
def test_what_is_trusted_is_the_trusted_root_and_what_follows_it(
    trusted: int, given: tuple[int, ...], before: list[int], held: list[int]
) -> None:
    found = follow_roots(chain(trusted)[0], chain(*given))
    assert (versions_of(found.before), versions_of(found.held), found.newest) == (before, held, found.held[-1])


@pytest.mark.parametrize("given", [(3,), (1, 3), (1, 1), (2, 1), (1, 2, 2), (1, 2, 99), (5, 6)])
def test_a_root_that_does_not_follow_the_one_before_it_is_refused(given: tuple[int, ...]) -> None:
    with pytest.raises(VerificationError, match="does not follow root"):
        follow_roots(chain(1)[0], chain(*given))


@pytest.mark.parametrize("trusted", [1, 2, 3, 7])
@pytest.mark.parametrize("bare", [1, 2, 3])
def test_a_root_that_is_not_signed_is_refused_wherever_it_stands(trusted: int, bare: int) -> None:
    given = chain(1, 2, 3)
    role = roles.parse(given[bare - 1], Root, "root")
    role.signatures.clear()
    given[bare - 1] = role.to_bytes()
    with pytest.raises(ThresholdNotMet) as caught:
        follow_roots(chain(trusted)[0], given)
    assert caught.value.field == f"{bare}.root.json"


# ── by whom a model.sig is ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def release(new_release: Callable[..., Release]) -> Release:
    return new_release(b"one")


@pytest.fixture
def first(release: Release, development: Development) -> Metadata[Root]:
    return roles.parse(development.first_root(APP.id), Root, "root")


@pytest.fixture
def second(first: Metadata[Root], development: Development) -> Metadata[Root]:
    """Root 2, in which alice keeps the app role, and mallory gets it too."""
    made = roles.following(first, 2, 300)
    alice = development.signer("targets").public_key
    made.signed.keys[alice.keyid] = with_holder(alice, "alice")
    made.signed.add_key(with_holder(MALLORY.public_key, "mallory"), "targets")
    return roles.signed_by(made, development.signer("root"))


def forged(first: Metadata[Root], keyid: str, value: Key, holder: str) -> Metadata[Root]:
    """A root of the attacker's own making, which gives the app role to whoever's key under whoever's id."""
    made = roles.parse(first.to_bytes(), Root, "root")
    made.signatures.clear()
    key = with_holder(SSlibKey(keyid, value.keytype, value.scheme, value.keyval), holder)
    made.signed.roles["targets"].keyids, made.signed.keys[keyid] = [keyid], key
    for old in made.signed.roles["root"].keyids:
        made.signed.revoke_key(old, "root")
    made.signed.add_key(ATTACKER.public_key, "root")
    return roles.signed_by(made, ATTACKER)


def bring(release: Release, *roots: Metadata[Root]) -> None:
    """Let these be the roots that come with a release; each is signed by the attacker too, which changes nothing it says."""
    for one, other in pairwise(roots):
        if ATTACKER.public_key.keyid in one.signed.roles["root"].keyids:
            roles.signed_by(other, ATTACKER)
    shutil.rmtree(release.folder / "roots")
    (release.folder / "roots").mkdir()
    for root in roots:
        (release.folder / "roots" / f"{root.signed.version}.root.json").write_bytes(root.to_bytes())


def proven(report: VerifyReport) -> list[str]:
    return [sentence for sentence in report.proven if "model.sig" in sentence]


def test_a_root_that_nobody_signed_names_nobody(
    release: Release, first: Metadata[Root], second: Metadata[Root], development: Development
) -> None:
    """It would give alice's key mallory's id, and so make mallory the signer."""
    bring(release, first, second)
    stray = forged(first, MALLORY.public_key.keyid, development.signer("targets").public_key, "mallory")
    for name, version in (("0", 77), ("77", 77), ("3", 3), ("3", 77)):
        stray.signed.version = version
        file = release.folder / "roots" / f"{name}.root.json"
        file.write_bytes(stray.to_bytes())
        with pytest.raises(VerificationError) as caught:
            verify(release.folder, root=first.to_bytes())
        assert caught.value.field == f"{name}.root.json"
        file.unlink()
    assert proven(verify(release.folder, root=first.to_bytes()))[0].startswith("model.sig: alice (")


def test_what_leads_up_to_the_trusted_root_names_nobody(
    release: Release, first: Metadata[Root], second: Metadata[Root], development: Development
) -> None:
    """A forged predecessor fits by signing the trusted root too; the signer's name is still the trusted root's word."""
    alice = development.signer("targets").public_key
    bring(release, forged(first, MALLORY.public_key.keyid, alice, "mallory"), second)
    report = verify(release.folder, root=second.to_bytes())
    assert report.signatures == {"model.sig": alice.keyid}
    assert proven(report)[0].startswith(f"model.sig: alice ({alice.keyid[:12]}), a holder")


@pytest.fixture
def strangers(release: Release, development: Development, new_bundle: Callable[..., Bundle], tmp_path: Path) -> Release:
    """A release whose app role names a model.sig that a stranger made: one holder of a threshold of one can do that."""
    place, bundle = development.app(APP.id), new_bundle(b"one")
    content = sign_model(contents_of(bundle), STRANGER, name=name_of(bundle))
    signer = development.signer("targets")
    return crafted(bundle, place.head(), place.store.read, signer, tmp_path / "crafted", {PATH: content})


def test_a_strangers_key_under_a_holders_id_is_nobodys(
    strangers: Release, first: Metadata[Root], second: Metadata[Root], development: Development
) -> None:
    alice = development.signer("targets").public_key
    lie = forged(first, alice.keyid, STRANGER.public_key, "alice")
    bring(strangers, lie, second)
    report = verify(strangers.folder, root=second.to_bytes())
    assert (dict(report.signatures), proven(report)) == ({}, [])
    told = "model.sig: none of the keys made it that held the app role since root 2."
    assert told in report.not_proven
    with pytest.raises(VerificationError, match=r"1\.root\.json") as caught:
        verify(strangers.folder, root=first.to_bytes())
    assert caught.value.field == "1.root.json"
    bring(strangers, first, second)
    for trusted in (first, second):
        with pytest.raises(VerificationError, match="not signed by a key that is trusted"):
            verify(strangers.folder, root=trusted.to_bytes())


def test_a_repository_names_nobody_by_a_root_before_the_trusted_one(
    release: Release, first: Metadata[Root], second: Metadata[Root], development: Development
) -> None:
    publish(release, to=development.folder)
    alice, metadata = development.signer("targets").public_key, development.repository / APP.id / "metadata"
    (metadata / "1.root.json").write_bytes(forged(first, MALLORY.public_key.keyid, alice, "mallory").to_bytes())
    (metadata / "2.root.json").write_bytes(roles.signed_by(second, ATTACKER).to_bytes())
    (part,) = verify_place(metadata.parent, root=second.to_bytes()).parts
    assert part.signatures == {"model.sig": alice.keyid}
    assert proven(part)[0].startswith("model.sig: alice (")


def test_a_release_by_itself_says_of_no_key_that_it_signed(strangers: Release, release: Release) -> None:
    """Without trust only a slip is found: that no key of the roots that came along made it."""
    assert read_release(release.folder).release.model_signed_by is None
    with pytest.raises(VerificationError, match="not signed by a key that is trusted"):
        read_release(strangers.folder)
    (release.folder / "roots" / "1.root.json").rename(release.folder / "roots" / "2.root.json")
    with pytest.raises(FormatError, match="Root 1 stands under the number 2"):
        read_release(release.folder)
