"""The bundles of the cases: the smallest ones that ``bundle()`` could have made, and others that no client may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from mlpublish.formats import archive
from mlpublish.formats.manifest import MANIFEST_PATH, FileEntry, Manifest
from mlpublish.formats.wire import digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A bundle's bytes, and its manifest."""

    content: bytes
    manifest: Manifest


def bundle_of(number: int) -> Made:
    """A release's bundle: two small files."""
    files = {"files/about.txt": b"Nothing but a test.\n", "files/labels.txt": b"release %d\n" % number}
    manifest = manifest_of(files, version=str(number))
    return Made(content=zipped({**files, MANIFEST_PATH: manifest.to_bytes()}), manifest=manifest)


def manifest_of(files: Mapping[str, bytes], *, version: str) -> Manifest:
    """A manifest that lists these files."""
    entries = tuple(
        FileEntry(path=PurePosixPath(name), length=len(content), sha256=digest_of(content)) for name, content in files.items()
    )
    return Manifest(name="digits", version=version, models=(), files=entries, created_by="mlpublish conformance")


def zipped(files: Mapping[str, bytes]) -> bytes:
    """An archive as ``bundle()`` writes one."""
    with TemporaryDirectory() as folder:
        place = Path(folder, "made.zip")
        archive.write(place, list(files.items()))
        return place.read_bytes()
