"""A release on disk: a folder that holds the bundle, the signed app role, the chain of roots, and ``release.json``.

    DIR/{release.json, <name>-<version>.zip, targets.json, roots/<n>.root.json}
    DIR/{change.json, present/…, reviews/<key id>.json}      (folders.py: it is a change, which others may have to sign)
    DIR/<name>-<version>.zip.sig                             (detached.py: for clients that know nothing of TUF, if asked for)
    DIR/model.sig                                            (model_signature.py: if the key that signed first is ECDSA P-256)

``release.json`` only says where to look; everything in it is held against the signed role when it is read. The role and the
change must say the same, because it is the role that is verified, and the change that is handed in.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from securesystemslib.signer import Key, Signature
from tuf.api.metadata import Metadata, TargetFile, Targets

from mlpublish.artifacts import App, Bundle, Release
from mlpublish.errors import BundleError, DigestMismatch, FormatError, NotFound, SigningError, VerificationError
from mlpublish.formats.archive import Archive
from mlpublish.formats.channel import ReleaseFacts, beside_paths, bundle_path, model_signature_path
from mlpublish.formats.wire import Reader, digest_of, digest_of_stream, dump
from mlpublish.trust import roles
from mlpublish.trust.approval import Present
from mlpublish.trust.bundles import held_facts, open_bundle
from mlpublish.trust.chain import follow_roots, holders_by
from mlpublish.trust.changes import Change, Review
from mlpublish.trust.folders import CHANGE, ChangeFolder, read_change, read_document, read_roots, write_change
from mlpublish.trust.links import named
from mlpublish.trust.model_signature import MODEL_SIGNATURE, contents_of, name_of, verify_model_signature

RECORD = "release.json"
DETACHED = ".sig"  # after the bundle's own name
RELEASE_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRelease:
    """A release with what signs it, read but not yet held against a trusted root.

    Args:
        targets: the app role that names the release.
        metadata: its bytes.
        roots: the chain of roots that came with it, by version.
        change: the change that it is; None in a folder that an mlpublish before 0.2 wrote.
        beside: target path -> bytes of what lies beside the bundle, each as the role names it; who made a ``model.sig``
            among them, the roots that came along cannot say (``model_signer``, with keys that are trusted).
    """

    release: Release
    targets: Metadata[Targets]
    metadata: bytes
    roots: tuple[bytes, ...]
    change: ChangeFolder | None = None
    beside: Mapping[str, bytes]


def write_release(
    folder: Path,
    *,
    bundle: Bundle,
    app: App,
    number: int,
    change: Change,
    review: Review,
    present: Present,
    roots: Sequence[bytes],
    beside: Mapping[str, bytes],
    model_signed_by: str | None = None,
) -> Release:
    """Write a release's folder in one step.

    Args:
        change: the edit of the app role that names the release.
        review: the signature of whoever makes it.
        present: what was current when it was made.
        roots: the chain of roots.
        beside: target path -> bytes of what lies beside the bundle.
        model_signed_by: whose ``model.sig`` is among them.

    Raises:
        SigningError: something else stands there.
    """
    base = change.edits["targets"].base
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".release-", dir=folder.parent) as scratch:
        made = Path(scratch, "release")
        made.mkdir()
        shutil.copyfile(bundle.path, made / bundle.path.name)
        (made / "targets.json").write_bytes(change.signed_with((review,))["targets"].metadata)
        write_change(made, change, roots=roots, present=present, reviews=(review,))
        for path, content in beside.items():
            beside_file(made / bundle.path.name, path).write_bytes(content)
        (made / RECORD).write_bytes(_record(bundle, app, number, base))
        _settle(made, folder)
    moved = Bundle(path=folder / bundle.path.name, manifest=bundle.manifest, length=bundle.length, sha256=bundle.sha256)
    return Release(folder=folder, app=app, number=number, bundle=moved, base=base, model_signed_by=model_signed_by)


def read_release(
    folder: Path,
    on_bytes: Callable[[int], None] = lambda _: None,
    hold: Callable[[Metadata[Targets], str], None] = lambda _role, _app_id: None,
) -> SignedRelease:
    """Read a release's folder; the bundle is read whole and held against the role that names it, and so is what lies beside.

    Args:
        on_bytes: see ``open_bundle``.
        hold: gets the role and whose it shall be before its word is held against anything: verify it here.

    Raises:
        NotFound: the folder is no release, or what the role names is not there.
        FormatError, BundleError: a part of it is broken; ``field`` names the file.
        DigestMismatch: a file is not the one that was signed.
        VerificationError: the role says of the bundle what is not so, the roots are no chain, or none of the keys that they
            name made its model.sig.
    """
    if not (folder / RECORD).is_file():
        raise NotFound(f"{folder} is no release.", remedy="Name the folder that mlpublish sign wrote.", field="release")
    with named(RECORD):
        reader = Reader.parse(read_document(folder / RECORD), what=RECORD)
        reader.version("format", known=RELEASE_FORMAT)
        app = App(id=reader.text("app"), platform=reader.text("platform"), version=reader.text("app_version"))
        number, base = reader.whole_number("number", least=1), reader.whole_number("base", least=1)
        file = folder / reader.relative_path("bundle")
    with named("targets.json"):
        targets = roles.parse(read_document(folder / "targets.json"), Targets, "targets")
        facts_in(targets.signed, number)
    with named(CHANGE):
        change = read_change(folder) if (folder / CHANGE).is_file() else None
        if change is not None:
            _countersign(targets, change)
    roots = read_roots(folder)
    hold(targets, app.id)
    with named(file.name):
        bundle = held_bundle(targets.signed, number, file, on_bytes)
        _hold_app(facts_in(targets.signed, number), app)
    beside = held_beside(targets.signed, number, file)
    chain = follow_roots(roots[0], roots).held if roots else ()
    holders = holders_by(each.signed for each in chain)  # by nobody's word: enough to find a slip before anything is sent
    model_signer(beside.get(model_signature_path(number)), bundle, holders)
    return SignedRelease(
        release=Release(folder=folder, app=app, number=number, bundle=bundle, base=base),
        targets=targets,
        metadata=targets.to_bytes(),
        roots=roots,
        change=change,
        beside=beside,
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


def held_bundle(targets: Targets, number: int, file: Path, on_bytes: Callable[[int], None] = lambda _: None) -> Bundle:
    """A bundle, once it is byte for byte what a role signs as a release, and everything that the role says of it is so.

    Args:
        on_bytes: see ``open_bundle``.

    Raises:
        DigestMismatch: its bytes are others.
        BundleError, FormatError: it is no bundle.
        VerificationError: the role says of it what is not so.
    """
    bundle = _opened(file, targets, number, on_bytes)
    facts, target = facts_in(targets, number), targets.targets[bundle_path(number)]
    if target.hashes.get("sha256") != bundle.sha256 or target.length != bundle.length:
        raise _other_bytes(number, bundle.sha256, target)
    with file.open("rb") as stream:
        held_facts(facts, Archive.read(stream))
    return bundle


def held_beside(targets: Targets, number: int, bundle: Path) -> dict[str, bytes]:
    """What a role names beside a bundle, by target path; what lies there and no role names is nobody's to hand on.

    A detached signature may be missing: whoever asks for it has the pin to ask with (``verify``).

    Raises:
        NotFound: there is no model.sig, or something is no regular file.
        DigestMismatch: it is another.
    """
    found = {}
    for path in beside_paths(number):
        file, target = beside_file(bundle, path), targets.targets.get(path)
        if target is not None and (file.is_file() or path == model_signature_path(number)):
            with named(file.name):
                found[path] = _held(file, target, number)
    return found


def _held(file: Path, target: TargetFile, number: int) -> bytes:
    content = read_document(file)
    if target.hashes.get("sha256") != digest_of(content):
        raise DigestMismatch(
            f"{file.name} is not the signature that the app role names for release {number}.",
            remedy="Get the release again from where it was made.",
            field=file.name,
        )
    return content


def model_signer(signature: bytes | None, bundle: Bundle, keys: Iterable[Key]) -> Key | None:
    """Whose ``model.sig`` a release has, once it holds over what is in the bundle; None for a release without one.

    Raises:
        VerificationError: it does not hold, or none of the keys signed it; DigestMismatch, that it lists other files.
        FormatError: it is none.
    """
    if signature is None:
        return None
    with named(MODEL_SIGNATURE):
        return verify_model_signature(signature, contents_of(bundle), keys, name=name_of(bundle))


def beside_file(bundle: Path, path: str) -> Path:
    """Where the bytes of a target lie that is beside a bundle."""
    return bundle.with_name(MODEL_SIGNATURE) if path.endswith(f"/{MODEL_SIGNATURE}") else signature_file(bundle)


def signature_file(bundle: Path) -> Path:
    """Where the detached signature of a bundle lies, if it has one."""
    return bundle.with_name(f"{bundle.name}{DETACHED}")


def _countersign(targets: Metadata[Targets], found: ChangeFolder) -> None:
    """Give the role the signatures of the reviews that lie beside it; what they are worth, verification says.

    Raises:
        VerificationError: the change is of another role than the one that is there.
    """
    change = found.change
    proposed = change.targets()
    if proposed is None or set(change.edits) != {"targets"} or proposed.signed_bytes != targets.signed_bytes:
        raise VerificationError(
            f"change.json ({change.id}) and targets.json do not say the same.",
            remedy="Do not publish it. Get the release again from where it was made, or sign the bundle again.",
            field="change",
        )
    for review in found.reviews:
        of_this = (review.app_id, review.change_id) == (change.app_id, change.id)
        if of_this and review.verdict == "approve" and review.digests.get("targets") == change.digests["targets"]:
            targets.signatures.setdefault(review.keyid, Signature(review.keyid, review.signatures["targets"]))


def _opened(file: Path, targets: Targets, number: int, on_bytes: Callable[[int], None]) -> Bundle:
    """The bundle. A zip that is broken because somebody altered it is a matter of trust, whatever its reader says."""
    if not file.is_file():  # a pipe in a folder that was handed over is not waited for
        raise NotFound(f"There is no bundle {file}.", remedy="Get the whole folder again.", field="bundle")
    try:
        return open_bundle(file, on_bytes)
    except (BundleError, FormatError) as exc:
        with file.open("rb") as stream:
            found = digest_of_stream(stream)
        target = targets.targets.get(bundle_path(number))
        if target is None or found == target.hashes["sha256"]:
            raise
        raise _other_bytes(number, found, target) from exc


def _hold_app(facts: ReleaseFacts, app: App) -> None:
    if (facts.app_id, facts.platform) != (app.id, app.platform) or app.version not in facts.app_versions:
        raise VerificationError(
            f"Release {facts.number} is signed for {facts.app_id} {', '.join(facts.app_versions)} on {facts.platform}.",
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


def _settle(made: Path, folder: Path) -> None:
    """Move the new folder into place; an earlier release that was written there is replaced, nothing else is."""
    if folder.is_dir() and (folder / RECORD).is_file():
        shutil.rmtree(folder)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    if folder.exists():
        raise SigningError(f"{folder} exists and is no release.", remedy="Name a new folder with -o (out=).", field="out")
    made.rename(folder)
