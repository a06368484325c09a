"""A release on disk: a folder that holds the bundle, the signed app role, the chain of roots, and ``release.json``.

    DIR/{release.json, <name>-<version>.zip, targets.json, roots/<n>.root.json}

``release.json`` only says where to look; everything in it is held against the signed role when it is read.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from mlpublish.artifacts import App, Bundle, Release
from mlpublish.errors import BundleError, DigestMismatch, FormatError, NotFound, SigningError, VerificationError
from mlpublish.formats.channel import ReleaseFacts, bundle_path
from mlpublish.formats.wire import Reader, digest_of_stream, dump
from mlpublish.trust import roles
from mlpublish.trust.bundles import open_bundle

RECORD = "release.json"
RELEASE_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRelease:
    """A release with what signs it, read but not yet held against a trusted root.

    Args:
        targets: the app role that names the release.
        metadata: its bytes.
        roots: the chain of roots that came with it, by version.
    """

    release: Release
    targets: Metadata[Targets]
    metadata: bytes
    roots: tuple[bytes, ...]


def write_release(
    folder: Path, *, bundle: Bundle, app: App, number: int, base: int, role: Metadata[Targets], roots: Sequence[bytes]
) -> Release:
    """Write a release's folder in one step.

    Raises:
        SigningError: something else stands there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".release-", dir=folder.parent) as scratch:
        made = Path(scratch, "release")
        (made / "roots").mkdir(parents=True)
        shutil.copyfile(bundle.path, made / bundle.path.name)
        (made / "targets.json").write_bytes(role.to_bytes())
        for data in roots:
            (made / "roots" / f"{roles.parse(data, Root, 'root').signed.version}.root.json").write_bytes(data)
        (made / RECORD).write_bytes(_record(bundle, app, number, base))
        _settle(made, folder)
    moved = Bundle(path=folder / bundle.path.name, manifest=bundle.manifest, length=bundle.length, sha256=bundle.sha256)
    return Release(folder=folder, app=app, number=number, bundle=moved, base=base)


def read_release(folder: Path) -> SignedRelease:
    """Read a release's folder; the bundle is read whole and held against the role that names it.

    Raises:
        NotFound: the folder is no release.
        FormatError, BundleError: a part of it is broken.
        DigestMismatch: the bundle is not the one that was signed.
    """
    if not (folder / RECORD).is_file():
        raise NotFound(f"{folder} is no release.", remedy="Name the folder that mlpublish sign wrote.", field="release")
    reader = Reader.parse((folder / RECORD).read_bytes(), what=RECORD)
    reader.version("format", known=RELEASE_FORMAT)
    app = App(id=reader.text("app"), platform=reader.text("platform"), version=reader.text("app_version"))
    metadata = _read(folder / "targets.json")
    targets = roles.parse(metadata, Targets, "targets")
    number = reader.whole_number("number", least=1)
    bundle = _opened(folder / reader.relative_path("bundle"), targets.signed, number)
    _hold(targets.signed, bundle, app, number)
    roots = [file for file in (folder / "roots").glob("*.root.json") if file.name.partition(".")[0].isdecimal()]
    return SignedRelease(
        release=Release(folder=folder, app=app, number=number, bundle=bundle, base=reader.whole_number("base", least=1)),
        targets=targets,
        metadata=metadata,
        roots=tuple(file.read_bytes() for file in sorted(roots, key=lambda file: int(file.name.partition(".")[0]))),
    )


def facts_in(targets: Targets, number: int) -> ReleaseFacts:
    """What an app role says of one release.

    Raises:
        VerificationError: it names no such release.
    """
    facts = roles.releases_of(targets).get(number)
    if facts is None:
        raise VerificationError(
            f"The app role does not name release {number}.",
            remedy="Get the release again from where it was made.",
            field="number",
        )
    return facts


def _opened(file: Path, targets: Targets, number: int) -> Bundle:
    """The bundle. A zip that is broken because somebody altered it is a matter of trust, whatever its reader says."""
    try:
        return open_bundle(file)
    except (BundleError, FormatError) as exc:
        with file.open("rb") as stream:
            found = digest_of_stream(stream)
        target = targets.targets.get(bundle_path(number))
        if target is None or found == target.hashes["sha256"]:
            raise
        raise _other_bytes(number, found, target) from exc


def _hold(targets: Targets, bundle: Bundle, app: App, number: int) -> None:
    """The signed role must say of the bundle exactly what the bundle is."""
    facts, target = facts_in(targets, number), targets.targets[bundle_path(number)]
    if target.hashes["sha256"] != bundle.sha256 or target.length != bundle.length:
        raise _other_bytes(number, bundle.sha256, target)
    if (facts.app_id, facts.platform) != (app.id, app.platform) or app.version not in facts.app_versions:
        raise VerificationError(
            f"Release {number} is signed for {facts.app_id} {', '.join(facts.app_versions)} on {facts.platform}.",
            remedy="Publish it for the app that it was signed for.",
            field="app",
        )


def _other_bytes(number: int, found: str, target: TargetFile) -> DigestMismatch:
    return DigestMismatch(
        f"The bundle (sha256 {found[:12]}…) is not the one that was signed as release {number} "
        f"(sha256 {target.hashes['sha256'][:12]}…).",
        remedy="Get the release again from where it was made, or sign this bundle.",
        field="bundle",
    )


def _record(bundle: Bundle, app: App, number: int, base: int) -> bytes:
    return dump(
        {
            "format": RELEASE_FORMAT,
            "app": app.id,
            "app_version": app.version,
            "platform": app.platform,
            "number": number,
            "base": base,
            "bundle": bundle.path.name,
        }
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        raise NotFound(f"{file} cannot be read: {exc.strerror}.", remedy="Get the release again.", field=file.name) from exc


def _settle(made: Path, folder: Path) -> None:
    """Move the new folder into place; an earlier release that was written there is replaced, nothing else is."""
    if folder.is_dir() and (folder / RECORD).is_file():
        shutil.rmtree(folder)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    if folder.exists():
        raise SigningError(f"{folder} exists and is no release.", remedy="Name a new folder with -o (out=).", field="out")
    made.rename(folder)
