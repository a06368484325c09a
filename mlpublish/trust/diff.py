"""What a change really does: its roles held against the present ones, member by member.

Nothing can hide: every member of the signed part that differs is told, the known ones in words, whatever else as it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tuf.api.metadata import SPECIFICATION_VERSION as _SPECIFICATION
from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.errors import FormatError
from mlpublish.formats.channel import ReleaseFacts
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.trust import roles
from mlpublish.trust.intents import holder


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that a change alters.

    Args:
        role: the role that says it.
        what: what is altered, such as ``release 3`` or ``floor of ios/2.0``.
        before, after: what was said and what is said then; None where it was or is not said.
        routine: whether it is what every role of ours says, or the version that follows; a reader may pass it over.
    """

    role: str
    what: str
    before: str | None
    after: str | None
    routine: bool = False

    @property
    def sentence(self) -> str:
        if self.before is None:
            return f"+ {self.what}: {self.after}"
        if self.after is None:
            return f"- {self.what}: {self.before}"
        return f"~ {self.what}: {self.before} → {self.after}"

    def to_dict(self) -> dict[str, Any]:
        return {"role": self.role, "what": self.what, "before": self.before, "after": self.after}


def diff(
    role: str, old: Metadata[Root] | Metadata[Targets] | None, new: Metadata[Root] | Metadata[Targets]
) -> list[Difference]:
    """Everything that differs in what is signed.

    Args:
        role: ``root``, ``targets`` or ``channels``.
        old: the present role, verified; None if there is none yet.
        new: the proposed one.
    """
    before = {} if old is None else _told(old.signed)
    after = _told(new.signed)
    return [
        Difference(
            role=role,
            what=what,
            before=before.get(what),
            after=after.get(what),
            routine=_is_routine(what, before.get(what), after.get(what)),
        )
        for what in (*after, *(gone for gone in before if gone not in after))
        if before.get(what) != after.get(what)
    ]


def _is_routine(what: str, before: str | None, after: str | None) -> bool:
    if what == "_type":
        return before is None  # whether it is the role's own, its reader has seen to
    if what == "version":
        return after is not None and int(after) == int(before or 0) + 1
    return before is None and after is not None and _ROUTINE.get(what) == after


_ROUTINE = {
    "spec_version": ".".join(_SPECIFICATION),
    "consistent_snapshot": "True",
    "delegations.roles[0].name": roles.CHANNELS,
    "delegations.roles[0].terminating": "True",
    "delegations.roles[0].paths[0]": "channels/*/*",
    "targets": "{}",
    "signature of the publisher": "counts",
    **{f"roles.{name}": "{}" for name in ("root", "targets", "snapshot", "timestamp")},
}


def _told(signed: Root | Targets) -> dict[str, str]:
    """Everything that a role says, each thing under its name."""
    left = signed.to_dict()
    told = dict(_held(signed, left))
    if isinstance(signed, Targets):
        told |= dict(_targets(signed, left))
    told |= {"version": str(left.pop("version")), "expires": str(left.pop("expires"))}
    return told | dict(_flat("", left))


def _held(signed: Root | Targets, left: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Who holds the roles that this one appoints: threshold and keys, in words."""
    if isinstance(signed, Root):
        appointed: Mapping[str, Any] = signed.roles
    else:
        appointed = (signed.delegations.roles or {}) if signed.delegations is not None else {}
    known = {} if not isinstance(signed, Root) and signed.delegations is None else _keys_of(signed)
    for name, role in appointed.items():
        yield f"threshold of {name}", f"{role.threshold} of {len(role.keyids)}"
        for keyid in role.keyids:
            key = known.get(keyid)
            told = "a key that is not listed" if key is None else f"{key.scheme} {_public(key.keyval)}"
            yield f"key of {name} {keyid[:12] if key is None else holder(key)}", f"{told}, id {keyid}"
    if isinstance(signed, Root):
        for role in left["roles"].values():
            role.pop("keyids"), role.pop("threshold")
        left.pop("keys")
        return
    for role in left.get("delegations", {}).get("roles", []):
        role.pop("keyids"), role.pop("threshold")
    left.get("delegations", {}).pop("keys", None)


def _targets(signed: Targets, left: dict[str, Any]) -> Iterator[tuple[str, str]]:
    targets = left["targets"]
    for path, target in signed.targets.items():
        if path == POLICY_PATH:
            yield from _policy(roles.custom_of(target), targets[path])
        elif path.startswith("releases/") and path.endswith("/bundle.zip"):
            told = _release(roles.custom_of(target), targets[path])
            if told is not None:
                yield path.removesuffix("/bundle.zip").replace("releases/", "release "), told


def _release(custom: Mapping[str, Any], left: dict[str, Any]) -> str | None:
    """A release in words; nothing if it is not what its format says (then it is told as it stands)."""
    try:
        facts = ReleaseFacts.from_dict(custom)
    except FormatError:
        return None
    if dict(custom) != facts.to_dict():
        return None
    del left["custom"]
    return (
        f"{facts.name} {facts.version} for {facts.app_id} {facts.platform} {', '.join(facts.app_versions)} "
        f"(release number {facts.number}), from system {facts.minimum_os}, {facts.unpacked_length} bytes unpacked, "
        f"manifest {facts.manifest}"
    )


def _policy(custom: Mapping[str, Any], left: dict[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        policy = Policy.from_dict(custom)
    except FormatError:
        return
    if dict(custom) != policy.to_dict():
        return
    del left["custom"]
    yield "app", policy.app_id
    yield from ((f"floor of {where}", str(number)) for where, number in policy.floors.items())
    yield from ((f"withdrawn release {number}", why) for number, why in policy.withdrawn.items())
    yield from ((f"retired release {number}", "never used again") for number in policy.retired)
    yield "days that a version of the app role holds", str(policy.expiry_days)
    yield "signature of the publisher", "counts" if policy.publisher_may_approve else "does not count"


def _keys_of(signed: Root | Targets) -> Mapping[str, Any]:
    return signed.keys if isinstance(signed, Root) else signed.delegations.keys if signed.delegations is not None else {}


def _public(keyval: Mapping[str, Any]) -> str:
    """The public key itself, in one line."""
    return "".join(line for line in str(keyval.get("public")).splitlines() if "-----" not in line)


def _flat(where: str, value: object) -> Iterator[tuple[str, str]]:
    """Whatever has no words of its own, as it stands in the metadata."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(f"{where}.{name}" if where else str(name), inner)
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _flat(f"{where}[{index}]", inner)
    else:
        yield where, str(value)
