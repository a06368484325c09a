"""Bundles that are not what was signed, and well signed ones that are no bundle (docs/formats.md)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

from mlpublish.conformance.bundles import Made, bundle_of, manifest_of, zipped
from mlpublish.conformance.script import Group, Script
from mlpublish.formats.manifest import MANIFEST_PATH
from mlpublish.formats.status import UpdateStatus

group = Group("bundles")
DOWNLOADING, UNZIPPING = UpdateStatus.FAILURE_DOWNLOADING, UpdateStatus.FAILURE_UNZIPPING
_LABELS = b"files/labels.txt"


@group("One bit of the bundle is another than was signed.")
def flipped_bundle(play: Script) -> None:
    _waiting(play)
    play.forge.alter(play.forge.bundle_file(2), b"release 2", b"release 3")
    play.fails(installed=1, offered=2)


@group("The bundle is longer than was signed.")
def longer_bundle(play: Script) -> None:
    play.forge.release()
    play.forge.files[play.forge.bundle_file(1)] += bytes(1000)
    play.fails(offered=1)


@group("The bundle is shorter than was signed: it has broken off, as far as a client can tell.")
def shorter_bundle(play: Script) -> None:
    play.forge.release()
    path = play.forge.bundle_file(1)
    play.forge.files[path] = play.forge.files[path][:-100]
    play.fails(DOWNLOADING, offered=1)


@group("Another release's bundle lies in the bundle's place.")
def another_releases_bundle(play: Script) -> None:
    play.forge.release(offer=False)
    play.forge.release(2)
    play.forge.files[play.forge.bundle_file(2)] = play.forge.files[play.forge.bundle_file(1)]
    play.fails(offered=2)


@group("The bundle is not there.")
def missing_bundle(play: Script) -> None:
    _waiting(play)
    del play.forge.files[play.forge.bundle_file(2)]
    play.fails(DOWNLOADING, installed=1, offered=2)


def _slips(made: Made) -> bytes:
    return made.content.replace(_LABELS, b"../../labels.txt")


def _absolute(made: Made) -> bytes:
    return made.content.replace(_LABELS, b"/tmp//labels.txt")


def _link(made: Made) -> bytes:
    """The mode of a symbolic link in the directory; what it leads to is the file's content."""
    return made.content.replace((0o100644 << 16).to_bytes(4, "little"), (0o120777 << 16).to_bytes(4, "little"), 1)


def _another_writer(_: Made) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as writer:
        for name, content in (("files/", b""), ("files/labels.txt", b"release 2\n"), (MANIFEST_PATH, b"{}")):
            writer.writestr(zipfile.ZipInfo(name, (2024, 2, 29, 12, 0, 0)), content)
    return stream.getvalue()


def _same_for_some(_: Made) -> bytes:
    made = zipped({"files/LABELS.txt": b"LABELS\n", "files/labelz.txt": b"labels\n", MANIFEST_PATH: b"{}"})
    return made.replace(b"files/labelz.txt", b"files/labels.txt")


HOSTILE: dict[str, tuple[str, Callable[[Made], bytes]]] = {
    "no-archive": ("no archive at all", lambda _: b"no archive at all"),
    "cut-archive": ("an archive whose last byte is missing", lambda made: made.content[:-1]),
    "archive-with-more": ("an archive with a byte behind it", lambda made: made.content + b"\0"),
    "archive-behind-more": ("an archive with a byte before it", lambda made: b"\0" + made.content),
    "zip-slip": ("an archive with a name that leads out of its folder", _slips),
    "zip-absolute": ("an archive with an absolute name", _absolute),
    "zip-link": ("an archive with a symbolic link", _link),
    "zip-two-names-in-one": ("an archive in which some file systems find a name twice", _same_for_some),
    "zip-wrong-crc": (
        "an archive with a CRC that does not hold",
        lambda made: made.content.replace(b"release 2", b"release 3"),
    ),
    "zip-of-another-writer": ("an archive with folders, and with times", _another_writer),
    "zip-without-manifest": ("an archive without a manifest", lambda _: zipped({"files/labels.txt": b"release 2\n"})),
}


def _hostile(change: Callable[[Made], bytes]) -> Callable[[Script], None]:
    def play(play: Script) -> None:
        play.forge.release(2, content=change(bundle_of(2)))
        play.fails(UNZIPPING, offered=2)

    return play


for _name, (_what, _change) in HOSTILE.items():
    group.add(_name, f"What is signed as a release is {_what}.", _hostile(_change))


@group("The manifest inside is another than the one that is signed.")
def manifest_other_than_signed(play: Script) -> None:
    play.forge.release(manifest_sha256="0" * 64)
    play.fails(offered=1)


@group("The archive holds a file that its manifest does not list.")
def file_that_is_not_listed(play: Script) -> None:
    _inside(
        play, listed={"files/labels.txt": b"release 1\n"}, inside={"files/more.txt": b"x", "files/labels.txt": b"release 1\n"}
    )


@group("The manifest lists a file that the archive does not hold.")
def file_that_is_missing(play: Script) -> None:
    _inside(
        play, listed={"files/labels.txt": b"release 1\n", "files/more.txt": b"x"}, inside={"files/labels.txt": b"release 1\n"}
    )


@group("A file of the archive is another than its manifest says.")
def file_that_is_another(play: Script) -> None:
    _inside(play, listed={"files/labels.txt": b"release 1\n"}, inside={"files/labels.txt": b"release 2\n"})


def _waiting(play: Script) -> None:
    """Release 1 is in use, and release 2 waits."""
    play.forge.release()
    play.installs(1)
    play.forge.release(2)


def _inside(play: Script, *, listed: dict[str, bytes], inside: dict[str, bytes]) -> None:
    manifest = manifest_of(listed, version="1")
    content = zipped({**inside, MANIFEST_PATH: manifest.to_bytes()})
    play.forge.release(made=Made(content=content, manifest=manifest))
    play.fails(offered=1)
