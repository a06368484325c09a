"""The verb ``check``: play the device once, and say in one of nine statuses what happened.

The order is TUF's client workflow (specification §5): root, timestamp, snapshot, app role, channels role; then the offer
rule; then the bundle. The device trusts what it was given at first (the root that the app embeds, or the pinned key) and
from then on the root that it has accepted; there is no trust on first use.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mlpublish import settings
from mlpublish.artifacts import App
from mlpublish.checking import device as devices
from mlpublish.checking.device import Device
from mlpublish.checking.fetching import Transport, download, stop_if, transport_for
from mlpublish.checking.metadata import Metadata, Trust, refresh
from mlpublish.checking.outcome import DeviceFailure, outcome_of
from mlpublish.checking.state import Installed
from mlpublish.errors import RecipeError
from mlpublish.formats.channel import DeviceFacts, Offer, bundle_path, offer_for, pointed_at
from mlpublish.formats.status import ProgressStatus, Reason, UpdateStatus
from mlpublish.plugins import scheme_of
from mlpublish.reports import CheckReport
from mlpublish.repository import defaults
from mlpublish.repository.channels import channel_name, default_channel
from mlpublish.repository.place import Place
from mlpublish.trust import roles
from mlpublish.trust.pin import pin_text


class Listener(Protocol):
    """Hears how a check goes, as the predecessor's listener does (lengths in bytes)."""

    def on_start(self, total: int) -> None:
        """A download begins, of so many bytes."""

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
        """So much of the download, or of the unpacking, is done."""

    def on_finish(self, status: UpdateStatus) -> None:
        """The check is over."""


@dataclass(kw_only=True)
class _Play:
    """One check while it runs: who plays, what is known so far, and for how long each phase went on."""

    app: App
    device: Device
    transport: Transport
    facts: DeviceFacts
    shipped: Path | None
    listener: Listener | None
    cancel: threading.Event
    offered: int | None = None
    downloaded: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    signed_by: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        stop_if(self.cancel)
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - began

    def tell(self, status: ProgressStatus, total: int, done: int) -> None:
        if self.listener is not None:
            self.listener.on_progress(status, total, done)

    def report(self, status: UpdateStatus, detail: str, reason: Reason | None = None) -> CheckReport:
        current = self.device.current_for(self.app)
        path = self.shipped if current is None else self.device.path_of(current)
        models = {} if current is None or path is None else _models(self.device, current)
        return CheckReport(
            status=status,
            app=self.app,
            installed=None if current is None else current.release,
            offered=self.offered,
            reason=reason,
            path=path,
            models=models,
            detail=detail,
            downloaded=self.downloaded,
            seconds=self.seconds,
            signed_by=self.signed_by,
        )


def check(
    app: App | str | None = None,
    *,
    at: str | Path,
    app_version: str | None = None,
    platform: str | None = None,
    device: Path | str | None = None,
    channel: str | None = None,
    root: Path | str | bytes | None = None,
    pin: Path | str | None = None,
    repository: Path | str | None = None,
    device_id: str | None = None,
    os_version: str | None = None,
    shipped: Path | str | None = None,
    shipped_release: int | None = None,
    listener: Listener | None = None,
    cancel: threading.Event | None = None,
) -> CheckReport:
    """Ask once for an update, as the app would, and install it if there is one.

    Args:
        app: an App, or its bundle id (then ``app_version`` too); by default mlpublish.toml's only app.
        at: ``http(s)://host[:port]`` or ``file:DIR``.
        app_version: the version of the app that asks, compared exactly; by default mlpublish.toml's.
        platform: by default mlpublish.toml's, else ``ios``.
        channel: by default mlpublish.toml's, else ``stable``.
        device: the sandbox's folder; by default ``$XDG_DATA_HOME/mlpublish/devices/<app id>``.
        root: the app's ``1.root.json`` (path or bytes); in a development repository it is found by itself.
        pin: the predecessor's pinned key instead: base64 text or a PEM file.
        repository: a development folder to take the root from.
        device_id: stands for the id that the device drew; it decides about rollouts.
        os_version: dotted integers; without it no release is too new.
        shipped: the model that came with the app, used while nothing is installed.
        shipped_release: its release number; an offer below it is not taken.
        listener: hears about progress.
        cancel: set it from another thread to end the check as CANCELED.

    Returns:
        A CheckReport, whatever happened on the device; its failures are data.

    Raises:
        RecipeError: the call itself makes no sense: no such app version, no root, another app's device folder.
    """
    who = settings.app_for(app, app_version, platform)
    _refuse_bad_system(os_version)
    asked = channel_name(default_channel(who.id, channel))
    origin, trust = _trust(who, str(at), root, pin, repository)
    folder = (Path(device) if device is not None else devices.default_folder(who.id)).absolute()
    transport = transport_for(origin, who.id)
    try:
        with Device.opened(folder, who.id) as opened:
            play = _Play(
                app=who,
                device=opened,
                transport=transport,
                facts=_facts(who, opened, device_id, os_version, shipped_release),
                shipped=None if shipped is None else Path(shipped),
                listener=listener,
                cancel=cancel or threading.Event(),
            )
            return _played(play, trust, asked)
    except DeviceFailure as exc:  # the folder is another check's; nothing was read or changed
        return _unopened(who, exc, listener)


def _played(play: _Play, trust: Trust, channel: str) -> CheckReport:
    try:
        report = _update(play, trust, channel)
    except RecipeError:
        raise
    except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - a device answers with a status, whatever happens
        report = play.report(*outcome_of(exc))
    if play.listener is not None:
        play.listener.on_finish(report.status)
    return report


def _update(play: _Play, trust: Trust, channel: str) -> CheckReport:
    play.device.leave_altered(play.app)
    with play.phase("metadata"):
        known = refresh(play.transport, play.device, trust, play.cancel, play.app.id)
        play.signed_by = known.signed_by
    policy = known.policy
    floor = play.device.raise_floor(play.app, policy.floor(play.app.platform, play.app.version))
    left = _leave_withdrawn(play, known, floor)
    with play.phase("channel"):
        content = known.channel(play.app.platform, channel)
    play.device.saw_verified(known.clock.judged)
    pointed = pointed_at(content, play.facts)
    play.offered = None if isinstance(pointed, Reason) else pointed
    releases = {} if play.offered is None else known.releases(play.offered)
    offer = offer_for(content, policy, releases, play.facts, floor=floor)
    if isinstance(offer, Offer):
        return _take(play, known, offer.release)
    reason = Reason.WITHDRAWN if left else offer
    return play.report(UpdateStatus.SUCCESS, f"Nothing new: {reason.sentence}.", reason)


def _take(play: _Play, known: Metadata, number: int) -> CheckReport:
    """Download, verify, unpack beside the current release, swap."""
    target, facts = known.target(bundle_path(number)), known.releases(number)[number]
    sha256 = target.hashes["sha256"]
    part = play.device.part_of(sha256)
    _need_space(play, target.length + facts.unpacked_length - (part.stat().st_size if part.exists() else 0))
    if play.listener is not None:
        play.listener.on_start(target.length)
    with play.phase("download"):
        play.downloaded = download(
            play.transport,
            roles.stored_at(target),
            part,
            length=target.length,
            sha256=sha256,
            cancel=play.cancel,
            on_bytes=lambda done: play.tell(ProgressStatus.DOWNLOAD_IN_PROGRESS, target.length, done),
        )
    new = Installed(release=number, sha256=sha256, platform=play.app.platform, app_version=play.app.version)
    with play.phase("unzip"):
        play.device.install(new, part, facts.manifest, _unzipping(play, facts.unpacked_length))
    return play.report(UpdateStatus.SUCCESS, f"Release {number} ({facts.name} {facts.version}) is installed and in use.")


def _leave_withdrawn(play: _Play, known: Metadata, floor: int) -> bool:
    current = play.device.current_for(play.app)
    play.device.forget_withdrawn(known.policy.withdrawn)
    if current is None or current.release not in known.policy.withdrawn:
        return False
    play.device.leave(play.app, known.policy.withdrawn, floor)
    kept = play.device.current_for(play.app)
    play.facts = _facts(play.app, play.device, play.facts.device_id, play.facts.os_version, play.facts.shipped)
    return kept is None or kept.release != current.release


def _unzipping(play: _Play, total: int) -> Callable[[int], None]:
    done = 0

    def on_bytes(count: int) -> None:
        nonlocal done
        stop_if(play.cancel)
        done += count
        play.tell(ProgressStatus.UNZIP_IN_PROGRESS, total, min(done, total))

    return on_bytes


def _need_space(play: _Play, needed: int) -> None:
    free = shutil.disk_usage(play.device.folder).free
    if free < needed:
        raise DeviceFailure(
            UpdateStatus.FAILURE_NOT_ENOUGH_SPACE, f"The update needs {needed} bytes; {free} are free on the device."
        )


def _models(device: Device, installed: Installed) -> dict[str, Path]:
    folder = device.path_of(installed)
    return {model.name: folder / model.path for model in device.manifest_of(installed).models}


def _facts(app: App, device: Device, device_id: str | None, os_version: str | None, shipped_release: int | None) -> DeviceFacts:
    current = device.current_for(app)
    return DeviceFacts(
        platform=app.platform,
        app_version=app.version,
        device_id=device_id or device.id,
        os_version=os_version,
        installed=None if current is None else current.release,
        shipped=shipped_release,
    )


def _refuse_bad_system(os_version: str | None) -> None:
    if os_version is not None and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}", os_version) is None:
        raise RecipeError(
            f"{os_version!r} is not a system version.", remedy="Give dotted whole numbers, such as 17.2.", field="os_version"
        )


def _trust(
    app: App, at: str, root: Path | str | bytes | None, pin: Path | str | None, repository: Path | str | None
) -> tuple[str, Trust]:
    """Where to ask (a folder with a server.toml stands for its repository), and what to trust at first."""
    development = defaults.development_among(at, defaults.repository_for(repository))
    origin = at if scheme_of(at) != "file" else f"file:{Place.find(at).repository}"
    if root is not None and pin is not None:
        raise RecipeError("A root and a pin are given.", remedy="Give one of them.", field="pin")
    if pin is not None:
        return origin, Trust(pin=pin_text(pin))
    trusted = defaults.root_of(app.id, root, development)
    if trusted is None:
        raise RecipeError(
            f"No root of {app.id} is trusted here, and there is no trust on first use.",
            remedy="Pass --root 1.root.json (the one that the app embeds) or --pin KEY; in development --repository DIR "
            "(and publish a release of the app first).",
            field="root",
        )
    return origin, Trust(root=trusted)


def _unopened(app: App, failure: DeviceFailure, listener: Listener | None) -> CheckReport:
    if listener is not None:
        listener.on_finish(failure.status)
    return CheckReport(
        status=failure.status,
        app=app,
        installed=None,
        offered=None,
        reason=None,
        path=None,
        models={},
        detail=str(failure),
    )
