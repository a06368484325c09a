"""Open a bundle's zip: strictly, and only if its manifest says exactly what is inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mlpublish.artifacts import Bundle
from mlpublish.errors import BundleError, DigestMismatch, NotFound, VerificationError
from mlpublish.formats.archive import Archive
from mlpublish.formats.channel import ReleaseFacts
from mlpublish.formats.manifest import MANIFEST_PATH, Manifest
from mlpublish.formats.minimum_os import minimum_os
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


def held_facts(facts: ReleaseFacts, archive: Archive) -> Manifest:
    """A bundle's manifest, once everything that an app role says of the bundle beside its bytes is so.

    Raises:
        BundleError, FormatError: the archive holds no manifest, or one that is not read here.
        VerificationError: the role says of it what is not so.
    """
    manifest = read_manifest(archive)
    least = minimum_os(manifest.specification_version, facts.platform)
    said = (facts.name, facts.version, facts.unpacked_length, facts.minimum_os, facts.manifest)
    if said != (manifest.name, manifest.version, manifest.unpacked_length, least, manifest_digest(archive)):
        raise VerificationError(
            f"The app role says of release {facts.number}: {facts.name} {facts.version}, {facts.unpacked_length} bytes "
            f"unpacked, from system {facts.minimum_os}, manifest {facts.manifest[:12]}…; its bundle is {manifest.name} "
            f"{manifest.version}, {manifest.unpacked_length} bytes, from {least}, manifest {manifest_digest(archive)[:12]}….",
            remedy="Do not sign it. Ask whoever proposed it to sign the bundle again.",
            field="custom",
        )
    return manifest


def check_listed(manifest: Manifest, archive: Archive) -> None:
    """Hold a manifest against the names and lengths in an archive, without reading what the files hold.

    Raises:
        DigestMismatch: a file is missing, added, or of another length than the manifest says.
    """
    said = {str(entry.path): entry.sha256 for entry in manifest.files}
    check_contents(manifest, {entry.name: (entry.length, said.get(entry.name, "")) for entry in archive.entries})


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
