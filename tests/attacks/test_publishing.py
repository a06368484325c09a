"""What an endpoint refuses before any device meets it: it verifies what comes against the root, as a device would."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata

from mlpublish.artifacts import App
from mlpublish.errors import NotFound, ThresholdNotMet, VerificationError
from mlpublish.repository.endpoint import Edit
from mlpublish.repository.online import Online
from mlpublish.repository.repository import AppRepository
from mlpublish.storage.in_folder import FolderStore
from mlpublish.trust import roles
from tests.simulator import CHANNELS, SNAPSHOT, TARGETS, TIMESTAMP, Simulator, new_keys


def edit(lab: Simulator, name: str, by: Iterable[CryptoSigner], change: Callable[[Any], object] = lambda _: None) -> Edit:
    following = Metadata(deepcopy(lab.role(name).signed))
    following.signed.version += 1
    change(following.signed)
    return Edit(base=lab.role(name).signed.version, metadata=roles.signed_by(following, *by).to_bytes())


def hand_in(lab: Simulator, name: str, what: Edit) -> None:
    online = Online(snapshot=tuple(lab.keys[SNAPSHOT]), timestamp=tuple(lab.keys[TIMESTAMP]))

    def nothing_more(target: object) -> bytes:
        raise NotFound(f"{target} did not come along.", remedy="Send it.")

    AppRepository(FolderStore(lab.served), lab.app.id).commit({name: what}, online, nothing_more)


def test_a_release_that_too_few_reviewed_is_refused_at_publish(seasoned: Simulator) -> None:
    target = seasoned.bundled(3, b"never reviewed")
    one, stranger = seasoned.keys[TARGETS][0], new_keys(1)[0]
    for by in ((one,), (one, one), (one, stranger), (stranger,)):
        few = edit(seasoned, TARGETS, by, lambda role: role.targets.update({target.path: target}))
        with pytest.raises(ThresholdNotMet, match=r"of 2 signatures"):
            hand_in(seasoned, TARGETS, few)
    seasoned.updates_to(2)
    hand_in(
        seasoned,
        TARGETS,
        edit(seasoned, TARGETS, seasoned.keys[TARGETS][1:], lambda role: role.targets.update({target.path: target})),
    )
    assert AppRepository(FolderStore(seasoned.served), seasoned.app.id).head().targets.signed.version == (
        seasoned.targets.signed.version + 1
    )


def test_another_apps_channels_role_is_refused_at_publish(seasoned: Simulator, new_lab: Callable[..., Simulator]) -> None:
    other = new_lab(App(id="com.acme.other", version="2.0"), keys=seasoned.keys)
    for _ in range(9):
        other.release()
    stolen = Edit(base=seasoned.channels.signed.version, metadata=other.channels.to_bytes())
    with pytest.raises(VerificationError, match=r"of com\.acme\.other, not of"):
        hand_in(seasoned, CHANNELS, stolen)
    seasoned.updates_to(2)
