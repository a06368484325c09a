"""What is refused although its signatures hold: it would strand devices, whoever edits next, or somebody else's work."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from mlpublish.errors import AlreadyPublished, DigestMismatch, EndpointRefused, Expired, NewerFormat, VerificationError
from mlpublish.formats.archive import Archive
from mlpublish.formats.channel import Channel, bundle_path, model_signature_path, release_paths
from mlpublish.formats.policy import Policy
from mlpublish.formats.wire import MAX_DOCUMENT, digest_of
from mlpublish.repository.head import LARGEST_JUMP, Head
from mlpublish.repository.online import Online
from mlpublish.trust import lints, roles
from mlpublish.trust.bundles import check_listed, held_facts
from mlpublish.trust.chain import holders_by
from mlpublish.trust.links import named, verified
from mlpublish.trust.model_signature import contents_said, name_said, verify_model_signature

FindBlob = Callable[[TargetFile], bytes | Path | None]
OpenBlob = Callable[[TargetFile], BinaryIO]
_LARGEST_ROLE = 4_500_000  # bytes; python-tuf's client takes 5,000,000
_LARGEST_ROOT = 500_000  # bytes; python-tuf's client takes 512,000
_LARGEST_CHANNEL = 1024 * 1024  # bytes
_LONGEST = 400  # days; more is a clock that is wrong
_SIGN_AGAIN = (
    "Nothing was published. Sign the bundle again with a key that holds the app role now; if it is a change that waits, "
    "reject that first (mlpublish review reject)."
)


def refuse_expired(name: str, role: Metadata[Root] | Metadata[Targets]) -> None:
    """A role that has run out would end in FAILURE_INTEGRITY on every device; one that never does is a wrong clock's."""
    if role.signed.is_expired(roles.now()):
        raise Expired(
            f"The {name} role to commit expired on {role.signed.expires:%Y-%m-%d}.", remedy="Sign it again.", field=name
        )
    if role.signed.expires - roles.now() > timedelta(days=_LONGEST):
        raise EndpointRefused(
            f"The {name} role to commit holds until {role.signed.expires:%Y-%m-%d}, more than {_LONGEST} days from now.",
            remedy="Check the clock of the machine that made it, and the one here (date -u); then sign it again.",
            field=name,
        )


def refuse_unreadable(name: str, role: Metadata[Targets], length: int, head: Head) -> None:
    """What would verify and yet be read by nobody: a device's client has bounds, and so has everybody who edits next."""
    jump = role.signed.version - head.role(name).signed.version
    longest = max((target.length for target in role.signed.targets.values()), default=0) if name == roles.CHANNELS else 0
    if jump > LARGEST_JUMP or length > _LARGEST_ROLE or longest > _LARGEST_CHANNEL:
        raise EndpointRefused(
            f"The {name} role has {length} bytes, jumps {jump} versions, or names a channel file of {longest} bytes.",
            remedy=f"At most are {_LARGEST_ROLE} bytes, {LARGEST_JUMP} versions and {_LARGEST_CHANNEL} bytes; retire old "
            "releases, and make the edit from the present state.",
            field=name,
        )
    roles.check_shape(name, role.signed)
    if name == "targets":
        roles.releases_of(role.signed)  # each must be readable, or nobody could sign the next one
        roles.policy_of(role.signed)


def refuse_other_app(app_id: str, targets: Targets, channels: Targets) -> None:
    """A role of another app, which verifies wherever apps share keys."""
    policy = roles.policy_of(targets)
    if policy.app_id != app_id:
        raise EndpointRefused(
            f"The app role is for {policy.app_id}, not {app_id}.", remedy="Publish to the app it was signed for."
        )
    roles.check_bound(channels, app_id)


def refuse_other_bytes(head: Head, new: Targets) -> None:
    """A release number stands for one content for ever, also after the release was removed."""
    retired = head.policy.retired
    for path, target in new.targets.items():
        if not path.startswith("releases/"):
            continue
        standing = head.targets.signed.targets.get(path)
        number = path.split("/")[1]
        if (standing is not None and standing.hashes != target.hashes) or (standing is None and number in map(str, retired)):
            raise AlreadyPublished(
                f"Release {number} stands for other bytes already.",
                remedy="Sign the bundle under the next number (leave out --number).",
                field="number",
            )


def refuse_untrue(app_id: str, head: Head, new: Targets, open_blob: OpenBlob) -> None:
    """A release whose bundle is none, or is not what is said of it: its number stands for it for ever, and ``verify`` fails.

    Held is what costs no reading of the models: the zip's structure, its manifest and every file's length, what the role
    says of them, and ``model.sig`` over the manifest's list. That the files are those of the list, devices and ``verify`` see.
    What stands there already is not looked at again, so that nobody is stopped by what somebody else once published.

    Args:
        open_blob: opens what was handed in for a target, its digest verified.
    """
    old = head.targets.signed.targets
    altered = {path for path, target in new.targets.items() if path.startswith("releases/") and old.get(path) != target}
    for number in sorted({int(path.split("/")[1]) for path in altered}):
        try:
            with verified():
                _hold(app_id, head, new, number, open_blob)
        except NewerFormat as exc:
            exc.remedy = "Let whoever runs this repository upgrade mlpublish first."
            raise
        except VerificationError as exc:
            exc.remedy = _SIGN_AGAIN
            raise


def _hold(app_id: str, head: Head, new: Targets, number: int, open_blob: OpenBlob) -> None:
    old, facts = head.targets.signed.targets, roles.releases_of(new).get(number)
    path, beside = bundle_path(number), model_signature_path(number)
    with named(path):
        if facts is None or facts.app_id != app_id:
            raise VerificationError(
                f"The app role names no bundle of release {number} for {app_id}.", remedy=_SIGN_AGAIN, field="app"
            )
    for each in release_paths(number):
        if each in new.targets:
            with named(each), open_blob(new.targets[each]) as stream:
                _refuse_other_length(new.targets[each], stream)
    with named(path), open_blob(new.targets[path]) as stream:
        archive = Archive.read(stream)
        manifest = held_facts(facts, archive)
        check_listed(manifest, archive)
        contents, name = contents_said(manifest, archive), name_said(manifest)
    if beside in new.targets and (path not in old or old.get(beside) != new.targets[beside]):
        with named(beside), open_blob(new.targets[beside]) as stream:
            verify_model_signature(stream.read(MAX_DOCUMENT), contents, holders_by([head.root.signed]), name=name)


def _refuse_other_length(target: TargetFile, stream: BinaryIO) -> None:
    length = stream.seek(0, os.SEEK_END)
    if length != target.length:
        raise DigestMismatch(
            f"It has {length} bytes, and the app role says {target.length}.", remedy=_SIGN_AGAIN, field="length"
        )


def not_handed_in(target: TargetFile) -> EndpointRefused:
    """What an edit names, and nobody handed in."""
    return EndpointRefused(
        f"The bytes of {target.path} (sha256 {target.hashes['sha256'][:12]}) were not handed in.",
        remedy="Upload them first, then commit again.",
        field=target.path,
    )


def refuse_mistakes(role: Metadata[Root] | Metadata[Targets]) -> None:
    """Keys and thresholds that nobody may be appointed with."""
    for found in lints.lint(role):
        if found.refused:
            raise EndpointRefused(found.problem, remedy=found.remedy, field=found.role)


def refuse_unreachable(root: Root, policy: Policy) -> None:
    """An app role that nobody could ever sign again, because the publisher's own signature does not count."""
    role = root.get_delegated_role("targets")
    needed = role.threshold + (0 if policy.publisher_may_approve else 1)
    if needed > len(role.keyids):
        raise EndpointRefused(
            f"The app role has {len(role.keyids)} keys, and each change of it would need {needed} signatures: a threshold of "
            f"{role.threshold}, and the publisher's own does not count.",
            remedy="Give it more keys (mlpublish repo rotate app --add KEY), or let the publisher's signature count.",
            field="targets",
        )


def refuse_large_root(length: int) -> None:
    if length > _LARGEST_ROOT:
        raise EndpointRefused(
            f"The root has {length} bytes; a device takes {_LARGEST_ROOT}.", remedy="Appoint fewer keys.", field="root"
        )


def refuse_stranded(
    head: Head, new: Mapping[str, Metadata[Targets]], stored: Callable[[TargetFile], bytes | None], find_blob: FindBlob
) -> None:
    """A steer to what no device would take, or to a file that is no channel's.

    Only what the steer alters is looked at: a floor may be raised over what a channel offers, and that must stop nobody.
    """
    targets = new.get("targets", head.targets).signed
    releases, policy = roles.releases_of(targets), roles.policy_of(targets)
    for path, target in new[roles.CHANNELS].signed.targets.items():
        content = _content(stored(target) or find_blob(target))
        if content is None or digest_of(content) != target.hashes["sha256"]:
            continue  # told as a blob that was not handed in
        channel, before = Channel.from_bytes(content), head.channels.signed.targets.get(path)
        standing = None if before is None else _content(stored(before))
        kept = () if standing is None else Channel.from_bytes(standing).entries
        for entry in channel.entries:
            for number in () if entry in kept else entry.releases:
                floor = policy.floor(channel.platform, entry.app_version)
                if number in releases and number >= floor:
                    continue
                told = f"the floor is {floor}" if number in releases else "the app role does not name it"
                raise EndpointRefused(
                    f"Channel {channel.channel} would offer release {number} to {channel.platform} "
                    f"{entry.app_version}: {told}.",
                    remedy="Point the channel at an approved release, at or above the floor.",
                    field="release",
                )


def _content(found: bytes | Path | None) -> bytes | None:
    return found.read_bytes() if isinstance(found, Path) else found


def refuse_foreign_online(root: Root, online: Online) -> None:
    """A new root that the online keys here do not hold would stop the repository for every device."""
    name = online.falls_short(root)
    if name is not None:
        raise EndpointRefused(
            f"Root {root.version} gives the {name} role to keys that nobody signs with here.",
            remedy=f"List its key under [online] {name} in server.toml (beside the old one while it is being replaced; drop "
            "the old one afterwards), restart the server, and run the command again.",
            field=name,
        )
