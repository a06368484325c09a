"""What a change really does: its roles held against the present ones, member by member.

Nothing can hide. Everything that is signed becomes facts, each known by the place in the document where it stands, whatever
somebody called a key, a release or a path: the known ones in words, the rest as it stands. So where what is signed differs, a
fact differs.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import SPECIFICATION_VERSION as _SPECIFICATION
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from mlpublish.errors import FormatError
from mlpublish.formats.channel import ReleaseFacts, bundle_path, model_signature_path, signature_path
from mlpublish.formats.policy import POLICY_PATH, RELEASE_NUMBER, Policy
from mlpublish.formats.wire import dump
from mlpublish.trust import roles
from mlpublish.trust.approval import Present
from mlpublish.trust.changes import ROLES, Change
from mlpublish.trust.intents import holder
from mlpublish.trust.keys import HOLDER
from mlpublish.trust.spelling import beginning, member, spelled, word

_Place = tuple[str | int, ...]


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


@dataclass(frozen=True, slots=True)
class _Fact:
    """Something that a role says: where, and what that is called. Under another name it is another fact."""

    place: _Place
    what: str


_Facts = Iterator[tuple[_Fact, str]]


def diff(
    role: str, old: Metadata[Root] | Metadata[Targets] | None, new: Metadata[Root] | Metadata[Targets]
) -> list[Difference]:
    """Everything that differs in what is signed.

    Args:
        role: ``root``, ``targets`` or ``channels``.
        old: the present role, verified; None if there is none yet.
        new: the proposed one.
    """
    before = {} if old is None else dict(_facts(old.signed))
    after = dict(_facts(new.signed))
    found = [
        Difference(
            role=role,
            what=fact.what,
            before=before.get(fact),
            after=after.get(fact),
            routine=_is_routine(fact.place, before.get(fact), after.get(fact)),
        )
        for fact in (*after, *(gone for gone in before if gone not in after))
        if before.get(fact) != after.get(fact)
    ]
    return found if old is None else [*found, *_reordered(role, old.signed, new.signed)]


def differences(change: Change, present: Present) -> tuple[Difference, ...]:
    """What a change does to what is current, or was when it was made."""
    names = [name for name in ROLES if name in change.edits]
    return tuple(each for name in names for each in diff(name, present.role(name), change.role(name)))


def beyond(seen: Iterable[Difference], made: Iterable[Difference]) -> tuple[Difference, ...]:
    """What one change does and another does not, wherever each began: versions, expiries and numbers of keys aside."""
    known = {_meant(each) for each in seen}
    return tuple(each for each in made if not each.routine and _meant(each) not in known | {None})


def _meant(each: Difference) -> tuple[str, str, str | None] | None:
    if each.what in ("version", "expires"):
        return None
    if not each.what.startswith("threshold of ") or each.after is None:
        return each.role, each.what, each.after
    was, becomes = ((told or "").partition(" of ")[0] for told in (each.before, each.after))
    return None if was == becomes else (each.role, each.what, becomes)


def _is_routine(place: _Place, before: str | None, after: str | None) -> bool:
    if place == ("version",):
        return after == ("1" if before is None else str(int(before) + 1) if before.isdecimal() else None)
    if place == ("_type",):
        return before is None  # whether it is the role's own, its reader has seen to
    return before is None and after is not None and _ROUTINE.get(place) == after


_ROUTINE: Mapping[_Place, str] = {
    ("spec_version",): ".".join(_SPECIFICATION),
    ("consistent_snapshot",): "true",
    ("delegations", "roles", 0, "name"): spelled(roles.CHANNELS),
    ("delegations", "roles", 0, "terminating"): "true",
    ("delegations", "roles", 0, "paths", 0): spelled("channels/*/*"),
    ("targets", POLICY_PATH, "publisher_may_approve"): "counts",
}


def _facts(signed: Root | Targets) -> _Facts:
    """Everything that a role says. What is told in words is taken out of ``left``; the rest is told as it stands."""
    left: dict[str, Any] = deepcopy(signed.to_dict())
    yield from _holders(signed, left)
    if isinstance(signed, Targets):
        yield from _targets(signed, left["targets"])
    for name in ("roles", "keys", "targets"):
        if left.get(name) == {}:
            del left[name]
    for name in ("version", "expires", "spec_version"):
        value = left.pop(name)
        yield _Fact((name,), name), word(value) if isinstance(value, str) else spelled(value)
    yield from _flat((), left)


def _holders(signed: Root | Targets, left: dict[str, Any]) -> _Facts:
    """Who holds the roles that this one appoints: threshold and keys, in words."""
    known = _keys_of(signed)
    keys_left: dict[str, Any] = left["keys"] if isinstance(signed, Root) else left.get("delegations", {}).get("keys", {})
    told = {keyid: _key_in_words(key, keys_left[keyid]) for keyid, key in known.items()}
    unused = dict.fromkeys(known)
    for place, name, each in _appointments(signed, left):
        keyids, threshold = each.pop("keyids"), each.pop("threshold")
        yield _Fact((*place, "threshold"), f"threshold of {word(name)}"), f"{spelled(threshold)} of {len(keyids)}"
        for keyid in keyids:
            who = holder(known[keyid]) if keyid in known else beginning(keyid)
            words = told.get(keyid, f"a key that is not listed, id {word(keyid)}")
            yield _Fact((*place, "keyids", keyid), f"key of {word(name)} {who}"), words
            unused.pop(keyid, None)
    for keyid in unused:
        yield _Fact(("keys", keyid), f"key without a role {holder(known[keyid])}"), told[keyid]
    for names in (keys_left, left["roles"]) if isinstance(signed, Root) else (keys_left,):
        for name in [name for name, rest in names.items() if rest == {}]:
            del names[name]
    if not isinstance(signed, Root) and left.get("delegations", {}).get("keys") == {}:
        del left["delegations"]["keys"]


def _appointments(signed: Root | Targets, left: dict[str, Any]) -> Iterator[tuple[_Place, str, dict[str, Any]]]:
    """Each role that is given to keys: where that stands, its name, and what is said of it.

    The library reads key ids that are no list of texts; those are told as they stand.
    """
    if isinstance(signed, Root):
        places: list[_Place] = [("roles", name) for name in sorted(left["roles"], key=_ORDER.index)]
        given = [(place, str(place[1]), left["roles"][place[1]]) for place in places]
    else:
        listed = left.get("delegations", {}).get("roles", [])
        given = [(("delegations", "roles", index), each["name"], each) for index, each in enumerate(listed)]
    for place, name, each in given:
        if isinstance(each["keyids"], list) and all(isinstance(keyid, str) for keyid in each["keyids"]):
            yield place, name, each


_ORDER = ("root", "targets", "snapshot", "timestamp")


def _key_in_words(key: Key, left: dict[str, Any]) -> str:
    """A key in one line: its scheme, the key itself, its whole id; its holder stands in the fact's name."""
    left.pop("scheme")
    public = left["keyval"].pop("public", None)
    if left["keyval"] == {}:
        del left["keyval"]
    if _KINDS.get(key.scheme) == left["keytype"]:
        del left["keytype"]
    if isinstance(left.get(HOLDER), str):
        del left[HOLDER]
    return f"{word(key.scheme)} {_public(key.scheme, public)}, id {word(key.keyid)}"


_KINDS = {"ecdsa-sha2-nistp256": "ecdsa", "ed25519": "ed25519", "rsa-pkcs1v15-sha256": "rsa"}


def _public(scheme: str, public: object) -> str:
    """The key itself; without the frame of a PEM only where putting the frame around it gives the very same text."""
    if scheme == "ed25519" or not isinstance(public, str):
        return word(public)
    body = "".join(line for line in public.splitlines() if "-----" not in line)
    framed = "\n".join(["-----BEGIN PUBLIC KEY-----", *textwrap.wrap(body, 64), "-----END PUBLIC KEY-----", ""])
    return body if framed == public and word(body) == body else spelled(public)


def _targets(signed: Targets, left: dict[str, Any]) -> _Facts:
    for path, target in signed.targets.items():
        if path == POLICY_PATH:
            yield from _policy(target, left[path])
        elif path.startswith("releases/"):
            yield from _release(path, target, left[path])
        if left[path] == {}:
            del left[path]


def _release(path: str, target: TargetFile, left: dict[str, Any]) -> _Facts:
    """A release, or what lies beside one, in words; nothing if it is not what its format says."""
    number = path.split("/")[1]
    if re.fullmatch(RELEASE_NUMBER, number) is None:
        return
    for beside, what in ((signature_path, "signature beside"), (model_signature_path, "model.sig of")):
        if path == beside(int(number)):
            yield _Fact(("targets", path), f"{what} release {number}"), _bytes(left)
    if path != bundle_path(int(number)):
        return
    try:
        facts = ReleaseFacts.from_dict(roles.custom_of(target))
    except FormatError:
        return
    if spelled(facts.to_dict()) != spelled(left["custom"]):
        return
    del left["custom"]
    versions = ", ".join(word(each) for each in facts.app_versions)
    yield (
        _Fact(("targets", path), f"release {number}"),
        f"{word(facts.name)} {word(facts.version)} for {word(facts.app_id)} {word(facts.platform)} {versions or 'no version'}, "
        f"from system {facts.minimum_os}; number {facts.number}, {_bytes(left)}, unpacked {facts.unpacked_length}, "
        f"manifest {facts.manifest}",
    )


def _bytes(left: dict[str, Any]) -> str:
    """A target's length and sha256, in words."""
    told = f"{spelled(left.pop('length'))} bytes"
    if isinstance(left["hashes"].get("sha256"), str):
        told += f", sha256 {word(left['hashes'].pop('sha256'))}"
    if left["hashes"] == {}:
        del left["hashes"]
    return told


def _policy(target: TargetFile, left: dict[str, Any]) -> _Facts:
    try:
        policy = Policy.from_dict(roles.custom_of(target))
    except FormatError:
        return
    if spelled(policy.to_dict()) != spelled(left["custom"]):
        return
    if spelled(left) == spelled(roles.target_file(POLICY_PATH, dump(left["custom"]), left["custom"]).to_dict()):
        left.clear()  # length and digest follow from the words
    left.pop("custom", None)
    place = ("targets", POLICY_PATH)
    yield _Fact((*place, "app"), "app id"), word(policy.app_id)
    for where, least in policy.floors.items():
        yield _Fact((*place, "floors", where), f"floor of {word(where)}"), str(least)
    for number, why in policy.withdrawn.items():
        yield _Fact((*place, "withdrawn", number), f"withdrawn release {number}"), word(why)
    for number in policy.retired:
        yield _Fact((*place, "retired", number), f"retired release {number}"), "never used again"
    yield _Fact((*place, "expiry_days"), "days that a version of the app role holds"), str(policy.expiry_days)
    may = "counts" if policy.publisher_may_approve else "does not count"
    yield _Fact((*place, "publisher_may_approve"), "signature of the publisher"), may


def _reordered(role: str, old: Root | Targets, new: Root | Targets) -> Iterator[Difference]:
    """The order of a role's keys means nothing to anybody, and is signed."""
    before, after = ({name: each["keyids"] for _, name, each in _appointments(one, one.to_dict())} for one in (old, new))
    for name in before.keys() & after.keys():
        kept, keeps = (
            [keyid for keyid in one[name] if keyid in other[name]] for one, other in ((before, after), (after, before))
        )
        if kept != keeps:
            shown = [", ".join(beginning(keyid) for keyid in each) for each in (kept, keeps)]
            yield Difference(role=role, what=f"order of the keys of {word(name)}", before=shown[0], after=shown[1])


def _keys_of(signed: Root | Targets) -> Mapping[str, Key]:
    return signed.keys if isinstance(signed, Root) else signed.delegations.keys if signed.delegations is not None else {}


def _flat(place: _Place, value: object) -> _Facts:
    """Whatever has no words of its own, as it stands in the metadata."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat((*place, str(name)), inner)
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _flat((*place, index), inner)
    else:
        yield _Fact(place, member(place)), spelled(value)
