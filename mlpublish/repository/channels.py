"""The verb ``channel``: point a channel at an approved release, roll out, pause, resume, roll back.

Operators steer; they never say what a release is. Each edit reads the verified head, changes one entry, signs the next
channels role and commits; if somebody else was faster it reads again, so no edit is lost and none is made from stale state.
A rollback is a *newer* channel version that names an older release.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Required, TypedDict, Unpack

from mlpublish import settings
from mlpublish.artifacts import App
from mlpublish.errors import Conflict, NotFound, RecipeError
from mlpublish.formats.channel import NAME, Channel, Entry
from mlpublish.formats.wire import digest_of
from mlpublish.reports import ChannelState
from mlpublish.repository.access import Access, access
from mlpublish.repository.endpoint import Commit
from mlpublish.repository.head import Head, channel_in, next_version
from mlpublish.repository.offering import Approved, check_percent, existing
from mlpublish.trust import roles
from mlpublish.trust.changes import Edit
from mlpublish.trust.signer import Signer

_TRIES = 20


def set(
    app: str,
    *,
    to: str | Path,
    app_version: str,
    release: int,
    platform: str = "ios",
    channel: str = "stable",
    rollout: int = 100,
    otherwise: int | None = None,
    repository: str | Path | None = None,
    signer: Signer | str | None = None,
    token: str | None = None,
    if_current: int | None = None,
    root: Path | str | bytes | None = None,
) -> ChannelState:
    """Offer a release to one app version.

    Args:
        app: the app's bundle id.
        to: the endpoint, ``http(s)://host[:port]`` or ``file:DIR``.
        release: the release number; the app role must name it for this app version. A pause ends with it.
        rollout: percent of devices that get it, 0 to 100.
        otherwise: what the devices outside the rollout keep getting; by default what was offered before, if that can
            still be offered.
        signer: an operator's Signer or key URI.
        token: the bearer token for a server.
        if_current: change nothing unless this release is the one offered now (guards a stale re-run).
        root: the app's trusted root; by default mlpublish.toml's, or the development folder's.

    Returns:
        The channel's new state; ``changed`` is False if it said so already.

    Raises:
        NotFound: the app role names no such release.
        RecipeError: the release is for another app version, below the floor, or withdrawn; a value is out of range; no root
            of the app is trusted here.
        Conflict: ``if_current`` does not hold.
        SigningError, PublishError: the key or the endpoint refuses.
    """
    wanted = App(id=app, version=app_version, platform=platform)
    check_percent(rollout)
    where = access(app, to, repository=repository, signer=signer, token=token, root=root)
    change = lambda approved, present: approved.offering(wanted, present, release, rollout, otherwise)  # noqa: E731
    return _edit(where, wanted, channel, change, if_current)


def offer(
    app: App,
    release: int,
    *,
    to: str | Path,
    channel: str = "stable",
    repository: str | Path | None = None,
    signer: Signer | str | None = None,
    token: str | None = None,
    newer_is_fine: bool = False,
    root: Path | str | bytes | None = None,
) -> ChannelState:
    """Offer a release to everybody, unless it is offered already: then rollout and pause stay as an operator left them.

    This is what makes a re-run of a pipeline harmless; see ``set`` for the rest.

    Args:
        newer_is_fine: leave a channel that offers a newer release alone, instead of raising.

    Raises:
        Conflict: the channel offers a newer release; going back is a decision (``rollback`` or ``set``), not a re-run.
    """

    def unless_offered(approved: Approved, present: Entry | None) -> Entry:
        if present is not None and present.release > release and not newer_is_fine:
            raise Conflict(
                f"Release {release} is published, but channel {channel} offers the newer release {present.release}.",
                remedy=f"To go back on purpose: mlpublish channel set --release {release} (or channel rollback).",
                field="channel",
            )
        if present is not None and present.release >= release:
            return present
        return approved.offering(app, present, release, 100, None)

    where = access(app.id, to, repository=repository, signer=signer, token=token, root=root)
    return _edit(where, app, channel, unless_offered, None)


class Where(TypedDict, total=False):
    """The keywords that ``rollout``, ``pause``, ``resume``, ``rollback`` and ``remove`` share with ``set``."""

    to: Required[str | Path]
    app_version: Required[str]
    platform: str
    channel: str
    repository: str | Path | None
    signer: Signer | str | None
    token: str | None
    if_current: int | None
    root: Path | str | bytes | None


def rollout(app: str, percent: int, **where: Unpack[Where]) -> ChannelState:
    """Change the percentage of the release that is offered now, if it still can be; for the keywords see ``set``."""
    check_percent(percent)
    return _steered(app, where, lambda approved, wanted, entry: replace(approved.standing(wanted, entry), rollout=percent))


def pause(app: str, **where: Unpack[Where]) -> ChannelState:
    """Offer nothing new until ``resume``; nothing is uninstalled. For the keywords see ``set``."""
    return _steered(app, where, lambda _, wanted, entry: replace(existing(wanted, entry), paused=True))


def resume(app: str, **where: Unpack[Where]) -> ChannelState:
    """Offer again what was paused, if it still can be; for the keywords see ``set``."""
    return _steered(app, where, lambda approved, wanted, entry: replace(approved.standing(wanted, entry), paused=False))


def rollback(app: str, *, release: int | None = None, **where: Unpack[Where]) -> ChannelState:
    """Offer an older approved release to everybody; keywords as in ``set``.

    By default it is what the devices outside the rollout keep, for that was offered to all; else the newest approved one
    below the present. Which one is settled at the first look: if a crashed run, or somebody else, rolled back at that very
    moment, this is still one step and not two.
    """
    settled = release

    def older(approved: Approved, wanted: App, entry: Entry | None) -> Entry:
        nonlocal settled
        back = approved.rolled_back(wanted, entry, settled)
        settled = back.release
        return back

    return _steered(app, where, older)


def remove(app: str, **where: Unpack[Where]) -> ChannelState:
    """Offer this app version nothing any more; whoever has a release keeps it. For the keywords see ``set``."""
    return _steered(app, where, lambda *_: None)


def show(
    app: str,
    *,
    at: str | Path,
    platform: str = "ios",
    channel: str = "stable",
    repository: str | Path | None = None,
    root: Path | str | bytes | None = None,
    token: str | None = None,
) -> ChannelState:
    """What a channel says now, verified.

    Raises:
        NotFound: the app has no such channel, or no repository there.
    """
    where = access(app, at, repository=repository, token=token, root=root)
    head = where.head()
    found = channel_in(head, where.read, platform, channel_name(channel))
    if found is None:
        raise NotFound(
            f"{app} has no channel {channel!r} on {platform}.", remedy="Set it with: mlpublish channel set.", field="channel"
        )
    return _state(where, found, head.channels.signed.version)


def list(
    app: str,
    *,
    at: str | Path,
    repository: str | Path | None = None,
    root: Path | str | bytes | None = None,
    token: str | None = None,
) -> tuple[ChannelState, ...]:
    """What every channel of an app says now, on every platform, verified; for the keywords see ``show``."""
    return all_of(access(app, at, repository=repository, token=token, root=root))


def all_of(where: Access) -> tuple[ChannelState, ...]:
    """Every channel of an app that is reached already, verified."""
    head = where.head()
    named = [path.split("/") for path in sorted(head.channels.signed.targets) if path.count("/") == 2]
    found = (channel_in(head, where.read, platform, file.removesuffix(".json")) for _, platform, file in named)
    return tuple(_state(where, each, head.channels.signed.version) for each in found if each is not None)


def _steered(app: str, where: Where, change: Callable[[Approved, App, Entry | None], Entry | None]) -> ChannelState:
    wanted = App(id=app, version=where["app_version"], platform=where.get("platform", "ios"))
    reached = access(
        app,
        where["to"],
        repository=where.get("repository"),
        signer=where.get("signer"),
        token=where.get("token"),
        root=where.get("root"),
    )
    channel = where.get("channel", "stable")
    return _edit(reached, wanted, channel, lambda approved, entry: change(approved, wanted, entry), where.get("if_current"))


def _edit(
    where: Access,
    app: App,
    channel: str,
    change: Callable[[Approved, Entry | None], Entry | None],
    if_current: int | None,
) -> ChannelState:
    """Read, change, sign, commit; again from the start if somebody else was faster."""
    name = channel_name(channel)
    for attempt in range(_TRIES):
        head = where.trusted_head()
        present = channel_in(head, where.read, app.platform, name) or Channel(channel=name, platform=app.platform)
        entry = present.entry(app.version)
        _check_current(entry, if_current)
        wanted = change(Approved.of(head), entry)
        edited = present.without(app.version) if wanted is None else present.with_entry(wanted.following(entry, at=_now()))
        if edited == present:
            return _state(where, present, head.channels.signed.version, changed=attempt > 0)
        try:
            return _state(where, edited, _commit(where, head, edited), changed=True)
        except Conflict:
            continue
    raise Conflict(f"The channels of {app.id} moved on {_TRIES} times.", remedy="Try again in a moment.", field="channel")


def _commit(where: Access, head: Head, edited: Channel) -> int:
    signer = where.signer()
    roles.must_hold(signer, head.targets.signed, roles.CHANNELS)
    base = head.channels.signed.version
    version = next_version(where.read, roles.CHANNELS, base)
    role = roles.signed_by(roles.with_channel(head.channels, edited, version=version), signer)
    content = edited.to_bytes()
    edits = {roles.CHANNELS: Edit(base=base, metadata=role.to_bytes())}
    where.endpoint.commit(where.app_id, Commit(edits=edits, blobs={digest_of(content): content}))
    return version


def _now() -> str:
    return f"{roles.now():%Y-%m-%dT%H:%M:%SZ}"


def _state(where: Access, channel: Channel, version: int, *, changed: bool = False) -> ChannelState:
    return ChannelState(endpoint=where.endpoint.uri, app_id=where.app_id, channel=channel, version=version, changed=changed)


def _check_current(entry: Entry | None, if_current: int | None) -> None:
    current = None if entry is None else entry.release
    if if_current is not None and current != if_current:
        raise Conflict(
            f"The channel offers {'nothing' if current is None else f'release {current}'}, not release {if_current}.",
            remedy="Look at it with: mlpublish channel show; then decide again.",
            field="if_current",
        )


def channel_name(channel: str) -> str:
    """Give back a channel's name that is one.

    Raises:
        RecipeError: it is not.
    """
    if re.fullmatch(NAME, channel) is None:
        raise RecipeError(
            f"{channel!r} is not the name of a channel.",
            remedy="Use up to 64 lower-case letters, digits, dots, _ and -, a letter or digit first.",
            field="channel",
        )
    return channel


def default_channel(app_id: str, given: str | None) -> str:
    """The channel that is meant: given, the app's in mlpublish.toml, or the general one."""
    configured = settings.load()
    return given or configured.app(app_id).channel or configured.channel
