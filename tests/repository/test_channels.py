"""Operators steer: every edit reads the verified state, changes one entry, and is refused where a device would refuse it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from securesystemslib.signer import Signature
from tuf.api.metadata import Root

from mlpublish.artifacts import App, Release
from mlpublish.errors import Conflict, MlpublishError, NotFound, RecipeError, SigningError, ThresholdNotMet, VerificationError
from mlpublish.formats.channel import Channel, Entry
from mlpublish.publishing.publish import publish
from mlpublish.repository import channels
from mlpublish.trust import roles
from mlpublish.trust.keys import crypto_signer
from mlpublish.trust.signer import Signer
from tests import hands

if TYPE_CHECKING:
    from tests.repository.conftest import Steered

APP_ID = "com.acme.digits"


class Meddled:
    """An operator's key that takes its time: while it signs, something else happens.

    Args:
        holder: whose public key it shows.
        signs: whose private key it uses; by default the holder's.
        meanwhile: what happens before each signature, told the count of those before it.
    """

    def __init__(self, holder: Signer, *, signs: Signer | None = None, meanwhile: Callable[[int], object] = int) -> None:
        self.public_key, self._signs, self._meanwhile, self._count = holder.public_key, signs or holder, meanwhile, count()

    def sign(self, payload: bytes) -> Signature:
        self._meanwhile(next(self._count))
        signature = self._signs.sign(payload)
        return Signature(self.public_key.keyid, signature.signature)


def entry_of(steered: Steered, channel: str = "stable") -> Entry:
    entry = steered.show(channel=channel).entry("2.0")
    assert entry is not None
    return entry


LONG_AGO = "2020-01-31T12:00:00Z"


def now() -> str:
    return f"{roles.now():%Y-%m-%dT%H:%M:%SZ}"


def since_of(steered: Steered) -> str:
    since = entry_of(steered).since
    assert since is not None
    return since


def test_a_set_channel_says_so_and_the_operators_key_signed_it(steered: Steered) -> None:
    state = channels.set(APP_ID, to=steered.to, app_version="2.0", release=2)
    assert (state.changed, state.channel.entries) == (True, (Entry(app_version="2.0", release=2),))
    assert entry_of(steered) == Entry(app_version="2.0", release=2)
    head = steered.head()
    operator = steered.development.signer("channels").public_key.keyid
    assert roles.signers_of(head.targets.signed, roles.CHANNELS, head.channels) == (operator,)


def slowly(steered: Steered, meanwhile: Callable[[int], object]) -> Meddled:
    return Meddled(steered.development.signer("channels"), meanwhile=meanwhile)


def test_two_operators_at_once_both_get_their_edit(steered: Steered, new_release: Callable[..., Release]) -> None:
    publish(new_release(b"for 2.1", of=App(id=APP_ID, version="2.1")), to=steered.to)
    others = lambda number: number or steered.set(3, app_version="2.1")  # noqa: E731
    state = channels.set(APP_ID, to=steered.to, app_version="2.0", release=2, signer=slowly(steered, others))
    assert [(entry.app_version, entry.release) for entry in state.channel.entries] == [("2.0", 2), ("2.1", 3)]
    assert steered.show() == state.channel


def test_an_edit_is_made_from_what_another_operator_wrote_meanwhile(steered: Steered) -> None:
    others = lambda number: number or steered.set(2, rollout=25)  # noqa: E731
    channels.pause(APP_ID, to=steered.to, app_version="2.0", signer=slowly(steered, others))
    assert entry_of(steered) == Entry(app_version="2.0", release=2, rollout=25, otherwise=1, paused=True)


def test_if_current_is_asked_again_after_somebody_was_faster(steered: Steered) -> None:
    others = lambda number: number or steered.set(2)  # noqa: E731
    with pytest.raises(Conflict, match="offers release 2, not release 1"):
        steered.set(1, rollout=50, if_current=1, signer=slowly(steered, others))
    assert entry_of(steered) == Entry(app_version="2.0", release=2)


def test_since_is_when_the_release_began_to_be_offered_however_it_was_steered_later(steered: Steered) -> None:
    before = now()
    steered.set(2)
    assert before <= since_of(steered) <= now()
    edits, find = steered.channel_edit(replace(steered.show(), entries=(replace(entry_of(steered), since=LONG_AGO),)))
    steered.development.app(APP_ID).commit(edits, steered.development.online(), find)
    steered.set(2, rollout=50)
    channels.pause(APP_ID, to=steered.to, app_version="2.0")
    channels.resume(APP_ID, to=steered.to, app_version="2.0")
    assert (entry_of(steered).rollout, since_of(steered)) == (50, LONG_AGO)
    channels.rollback(APP_ID, to=steered.to, app_version="2.0", release=1)
    assert before <= since_of(steered) <= now()


def test_who_is_always_too_late_is_told(steered: Steered) -> None:
    others = lambda number: steered.set(2, rollout=number, channel="beta")  # noqa: E731
    with pytest.raises(Conflict, match="moved on 20 times"):
        steered.set(2, signer=slowly(steered, others))
    assert entry_of(steered).release == 1


def test_what_it_says_already_is_not_signed_again(steered: Steered) -> None:
    tag = steered.head().tag
    state = channels.set(APP_ID, to=steered.to, app_version="2.0", release=1)
    assert state.changed is False
    assert steered.head().tag == tag


def test_a_partial_rollout_leaves_the_others_what_they_had(steered: Steered) -> None:
    steered.set(2, rollout=25)
    assert entry_of(steered) == Entry(app_version="2.0", release=2, rollout=25, otherwise=1)
    steered.set(2, rollout=50)
    assert entry_of(steered) == Entry(app_version="2.0", release=2, rollout=50, otherwise=1)
    channels.rollout(APP_ID, 75, to=steered.to, app_version="2.0")
    assert entry_of(steered).rollout == 75
    steered.set(2)
    assert entry_of(steered) == Entry(app_version="2.0", release=2)


def test_the_first_partial_rollout_leaves_the_others_nothing(steered: Steered) -> None:
    steered.set(2, rollout=10, channel="beta")
    assert entry_of(steered, "beta").otherwise is None


def test_what_the_others_get_may_be_named(steered: Steered) -> None:
    steered.set(2, rollout=10, otherwise=1, channel="beta")
    assert entry_of(steered, "beta").otherwise == 1


def test_a_withdrawn_release_is_not_kept_for_the_others_without_being_named(steered: Steered) -> None:
    steered.policy(withdrawn={1: "biased"})
    steered.set(2, rollout=10)
    assert entry_of(steered) == Entry(app_version="2.0", release=2, rollout=10, otherwise=None)
    with pytest.raises(RecipeError, match="withdrawn"):
        steered.set(2, rollout=10, otherwise=1)


def test_pause_and_resume_touch_nothing_else(steered: Steered) -> None:
    steered.set(2, rollout=25)
    before = entry_of(steered)
    assert channels.pause(APP_ID, to=steered.to, app_version="2.0").channel.entries[0].paused
    assert entry_of(steered).paused
    assert channels.pause(APP_ID, to=steered.to, app_version="2.0").changed is False
    channels.resume(APP_ID, to=steered.to, app_version="2.0")
    assert entry_of(steered) == before


def test_a_rollback_is_a_newer_version_that_names_an_older_release(steered: Steered) -> None:
    steered.set(2, rollout=25)
    version = steered.head().channels.signed.version
    state = channels.rollback(APP_ID, to=steered.to, app_version="2.0")
    assert entry_of(steered) == Entry(app_version="2.0", release=1)
    assert state.version == steered.head().channels.signed.version == version + 1
    with pytest.raises(NotFound, match="no approved release below 1"):
        channels.rollback(APP_ID, to=steered.to, app_version="2.0")


def test_a_rollback_from_a_trial_goes_back_to_what_the_others_have(steered: Steered) -> None:
    publish(steered.new_release(b"three"), to=steered.to)
    steered.set(2, rollout=10)  # it failed, and nobody else got it
    steered.set(3, rollout=10)
    channels.rollout(APP_ID, 100, to=steered.to, app_version="2.0")
    assert channels.rollback(APP_ID, to=steered.to, app_version="2.0").channel.entries[0].release == 1


def test_a_rollback_steps_over_what_was_withdrawn_or_lies_below_the_floor(
    steered: Steered, new_release: Callable[..., Release]
) -> None:
    publish(new_release(b"three"), to=steered.to)
    steered.set(3)
    steered.policy(withdrawn={2: "biased"})
    assert channels.rollback(APP_ID, to=steered.to, app_version="2.0").channel.entries[0].release == 1
    steered.policy(withdrawn={2: "biased"}, floors={"ios/2.0": 2})
    steered.set(3)
    with pytest.raises(NotFound):
        channels.rollback(APP_ID, to=steered.to, app_version="2.0")
    with pytest.raises(RecipeError, match="floor is 2"):
        channels.rollback(APP_ID, to=steered.to, app_version="2.0", release=1)


@pytest.mark.parametrize("edit", ["rollout", "resume"])
@pytest.mark.parametrize(
    ("policy", "told"), [({"withdrawn": {2: "biased"}}, r"withdrawn \(biased\)"), ({"floors": {"ios/2.0": 3}}, "floor is 3")]
)
def test_what_devices_no_longer_take_is_paused_or_rolled_back_and_nothing_else(
    steered: Steered, edit: str, policy: dict[str, Any], told: str
) -> None:
    steered.set(2, rollout=25)
    channels.pause(APP_ID, to=steered.to, app_version="2.0")
    steered.policy(**policy)
    arguments = (50,) if edit == "rollout" else ()
    with pytest.raises(RecipeError, match=told):
        getattr(channels, edit)(APP_ID, *arguments, to=steered.to, app_version="2.0")
    assert channels.pause(APP_ID, to=steered.to, app_version="2.0").changed is False


def test_a_new_percentage_drops_others_that_can_no_longer_be_served(steered: Steered) -> None:
    steered.set(2, rollout=25)
    steered.policy(withdrawn={1: "biased"})
    channels.rollout(APP_ID, 50, to=steered.to, app_version="2.0")
    assert entry_of(steered) == Entry(app_version="2.0", release=2, rollout=50, otherwise=None)


def test_a_removed_entry_is_gone_and_the_channel_stays(steered: Steered) -> None:
    channels.remove(APP_ID, to=steered.to, app_version="2.0")
    assert steered.show().entries == ()
    assert channels.remove(APP_ID, to=steered.to, app_version="2.0").changed is False


@pytest.mark.parametrize("edit", ["rollout", "pause", "resume", "rollback"])
def test_what_is_not_there_cannot_be_steered(steered: Steered, edit: str) -> None:
    arguments = (50,) if edit == "rollout" else ()
    with pytest.raises(NotFound, match="nothing yet"):
        getattr(channels, edit)(APP_ID, *arguments, to=steered.to, app_version="3.0")
    with pytest.raises(NotFound):
        steered.show(channel="beta")


def test_if_current_guards_a_stale_re_run(steered: Steered) -> None:
    steered.set(2, if_current=1)
    with pytest.raises(Conflict, match="offers release 2, not release 1") as caught:
        steered.set(1, if_current=1)
    assert caught.value.field == "if_current"
    with pytest.raises(Conflict, match="offers nothing"):
        steered.set(1, if_current=1, channel="beta")
    assert entry_of(steered).release == 2


REFUSED: dict[str, tuple[dict[str, Any], type[MlpublishError], str]] = {
    "no such release": ({"release": 9}, NotFound, "there are: 1, 2"),
    "another app version's release": ({"app_version": "2.1"}, RecipeError, "for ios 2.0"),
    "another platform's release": ({"platform": "android"}, RecipeError, "for ios 2.0"),
    "no such release for the others": ({"rollout": 5, "otherwise": 9}, NotFound, "no release 9"),
    "more than everybody": ({"rollout": 101}, RecipeError, "rollout"),
    "less than nobody": ({"rollout": -1}, RecipeError, "rollout"),
    "an app version that is none": ({"app_version": "two"}, RecipeError, "app version"),
    "a channel that is none": ({"channel": "../up"}, RecipeError, "name of a channel"),
    "a channel in capitals": ({"channel": "Stable"}, RecipeError, "name of a channel"),
    "a key that is no operator's": (
        {"signer": crypto_signer(ec.generate_private_key(ec.SECP256R1()))},
        SigningError,
        "channels role",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_edit_is_refused_and_changes_nothing(steered: Steered, case: str) -> None:
    keywords, kind, told = REFUSED[case]
    tag = steered.head().tag
    with pytest.raises(kind) as caught:
        steered.set(**({"release": 2} | keywords))
    assert told in str(caught.value)
    assert caught.value.remedy
    assert steered.head().tag == tag


def reviewers_key(steered: Steered) -> Signer:
    """A second key of the app role, which root appoints from its next version on."""
    reviewer = crypto_signer(ed25519.Ed25519PrivateKey.generate())
    root = roles.parse(steered.head().root.to_bytes(), Root, "root")
    root.signed.add_key(reviewer.public_key, "targets")
    root.signed.version += 1
    root.signatures.clear()
    steered.store.create("metadata/2.root.json", roles.signed_by(root, steered.development.signer("root")).to_bytes())
    return reviewer


KEYS: dict[str, Callable[[Steered], Signer]] = {
    "the publisher's": lambda steered: steered.development.signer("targets"),
    "a reviewer's": reviewers_key,
    "the root's": lambda steered: steered.development.signer("root"),
    "the server's": lambda steered: steered.development.signer("timestamp"),
    "a stranger's": lambda _: crypto_signer(ec.generate_private_key(ec.SECP256R1())),
}


@pytest.mark.parametrize("whose", KEYS)
@pytest.mark.parametrize("edit", ["set", "rollout", "pause", "rollback", "remove"])
def test_only_an_operators_key_steers(steered: Steered, below: Callable[[Path], dict[str, str]], whose: str, edit: str) -> None:
    steered.set(2)
    key, operator = KEYS[whose](steered), steered.development.signer("channels").public_key.keyid
    before = below(steered.development.folder)
    more: dict[str, Any] = {"set": {"release": 1}, "rollout": {"percent": 50}}.get(edit, {})
    with pytest.raises(SigningError, match="not one of the channels role's") as caught:
        getattr(channels, edit)(APP_ID, to=steered.to, app_version="2.0", signer=key, **more)
    assert key.public_key.keyid[:12] in caught.value.problem
    assert operator[:12] in caught.value.problem, "who must act instead"
    assert below(steered.development.folder) == before


def test_a_key_that_only_claims_to_be_the_operators_gets_nothing_in(
    steered: Steered, below: Callable[[Path], dict[str, str]]
) -> None:
    before = below(steered.development.folder)
    liar = Meddled(steered.development.signer("channels"), signs=steered.development.signer("targets"))
    with pytest.raises(ThresholdNotMet, match="channels role"):
        steered.set(2, signer=liar)
    assert below(steered.development.folder) == before


def test_a_channel_is_read_with_the_apps_root_or_not_at_all(steered: Steered) -> None:
    mirror = steered.development.folder.parent / "mirror"
    steered.development.repository.rename(mirror)
    root = (mirror / APP_ID / "metadata/1.root.json").read_bytes()
    assert channels.show(APP_ID, at=mirror, root=root).channel.entries[0].release == 1
    foreign = hands.one_key_root(steered.development.signer("channels"))
    roles.signed_by(foreign, steered.development.signer("channels"))
    with pytest.raises(VerificationError):
        channels.show(APP_ID, at=mirror, root=foreign.to_bytes())


def test_a_channel_file_that_was_altered_on_disk_is_noticed_and_setting_it_again_heals_it(steered: Steered) -> None:
    target = steered.head().channels.signed.targets["channels/ios/stable.json"]
    place = steered.store.folder / roles.stored_at(target)
    place.write_bytes(place.read_bytes().replace(b'"release": 1', b'"release": 2'))
    with pytest.raises(VerificationError, match="not the one that was signed"):
        steered.show()


def test_all_channels_of_an_app_are_listed(steered: Steered) -> None:
    steered.set(2, channel="beta")
    assert [state.channel.channel for state in channels.list(APP_ID, at=steered.to)] == ["beta", "stable"]
    with pytest.raises(NotFound):
        channels.list("com.acme.nothing", at=steered.to)


def test_an_edit_works_from_the_state_that_is_current_when_it_is_signed(steered: Steered) -> None:
    mine = Channel(channel="stable", platform="ios", entries=(Entry(app_version="2.0", release=2),))
    edits, find = steered.channel_edit(mine)
    steered.set(1, rollout=50)
    with pytest.raises(Conflict, match="this edit was made from"):
        steered.development.app(APP_ID).commit(edits, steered.development.online(), find)


def test_apps_do_not_see_each_other(steered: Steered, new_release: Callable[..., Release]) -> None:
    other = App(id="com.acme.other", version="1.0")
    publish(new_release(b"other", of=other), to=steered.to)
    channels.set(other.id, to=steered.to, app_version="1.0", release=1)
    assert steered.show().entries == (Entry(app_version="2.0", release=1),)
    with pytest.raises(NotFound):
        channels.show("com.acme.nothing", at=steered.to)


def test_a_second_canary_does_not_ship_the_first_to_everybody(steered: Steered) -> None:
    publish(steered.new_release(b"three"), to=steered.to)
    steered.set(2, rollout=10)
    steered.set(3, rollout=10)
    assert entry_of(steered) == Entry(app_version="2.0", release=3, rollout=10, otherwise=1)
    steered.set(1, rollout=0)
    assert entry_of(steered) == Entry(app_version="2.0", release=1, rollout=0, otherwise=1)
