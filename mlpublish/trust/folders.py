"""A change on disk, to be carried to a reviewer and back without a server.

    DIR/{change.json, roots/<n>.root.json, present/{targets,channels}.json, reviews/<key id>.json, <name>-<version>.zip}

``roots`` and ``present`` are what was current when it was made, so that a reviewer can verify that, and recompute what the
change does, offline. A reviewer sends back one small file, ``reviews/<key id>.json``. A release's folder is one of these too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.errors import FormatError, NotFound
from mlpublish.formats.wire import MAX_DOCUMENT, Reader
from mlpublish.storage.in_folder import replace_file
from mlpublish.trust import roles
from mlpublish.trust.approval import Present
from mlpublish.trust.changes import Change, Review

CHANGE = "change.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFolder:
    """What lies in a change's folder, read but not verified.

    Args:
        roots: the chain of roots, by version.
        present: ``targets`` and ``channels`` as they were when it was made; empty for a repository that is to be made.
    """

    folder: Path
    change: Change
    roots: tuple[bytes, ...]
    present: Mapping[str, bytes]
    reviews: tuple[Review, ...]


def write_change(folder: Path, change: Change, *, roots: Sequence[bytes], present: Present, reviews: Sequence[Review]) -> None:
    """Write a change into a folder, which is made if absent; a bundle is put there by whoever has it."""
    (folder / "roots").mkdir(parents=True, exist_ok=True)
    (folder / "present").mkdir(exist_ok=True)
    (folder / "reviews").mkdir(exist_ok=True)
    for data in roots:
        write_root(folder, data)
    for name in ("targets", roles.CHANNELS):
        role = present.role(name)
        if role is not None:
            replace_file(folder / "present" / f"{name}.json", role.to_bytes())
    for review in reviews:
        write_review(folder, review)
    replace_file(folder / CHANGE, change.to_bytes())


def write_root(folder: Path, data: bytes) -> None:
    replace_file(folder / "roots" / f"{roles.parse(data, Root, 'root').signed.version}.root.json", data)


def write_review(folder: Path, review: Review) -> Path:
    """Put a review beside the change; what the same key said before is replaced."""
    place = folder / "reviews" / f"{review.keyid}.json"
    place.parent.mkdir(exist_ok=True)
    replace_file(place, review.to_bytes())
    return place


def read_change(folder: Path) -> ChangeFolder:
    """Read a change's folder.

    Raises:
        NotFound: it is none.
        FormatError: a document in it is not what it should be.
    """
    file = folder / CHANGE
    if not file.is_file():
        raise NotFound(
            f"{folder} holds no change.",
            remedy="Name the folder that mlpublish sign or review show --save wrote.",
            field="change",
        )
    present = {name: folder / "present" / f"{name}.json" for name in ("targets", roles.CHANNELS)}
    return ChangeFolder(
        folder=folder,
        change=Change.from_bytes(read_document(file)),
        roots=read_roots(folder),
        present={name: read_document(place) for name, place in present.items() if place.is_file()},
        reviews=read_reviews(folder),
    )


def read_roots(folder: Path) -> tuple[bytes, ...]:
    """The chain of roots that came along, by version."""
    files = [file for file in (folder / "roots").glob("*.root.json") if file.name.partition(".")[0].isdecimal()]
    return tuple(read_document(file) for file in sorted(files, key=lambda file: int(file.name.partition(".")[0])))


def read_reviews(folder: Path) -> tuple[Review, ...]:
    """What reviewers said, in the order of their key ids.

    Raises:
        FormatError: a file is no review, or that of another key than its name says: it would stand for both.
    """
    return tuple(_review(file) for file in sorted((folder / "reviews").glob("*.json")))


def _review(file: Path) -> Review:
    place = f"reviews/{file.name}"
    review = Review.from_reader(Reader.parse(read_document(file), what=place))
    if file.stem != review.keyid:
        raise FormatError(
            f"{place} is the review of another key, {review.keyid[:12]}.",
            remedy="Delete it, and ask its reviewer for the file that review sign wrote.",
            field=place,
        )
    return review


def read_document(file: Path) -> bytes:
    """A document's bytes; one that is longer than any may be is not read into memory.

    Raises:
        NotFound: it cannot be read.
        FormatError: it is too long.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_DOCUMENT + 1)
    except OSError as exc:
        raise NotFound(f"{file} cannot be read: {exc.strerror}.", remedy="Get the folder again.", field=file.name) from exc
    if len(data) > MAX_DOCUMENT:
        raise FormatError(
            f"{file} has more than {MAX_DOCUMENT} bytes.", remedy="Get the folder again; it is altered.", field=file.name
        )
    return data


def present_in(found: ChangeFolder, newest: Metadata[Root] | None) -> Present:
    """What was current when it was made, verified under the newest root that is trusted.

    Raises:
        ThresholdNotMet: it is not fully signed by whoever that root appoints.
    """
    if newest is None:
        return Present()
    targets = roles.parse(found.present.get("targets", b""), Targets, "targets")
    channels = roles.parse(found.present.get(roles.CHANNELS, b""), Targets, roles.CHANNELS)
    roles.verify(newest.signed, "targets", targets)
    roles.verify(targets.signed, roles.CHANNELS, channels)
    return Present(root=newest, targets=targets, channels=channels)
