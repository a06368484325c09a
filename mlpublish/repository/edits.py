"""From an intent to the roles that say so, made from what is current; the same for a new change and for a rebase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from mlpublish.errors import AlreadyPublished, Conflict, NotFound, RecipeError
from mlpublish.formats.channel import ReleaseFacts
from mlpublish.formats.policy import Policy
from mlpublish.repository.head import Head, Read, channels_of, next_version
from mlpublish.trust import lints, roles
from mlpublish.trust.changes import Edit
from mlpublish.trust.intents import Intent


def edits_for(
    intent: Intent, head: Head, read: Read, *, added: Sequence[TargetFile] = (), even_if_offered: bool = False
) -> dict[str, Edit]:
    """The roles of a change, not signed yet.

    Args:
        intent: what is meant.
        head: what is current, verified.
        read: reads the repository.
        added: the targets of the release that a ``release`` adds: its bundle, and what lies beside it.
        even_if_offered: edit the policy although a channel offers what is removed or lies below a floor: in an emergency
            that must stop nobody. Devices that are offered it answer FAILURE_INTEGRITY until the channel is steered.

    Raises:
        RecipeError, NotFound: it cannot be meant of what is current.
        AlreadyPublished: the release number stands for other bytes.
        SigningError: the keys that it names must never be appointed so.
    """
    if intent.kind == "rotate":
        made = _rotated(intent, head, read)
    elif intent.kind == "release" and added:
        made = {"targets": _with_release(head, read, added)}
    elif intent.kind == "policy":
        made = {"targets": _with_policy(intent, head, read, even_if_offered)}
    else:
        raise RecipeError(f"{intent.summary} is no edit of what is there.", remedy="Make the change again.", field="intent")
    lints.refuse(*made.values())
    return {name: Edit.of(_present(head, name), role) for name, role in made.items()}


def _present(head: Head, name: str) -> Metadata[Root] | Metadata[Targets]:
    return head.root if name == "root" else head.role(name)


def _with_release(head: Head, read: Read, added: Sequence[TargetFile]) -> Metadata[Targets]:
    bundle, *beside = added
    facts = ReleaseFacts.from_dict(roles.custom_of(bundle))
    standing = head.targets.signed.targets
    if facts.number in head.policy.retired or any(standing.get(each.path, each).hashes != each.hashes for each in added):
        raise AlreadyPublished(
            f"Release {facts.number} stands for other bytes already.", remedy="Sign the bundle again.", field="number"
        )
    version = next_version(read, "targets", head.targets.signed.version)
    made = roles.with_release(head.targets, facts, length=bundle.length, sha256=bundle.hashes["sha256"], version=version)
    made.signed.targets.update({each.path: each for each in beside})
    return made


def _with_policy(intent: Intent, head: Head, read: Read, even_if_offered: bool) -> Metadata[Targets]:
    policy, releases = head.policy, head.releases
    for number in (*intent.withdraw, *intent.remove):
        if number not in releases:
            known = ", ".join(str(each) for each in sorted(releases)) or "none"
            raise NotFound(f"There is no release {number}.", remedy=f"There are: {known}.", field="release")
    for number in intent.reinstate:
        if number not in policy.withdrawn:
            raise NotFound(f"Release {number} is not withdrawn.", remedy="Look with: mlpublish review log.", field="reinstate")
    withdrawn = {number: why for number, why in policy.withdrawn.items() if number not in intent.reinstate}
    may = intent.publisher_may_approve
    edited = replace(
        policy,
        floors=dict(policy.floors) | dict(intent.floors),
        withdrawn=withdrawn | dict(intent.withdraw),
        retired=tuple(sorted({*policy.retired, *intent.remove})),
        publisher_may_approve=policy.publisher_may_approve if may is None else may,
        expiry_days=policy.expiry_days if intent.expiry_days is None else intent.expiry_days,
    )
    left = {number: facts for number, facts in releases.items() if number not in intent.remove}
    if not even_if_offered:
        refuse_stranded(head, read, edited, left)
    version = next_version(read, "targets", head.targets.signed.version)
    return roles.with_policy(head.targets, edited, version=version, without=intent.remove)


def refuse_stranded(head: Head, read: Read, policy: Policy, releases: dict[int, ReleaseFacts]) -> None:
    """A channel that offers what is removed, or below a floor, would be a matter of integrity for every device.

    Raises:
        Conflict: one does; the remedy steers it first.
    """
    for channel in channels_of(head, read):
        for entry in channel.entries:
            for number in entry.releases:
                floor = policy.floor(channel.platform, entry.app_version)
                if number in releases and number >= floor:
                    continue
                told = f"below the floor {floor}" if number in releases else "which would be gone"
                raise Conflict(
                    f"Channel {channel.channel} offers release {number} to {channel.platform} {entry.app_version}, {told}.",
                    remedy=f"Steer it first: mlpublish channel set --app {policy.app_id} --channel {channel.channel} "
                    f"--app-version {entry.app_version} --release N (or channel remove); in an emergency --even-if-offered.",
                    field="release",
                )


def _rotated(intent: Intent, head: Head, read: Read) -> dict[str, Metadata[Root] | Metadata[Targets]]:
    """The roles that a rotation alters: who appoints the keys, and whatever the old signatures no longer carry."""
    name = intent.role or "root"
    if not intent.add and not intent.drop and intent.threshold is None:
        return _again(name, head, read)
    if name == roles.CHANNELS:
        version = next_version(read, "targets", head.targets.signed.version)
        targets = roles.following(head.targets, version, head.policy.expiry_days)
        _appoint(targets.signed, intent, name)
        made: dict[str, Metadata[Root] | Metadata[Targets]] = {"targets": targets}
        if not roles.holds(targets.signed, name, head.channels):
            version = next_version(read, name, head.channels.signed.version)
            made[name] = roles.following(head.channels, version, roles.CHANNELS_DAYS)
        return made
    root = roles.following(head.root, head.root.signed.version + 1, roles.ROOT_DAYS)
    for each in ("snapshot", "timestamp") if name == "online" else (name,):
        _appoint(root.signed, intent, each)
    made = {"root": root}
    if not roles.holds(root.signed, "targets", head.targets):
        version = next_version(read, "targets", head.targets.signed.version)
        made["targets"] = roles.following(head.targets, version, head.policy.expiry_days)
    return made


def _again(name: str, head: Head, read: Read) -> dict[str, Metadata[Root] | Metadata[Targets]]:
    """A role as it is, with a later expiry."""
    if name == "root":
        return {name: roles.following(head.root, head.root.signed.version + 1, roles.ROOT_DAYS)}
    if name not in ("targets", roles.CHANNELS):
        raise RecipeError(
            "Neither a key nor a threshold is named.",
            remedy="Name keys with --add and --drop; a later expiry is what mlpublish repo renew, or a server, gives it.",
            field="role",
        )
    days = head.policy.expiry_days if name == "targets" else roles.CHANNELS_DAYS
    return {name: roles.following(head.role(name), next_version(read, name, head.role(name).signed.version), days)}


def _appoint(delegator: Root | Targets, intent: Intent, name: str) -> None:
    role = delegator.get_delegated_role(name)
    for keyid in intent.drop:
        found = [each for each in role.keyids if each.startswith(keyid)]
        if len(found) != 1 or len(keyid) < 8:
            held = ", ".join(each[:12] for each in role.keyids)
            raise NotFound(
                f"{keyid} is not the id of one key of the {name} role.", remedy=f"Its keys are: {held}.", field="drop"
            )
        delegator.revoke_key(found[0], name)
    for key in intent.add:
        if key.keyid in role.keyids:
            raise RecipeError(f"The {name} role has the key {key.keyid[:12]} already.", remedy="Leave it out.", field="add")
        delegator.add_key(key, name)
    if intent.threshold is not None:
        role.threshold = intent.threshold
