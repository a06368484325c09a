"""The verb ``sign``: a bundle becomes a numbered release of an app, named by the app role's next version."""

from __future__ import annotations

from pathlib import Path

from securesystemslib.signer import Key
from tuf.api.metadata import Root

from mlpublish.artifacts import App, Bundle, Release
from mlpublish.errors import AlreadyPublished, RecipeError
from mlpublish.formats.channel import ReleaseFacts, beside_paths, bundle_path, model_signature_path, signature_path
from mlpublish.formats.manifest import MANIFEST_PATH, Manifest
from mlpublish.formats.minimum_os import minimum_os
from mlpublish.repository import defaults
from mlpublish.repository.access import access
from mlpublish.repository.edits import edits_for
from mlpublish.repository.head import Head, Read, target_in
from mlpublish.trust import roles
from mlpublish.trust.bundles import open_bundle
from mlpublish.trust.chain import holders_by
from mlpublish.trust.changes import Change, reviewed
from mlpublish.trust.detached import sign_detached
from mlpublish.trust.intents import Intent
from mlpublish.trust.model_signature import contents_of, name_of, sign_model, signs_models
from mlpublish.trust.releases import model_signer, write_release
from mlpublish.trust.signer import Signer, signer_for


def sign(
    bundle: Bundle | Path | str,
    *,
    repository: Path | str | None = None,
    app: App,
    signer: Signer | str | None = None,
    number: int | None = None,
    legacy: Signer | str | None = None,
    out: Path | str | None = None,
    root: Path | str | bytes | None = None,
) -> Release:
    """Write the app role's next version, which names this bundle, with one signature.

    Where the app role needs more signatures than this one, the release is a *change*: ``publish()`` hands it in, and it is
    committed once enough of the role's other holders have signed it (``mlpublish review``).

    Args:
        bundle: what ``bundle()`` made, or its zip; its bytes are not changed.
        repository: where the app's current role is read from: a development folder (which makes the app's own repository
            the first time it meets the app), a folder that holds ``<app id>/…``, or a server's URL. Nothing else is
            written there. By default MLPUBLISH_REPOSITORY or mlpublish.toml says.
        app: the app version this release is for; it is part of what is signed.
        signer: a Signer, or a key URI such as ``file:key.pem``; by default the development folder's. An ECDSA P-256 key signs
            a second time, for the ``model.sig`` (OpenSSF Model Signing) beside the bundle of a new release.
        number: the release number; by default the highest known plus one, or the number that these very bytes have.
        legacy: a key of the predecessor's kind (RSA), whose detached signature is put beside the bundle as
            ``<bundle>.zip.sig``, and published with it, for clients that know nothing of TUF. It proves the bytes only.
        out: the folder to write; by default ``<name>-<version>-release-<n>`` in the current folder.
        root: the app's trusted root; by default mlpublish.toml's, or the development folder's.

    Returns:
        A Release, on disk a folder: the bundle, the signed role and the chain of roots.

    Raises:
        SigningError: the key could not be opened, or does not hold the role.
        AlreadyPublished: the number stands for other bytes already.
        RecipeError: no repository is configured, or no root of the app is trusted here.
        NotFound: the app has no repository there.
    """
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(Path(bundle))
    head, read = _current(app.id, defaults.repository_for(repository), root)
    holder = defaults.signer_of("targets", signer, defaults.development_among(defaults.repository_for(repository)))
    roles.must_hold(holder, head.root.signed, "targets")
    chosen = _number(head, app, opened, number)
    facts = describe(opened.manifest, app=app, number=chosen, digest=contents_of(opened)[MANIFEST_PATH])
    beside = _beside(head, read, opened, chosen, holder, legacy)
    signed_by = model_signer(beside.get(model_signature_path(chosen)), opened, _holders(head))
    added = [roles.described(bundle_path(chosen), opened.length, opened.sha256, facts.to_dict())]
    added += [roles.target_file(path, content) for path, content in beside.items()]
    intent = Intent(kind="release", release=chosen)
    change = Change(
        app_id=app.id,
        intent=intent,
        proposed_by=holder.public_key.keyid,
        edits=edits_for(intent, head, read, added=added),
    )
    stem = f"{opened.manifest.name}-{opened.manifest.version}-release-{chosen}"
    return write_release(
        Path.cwd() / stem if out is None else Path(out),
        bundle=opened,
        app=app,
        number=chosen,
        change=change,
        review=reviewed(change, ("targets",), holder),
        present=head.present,
        roots=head.roots,
        beside=beside,
        model_signed_by=None if signed_by is None else signed_by.keyid,
    )


def describe(manifest: Manifest, *, app: App, number: int, digest: str) -> ReleaseFacts:
    """What is signed about a bundle beside its bytes; ``digest`` is its manifest's."""
    return ReleaseFacts(
        app_id=app.id,
        platform=app.platform,
        app_versions=(app.version,),
        number=number,
        name=manifest.name,
        version=manifest.version,
        minimum_os=minimum_os(manifest.specification_version, app.platform),
        unpacked_length=manifest.unpacked_length,
        manifest=digest,
    )


def _beside(
    head: Head, read: Read, bundle: Bundle, number: int, holder: Signer, legacy: Signer | str | None
) -> dict[str, bytes]:
    """What lies beside the bundle, by target path.

    A release that stands keeps what it has: ECDSA signs with a new random number each time, and a ``model.sig`` that is made
    again would be other bytes under a number that stands for these.
    """
    named = head.targets.signed.targets
    beside = {path: target_in(read, named[path]) for path in beside_paths(number) if path in named}
    if legacy is not None:
        beside[signature_path(number)] = sign_detached(bundle.path, signer_for(legacy))
    if bundle_path(number) not in named and signs_models(holder.public_key):
        beside[model_signature_path(number)] = sign_model(contents_of(bundle), holder, name=name_of(bundle))
    return beside


def _holders(head: Head) -> tuple[Key, ...]:
    """Whose ``model.sig`` is taken: whoever holds the app role, or held it when the release was made."""
    return holders_by(roles.parse(data, Root, "root").signed for data in head.roots)


def _current(app_id: str, repository: str | None, root: Path | str | bytes | None) -> tuple[Head, Read]:
    """The app's head, verified under a root that is trusted here, and the way to read more of its repository."""
    if repository is None:
        raise RecipeError(
            "No repository is configured.",
            remedy="Make one with: mlpublish repo init --dev DIR, then pass --repository DIR or set MLPUBLISH_REPOSITORY=DIR.",
            field="repository",
        )
    development = defaults.development_among(repository)
    if development is not None:
        development.app(app_id)  # makes the app's repository if it is new
    where = access(app_id, repository, root=root)
    return where.trusted_head(), where.read


def _number(head: Head, app: App, bundle: Bundle, wanted: int | None) -> int:
    """The release number: forced, the one that these bytes have for this app version already, or the next."""
    releases = head.releases
    if wanted is None:
        same = [number for number, facts in releases.items() if _stands_for(head, app, bundle, facts)]
        return max(same, default=max((*releases, *head.policy.retired), default=0) + 1)
    if wanted < 1:
        raise RecipeError(f"{wanted} is not a release number.", remedy="Give 1 or more.", field="number")
    if wanted in releases and not _stands_for(head, app, bundle, releases[wanted]):
        facts = releases[wanted]
        raise AlreadyPublished(
            f"Release {wanted} of {app.id} stands for other bytes already, or for another app version "
            f"(it is {facts.name} {facts.version} for {facts.platform} {', '.join(facts.app_versions)}).",
            remedy="Leave out --number to take the next one.",
            field="number",
        )
    return wanted


def _stands_for(head: Head, app: App, bundle: Bundle, facts: ReleaseFacts) -> bool:
    target = head.targets.signed.targets[bundle_path(facts.number)]
    fits = facts.platform == app.platform and app.version in facts.app_versions
    return fits and target.hashes["sha256"] == bundle.sha256
