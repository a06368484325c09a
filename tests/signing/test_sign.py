"""``sign`` names a bundle in the app role's next version: one signature, and nothing half-written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tuf.api.metadata import Targets

from mlpublish.artifacts import App, Bundle, Release
from mlpublish.errors import AlreadyPublished, BundleError, NotFound, RecipeError, SigningError
from mlpublish.formats.wire import digest_of
from mlpublish.publishing.publish import publish
from mlpublish.repository.development import Development
from mlpublish.signing.sign import sign
from mlpublish.trust import roles
from mlpublish.trust.folders import read_change
from mlpublish.trust.keys import crypto_signer

APP = App(id="com.acme.digits", version="2.0")
NewRelease = Callable[..., Release]


def role_of(release: Release) -> Targets:
    return roles.parse((release.folder / "targets.json").read_bytes(), Targets, "targets").signed


def test_a_release_is_the_bundle_the_role_the_roots_and_the_change_that_it_is(
    new_release: NewRelease, development: Development
) -> None:
    release = new_release(b"one")
    assert sorted(file.name for file in release.folder.iterdir()) == [
        "change.json", release.bundle.path.name, "model.sig", "present", "release.json", "reviews", "roots", "targets.json",
    ]  # fmt: skip
    assert digest_of(release.bundle.path.read_bytes()) == release.bundle.sha256
    assert (release.folder / "roots" / "1.root.json").read_bytes() == development.first_root(APP.id)
    kept = read_change(release.folder)
    assert kept.change.signed_with(kept.reviews)["targets"].metadata == (release.folder / "targets.json").read_bytes()
    assert kept.change.proposed_by == development.signer("targets").public_key.keyid
    role = role_of(release)
    facts = roles.releases_of(role)[1]
    assert (role.version, release.base, release.number) == (2, 1, 1)
    assert (facts.app_id, facts.platform, facts.app_versions, facts.minimum_os) == (APP.id, "ios", ("2.0",), "13.0")
    assert facts.manifest == digest_of(release.bundle.manifest.to_bytes())
    assert facts.unpacked_length == 3


def test_only_the_apps_own_repository_was_made_and_it_names_no_release_yet(
    new_release: NewRelease, development: Development
) -> None:
    new_release(b"one")
    assert [folder.name for folder in development.repository.iterdir()] == [APP.id]
    assert development.app(APP.id).head().releases == {}


def test_numbers_go_up_by_one_and_may_be_forced(new_release: NewRelease, development: Development) -> None:
    for content, keywords, wanted in ((b"one", {}, 1), (b"two", {}, 2), (b"nine", {"number": 9}, 9), (b"ten", {}, 10)):
        release = new_release(content, **keywords)
        assert release.number == wanted
        publish(release, to=development.folder)


def test_the_same_bytes_keep_their_number(new_release: NewRelease, development: Development) -> None:
    publish(new_release(b"one"), to=development.folder)
    publish(new_release(b"two"), to=development.folder)
    assert new_release(b"one").number == 1


def test_the_same_bytes_for_another_app_version_are_another_release(new_release: NewRelease, development: Development) -> None:
    publish(new_release(b"one"), to=development.folder)
    other = new_release(b"one", of=App(id=APP.id, version="2.1"))
    assert other.number == 2
    publish(other, to=development.folder)
    assert {number: facts.app_versions for number, facts in development.app(APP.id).head().releases.items()} == {
        1: ("2.0",),
        2: ("2.1",),
    }


def test_a_number_that_stands_for_other_bytes_is_refused_before_anything_is_signed(
    tmp_path: Path, new_release: NewRelease, development: Development
) -> None:
    publish(new_release(b"one"), to=development.folder)
    with pytest.raises(AlreadyPublished, match="Release 1 of com"):
        new_release(b"two", number=1, out=tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_a_number_that_stands_for_these_bytes_in_another_app_version_is_refused(
    tmp_path: Path, new_release: NewRelease, development: Development
) -> None:
    """Else the devices of the first app version would find a release that is no longer theirs."""
    publish(new_release(b"one"), to=development.folder)
    with pytest.raises(AlreadyPublished, match=r"ios 2\.0"):
        new_release(b"one", of=App(id=APP.id, version="2.1"), number=1)


@pytest.mark.parametrize("number", [0, -1])
def test_a_number_below_one_is_none(new_release: NewRelease, number: int) -> None:
    with pytest.raises(RecipeError, match="number"):
        new_release(b"one", number=number)


def test_a_key_that_does_not_hold_the_role_signs_nothing(
    tmp_path: Path, new_release: NewRelease, development: Development
) -> None:
    for signer in (crypto_signer(ec.generate_private_key(ec.SECP256R1())), development.key_uri("channels")):
        with pytest.raises(SigningError, match="is not one of the targets role's"):
            new_release(b"one", signer=signer, out=tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_signing_reads_the_repository_wherever_it_is_named(new_release: NewRelease, development: Development) -> None:
    one = new_release(b"one", repository=development.folder)
    two = new_release(b"one", repository=f"file:{development.repository}")
    assert role_of(one).targets == role_of(two).targets


def test_without_a_repository_the_remedy_makes_one(new_bundle: Callable[..., Bundle]) -> None:
    with pytest.raises(RecipeError) as caught:
        sign(new_bundle(b"one"), app=APP)
    assert "mlpublish repo init --dev DIR" in caught.value.remedy


def test_an_app_without_a_repository_and_a_zip_that_is_none_are_refused(
    tmp_path: Path, new_bundle: Callable[..., Bundle]
) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(NotFound):
        sign(
            new_bundle(b"one"),
            repository=tmp_path / "plain",
            app=APP,
            signer=crypto_signer(ec.generate_private_key(ec.SECP256R1())),
        )
    (tmp_path / "cut.zip").write_bytes(new_bundle(b"one").path.read_bytes()[:-1])
    with pytest.raises(BundleError):
        sign(tmp_path / "cut.zip", repository=tmp_path / "plain", app=APP)
    with pytest.raises(NotFound, match="nothing"):
        sign(tmp_path / "nothing.zip", repository=tmp_path / "plain", app=APP)


def test_an_earlier_release_folder_is_replaced_and_nothing_else_is(tmp_path: Path, new_release: NewRelease) -> None:
    first = new_release(b"one", out=tmp_path / "out")
    assert new_release(b"two", out=tmp_path / "out").folder == first.folder
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("mine")
    with pytest.raises(SigningError, match="is no release"):
        new_release(b"three", out=tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["precious"]
    assert not list(tmp_path.glob(".release-*"))
