"""The verb ``verify``: hold a release or a bundle against a trusted root, offline, and say what that proves and what not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root

from mlpublish.artifacts import Bundle
from mlpublish.errors import Expired, NotFound, RecipeError, VerificationError
from mlpublish.formats.channel import signature_path
from mlpublish.reports import VerifyReport
from mlpublish.trust import roles
from mlpublish.trust.bundles import open_bundle
from mlpublish.trust.detached import verify_detached
from mlpublish.trust.folders import read_document
from mlpublish.trust.pin import pin_text, read_pin, root_under
from mlpublish.trust.releases import SignedRelease, read_release, signature_file
from mlpublish.trust.reporting import report_on
from mlpublish.trust.spelling import shortened


def verify(what: Path | str, *, root: Path | str | bytes | None = None, pin: Path | str | None = None) -> VerifyReport:
    """Verify a release's folder, or a bundle. No network; nothing is executed or unpickled.

    Args:
        what: the folder that ``sign()`` wrote, or a bundle's zip.
        root: a root of the app that is trusted already, such as the ``1.root.json`` that the app embeds.
        pin: the predecessor's pinned key instead: its base64 text or a file that holds it. The detached signature beside the
            bundle (``<bundle>.zip.sig``) is then held against it too; of a bare bundle that is all that can be verified.

    Returns:
        A VerifyReport; it exists only if every link holds.

    Raises:
        NotFound: there is nothing of that kind there.
        RecipeError: a release without root or pin (there is no trust on first use).
        VerificationError: ThresholdNotMet, Expired or DigestMismatch name the first broken link; a detached signature is
            missing.
        BundleError, FormatError: the zip or a document is broken.
    """
    path = Path(what)
    if not path.exists():
        raise NotFound(f"There is no {path}.", remedy="Name a release's folder or a bundle's zip.", field="what")
    if root is not None and pin is not None:
        raise RecipeError("A root and a pin are given.", remedy="Give one of them.", field="pin")
    if path.is_dir():
        return _verify_release(path, root, pin)
    if root is not None:
        raise RecipeError(
            f"{path} is a bare bundle, and no root signs one.",
            remedy="Verify the release folder that mlpublish sign wrote; or pass --pin KEY, for the signature beside it; or "
            "neither, to check contents only.",
            field="what",
        )
    return _verify_bundle(path, pin)


def _verify_bundle(path: Path, pin: Path | str | None) -> VerifyReport:
    bundle = open_bundle(path)
    signed = () if pin is None else (_pin_signed(bundle, read_pin(pin_text(pin))),)
    limits = ("Nobody's signature was checked: a bare bundle carries none.",) if pin is None else _DETACHED_LIMITS
    return VerifyReport(
        what=path,
        kind="bundle",
        bundle=bundle,
        app=None,
        number=None,
        roles=(),
        proven=(*signed, f"The zip is whole, and its {len(bundle.manifest.files)} files are those that its manifest lists."),
        not_proven=(*limits, *evidence_limits(bundle)),
    )


_DETACHED_LIMITS = (
    "Freshness: a detached signature holds for ever, also of a bundle that was withdrawn or replaced.",
    "The app: it does not say for which app, app version or platform the bundle is, nor as which release.",
)


def _verify_release(folder: Path, root: Path | str | bytes | None, pin: Path | str | None) -> VerifyReport:
    signed = read_release(folder)
    trusted = _trusted(root, pin, signed.roots)
    app_id = signed.release.app.id
    newest = follow_roots(trusted, signed.roots, app_id)
    roles.verify(newest.signed, "targets", signed.targets)
    _refuse_expired("root", newest)
    _refuse_expired("targets", signed.targets)
    roles.check_app_role_bound(signed.targets.signed, app_id)
    release = signed.release
    detached, unchecked = _beside(signed, pin)
    return VerifyReport(
        what=folder,
        kind="release",
        bundle=release.bundle,
        app=release.app,
        number=release.number,
        roles=(report_on(newest.signed, "root", newest), report_on(newest.signed, "targets", signed.targets)),
        proven=(
            f"The holders of the app role signed these bytes as release {release.number} of {release.app.id} "
            f"for {release.app.platform} {release.app.version}.",
            f"The zip is whole, and its {len(release.bundle.manifest.files)} files are those that its manifest lists.",
            *detached,
        ),
        not_proven=(
            "Freshness: whether it is still the newest, or withdrawn, is said by the repository, not by this folder.",
            *unchecked,
            *evidence_limits(release.bundle),
        ),
    )


def _beside(signed: SignedRelease, pin: Path | str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the detached signature beside a release's bundle shows, and what it does not."""
    bundle, named = signed.release.bundle, signature_path(signed.release.number) in signed.targets.signed.targets
    if not named and not signature_file(bundle.path).is_file():
        return (), ()
    file = signature_file(bundle.path).name
    if pin is None:
        return (), (f"{file}: it is held against the pinned key only, with --pin.",)
    limit = f"{file} by itself: a client that knows only it learns neither freshness nor the app."
    return (_pin_signed(bundle, read_pin(pin_text(pin))),), (limit,)


def _pin_signed(bundle: Bundle, pin: Key) -> str:
    """Hold a bundle against the detached signature beside it.

    Raises:
        VerificationError: there is none; DigestMismatch, that it is not the pin's over these bytes.
    """
    file = signature_file(bundle.path)
    if not file.is_file():
        raise VerificationError(
            f"There is no {file}, and a bundle by itself carries no signature.",
            remedy=f"Put the signature that mlpublish sign --legacy-key wrote beside it, as {file.name}.",
            field="signature",
        )
    verify_detached(bundle.path, read_document(file), pin)
    return f"The pinned key {pin.keyid[:12]} signed these bytes ({file.name})."


def _trusted(root: Path | str | bytes | None, pin: Path | str | None, roots: Sequence[bytes]) -> bytes:
    if isinstance(root, bytes):
        return root
    if root is not None:
        return _bytes_of(Path(root), "root")
    if pin is None:
        raise RecipeError(
            "Neither a root nor a pin is given, and there is no trust on first use.",
            remedy="Pass --root 1.root.json (the one that the app embeds) or --pin KEY; in development --repository DIR.",
            field="root",
        )
    if not roots:
        raise NotFound("The release brings no roots.", remedy="Sign it again with a current mlpublish.", field="roots")
    return root_under(read_pin(pin_text(pin)), roots[0])


def follow_roots(trusted: bytes, roots: Sequence[bytes], app_id: str | None = None) -> Metadata[Root]:
    """From the trusted root to the newest of the chain, each signed by its predecessor's keys and its own.

    Args:
        app_id: whose roots they must be.

    Raises:
        ThresholdNotMet: one is not signed so.
        VerificationError: one is another app's.
    """
    present = roles.parse(trusted, Root, "root")
    roles.verify(present.signed, "root", present)
    chain = [present]
    for data in roots:
        following = roles.parse(data, Root, "root")
        if following.signed.version == present.signed.version + 1:
            roles.verify(present.signed, "root", following)
            roles.verify(following.signed, "root", following)
            present = following
            chain.append(present)
    if app_id is not None:
        for each in chain:
            roles.check_root_bound(each.signed, app_id)
    return present


def _refuse_expired(name: str, role: Metadata[roles.S]) -> None:
    if role.signed.is_expired(roles.now()):
        raise Expired(
            f"The {name} role expired on {role.signed.expires:%Y-%m-%d}.",
            remedy="Take a newer release, or have the role's holders sign it again.",
            field=name,
        )


def evidence_limits(bundle: Bundle) -> tuple[str, ...]:
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


def _bytes_of(file: Path, field: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        raise NotFound(f"{file} cannot be read: {exc.strerror}.", remedy="Name an existing file.", field=field) from exc
