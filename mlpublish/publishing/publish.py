"""The verb ``publish``: a release reaches an endpoint, once."""

from __future__ import annotations

from pathlib import Path

from mlpublish.artifacts import Receipt, Release
from mlpublish.errors import Conflict, NotFound
from mlpublish.formats.channel import bundle_path, model_signature_path, release_paths
from mlpublish.formats.wire import digest_of
from mlpublish.reporting.progress import Progress, shown
from mlpublish.repository import defaults
from mlpublish.repository.endpoint import Commit, Edit, Endpoint, endpoint_for
from mlpublish.repository.head import read_head
from mlpublish.repository.records import Kept
from mlpublish.trust.releases import SignedRelease, read_release


def publish(
    release: Release | Path | str,
    *,
    to: str | Path,
    token: str | None = None,
    repository: str | Path | None = None,
    progress: Progress = True,
) -> Receipt:
    """Hand a signed release to an endpoint.

    Args:
        release: what ``sign()`` gave, or its folder; it is read from disk and checked whole first.
        to: ``http(s)://host[:port]`` or ``file:DIR``.
        token: the bearer token for a server; by default MLPUBLISH_TOKEN or the configured token file, on loopback also the
            development repository's.
        repository: the development repository whose token is meant; by default the configured one.
        progress: False for silence, or a function that is told each step.

    Returns:
        A Receipt; ``created`` is False if the very same release stood there already, or if it waits for signatures: then
        ``change`` names the change that reviewers sign.

    Raises:
        AlreadyPublished: the number stands for other bytes there.
        Conflict: the app role moved on since the release was signed (sign the bundle again), or a change with something else
            is open.
        EndpointRefused, EndpointUnreachable: the endpoint says no, or nothing.
        DigestMismatch, FormatError, NotFound: the release on disk is broken.
    """
    with shown(progress, steps=2) as tell:
        tell("Checking the release")
        signed = read_release(release.folder if isinstance(release, Release) else Path(release))
        tell(f"Publishing release {signed.release.number} of {signed.release.app.id}")
        return _published(signed, to, token, repository)


def _published(signed: SignedRelease, to: str | Path, token: str | None, repository: str | Path | None) -> Receipt:
    development = defaults.development_among(to, defaults.repository_for(repository))
    endpoint = endpoint_for(to, token=defaults.token_of(token, development, to))
    if _stands_there(endpoint, signed):
        return _receipt(endpoint, signed, created=False)
    try:
        kept = _handed_in(endpoint, signed)
    except Conflict as conflict:
        kept = _waits_there(endpoint, signed) if conflict.field == "change" else None
        if kept is None and not _stands_there(endpoint, signed):
            raise  # else somebody else's commit adopted this one, and went on from it
    waiting = kept is not None and (kept.closed is None or kept.closed.outcome != "committed")
    return _receipt(endpoint, signed, created=not waiting, change=kept if waiting else None)


def _handed_in(endpoint: Endpoint, signed: SignedRelease) -> Kept | None:
    """The change as the endpoint keeps it; None for a release folder of an older mlpublish, which is committed as it is."""
    app_id = signed.release.app.id
    if signed.change is None:
        endpoint.commit(app_id, _commit(signed))
        return None
    return endpoint.propose(app_id, signed.change.change, signed.change.reviews, _blobs(signed))


def _stands_there(endpoint: Endpoint, signed: SignedRelease) -> bool:
    """Whether the endpoint has this number with these bytes: then there is nothing to do, however old the role here is.

    A look, not a proof: a server that lies about it only deprives itself of a release.
    """
    app_id, named = signed.release.app.id, signed.targets.signed.targets
    try:
        first = signed.roots[0] if signed.roots else None
        head = read_head(lambda name: endpoint.read(app_id, name), app_id=app_id, trusted_root=first)
    except NotFound:
        return False  # the commit says what is missing
    there, number = head.targets.signed.targets, signed.release.number
    ours = {path: named[path] for path in release_paths(number) if path in named}
    if model_signature_path(number) in there:  # whoever was faster signed the same files: their bytes stand for both
        ours.pop(model_signature_path(number), None)
    return all(there.get(path) == target for path, target in ours.items())


def _waits_there(endpoint: Endpoint, signed: SignedRelease) -> Kept | None:
    """The open change, if it adds the very same release: made another time it has another date, and so another id."""
    app_id, path = signed.release.app.id, bundle_path(signed.release.number)
    waiting = endpoint.changes(app_id).open
    kept = None if waiting is None else endpoint.change(app_id, waiting)
    theirs = None if kept is None else kept.change.targets()
    ours = signed.targets.signed.targets[path]
    return kept if theirs is not None and theirs.signed.targets.get(path) == ours else None


def _commit(signed: SignedRelease) -> Commit:
    return Commit(edits={"targets": Edit(base=signed.release.base, metadata=signed.metadata)}, blobs=_blobs(signed))


def _blobs(signed: SignedRelease) -> dict[str, bytes | Path]:
    """The bundle, and what lies beside it."""
    bundle = signed.release.bundle
    return {bundle.sha256: bundle.path} | {digest_of(content): content for content in signed.beside.values()}


def _receipt(endpoint: Endpoint, signed: SignedRelease, *, created: bool, change: Kept | None = None) -> Receipt:
    manifest = signed.release.bundle.manifest
    return Receipt(
        endpoint=endpoint.uri,
        app=signed.release.app,
        number=signed.release.number,
        name=manifest.name,
        version=manifest.version,
        sha256=signed.release.bundle.sha256,
        created=created,
        change=None if change is None else change.change.id,
        models=manifest.models,
    )
