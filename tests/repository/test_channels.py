"""Operators steer: every edit reads the verified state, changes one entry, and is refused where a device would refuse it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tuf.api.metadata import Targets

from mlpublish.artifacts import App, Release
from mlpublish.errors import Conflict, MlpublishError, NotFound, RecipeError, SigningError, VerificationError
from mlpublish.formats.channel import Channel, Entry
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.publishing.publish import publish
from mlpublish.repository import channels
from mlpublish.repository.endpoint import Edit
from mlpublish.trust import roles
from mlpublish.trust.keys import crypto_signer

if TYPE_CHECKING:
    from tests.repository.conftest import Steered

APP_ID = "com.acme.digits"


def entry_of(steered: Steered, channel: str = "stable") -> Entry:
    entry = steered.show(channel=channel).entry("2.0")
    assert entry is not None
    return entry


def with_policy(steered: Steered, **policy: Any) -> None:
    """What reviewers would do: a new app role with another policy."""
    head = steered.head()
    role = roles.parse(head.targets.to_bytes(), Targets, "targets")
    wanted = Policy(app_id=APP_ID, **policy)
    role.signed.targets[POLICY_PATH] = roles.target_file(POLICY_PATH, wanted.to_bytes(), wanted.to_dict())
    role.signed.version += 1
    role.signatures.clear()
    signed = roles.signed_by(role, steered.development.signer("targets")).to_bytes()
    edits = {"targets": Edit(base=head.targets.signed.version, metadata=signed)}
    steered.development.app(APP_ID).commit(edits, steered.development.online(), lambda _: wanted.to_bytes())


def test_a_set_channel_says_so_and_the_operators_key_signed_it(steered: Steered) -> None:
    state = channels.set(APP_ID, to=steered.to, app_version="2.0", release=2)
    assert (state.changed, state.channel.entries) == (True, (Entry(app_version="2.0", release=2),))
    assert entry_of(steered) == Entry(app_version="2.0", release=2)
    head = steered.head()
    operator = steered.development.signer("channels").public_key.keyid
    assert roles.signers_of(head.targets.signed, roles.CHANNELS, head.channels) == (operator,)


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
    with_policy(steered, withdrawn={1: "biased"})
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


def test_a_rollback_steps_over_what_was_withdrawn_or_lies_below_the_floor(
    steered: Steered, new_release: Callable[..., Release]
) -> None:
    publish(new_release(b"three"), to=steered.to)
    steered.set(3)
    with_policy(steered, withdrawn={2: "biased"})
    assert channels.rollback(APP_ID, to=steered.to, app_version="2.0").channel.entries[0].release == 1
    with_policy(steered, withdrawn={2: "biased"}, floors={"ios/2.0": 2})
    steered.set(3)
    with pytest.raises(NotFound):
        channels.rollback(APP_ID, to=steered.to, app_version="2.0")
    with pytest.raises(RecipeError, match="floor is 2"):
        channels.rollback(APP_ID, to=steered.to, app_version="2.0", release=1)


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


def test_the_publishers_key_does_not_steer(steered: Steered) -> None:
    with pytest.raises(SigningError, match="not one of the channels role's"):
        steered.set(2, signer=steered.development.key_uri("targets"))


def test_a_channel_is_read_with_the_apps_root_or_not_at_all(steered: Steered) -> None:
    mirror = steered.development.folder.parent / "mirror"
    steered.development.repository.rename(mirror)
    root = (mirror / APP_ID / "metadata/1.root.json").read_bytes()
    assert channels.show(APP_ID, at=mirror, root=root).channel.entries[0].release == 1
    foreign = roles.new_root(
        dict.fromkeys(("root", "targets", "snapshot", "timestamp"), steered.development.signer("channels"))
    )
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
    where = channels.access(APP_ID, steered.to)
    assert [state.channel.channel for state in channels.all_of(where)] == ["beta", "stable"]


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
