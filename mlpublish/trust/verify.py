"""Verify what somebody holds in their hand, offline: a release's folder, a bundle's zip, or a bundle that was unpacked.

Nothing is executed or unpickled, no model is loaded, nothing is asked of a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Metadata, Targets

from mlpublish.artifacts import Bundle
from mlpublish.errors import BundleError, Expired, FormatError, NotFound, RecipeError
from mlpublish.formats.archive import Archive
from mlpublish.formats.channel import model_signature_path, signature_path
from mlpublish.formats.legacy_zip import LegacyArchive
from mlpublish.formats.manifest import MANIFEST_PATH, FileEntry
from mlpublish.formats.wire import MAX_DOCUMENT, digest_of
from mlpublish.reports import VerifyReport
from mlpublish.trust import roles
from mlpublish.trust.beside import MODEL_LIMIT, Beside, detached, read_beside
from mlpublish.trust.bundles import open_bundle
from mlpublish.trust.chain import Chain, follow_roots, holders_by, root_link
from mlpublish.trust.folders import read_roots
from mlpublish.trust.intents import holder
from mlpublish.trust.links import named, verified
from mlpublish.trust.model_signature import MODEL_SIGNATURE
from mlpublish.trust.pin import pin_text, read_pin, root_under
from mlpublish.trust.releases import RECORD, SignedRelease, model_signer, read_release, signature_file
from mlpublish.trust.reporting import report_on, warnings_on
from mlpublish.trust.spelling import beginning, shortened
from mlpublish.trust.trusted import Trust, root_of
from mlpublish.trust.unpacked import Unpacked, read_unpacked


def verify(
    what: Path | str,
    *,
    root: Path | str | bytes | None = None,
    pin: Path | str | None = None,
    signature: Path | str | None = None,
) -> VerifyReport:
    """Verify a release's folder, a bundle, or an unpacked bundle's folder.

    Args:
        what: the folder that ``sign()`` wrote, a bundle's zip, or the folder that it was unpacked into.
        root: a root of the app that is trusted already, such as the ``1.root.json`` that the app embeds. The ``model.sig``
            of a bare or unpacked bundle is then held against the keys of its app role.
        pin: a key that is trusted instead: its text or a file that holds it. For a release, one that signed its first root.
            For a bundle, the one that signed the signature beside it: an RSA key's ``<bundle>.zip.sig`` is over the zip,
            an ECDSA key's ``model.sig`` over the files in it.
        signature: where a bare or unpacked bundle's signature lies, if not beside it.

    Returns:
        A VerifyReport; it exists only if every link holds.

    Raises:
        NotFound: there is nothing of that kind there.
        RecipeError: a release without root or pin (there is no trust on first use); what was given does not go together.
        VerificationError: whatever is wrong with the thing, ``field`` naming the first link that is broken: ThresholdNotMet,
            Expired, DigestMismatch, or a part that is missing or cannot be read.
        NewerFormat: a document in it is of a format that this mlpublish does not know yet.
    """
    path = Path(what)
    if root is not None and pin is not None:
        raise RecipeError("A root and a pin are given.", remedy="Give one of them.", field="pin")
    trust = Trust(root=None if root is None else root_of(root), pin=None if pin is None else read_pin(pin_text(pin)))
    given = None if signature is None else Path(signature)
    if (path / RECORD).is_file():
        if given is not None:
            raise RecipeError(
                "A release brings its own signatures.", remedy="Leave --signature (signature=) out.", field="signature"
            )
        return _verify_release(path, trust)
    if given is not None and not given.is_file():
        raise NotFound(f"There is no signature {given}.", remedy="Name an existing file.", field="signature")
    if path.is_dir() and (path / MANIFEST_PATH).exists():
        return _verify_unpacked(path, trust, given)
    if not path.is_file():
        raise NotFound(
            f"{path} is no release, no bundle and no folder of an unpacked one." if path.exists() else f"There is no {path}.",
            remedy="Name a release's folder, a bundle's zip, the folder that it was unpacked into, or a repository.",
            field="what",
        )
    return _verify_bundle(path, trust, given)


def _verify_bundle(path: Path, trust: Trust, given: Path | None) -> VerifyReport:
    file = given or (signature_file(path) if trust.is_rsa else path.with_name(MODEL_SIGNATURE))
    trust.refuse_without(file, path, asked=given is not None)
    with verified():
        bundle = read_bundle(path)
        files = files_of(bundle)
        beside = _detached(bundle, file, trust.pin) if trust.pin and trust.is_rsa else trust.over(bundle.manifest, files, file)
    return VerifyReport(
        what=path,
        kind="bundle",
        bundle=bundle,
        manifest=bundle.manifest,
        files=files,
        signatures=beside.signatures,
        proven=(*beside.proven, whole(bundle)),
        not_proven=(*beside.limits, *evidence_limits(bundle)),
    )


def _verify_unpacked(folder: Path, trust: Trust, given: Path | None) -> VerifyReport:
    if trust.is_rsa:
        raise RecipeError(
            "An RSA key signs a bundle's zip, and this is an unpacked one.",
            remedy="Verify the zip with it; for unpacked files give the ECDSA key that made their model.sig, or --root.",
            field="pin",
        )
    inside, beside = folder / MODEL_SIGNATURE, folder.resolve().with_name(MODEL_SIGNATURE)
    file = given or (beside if beside.is_file() and not inside.is_file() else inside)
    trust.refuse_without(file, folder, asked=given is not None)
    with verified():
        found = read_unpacked(folder)
        shown = trust.over(found.manifest, found.files, file)
    return VerifyReport(
        what=folder,
        kind="unpacked bundle",
        manifest=found.manifest,
        files=found.files,
        signatures=shown.signatures,
        proven=(*shown.proven, f"Its files ({len(found.files) - 1}) are exactly those that its manifest lists."),
        not_proven=(*shown.limits, *evidence_limits(found)),
    )


def _verify_release(folder: Path, trust: Trust) -> VerifyReport:
    with verified():
        roots = read_roots(folder)
    trusted = _trusted(trust, roots)
    with verified():
        chain = follow_roots(trusted, roots)  # first, for a broken one is told as that, not by what it would have appointed
        signed = read_release(folder, hold=partial(_hold_role, chain))
        release, newest = signed.release, chain.newest
        beside = _beside(signed, chain, trust.pin)
        files = files_of(release.bundle)
    told = (report_on(newest.signed, "root", newest), report_on(newest.signed, "targets", signed.targets))
    return VerifyReport(
        what=folder,
        kind="release",
        bundle=release.bundle,
        manifest=release.bundle.manifest,
        files=files,
        app_id=release.app.id,
        platform=release.app.platform,
        app_versions=(release.app.version,),
        number=release.number,
        roles=told,
        signatures=beside.signatures,
        warnings=warnings_on(told, newest, signed.targets),
        proven=(
            f"The holders of the app role signed these bytes as release {release.number} of {release.app.id} "
            f"for {release.app.platform} {release.app.version}.",
            whole(release.bundle),
            *beside.proven,
        ),
        not_proven=(
            "Freshness: whether it is still the newest, or withdrawn, is said by the repository, not by this folder.",
            *beside.limits,
            *evidence_limits(release.bundle),
        ),
    )


def _hold_role(chain: Chain, targets: Metadata[Targets], app_id: str) -> None:
    """The app role's signatures, its dates and its app."""
    chain.refuse_other_app(app_id)
    with named("targets.json"):
        roles.verify(chain.newest.signed, "targets", targets)
    with named(root_link(chain.newest)):
        _refuse_expired("root", chain.newest)
    with named("targets.json"):
        _refuse_expired("targets", targets)
        roles.check_app_role_bound(targets.signed, app_id)


def _trusted(trust: Trust, roots: Sequence[bytes]) -> bytes:
    """The root to start from.

    Raises:
        RecipeError: nothing is trusted.
        VerificationError: the pinned key did not sign the first root that came along.
    """
    if trust.root is not None:
        return trust.root.to_bytes()
    if trust.pin is None:
        raise RecipeError(
            "Neither a root nor a pin is given, and there is no trust on first use.",
            remedy="Pass --root 1.root.json (the one that the app embeds) or --pin KEY; in development --repository DIR.",
            field="root",
        )
    with verified(), named("1.root.json"):
        if not roots:
            raise NotFound("The release brings no roots.", remedy="Sign it again with a current mlpublish.", field="roots")
        return root_under(trust.pin, roots[0])


def _beside(signed: SignedRelease, chain: Chain, pin: SSlibKey | None) -> Beside:
    """What the signatures beside a release's bundle show, and what they do not."""
    bundle, number = signed.release.bundle, signed.release.number
    shown = model_signature_of(signed.beside.get(model_signature_path(number)), bundle, chain)
    file = signature_file(bundle.path)
    if signature_path(number) not in signed.targets.signed.targets and not file.is_file():
        return shown
    if pin is None or pin.keytype != "rsa":
        return shown + unheld(file.name)
    return shown + of_a_release(_detached(bundle, file, pin), file.name)


def _detached(bundle: Bundle, file: Path, pin: SSlibKey) -> Beside:
    return detached(bundle, file.name, read_beside(file, "--legacy-key"), pin)


def unheld(name: str) -> Beside:
    """A detached signature that there is no key for."""
    return Beside(limits=(f"{name}: it is held against the pinned RSA key only, with --pin.",))


def of_a_release(shown: Beside, name: str) -> Beside:
    """The same of a bundle whose app and release are signed by others: its limits hold for who knows nothing of those."""
    return replace(shown, limits=(f"{name} by itself: a client that knows only it learns neither freshness nor the app.",))


def model_signature_of(signature: bytes | None, bundle: Bundle, chain: Chain) -> Beside:
    """What a release's ``model.sig`` shows; by whom it is, the trusted root and those after it say, and none that came before.

    Keys are compared, never their ids: a root may list any key under any id.

    Raises:
        VerificationError, FormatError: see ``model_signer``.
    """
    held, before = (holders_by(each.signed for each in part) for part in (chain.held, chain.before))
    key, newest = model_signer(signature, bundle, (*held, *before)), chain.newest.signed
    if key is None:
        return Beside()
    if key not in held:
        gone = f"{MODEL_SIGNATURE}: none of the keys made it that held the app role since root {chain.held[0].signed.version}."
        return Beside(limits=(gone, MODEL_LIMIT))
    signatures = MappingProxyType({MODEL_SIGNATURE: key.keyid})
    if key in holders_by([newest]):
        told = f"{MODEL_SIGNATURE}: {holder(key)}, a holder of the app role, signed every file of the unpacked bundle."
        return Beside(proven=(told,), limits=(MODEL_LIMIT,), signatures=signatures)
    gone = f"{MODEL_SIGNATURE}: its key {beginning(key.keyid)} is none of the app role's by root {newest.version}."
    return Beside(limits=(gone, MODEL_LIMIT), signatures=signatures)


def read_bundle(path: Path) -> Bundle:
    """Read a bundle whole; what is wrong in it is named: a file of it, its manifest, or the zip."""
    try:
        with named(path.name):
            return open_bundle(path)
    except FormatError as exc:
        exc.field = MANIFEST_PATH
        raise
    except BundleError as exc:
        if _is_plain_zip(path):
            raise BundleError(_PLAIN, remedy=_OF_A_PLAIN, field=exc.field) from exc
        raise


def _is_plain_zip(path: Path) -> bool:
    """Whether somebody zipped files that no manifest lists."""
    try:
        with path.open("rb") as stream:
            return all(entry.name != MANIFEST_PATH for entry in LegacyArchive.read(stream).entries)
    except BundleError:
        return False


_PLAIN = "It is a plain zip and no bundle: no manifest says what is in it."
_OF_A_PLAIN = (
    "Put the model into a bundle (mlpublish convert, mlpublish bundle); or, if it is a zip of the predecessor's that a pinned "
    "RSA key signed, let a device verify it: mlpublish check --legacy-zip --pin KEY --at ZIP."
)


def files_of(bundle: Bundle) -> tuple[FileEntry, ...]:
    """Every file of a bundle that was read whole, its manifest last."""
    with bundle.path.open("rb") as stream:
        content = Archive.read(stream).content(MANIFEST_PATH, at_most=MAX_DOCUMENT)
    last = FileEntry(path=PurePosixPath(MANIFEST_PATH), length=len(content), sha256=digest_of(content))
    return (*bundle.manifest.files, last)


def whole(bundle: Bundle) -> str:
    """What reading a bundle shows, without anybody's signature."""
    return f"The zip is whole, and its files ({len(bundle.manifest.files)}) are exactly those that its manifest lists."


def _refuse_expired(name: str, role: Metadata[roles.S]) -> None:
    if role.signed.is_expired(roles.now()):
        raise Expired(
            f"The {name} role expired on {role.signed.expires:%Y-%m-%d}.",
            remedy="Take a newer release, or have the role's holders sign it again.",
            field=name,
        )


def evidence_limits(bundle: Bundle | Unpacked) -> tuple[str, ...]:
    """What the evidence inside does not show, model by model."""
    limits = []
    for model in bundle.manifest.models:
        if model.parity is None:
            limits.append(f"{model.name}: it carries no evidence that it answers as its source does.")
            continue
        # whoever made the bundle chose that text, so even the right one proves nothing
        why = "as the bundle says" if "macOS" in model.parity.executor else "not from Apple's runtime"
        limits.append(f"{model.name}: its evidence comes from {shortened(model.parity.executor)}, {why}.")
    return tuple(limits)
