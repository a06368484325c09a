"""Publishing to a folder: once, whole, and under a number that stands for the same bytes for ever."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlpublish.artifacts import App, Release
from mlpublish.errors import (
    AlreadyPublished,
    Conflict,
    DigestMismatch,
    EndpointRefused,
    MlpublishError,
    NotFound,
    RecipeError,
    UnknownScheme,
)
from mlpublish.formats.channel import bundle_path
from mlpublish.publishing.publish import publish
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import Commit, Edit, endpoint_for
from mlpublish.trust import roles

APP = App(id="com.acme.digits", version="2.0")
NewRelease = Callable[..., Release]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_release_stands_there_whole_and_the_receipt_says_so(new_release: NewRelease, development: Development) -> None:
    release = new_release(b"one")
    receipt = publish(release, to=development.folder)
    assert (receipt.number, receipt.created, receipt.sha256, receipt.app) == (1, True, release.bundle.sha256, APP)
    assert receipt.endpoint == f"file:{development.repository}"
    repository = development.app(APP.id)
    target = repository.head().targets.signed.targets[bundle_path(1)]
    assert repository.store.read(roles.stored_at(target)) == release.bundle.path.read_bytes()


def test_publishing_the_same_again_changes_not_one_byte(new_release: NewRelease, development: Development) -> None:
    release = new_release(b"one")
    publish(release, to=development.folder)
    before = tree(development.repository)
    assert publish(release, to=development.folder).created is False
    assert publish(release.folder, to=f"file:{development.repository}").created is False
    assert tree(development.repository) == before


def test_the_same_bytes_signed_again_are_no_news_either(
    new_release: NewRelease, development: Development, tmp_path: Path
) -> None:
    publish(new_release(b"one"), to=development.folder)
    publish(new_release(b"two"), to=development.folder)
    before = tree(development.repository)
    assert publish(new_release(b"one", out=tmp_path / "again"), to=development.folder).created is False
    assert tree(development.repository) == before


def test_an_old_release_folder_is_no_news_after_others_came(new_release: NewRelease, development: Development) -> None:
    first = new_release(b"one")
    publish(first, to=development.folder)
    publish(new_release(b"two"), to=development.folder)
    assert publish(first, to=development.folder).created is False
    assert sorted(development.app(APP.id).head().releases) == [1, 2]


def test_one_number_for_other_bytes_is_refused(new_release: NewRelease, development: Development) -> None:
    one, two = new_release(b"one"), new_release(b"two")
    assert one.number == two.number == 1
    publish(one, to=development.folder)
    before = tree(development.repository)
    with pytest.raises(AlreadyPublished, match="Release 1 stands for other bytes"):
        publish(two, to=development.folder)
    assert tree(development.repository) == before


def test_a_release_from_a_stale_state_is_a_conflict_that_says_what_to_do(
    new_release: NewRelease, development: Development
) -> None:
    one, stale = new_release(b"one"), new_release(b"two", number=2)
    publish(one, to=development.folder)
    with pytest.raises(Conflict) as caught:
        publish(stale, to=development.folder)
    assert "sign the bundle again" in caught.value.remedy
    assert sorted(development.app(APP.id).head().releases) == [1]


def test_a_broken_release_never_reaches_the_folder(new_release: NewRelease, development: Development) -> None:
    release, before = new_release(b"one"), tree(development.repository)
    release.bundle.path.write_bytes(new_release(b"two").bundle.path.read_bytes())
    with pytest.raises(DigestMismatch):
        publish(release, to=development.folder)
    assert tree(development.repository) == before


def test_bytes_are_never_kept_under_a_digest_that_is_not_theirs(
    new_release: NewRelease, development: Development, tmp_path: Path
) -> None:
    release = new_release(b"one")
    edits = {"targets": Edit(base=1, metadata=(release.folder / "targets.json").read_bytes())}
    (tmp_path / "other").write_bytes(b"other")
    for other in (b"other", tmp_path / "other"):
        with pytest.raises(DigestMismatch):
            endpoint_for(development.folder).commit(APP.id, Commit(edits=edits, blobs={release.bundle.sha256: other}))
    assert not (development.repository / APP.id / "targets" / "releases").exists()


def test_what_somebody_else_signed_is_refused(new_release: NewRelease, development: Development, tmp_path: Path) -> None:
    stranger = Development.make(tmp_path / "stranger")
    stranger.app(APP.id)
    with pytest.raises(MlpublishError, match="signatures"):
        publish(new_release(b"one"), to=stranger.folder)
    assert stranger.app(APP.id).head().releases == {}


def test_an_app_that_the_folder_does_not_know_is_not_made_by_publishing(
    new_release: NewRelease, development: Development, tmp_path: Path
) -> None:
    other = Development.make(tmp_path / "other")
    with pytest.raises(NotFound, match="has no repository"):
        publish(new_release(b"one"), to=other.folder)
    assert not any(other.repository.iterdir())


def test_a_folder_without_keys_can_only_be_read(new_release: NewRelease, development: Development, tmp_path: Path) -> None:
    release = new_release(b"one")
    mirror = tmp_path / "mirror"
    development.repository.rename(mirror)
    with pytest.raises(EndpointRefused, match="Nobody here can say what is fresh"):
        publish(release, to=f"file:{mirror}")
    assert endpoint_for(mirror).apps() == (APP.id,)
    with pytest.raises(NotFound):
        endpoint_for(mirror).read(APP.id, "metadata/99.root.json")


@pytest.mark.parametrize("path", ["../../keys/root.pem", "metadata/../../x", "/etc/passwd", "metadata/.lock", ""])
def test_nothing_outside_an_apps_files_is_read(development: Development, path: str) -> None:
    development.app(APP.id)
    with pytest.raises(NotFound):
        endpoint_for(development.folder).read(APP.id, path)


@pytest.mark.parametrize(
    ("to", "kind"), [("", RecipeError), ("file:", RecipeError), ("ftp://host/x", UnknownScheme), ("nothing-here", NotFound)]
)
def test_an_endpoint_that_is_none_is_refused(new_release: NewRelease, to: str, kind: type[MlpublishError]) -> None:
    with pytest.raises(kind):
        publish(new_release(b"one"), to=to)


def test_a_folder_that_is_no_release_is_refused(tmp_path: Path, development: Development) -> None:
    with pytest.raises(NotFound, match="is no release"):
        publish(tmp_path, to=development.folder)
