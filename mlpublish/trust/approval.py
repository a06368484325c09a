"""Who must sign a change, who did, and who still may: counted from the roles themselves, never from what a change says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.exceptions import VerificationError as SignatureError
from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.errors import SigningError, ThresholdNotMet, VerificationError
from mlpublish.formats.wire import digest_of
from mlpublish.trust import roles
from mlpublish.trust.changes import Change
from mlpublish.trust.intents import holder
from mlpublish.trust.keys import own_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """The roles that are current, verified; all None where the repository is still to be made."""

    root: Metadata[Root] | None = None
    targets: Metadata[Targets] | None = None
    channels: Metadata[Targets] | None = None

    def role(self, name: str) -> Metadata[Root] | Metadata[Targets] | None:
        return {"root": self.root, "targets": self.targets, "channels": self.channels}[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Signatures that one role needs by the word of one role that appoints its keys.

    Args:
        role: the role to be signed.
        appointed_by: ``root 3`` and the like.
        threshold: how many signatures.
        signed: the holders whose signatures count.
        waiting: the keys that may sign and have not.
    """

    role: str
    appointed_by: str
    threshold: int
    signed: tuple[Key, ...]
    waiting: tuple[Key, ...]

    @property
    def missing(self) -> int:
        return max(self.threshold - len(self.signed), 0)

    @property
    def sentence(self) -> str:
        """How it stands, in words."""
        by = ", ".join(holder(key) for key in self.signed) or "nobody"
        who = ", ".join(holder(key) for key in self.waiting)
        left = f"; {self.missing} of {who} must still sign" if self.missing else ""
        return f"{self.role} (keys by {self.appointed_by}): {len(self.signed)} of {self.threshold} signed, by {by}{left}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "role": self.role,
            "appointed_by": self.appointed_by,
            "threshold": self.threshold,
            "signed": [holder(key) for key in self.signed],
            "missing": self.missing,
            "waiting": [holder(key) for key in self.waiting],
        }


def needs(change: Change, present: Present) -> tuple[Need, ...]:
    """Every requirement of a change, met or not.

    A new root is signed by the keys of the present one and by its own. The app role becomes current before a new root does,
    so it is signed for both. The channels role becomes current together with the app role.
    """
    return tuple(_needs(change, present))


def refuse_unless_met(change: Change, present: Present) -> None:
    """Raises ThresholdNotMet with who must still sign, unless every requirement is met."""
    for need in needs(change, present):
        if need.missing:
            raise ThresholdNotMet(
                f"{need.sentence[0].upper()}{need.sentence[1:]}.",
                remedy=f"They sign with: mlpublish review sign {change.id} --app {change.app_id} --key KEYURI.",
                field=need.role,
            )


def may_sign(change: Change, present: Present, keyid: str) -> tuple[str, ...]:
    """The roles of a change that a key holds, by the word of the present or of the proposed roles."""
    found = {need.role for need in needs(change, present) if keyid in {key.keyid for key in (*need.signed, *need.waiting)}}
    return tuple(sorted(found))


def refuse_other_base(change: Change, present: Present) -> None:
    """Refuse a change that says of what it was made from what is not so: who signs it looks at the difference from that.

    Raises:
        VerificationError: a role that it edits is another one.
    """
    for name, edit in change.edits.items():
        role = present.role(name)
        said = "" if role is None else digest_of(role.signed_bytes)
        here = "none" if role is None else f"version {role.signed.version}"
        if edit.present != said or edit.base != (0 if role is None else role.signed.version):
            raise VerificationError(
                f"Change {change.id} says that it was made from version {edit.base} of the {name} role "
                f"(sha256 {edit.present[:12] or 'none'}…); here is {here} "
                f"(sha256 {said[:12] or 'none'}…).",
                remedy="Do not sign it. Make it again from what is current: mlpublish review rebase.",
                field=name,
            )


def complete(change: Change, present: Present) -> bool:
    return not any(need.missing for need in needs(change, present))


def _needs(change: Change, present: Present) -> Iterator[Need]:
    root, targets, channels = change.root, change.targets(), change.targets(roles.CHANNELS)
    if root is not None:
        if present.root is not None:
            yield _need("root", present.root.signed, root)
        yield _need("root", root.signed, root)
        if change.founds and change.intent.pin is not None:
            yield _pinned(change.intent.pin, root)
    if targets is not None:
        stricter = present.targets is not None and not roles.policy_of(present.targets.signed).publisher_may_approve
        for appointing in (present.root, root):
            if appointing is not None:
                yield _need("targets", appointing.signed, targets, more=1 if stricter else 0)
    if channels is not None:
        appointed_by = targets if targets is not None else present.targets
        if appointed_by is not None:
            yield _need(roles.CHANNELS, appointed_by.signed, channels)


def _need(name: str, by: Root | Targets, role: Metadata[Any], *, more: int = 0) -> Need:
    try:
        result = by.get_verification_result(name, role.signed_bytes, role.signatures)
    except ValueError as exc:
        raise ThresholdNotMet(
            f"Nobody is appointed for the {name} role.", remedy="Reject the change; it can never be committed.", field=name
        ) from exc
    signed = _distinct(result.signed)
    waiting = {own: key for own, key in _distinct(result.unsigned).items() if own not in signed}
    appointed = "app role" if isinstance(by, Targets) else "root"
    return Need(
        role=name,
        appointed_by=f"{appointed} {by.version}",
        threshold=result.threshold + more,
        signed=_sorted(signed),
        waiting=_sorted(waiting),
    )


def _distinct(keys: Mapping[str, Key]) -> dict[str, Key]:
    """The keys by what they are: one that is listed under two ids, or written in two ways, is one person's."""
    found: dict[str, Key] = {}
    for keyid, key in keys.items():
        try:
            found.setdefault(own_id(key), key)
        except SigningError:
            found[keyid] = key
    return found


def _pinned(pin: Key, root: Metadata[Root]) -> Need:
    signature = root.signatures.get(pin.keyid)
    try:
        holds = signature is not None
        if signature is not None:
            pin.verify_signature(signature, root.signed_bytes)
    except (UnverifiedSignatureError, SignatureError):
        holds = False
    return Need(
        role="root",
        appointed_by="the apps that pin it",
        threshold=1,
        signed=(pin,) if holds else (),
        waiting=() if holds else (pin,),
    )


def _sorted(keys: Mapping[str, Key]) -> tuple[Key, ...]:
    return tuple(sorted(keys.values(), key=holder))
