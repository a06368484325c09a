"""A change carried in a folder: read back whole, broken parts named, and nobody's review taken for another's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlpublish.errors import FormatError, MlpublishError, NotFound, ThresholdNotMet, VerificationError
from mlpublish.formats.policy import Policy
from mlpublish.formats.wire import MAX_DOCUMENT
from mlpublish.trust import roles
from mlpublish.trust.approval import Present
from mlpublish.trust.changes import reviewed
from mlpublish.trust.folders import (
    LONGEST_ROOT,
    MOST_REVIEWS,
    MOST_ROOTS,
    present_in,
    read_change,
    read_document,
    read_roots,
    write_change,
    write_review,
)
from mlpublish.trust.intents import Intent
from tests import hands

PRESENT = hands.present()
CHANGE = hands.change({"targets": hands.app_role(releases=[1, 2], version=2)}, Intent(kind="release", release=2), by="alice")
ALICE, BOB = (reviewed(CHANGE, ("targets",), hands.signer(name)) for name in ("alice", "bob"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert PRESENT.root is not None
    write_change(tmp_path / "change", CHANGE, roots=[PRESENT.root.to_bytes()], present=PRESENT, reviews=[ALICE])
    return tmp_path / "change"


def test_it_is_read_back_as_it_was_written(folder: Path) -> None:
    write_review(folder, BOB)
    found = read_change(folder)
    assert PRESENT.root is not None
    assert (found.change, found.roots) == (CHANGE, (PRESENT.root.to_bytes(),))
    assert found.reviews == tuple(sorted((ALICE, BOB), key=lambda review: review.keyid))
    present = present_in(found, PRESENT.root)
    for name in ("root", "targets", "channels"):
        assert present.role(name) == PRESENT.role(name)
    assert present_in(found, None) == Present()


def test_who_says_something_again_replaces_what_was_said(folder: Path) -> None:
    later = reviewed(CHANGE, ("targets",), hands.signer("alice"), comment="Looked again.")
    write_review(folder, later)
    assert read_change(folder).reviews == (later,)


def test_roots_are_read_in_the_order_of_their_versions(folder: Path) -> None:
    for version in (2, 10):
        (folder / "roots" / f"{version}.root.json").write_bytes(hands.root(version=version).to_bytes())
    (folder / "roots" / "x.root.json").write_text("no root")
    versions = [roles.parse_named(data, "root").signed.version for data in read_change(folder).roots]
    assert versions == [1, 2, 10]


@pytest.mark.parametrize(
    ("part", "kind", "field"),
    [
        ("change.json", FormatError, "change"),
        (f"reviews/{hands.keyid('alice')}.json", FormatError, f"reviews/{hands.keyid('alice')}.json"),
    ],
)
def test_a_broken_document_is_named(folder: Path, part: str, kind: type[MlpublishError], field: str) -> None:
    for content in (b"", b"{", b"[" * 100_000, b"\xff\xfe", b"null"):
        (folder / part).write_bytes(content)
        with pytest.raises(kind) as caught:
            read_change(folder)
        assert caught.value.field == field


def test_a_giant_document_is_not_read(folder: Path) -> None:
    with (folder / "change.json").open("wb") as stream:
        stream.truncate(1 << 40)  # bytes; a hole on disk, and more than there is memory
    with pytest.raises(FormatError, match=f"more than {MAX_DOCUMENT} bytes"):
        read_change(folder)


def test_a_review_under_the_name_of_another_key_is_refused(folder: Path) -> None:
    """It would stand for both, or in the way of the real one."""
    (folder / "reviews" / f"{hands.keyid('bob')}.json").write_bytes(ALICE.to_bytes())
    with pytest.raises(FormatError, match="is the review of another key"):
        read_change(folder)


def test_a_folder_that_is_no_change_and_a_document_that_is_none(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no change"):
        read_change(tmp_path)
    with pytest.raises(NotFound, match="cannot be read"):
        read_document(folder)


@pytest.mark.parametrize("name", ["targets", "channels"])
def test_what_it_was_made_from_must_be_signed_by_whom_the_trusted_root_appoints(folder: Path, name: str) -> None:
    assert PRESENT.root is not None
    stranger = hands.root(root=["mallory"], targets=["mallory"], threshold=1)
    role = PRESENT.role(name)
    assert role is not None
    with pytest.raises(ThresholdNotMet):
        present_in(read_change(folder), stranger)
    role = roles.parse_named(role.to_bytes(), name)
    role.signatures.clear()
    (folder / "present" / f"{name}.json").write_bytes(role.to_bytes())
    with pytest.raises(ThresholdNotMet, match=f"{name} role"):
        present_in(read_change(folder), PRESENT.root)
    (folder / "present" / f"{name}.json").unlink()
    with pytest.raises(FormatError, match=name):
        present_in(read_change(folder), PRESENT.root)


@pytest.mark.parametrize("name", ["root", "targets", "channels"])
def test_what_it_was_made_from_must_be_of_its_own_app(folder: Path, name: str) -> None:
    """The holders are the same, so another app's is signed well; what that allows already would be hidden from the reviewer."""
    assert PRESENT.root is not None
    newest = PRESENT.root
    if name == "root":
        newest = roles.parse_named(newest.to_bytes(), "root")
        newest.signed.unrecognized_fields[roles.APP_FIELD] = "com.acme.sandbox"
    else:
        role = hands.app_role(Policy(app_id="com.acme.sandbox"))
        role = role if name == "targets" else roles.new_channels_role("com.acme.sandbox")
        signed = roles.signed_by(role, *map(hands.signer, ("alice", "bob", "olga")))
        (folder / "present" / f"{name}.json").write_bytes(signed.to_bytes())
    with pytest.raises(VerificationError, match=r"of com\.acme\.sandbox|for com\.acme\.sandbox"):
        present_in(read_change(folder), newest)


@pytest.mark.parametrize(
    "part", ["change.json", "roots/1.root.json", "present/targets.json", f"reviews/{hands.keyid('alice')}.json"]
)
def test_a_document_is_a_regular_file_and_never_a_link(folder: Path, tmp_path: Path, part: str) -> None:
    """A link could name what only its reader may read; what a pipe or a device gives may never end."""
    place, moved = folder / part, tmp_path / "private"
    place.rename(moved)
    place.symlink_to(moved)
    with pytest.raises(NotFound, match="symbolic link"):
        read_change(folder)
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(NotFound, match="holds no change" if part == "change.json" else "no regular file"):
        read_change(folder)


@pytest.mark.parametrize("part", ["roots", "present", "reviews"])
def test_its_parts_are_folders_and_never_links_to_others(folder: Path, tmp_path: Path, part: str) -> None:
    (folder / part).rename(tmp_path / part)
    (folder / part).symlink_to(tmp_path / part)
    with pytest.raises(FormatError, match="is a symbolic link") as caught:
        read_change(folder)
    assert caught.value.field == part


def test_so_many_roots_are_read_and_no_more(folder: Path) -> None:
    for version in range(2, MOST_ROOTS + 2):
        (folder / "roots" / f"{version}.root.json").touch()
    with pytest.raises(FormatError, match=f"holds {MOST_ROOTS + 1} roots") as caught:
        read_roots(folder)
    assert caught.value.field == "roots"


def test_roots_are_as_long_as_a_client_takes_and_no_longer(folder: Path) -> None:
    def long(version: int, length: int) -> None:
        root = hands.root(version=version)
        root.signed.unrecognized_fields["x"] = ""
        root.signed.unrecognized_fields["x"] = "x" * (length - len(root.to_bytes()))
        (folder / "roots" / f"{version}.root.json").write_bytes(root.to_bytes())

    long(2, LONGEST_ROOT)
    assert [len(data) for data in read_roots(folder)][1] == LONGEST_ROOT
    long(2, LONGEST_ROOT + 1)
    with pytest.raises(FormatError, match=rf"2\.root\.json cannot be read: it has more than {LONGEST_ROOT} bytes"):
        read_roots(folder)
    for version in range(2, 3 + MAX_DOCUMENT // LONGEST_ROOT):
        long(version, LONGEST_ROOT)
    with pytest.raises(FormatError, match=f"roots of more than {MAX_DOCUMENT} bytes in all"):
        read_roots(folder)


def test_a_root_stands_under_its_own_number(folder: Path) -> None:
    (folder / "roots" / "1.root.json").rename(folder / "roots" / "2.root.json")
    with pytest.raises(FormatError, match="Root 1 stands under the number 2") as caught:
        read_roots(folder)
    assert caught.value.field == "2.root.json"


def test_so_many_reviews_are_read_and_no_more(folder: Path) -> None:
    for index in range(MOST_REVIEWS):
        (folder / "reviews" / f"{index}.json").write_bytes(BOB.to_bytes())
    with pytest.raises(FormatError, match=f"holds {MOST_REVIEWS + 1} reviews") as caught:
        read_change(folder)
    assert caught.value.field == "reviews"
