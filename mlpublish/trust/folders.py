"""A change on disk, to be carried to a reviewer and back without a server.

    DIR/{change.json, roots/<n>.root.json, present/{targets,channels}.json, reviews/<key id>.json, <name>-<version>.zip}

``roots`` and ``present`` are what was current when it was made, so that a reviewer can verify that, and recompute what the
change does, offline. A reviewer sends back one small file, ``reviews/<key id>.json``. A release's folder is one of these too.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.errors import FormatError, NotFound
from mlpublish.formats.wire import MAX_DOCUMENT, Reader
from mlpublish.storage.in_folder import read_regular, replace_file
from mlpublish.trust import roles
from mlpublish.trust.approval import Present
from mlpublish.trust.changes import Change, Review
from mlpublish.trust.links import named

CHANGE = "change.json"
MOST_REVIEWS = 64
MOST_ROOTS, LONGEST_ROOT = 256, 512_000  # bytes; as many and as long as python-tuf's client takes (ngclient/config.py)


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
    present = {name: _part(folder, "present") / f"{name}.json" for name in ("targets", roles.CHANNELS)}
    return ChangeFolder(
        folder=folder,
        change=Change.from_bytes(read_document(file)),
        roots=read_roots(folder),
        present={name: read_document(place) for name, place in present.items() if place.exists()},
        reviews=read_reviews(folder),
    )


def read_roots(folder: Path) -> tuple[bytes, ...]:
    """The chain of roots that came along, by version.

    Raises:
        FormatError: one is none, or stands under another number than its own; or they are more than any chain has.
    """
    named_so = (file for file in _part(folder, "roots").glob("*.root.json") if file.name.partition(".")[0].isdecimal())
    files = sorted((int(file.name.partition(".")[0]), file) for file in named_so)
    if len(files) > MOST_ROOTS:
        raise _too_many_roots(f"{folder} holds {len(files)} roots, and at most {MOST_ROOTS} are read.")
    chain, left = [], MAX_DOCUMENT
    for number, file in files:
        chain.append(_root(file, number))
        left -= len(chain[-1])
        if left < 0:
            raise _too_many_roots(f"{folder} holds roots of more than {MAX_DOCUMENT} bytes in all.")
    return tuple(chain)


def _root(file: Path, number: int) -> bytes:
    data = read_document(file, LONGEST_ROOT)
    with named(file.name):
        version = roles.parse(data, Root, "root").signed.version
        if version != number:
            raise FormatError(
                f"Root {version} stands under the number {number}.", remedy="Get the folder again; it is altered.", field="root"
            )
    return data


def _too_many_roots(problem: str) -> FormatError:
    return FormatError(problem, remedy="Get the folder again; it is altered.", field="roots")


def read_reviews(folder: Path) -> tuple[Review, ...]:
    """What reviewers said, in the order of their key ids.

    Raises:
        FormatError: a file is no review, or that of another key than its name says: it would stand for both; or too many.
    """
    files = sorted(_part(folder, "reviews").glob("*.json"))
    if len(files) > MOST_REVIEWS:
        raise FormatError(
            f"{folder} holds {len(files)} reviews, and at most {MOST_REVIEWS} are read.",
            remedy="Get the folder again; it is altered.",
            field="reviews",
        )
    return tuple(_review(file) for file in files)


def _part(folder: Path, name: str) -> Path:
    """A folder in a change's folder, never one elsewhere that a link names.

    Raises:
        FormatError: it is a link.
    """
    if (folder / name).is_symlink():
        raise FormatError(
            f"{folder / name} is a symbolic link.", remedy="Get the folder again, with real folders in it.", field=name
        )
    return folder / name


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


def read_document(file: Path, most: int = MAX_DOCUMENT) -> bytes:
    """A document's bytes, which are a regular file's: a link could name what only its reader may read.

    Raises:
        NotFound: it cannot be read, or is a link, a pipe or a device.
        FormatError: it is longer than any document may be.
    """
    try:
        return read_regular(file, most, links=False)
    except OSError as exc:
        kind = FormatError if exc.errno == errno.EFBIG else NotFound
        raise kind(f"{file} cannot be read: {exc.strerror}.", remedy="Get the folder again.", field=file.name) from exc


def present_in(found: ChangeFolder, newest: Metadata[Root] | None) -> Present:
    """What was current when it was made, verified under the newest root that is trusted, and of the change's own app.

    Raises:
        ThresholdNotMet: it is not fully signed by whoever that root appoints.
        VerificationError: it is another app's, which is signed well too where apps share keys.
    """
    if newest is None:
        return Present()
    targets = roles.parse(found.present.get("targets", b""), Targets, "targets")
    channels = roles.parse(found.present.get(roles.CHANNELS, b""), Targets, roles.CHANNELS)
    roles.verify(newest.signed, "targets", targets)
    roles.verify(targets.signed, roles.CHANNELS, channels)
    app_id = found.change.app_id
    roles.check_root_bound(newest.signed, app_id)
    roles.check_app_role_bound(targets.signed, app_id)
    roles.check_bound(channels.signed, app_id)
    return Present(root=newest, targets=targets, channels=channels)
