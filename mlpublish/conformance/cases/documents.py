"""Documents that are none, of a newer format, or with members that a reader does not know."""

from __future__ import annotations

import json
from typing import Any

from mlpublish.conformance.bundles import Made, bundle_of, zipped
from mlpublish.conformance.forge import TARGETS, TIMESTAMP
from mlpublish.conformance.script import Group, Script
from mlpublish.formats.channel import model_signature_path, signature_path
from mlpublish.formats.manifest import MANIFEST_PATH
from mlpublish.formats.status import UpdateStatus

group = Group("documents")
UNKNOWN = UpdateStatus.FAILURE_UNKNOWN


@group("The channel file is of a newer format: what an older reader would skip could be what makes it safe.")
def newer_channel_file(play: Script) -> None:
    _channel(play, format=2)
    play.fails(UNKNOWN)


@group("The policy is of a newer format.")
def newer_policy(play: Script) -> None:
    play.forge.release()
    play.forge.policy(custom={"format": 2})
    play.fails(UNKNOWN)


@group("The manifest is of a newer format.")
def newer_manifest(play: Script) -> None:
    content = zipped({MANIFEST_PATH: json.dumps({"format_version": 2}).encode()})
    play.forge.release(made=Made(content=content, manifest=bundle_of(1).manifest))
    play.fails(UNKNOWN, offered=1)


@group("What a client does not know is passed over: members of policy, channel and release, and other files of the release.")
def unknown_members(play: Script) -> None:
    play.forge.release(colour="blue")
    beside = {path: play.forge.put(path, b"for other readers") for path in (signature_path(1), model_signature_path(1))}
    play.forge.edit(TARGETS, lambda role: role.targets.update(beside))
    play.forge.policy(custom={"colour": "blue"})
    _channel(play, colour="blue")
    play.installs(1)


@group("The channel file is no JSON.")
def channel_file_is_none(play: Script) -> None:
    play.forge.release()
    play.forge.channel_says(b"no channel")
    play.fails()


@group("A member stands twice in the channel file: two readers would see two channels.")
def member_twice(play: Script) -> None:
    play.forge.release(offer=False)
    play.forge.offer(1)
    content = play.forge.channel.to_bytes()
    play.forge.channel_says(content.replace(b'"entries": [', b'"entries": [],\n  "entries": [', 1))
    play.fails()


@group("One bit of the channel file is another than was signed.")
def flipped_channel_file(play: Script) -> None:
    play.forge.release()
    play.forge.alter(play.forge.channel_file(), b'"release": 1', b'"release": 3')
    play.fails()


@group("What is said of the release is not what its format says.")
def broken_facts(play: Script) -> None:
    play.forge.release(minimum_os="new")
    play.fails(offered=1)


@group("The timestamp is no metadata.")
def timestamp_is_none(play: Script) -> None:
    play.forge.release()
    play.forge.files[play.forge.path(TIMESTAMP)] = b"{}"
    play.fails()


def _channel(play: Script, **members: Any) -> None:
    """The usual channel file with other members."""
    if not play.forge.channel.entries:
        play.forge.release()
    play.forge.channel_says(json.dumps(json.loads(play.forge.channel.to_bytes()) | members, sort_keys=True).encode())
