"""The commit protocol: junk is stepped over, and no rule of the roles is broken on the way.

What happens where several commit at once is in ``test_interleavings.py`` and ``test_processes.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tuf.api.metadata import Targets

from mlpublish.artifacts import Bundle, Release
from mlpublish.errors import EndpointRefused, NotFound, ThresholdNotMet, VerificationError
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.formats.status import UpdateStatus
from mlpublish.repository.endpoint import Edit
from mlpublish.repository.repository import AppRepository
from mlpublish.storage.in_folder import FolderStore
from mlpublish.trust import roles
from mlpublish.trust.keys import crypto_signer

if TYPE_CHECKING:
    from tests.repository.conftest import Steered

NewBundle = Callable[..., Bundle]
NewRelease = Callable[..., Release]
Edits = dict[str, Edit]


def test_who_was_helped_over_the_line_by_somebody_else_still_made_it(steered: Steered, new_release: NewRelease) -> None:
    """A renewal adopts the role that stands there in full; whoever wrote that role is told that it is new."""
    edits, find = steered.release_edit(new_release(b"three"))

    def before_write(number: int, path: str) -> None:
        if path.endswith("snapshot.json") and number < 3:
            steered.development.app(steered.app.id).commit({}, steered.development.online(), lambda _: None)

    assert steered.bent(before_write).commit(edits, steered.development.online(), find) is True
    assert sorted(steered.head().releases) == [1, 2, 3]


def junk(steered: Steered, kind: str, name: str) -> bytes:
    head = steered.head()
    if kind in ("bytes", "empty"):
        return {"bytes": b"junk", "empty": b"{}"}[kind]
    role = roles.new_channels_role("com.acme.digits")
    role.signed.targets = dict(head.role(name).signed.targets)
    role.signed.delegations = head.role(name).signed.delegations
    role.signed.version = head.role(name).signed.version + {"far version": 5, "old version": 0}.get(kind, 1)
    stranger = crypto_signer(ec.generate_private_key(ec.SECP256R1()))
    return roles.signed_by(role, stranger if kind == "stranger" else steered.development.signer(name)).to_bytes()


@pytest.mark.parametrize("name", ["targets", "channels"])
@pytest.mark.parametrize("kind", ["bytes", "empty", "stranger", "old version", "far version", "snapshot"])
def test_junk_under_the_next_number_is_stepped_over(
    steered: Steered, new_release: NewRelease, tmp_path: Path, kind: str, name: str
) -> None:
    path = f"metadata/{steered.head().role(name).signed.version + 1}.{name}.json"
    if kind == "snapshot":
        content, path = b"junk", f"metadata/{steered.head().snapshot.signed.version + 1}.snapshot.json"
    else:
        content = junk(steered, kind, name)
    assert steered.store.create(path, content)
    steered.set(2)
    assert steered.publish(b"three") == 3
    assert steered.store.read(path) == content
    assert steered.show().entries[0].release == 2
    steered.assert_whole()
    assert steered.installed(tmp_path / "device") == (UpdateStatus.SUCCESS, 2)


def test_a_finished_role_whose_bundle_is_missing_is_not_adopted(steered: Steered, new_release: NewRelease) -> None:
    metadata = (new_release(b"three").folder / "targets.json").read_bytes()
    steered.store.create(f"metadata/{steered.head().targets.signed.version + 1}.targets.json", metadata)
    steered.development.app(steered.app.id).commit({}, steered.development.online(), lambda _: None)
    assert sorted(steered.head().releases) == [1, 2]
    steered.assert_whole()


def test_an_edit_whose_bytes_were_not_handed_in_is_refused_and_nothing_is_current(
    steered: Steered, new_release: NewRelease
) -> None:
    edits, _ = steered.release_edit(new_release(b"three"))
    with pytest.raises(EndpointRefused, match="were not handed in"):
        steered.development.app(steered.app.id).commit(edits, steered.development.online(), lambda _: None)
    assert sorted(steered.head().releases) == [1, 2]


def app_role_edit(steered: Steered, change: Callable[[Targets], None], signer: str = "targets") -> Edits:
    head = steered.head()
    role = roles.parse(head.targets.to_bytes(), Targets, "targets")
    role.signed.version += 1
    change(role.signed)
    role.signatures.clear()
    signed = roles.signed_by(role, steered.development.signer(signer)).to_bytes()
    return {"targets": Edit(base=head.targets.signed.version, metadata=signed)}


def refused(steered: Steered, kind: type[Exception], edits: Edits, told: str) -> None:
    before = steered.head().tag
    with pytest.raises(kind, match=told):
        steered.development.app(steered.app.id).commit(edits, steered.development.online(), lambda _: None)
    assert steered.head().tag == before


def test_an_app_role_that_would_orphan_the_channels_is_refused(steered: Steered) -> None:
    def replace_operator(role: Targets) -> None:
        role.revoke_key(steered.development.signer("channels").public_key.keyid, "channels")
        role.add_key(crypto_signer(ec.generate_private_key(ec.SECP256R1())).public_key, "channels")

    refused(steered, ThresholdNotMet, app_role_edit(steered, replace_operator), "channels role")


def test_an_app_role_for_another_app_or_by_an_operator_is_refused(steered: Steered) -> None:
    other = Policy(app_id="com.acme.other")

    def rename(role: Targets) -> None:
        role.targets[POLICY_PATH] = roles.target_file(POLICY_PATH, other.to_bytes(), other.to_dict())

    refused(steered, EndpointRefused, app_role_edit(steered, rename), "com.acme.other")
    refused(steered, ThresholdNotMet, app_role_edit(steered, lambda _: None, signer="channels"), "0 of 1")


def test_an_app_role_that_has_run_out_is_not_made_current(steered: Steered) -> None:
    """Made current, it would end in FAILURE_INTEGRITY on every device."""

    def run_out(role: Targets) -> None:
        role.expires = roles.now()

    refused(steered, VerificationError, app_role_edit(steered, run_out), "expired")


def test_an_app_that_is_not_there_has_no_head(steered: Steered, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        AppRepository(FolderStore(tmp_path / "nothing"), "com.acme.nothing").head()
    assert not (tmp_path / "nothing").exists()
