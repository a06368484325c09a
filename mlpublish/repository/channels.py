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
from mlpublish.repository.endpoint import Commit, Edit
from mlpublish.repository.head import Head, channel_in, next_version
from mlpublish.trust import roles
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

    Returns:
        The channel's new state; ``changed`` is False if it said so already.

    Raises:
        NotFound: the app role names no such release.
        RecipeError: the release is for another app version, below the floor, or withdrawn; a value is out of range.
        Conflict: ``if_current`` does not hold.
        SigningError, PublishError: the key or the endpoint refuses.
    """
    wanted = App(id=app, version=app_version, platform=platform)
    _check_percent(rollout)
    where = access(app, to, repository=repository, signer=signer, token=token)
    change = lambda head, present: _offering(head, wanted, present, release, rollout, otherwise)  # noqa: E731
    return _edit(where, wanted, channel, change, if_current)


def offer(
    app: App,
    release: int,
    *,
    to: str | Path,
    channel: str = "stable",
    repository: str | Path | None = None,
    token: str | None = None,
    newer_is_fine: bool = False,
) -> ChannelState:
    """Offer a release to everybody, unless it is offered already: then rollout and pause stay as an operator left them.

    This is what makes a re-run of a pipeline harmless; see ``set`` for the rest.

    Args:
        newer_is_fine: leave a channel that offers a newer release alone, instead of raising.

    Raises:
        Conflict: the channel offers a newer release; going back is a decision (``rollback`` or ``set``), not a re-run.
    """

    def unless_offered(head: Head, present: Entry | None) -> Entry:
        if present is not None and present.release > release and not newer_is_fine:
            raise Conflict(
                f"Release {release} is published, but channel {channel} offers the newer release {present.release}.",
                remedy=f"To go back on purpose: mlpublish channel set --release {release} (or channel rollback).",
                field="channel",
            )
        return (
            present if present is not None and present.release >= release else _offering(head, app, present, release, 100, None)
        )

    where = access(app.id, to, repository=repository, token=token)
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


def rollout(app: str, percent: int, **where: Unpack[Where]) -> ChannelState:
    """Change the percentage of the release that is offered now; for the keywords see ``set``."""
    _check_percent(percent)
    return _steered(app, where, lambda _, wanted, entry: replace(_present(entry, wanted), rollout=percent))


def pause(app: str, **where: Unpack[Where]) -> ChannelState:
    """Offer nothing new until ``resume``; nothing is uninstalled. For the keywords see ``set``."""
    return _steered(app, where, lambda _, wanted, entry: replace(_present(entry, wanted), paused=True))


def resume(app: str, **where: Unpack[Where]) -> ChannelState:
    """Offer again what was paused; for the keywords see ``set``."""
    return _steered(app, where, lambda _, wanted, entry: replace(_present(entry, wanted), paused=False))


def rollback(app: str, *, release: int | None = None, **where: Unpack[Where]) -> ChannelState:
    """Offer an older approved release to everybody; by default the newest one below the present. Keywords as in ``set``."""

    def older(head: Head, wanted: App, present: Entry | None) -> Entry:
        current = _present(present, wanted).release
        fitting = [number for number in head.releases if number < current and _fits(head, wanted, number)]
        number = release if release is not None else max(fitting, default=None)
        if number is None:
            raise NotFound(
                f"There is no approved release below {current} for {wanted.platform} {wanted.version}.",
                remedy="Name one with --release N, or pause the channel.",
                field="release",
            )
        _check_release(head, wanted, number)
        return Entry(app_version=wanted.version, release=number)

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


def all_of(where: Access) -> tuple[ChannelState, ...]:
    """Every channel of an app, verified."""
    head = where.head()
    named = [path.split("/") for path in sorted(head.channels.signed.targets) if path.count("/") == 2]
    found = (channel_in(head, where.read, platform, file.removesuffix(".json")) for _, platform, file in named)
    return tuple(_state(where, each, head.channels.signed.version) for each in found if each is not None)


def _steered(app: str, where: Where, change: Callable[[Head, App, Entry | None], Entry | None]) -> ChannelState:
    wanted = App(id=app, version=where["app_version"], platform=where.get("platform", "ios"))
    reached = access(
        app,
        where["to"],
        repository=where.get("repository"),
        signer=where.get("signer"),
        token=where.get("token"),
    )
    channel = where.get("channel", "stable")
    return _edit(reached, wanted, channel, lambda head, entry: change(head, wanted, entry), where.get("if_current"))


def _edit(
    where: Access,
    app: App,
    channel: str,
    change: Callable[[Head, Entry | None], Entry | None],
    if_current: int | None,
) -> ChannelState:
    """Read, change, sign, commit; again from the start if somebody else was faster."""
    name = channel_name(channel)
    for attempt in range(_TRIES):
        head = where.head()
        present = channel_in(head, where.read, app.platform, name) or Channel(channel=name, platform=app.platform)
        entry = present.entry(app.version)
        _check_current(entry, if_current)
        wanted = change(head, entry)
        edited = present.without(app.version) if wanted is None else present.with_entry(wanted)
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


def _offering(head: Head, app: App, present: Entry | None, release: int, rollout: int, otherwise: int | None) -> Entry:
    """The entry that offers a release; outside a partial rollout stays what everybody could get before, if it still can be."""
    kept = None if present is None else present.release
    if present is not None and (present.rollout < 100 or present.release == release):
        kept = present.otherwise  # what was on trial itself, or is offered anew, is not what the others keep
    if kept is not None and not (kept in head.releases and _fits(head, app, kept)):
        kept = None  # withdrawn since, or below the floor: the others get nothing rather than that
    others = None if rollout == 100 else otherwise if otherwise is not None else kept
    for number in (release, *(() if others is None else (others,))):
        _check_release(head, app, number)
    return Entry(app_version=app.version, release=release, rollout=rollout, otherwise=others)


def _check_percent(percent: int) -> None:
    if not 0 <= percent <= 100:
        raise RecipeError(f"{percent} % is not a rollout.", remedy="Give 0 to 100.", field="rollout")


def _present(entry: Entry | None, app: App) -> Entry:
    if entry is None:
        raise NotFound(
            f"The channel offers {app.platform} {app.version} nothing yet.",
            remedy="Set it with: mlpublish channel set.",
            field="app_version",
        )
    return entry


def _check_release(head: Head, app: App, number: int) -> None:
    """An edit that a device would refuse is refused here, with the reason."""
    facts = head.releases.get(number)
    if facts is None:
        known = ", ".join(str(each) for each in sorted(head.releases)) or "none"
        raise NotFound(f"{app.id} has no release {number}.", remedy=f"Publish it first; there are: {known}.", field="release")
    if not _fits(head, app, number):
        floor = head.policy.floor(app.platform, app.version)
        why = head.policy.withdrawn.get(number)
        told = f"withdrawn ({why})" if why is not None else f"for {facts.platform} {', '.join(facts.app_versions)}"
        raise RecipeError(
            f"Release {number} cannot be offered to {app.platform} {app.version}: it is {told}, and the floor is {floor}.",
            remedy="Name an approved release for this app version, at or above the floor.",
            field="release",
        )


def _fits(head: Head, app: App, number: int) -> bool:
    facts = head.releases.get(number)
    return (
        facts is not None
        and facts.platform == app.platform
        and app.version in facts.app_versions
        and number not in head.policy.withdrawn
        and number >= head.policy.floor(app.platform, app.version)
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
