"""A change as somebody looks at it: found, and with what it was made from, verified here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.artifacts import Bundle
from mlpublish.errors import NotFound, VerificationError
from mlpublish.formats.channel import beside_paths, bundle_path, model_signature_path, release_paths
from mlpublish.formats.wire import MAX_DOCUMENT
from mlpublish.repository import founding
from mlpublish.repository.access import Access
from mlpublish.repository.change_state import moved, state_of
from mlpublish.repository.head import Head, Read
from mlpublish.repository.records import Kept
from mlpublish.trust import roles
from mlpublish.trust.approval import Present, refuse_other_base
from mlpublish.trust.chain import holders_by
from mlpublish.trust.changes import Change
from mlpublish.trust.releases import beside_file, held_beside, held_bundle, model_signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A change, and what it is held against.

    Args:
        head: what is current; None where the repository is still to be made.
        present: what it was made from: current, unless it moved.
        state: see ``state_of``.
    """

    kept: Kept
    head: Head | None
    present: Present
    state: str


def look_at(reached: Access, kept: Kept) -> Look:
    """Hold a change against what is verified here.

    That there is no repository yet is an endpoint's word. It is taken for first versions alone, and only where no root of the
    app is trusted: else whoever lies about it could have a later root signed by people who see nothing to hold it against.

    Raises:
        RecipeError: no root of the app is trusted here.
        VerificationError: what it was made from does not verify, is hidden, or is another one.
    """
    change = kept.change
    if change.founds:
        return Look(kept=kept, head=None, present=Present(), state=_founding_state(reached, kept))
    if not reached.stands():
        raise VerificationError(
            f"{reached.endpoint.uri} shows no repository of {reached.app_id}, and yet a change of it.",
            remedy="Do not sign it. Check the address, and ask whoever runs the server.",
            field="change",
        )
    head = reached.trusted_head()
    present = before(change, head, reached.read) if moved(change, head) else head.present
    refuse_other_base(change, present)
    return Look(kept=kept, head=head, present=present, state=state_of(kept, head, reached.read))


def _founding_state(reached: Access, kept: Kept) -> str:
    if not reached.stands():
        if reached.root is not None:
            raise VerificationError(
                f"{reached.endpoint.uri} shows no repository of {reached.app_id}, and a root of it is trusted here.",
                remedy="Do not sign it: it would make another one. Ask whoever runs the server.",
                field="change",
            )
        return state_of(kept, None, reached.read)
    if founding.made(kept.change, reached.read):
        return "committed"
    if kept.closed is None:
        raise VerificationError(
            f"{reached.app_id} has a repository; {kept.change.id} would make another one.",
            remedy="Do not sign it; a holder of the root rejects it: mlpublish review reject.",
            field="change",
        )
    return kept.closed.outcome


def before(change: Change, head: Head, read: Read) -> Present:
    """What was current when a change was made that stands on it no more, as far as the trusted chain of roots proves it.

    Raises:
        VerificationError: the chain does not, or it is another app's.
    """
    chain = [roles.parse(data, Root, "root") for data in head.roots]
    base = {name: edit.base for name, edit in change.edits.items()}
    old: dict[str, Metadata[Targets]] = {
        name: roles.parse(read(f"metadata/{base[name]}.{name}.json"), Targets, name)
        for name in ("targets", roles.CHANNELS)
        if name in base
    }
    if "targets" in old:
        roles.check_app_role_bound(old["targets"].signed, change.app_id)
    if roles.CHANNELS in old:
        roles.check_bound(old[roles.CHANNELS].signed, change.app_id)
    for root in reversed(chain):
        if "root" in base and root.signed.version != base["root"]:
            continue
        if "targets" in old and not roles.holds(root.signed, "targets", old["targets"]):
            continue
        targets = old.get("targets", head.targets)
        channels = old.get(roles.CHANNELS, head.channels)
        if roles.CHANNELS in old and not roles.holds(targets.signed, roles.CHANNELS, channels):
            continue
        return Present(root=root, targets=targets, channels=channels)
    raise VerificationError(
        f"What change {change.id} was made from is not signed under root {chain[0].signed.version} or a later one.",
        remedy="To look at old changes trust an older root, such as the app's first: --root 1.root.json.",
        field="root",
    )


def found(reached: Access, change_id: str | None) -> Kept:
    """The change that an id, the beginning of one, or nothing (the open one) names.

    Raises:
        NotFound: there is none, or several.
    """
    listed = reached.endpoint.changes(reached.app_id)
    if change_id is None:
        if listed.open is None:
            raise NotFound(f"No change of {reached.app_id} is open.", remedy="See all: mlpublish review list.", field="change")
        return _asked(reached, listed.open)
    fitting = [each for each in listed.ids if each.startswith(change_id)]
    if len(fitting) != 1:
        known = ", ".join(listed.ids[-5:]) or "none"
        raise NotFound(
            f"{change_id!r} names {len(fitting)} changes of {reached.app_id}.",
            remedy=f"Name one, or a folder that holds one; the newest changes are: {known}.",
            field="change",
        )
    return _asked(reached, fitting[0])


def _asked(reached: Access, change_id: str) -> Kept:
    """The change of this id: the id is made of what it says, so an endpoint that answers with another one is found out."""
    kept = reached.endpoint.change(reached.app_id, change_id)
    if (kept.change.app_id, kept.change.id) != (reached.app_id, change_id):
        raise VerificationError(
            f"{reached.endpoint.uri} was asked for change {change_id} of {reached.app_id}, and gave {kept.change.id} of "
            f"{kept.change.app_id}.",
            remedy="Do not sign it. Check the address, and ask whoever runs the server.",
            field="change",
        )
    return kept


@contextmanager
def fetched(reached: Access, change: Change, present: Present) -> Iterator[Mapping[int, Bundle]]:
    """The bundles that a change adds, each held byte for byte against what would be signed; gone afterwards.

    What lies beside a bundle lies beside it here too (``beside_file``).
    """
    targets = change.targets()
    with tempfile.TemporaryDirectory(prefix="mlpublish-review-") as scratch:
        bundles = {}
        for number in added_by(change, present):
            assert targets is not None
            folder, named = Path(scratch, str(number)), targets.signed.targets
            folder.mkdir()
            place = folder / "bundle.zip"
            bundle = named[bundle_path(number)]
            reached.endpoint.download(change.app_id, roles.stored_at(bundle), place, length=bundle.length)
            for target in (named[path] for path in beside_paths(number) if path in named):
                length = min(target.length, MAX_DOCUMENT)
                reached.endpoint.download(
                    change.app_id, roles.stored_at(target), beside_file(place, target.path), length=length
                )
            bundles[number] = held_release(change, present, number, place)
        yield bundles


def held_release(change: Change, present: Present, number: int, file: Path) -> Bundle:
    """A bundle, once it and what lies beside it are what a change would sign.

    Raises:
        DigestMismatch, BundleError, FormatError, NotFound, VerificationError: they are not; see ``held_bundle`` and
            ``model_signer``. A model.sig that the change adds is one of whoever holds the app role now.
    """
    targets = change.targets()
    assert targets is not None
    bundle = held_bundle(targets.signed, number, file)
    signature = held_beside(targets.signed, number, file).get(path := model_signature_path(number))
    standing = None if present.targets is None else present.targets.signed.targets.get(path)
    if present.root is not None and standing != targets.signed.targets.get(path):
        model_signer(signature, bundle, holders_by([present.root.signed]))
    return bundle


def added_by(change: Change, present: Present) -> tuple[int, ...]:
    """The numbers of the releases that a change adds or alters."""
    targets = change.targets()
    if targets is None:
        return ()
    old: Mapping[str, object] = {} if present.targets is None else present.targets.signed.targets
    new, numbers = targets.signed.targets, sorted(roles.releases_of(targets.signed))
    return tuple(number for number in numbers if any(old.get(path) != new.get(path) for path in release_paths(number)))
