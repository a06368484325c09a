"""Reviews without a server: a change's folder is carried to whoever has a key, and one small file comes back.

save     write what is open into a folder, its bundle beside it
look     verify and show it, offline
sign     the same, and put ``reviews/<key id>.json`` beside it
submit   hand a folder with everybody's reviews to an endpoint
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tuf.api.metadata import Root

from mlpublish.artifacts import Bundle
from mlpublish.errors import NotFound, RecipeError, VerificationError
from mlpublish.formats.channel import beside_paths, bundle_path
from mlpublish.formats.wire import digest_of
from mlpublish.repository import defaults, review
from mlpublish.repository.change_report import ChangeReport, listed, report_on
from mlpublish.repository.change_state import refuse_stale
from mlpublish.repository.endpoint import endpoint_for
from mlpublish.repository.looking import added_by, fetched, held_release, look_at
from mlpublish.repository.looking import found as found_in
from mlpublish.repository.records import Kept, Received
from mlpublish.repository.review import Where, not_a_holder
from mlpublish.trust import approval, lints, roles
from mlpublish.trust.approval import Present
from mlpublish.trust.chain import follow_roots
from mlpublish.trust.changes import reviewed
from mlpublish.trust.folders import ChangeFolder, present_in, read_change, write_change, write_review
from mlpublish.trust.model_signature import name_of
from mlpublish.trust.releases import beside_file, held_beside
from mlpublish.trust.signer import Signer, signer_for


def save(where: Where, out: Path, change_id: str | None = None) -> ChangeReport:
    """Write a change into a new or empty folder, verified as ``show`` does.

    Raises:
        RecipeError: the folder holds something.
        NotFound, DigestMismatch, VerificationError: see ``review.show``.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RecipeError(f"{out} holds something already.", remedy="Name a new folder.", field="save")
    reached = where.access
    seen = look_at(reached, found_in(reached, change_id))
    change, root = seen.kept.change, seen.present.root
    chain = () if seen.head is None or root is None else seen.head.roots
    roots = [
        data for data in chain if root is not None and roles.parse(data, Root, "root").signed.version <= root.signed.version
    ]
    reviews = [each.review for each in seen.kept.reviews if each.review.verdict == "approve"]
    out.parent.mkdir(parents=True, exist_ok=True)
    with fetched(reached, change, seen.present) as bundles, TemporaryDirectory(prefix=".change-", dir=out.parent) as scratch:
        made = Path(scratch, "change")
        made.mkdir()
        for number, bundle in bundles.items():
            _put_bundle(number, bundle, made)
        write_change(made, change, roots=roots, present=seen.present, reviews=reviews)
        made.replace(out)  # whole or not at all; a folder that stands there is empty
        return report_on(seen.kept, seen.present, seen.state, bundles)


def _put_bundle(number: int, bundle: Bundle, out: Path) -> None:
    """Put a bundle, and what lies beside it, into a change's folder.

    Raises:
        RecipeError: something of another release lies there: no change that ``sign`` or ``propose`` makes adds two.
    """
    place = out / f"{name_of(bundle)}.zip"
    files = {place: bundle.path} | {beside_file(place, path): beside_file(bundle.path, path) for path in beside_paths(number)}
    for to, file in files.items():
        if not file.is_file():
            continue
        if to.exists():
            raise RecipeError(
                f"The change adds several releases, and {to.name} of release {number} finds no room in one folder.",
                remedy="Look at it and sign it where it is: mlpublish review sign, without files.",
                field="save",
            )
        shutil.copyfile(file, to)


def look(folder: Path, *, root: Path | str | bytes | None = None, repository: str | Path | None = None) -> ChangeReport:
    """Verify and show a change's folder, offline.

    Args:
        root: a root of the app that is trusted already; by default mlpublish.toml's, or the development repository's. A
            repository that is to be made needs none: what a reviewer sees of it is all there is.

    Raises:
        NotFound: the folder is no change, or misses its bundle.
        RecipeError: no root is trusted here.
        VerificationError: what it was made from does not verify; the bundle is not the one that is signed.
    """
    found = read_change(folder)
    present = _verified(found, root, repository)
    return report_on(_kept(found), present, _state(found, present), _bundles(found, present))


def sign(
    folder: Path,
    *,
    signer: Signer | str,
    root: Path | str | bytes | None = None,
    repository: str | Path | None = None,
    comment: str = "",
    confirm: Callable[[ChangeReport], None] = lambda _: None,
) -> ChangeReport:
    """Sign a change's folder after everything that ``look`` verifies; the signature is a file in ``reviews``.

    Args:
        confirm: is shown what would be signed, and stops it by raising; what it saw is what is signed.

    Raises:
        SigningError: the key holds none of its roles, or cannot be opened; the change appoints who must never be appointed so.
        Expired: it ran out before enough people had signed.
        NotFound, RecipeError, VerificationError: see ``look``; nothing is signed.
    """
    found = read_change(folder)
    present = _verified(found, root, repository)
    bundles = _bundles(found, present)
    refuse_stale(found.change, None)
    lints.refuse(*(found.change.role(name) for name in found.change.edits))
    holder = signer_for(signer)
    names = approval.may_sign(found.change, present, holder.public_key.keyid)
    if not names:
        raise not_a_holder(found.change, present, holder)
    confirm(report_on(_kept(found), present, _state(found, present), bundles))
    write_review(folder, reviewed(found.change, names, holder, comment=comment))
    found = read_change(folder)
    return report_on(_kept(found), present, _state(found, present), bundles)


def submit(folder: Path, *, to: str | Path, token: str | None = None, repository: str | Path | None = None) -> ChangeReport:
    """Hand a change with everything that was said to it to an endpoint; with enough signatures it is committed.

    Raises:
        Conflict: its base moved, or another change is open.
        EndpointRefused, EndpointUnreachable, VerificationError: the endpoint says no, or nothing.
    """
    found = read_change(folder)
    development = defaults.development_among(to, defaults.repository_for(repository))
    endpoint = endpoint_for(to, token=defaults.token_of(token, development, to))
    blobs: dict[str, bytes | Path] = {**review.policy_blob(found.change)}
    for number, bundle in _bundles(found, Present()).items():
        blobs[bundle.sha256] = bundle.path
        blobs |= {digest_of(content): content for content in _beside(found, number, bundle)}
    kept = endpoint.propose(found.change.app_id, found.change, found.reviews, blobs)
    return listed(kept, _told_present(found), "waiting" if kept.closed is None else kept.closed.outcome)


def _told_present(found: ChangeFolder) -> Present:
    """What the folder says was current; good enough to tell who must still sign, and nothing is signed here."""
    if found.change.founds or not found.roots:
        return Present()
    return present_in(found, follow_roots(found.roots[0], found.roots, found.change.app_id).newest)


def _verified(found: ChangeFolder, root: Path | str | bytes | None, repository: str | Path | None) -> Present:
    """What was current when it was made, under a root that is trusted here."""
    development = defaults.development_among(defaults.repository_for(repository))
    trusted = defaults.root_of(found.change.app_id, root, development)
    if found.change.founds:
        if trusted is None:
            return Present()
        raise VerificationError(
            f"A root of {found.change.app_id} is trusted here already; {found.change.id} would make another repository.",
            remedy="Do not sign it; or forget that root first (--root, mlpublish.toml).",
            field="change",
        )
    if trusted is None:
        raise RecipeError(
            f"No root of {found.change.app_id} is trusted here, and there is no trust on first use.",
            remedy=f'Pass --root 1.root.json, or set root under [apps."{found.change.app_id}"] in mlpublish.toml.',
            field="root",
        )
    newest = follow_roots(trusted, found.roots, found.change.app_id).newest
    present = present_in(found, newest)
    approval.refuse_other_base(found.change, present)
    return present


def _bundles(found: ChangeFolder, present: Present) -> Mapping[int, Bundle]:
    """The bundles that it adds, each held against what is signed."""
    targets = found.change.targets()
    if targets is None:
        return {}
    if present.targets is None and "targets" in found.present:
        present = replace(present, targets=roles.parse(found.present["targets"], type(targets.signed), "targets"))
    facts = roles.releases_of(targets.signed)
    bundles = {}
    for number in added_by(found.change, present):
        usual = f"{facts[number].name}-{facts[number].version}.zip"
        place = _bundle_in(found.folder, usual, targets.signed.targets[bundle_path(number)].length)
        if place is None:
            raise NotFound(
                f"The bundle of release {number} is not there: {usual}.",
                remedy="Get the whole folder; what is signed must be looked at.",
                field="bundle",
            )
        bundles[number] = held_release(found.change, present, number, place)
    return bundles


def _bundle_in(folder: Path, usual: str, length: int) -> Path | None:
    """The bundle's file: of its usual name, else the only zip, or the only one of the right length; people rename things.

    Whether it is the bundle, its digest says; so one that was altered is told as that, and not as missing.
    """
    if (folder / usual).is_file():
        return folder / usual
    zips = [each for each in sorted(folder.glob("*.zip")) if each.is_file()]
    fitting = zips if len(zips) == 1 else [each for each in zips if each.stat().st_size == length]
    return fitting[0] if len(fitting) == 1 else None


def _beside(found: ChangeFolder, number: int, bundle: Bundle) -> Collection[bytes]:
    targets = found.change.targets()
    return () if targets is None else held_beside(targets.signed, number, bundle.path).values()


def _kept(found: ChangeFolder) -> Kept:
    """The folder as an endpoint would keep it; a review that is not of this change does not count."""
    fitting = tuple(each for each in found.reviews if each.change_id == found.change.id)
    return Kept(change=found.change, reviews=tuple(Received(review=each, at=each.at) for each in fitting))


def _state(found: ChangeFolder, present: Present) -> str:
    return "complete" if approval.complete(_kept(found).signed, present) else "waiting"
