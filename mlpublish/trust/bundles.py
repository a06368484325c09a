"""Open a bundle's zip: strictly, and only if its manifest says exactly what is inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mlpublish.artifacts import Bundle
from mlpublish.errors import BundleError, DigestMismatch, NotFound
from mlpublish.formats.archive import Archive
from mlpublish.formats.manifest import MANIFEST_PATH, Manifest
from mlpublish.formats.wire import MAX_DOCUMENT, digest_of


def open_bundle(path: Path, on_bytes: Callable[[int], None] = lambda _: None) -> Bundle:
    """Read a bundle whole, and once: structure, every CRC, every digest, and the zip's own.

    Args:
        path: the zip.
        on_bytes: called with the length of each piece that was read.

    Raises:
        NotFound: there is no such file.
        BundleError: the zip is not one that ``bundle()`` writes.
        DigestMismatch: the manifest does not say what is inside.
        FormatError: the manifest is none, or of a newer format.
    """
    try:
        stream = path.open("rb")
    except OSError as exc:
        raise NotFound(f"{path} cannot be read: {exc.strerror}.", remedy="Name a bundle's zip.", field="bundle") from exc
    with stream:
        archive = Archive.read(stream)
        manifest = read_manifest(archive)
        digests, sha256 = archive.all_digests(on_bytes)
    check_contents(manifest, digests)
    return Bundle(path=path, manifest=manifest, length=archive.length, sha256=sha256)


def read_manifest(archive: Archive) -> Manifest:
    """The manifest of an archive, which stands last.

    Raises:
        BundleError: there is none.
        FormatError: it is none, or of a newer format.
    """
    if not archive.entries or archive.entries[-1].name != MANIFEST_PATH:
        raise BundleError(
            "The archive is refused: it holds no manifest.json.", remedy="Make it with mlpublish bundle, not with zip."
        )
    return Manifest.from_bytes(archive.content(MANIFEST_PATH, at_most=MAX_DOCUMENT))


def manifest_digest(archive: Archive) -> str:
    """sha256 of the manifest as it stands there: a member that this version does not know counts too."""
    return digest_of(archive.content(MANIFEST_PATH, at_most=MAX_DOCUMENT))


def check_contents(manifest: Manifest, found: Mapping[str, tuple[int, str]]) -> None:
    """Hold a manifest against what an archive or a folder really holds, name by name.

    Raises:
        DigestMismatch: a file is missing, added, or other than the manifest says.
    """
    listed = {str(entry.path): (entry.length, entry.sha256) for entry in manifest.files}
    present = {name: what for name, what in found.items() if name != MANIFEST_PATH}
    for name in sorted(listed.keys() | present.keys()):
        if listed.get(name) != present.get(name):
            how = "missing" if name not in present else "not listed in the manifest" if name not in listed else "altered"
            raise DigestMismatch(f"The file {name} of the bundle is {how}.", remedy="Get the bundle again.", field=name)
    for model in manifest.models:
        if not any(name == str(model.path) or name.startswith(f"{model.path}/") for name in listed):
            raise DigestMismatch(f"The model {model.name} is not in the bundle.", remedy="Get it again.", field=model.name)
