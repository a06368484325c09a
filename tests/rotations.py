"""Every way in which keys are replaced, as the holders of the old and the new ones do it together.

The order is the one that leaves nobody outside at any moment: first the new keys sign beside the old ones, then the role
above appoints them alone (a root is live the moment it is written).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Root, Targets

from mlpublish.trust import roles
from tests.simulator import CHANNELS, HOLDERS, ROOT, SNAPSHOT, TARGETS, THRESHOLDS, TIMESTAMP, Simulator, new_keys, new_pin


def root_keys(lab: Simulator) -> None:
    """All three root keys."""
    new = new_keys(HOLDERS[ROOT])
    lab.edit(ROOT, lambda root: appoint(root, ROOT, new), by=[*lab.signers(ROOT), *new[: THRESHOLDS[ROOT]]])
    lab.keys[ROOT], lab.pin = new, None


def app_keys(lab: Simulator) -> None:
    """All three reviewers."""
    new = new_keys(HOLDERS[TARGETS])
    lab.approve(by=[*lab.signers(TARGETS), *new[: THRESHOLDS[TARGETS]]])
    lab.edit(ROOT, lambda root: appoint(root, TARGETS, new))
    lab.keys[TARGETS] = new


def one_reviewer(lab: Simulator) -> None:
    """One reviewer leaves, another comes; the two who signed stay."""
    lab.keys[TARGETS] = [*lab.keys[TARGETS][:2], *new_keys(1)]
    lab.edit(ROOT, lambda root: appoint(root, TARGETS, lab.keys[TARGETS]))


def operator_keys(lab: Simulator) -> None:
    """Both operators: the app role appoints the new ones in the commit in which they sign the channels again."""
    new = new_keys(HOLDERS[CHANNELS])
    lab.edit(TARGETS, lambda role: appoint(role, CHANNELS, new))
    lab.edit(CHANNELS, by=[*lab.signers(CHANNELS), *new[: THRESHOLDS[CHANNELS]]])
    lab.stamp()
    lab.keys[CHANNELS] = new


def online_keys(lab: Simulator) -> None:
    """The keys of snapshot and timestamp."""
    new = {name: new_keys(HOLDERS[name]) for name in (SNAPSHOT, TIMESTAMP)}
    lab.stamp(by={name: [*lab.signers(name), *keys] for name, keys in new.items()})
    lab.edit(ROOT, lambda root: [appoint(root, name, keys) for name, keys in new.items()])
    lab.keys |= new


def pin(lab: Simulator) -> None:
    """The predecessor's key co-signs version 1 of the root, however many roots there are by then."""
    lab.pin = lab.pin or new_pin()
    first = roles.parse(lab.first_root(), Root, "root")
    lab.write(ROOT, roles.signed_by(first, lab.pin))
    if lab.root.signed.version == 1:
        lab.root = first


def everything(lab: Simulator) -> None:
    """Every key there is, one role after another."""
    for rotate in (online_keys, operator_keys, app_keys, root_keys):
        rotate(lab)


ROTATIONS: dict[str, Callable[[Simulator], None]] = {
    "root keys": root_keys,
    "app keys": app_keys,
    "one reviewer": one_reviewer,
    "operator keys": operator_keys,
    "online keys": online_keys,
    "root co-signed by a pin": pin,
    "everything": everything,
}


def appoint(role: Root | Targets, name: str, keys: Iterable[CryptoSigner]) -> None:
    """Let these keys, and no others, hold a role."""
    for keyid in list(role.get_delegated_role(name).keyids):
        role.revoke_key(keyid, name)
    for key in keys:
        role.add_key(key.public_key, name)
