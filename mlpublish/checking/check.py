"""The verb ``check``: play the device once, and say in one of nine statuses what happened.

The device trusts what it was given at first (the root that the app embeds, or the pinned key) and from then on the root that
it has accepted; there is no trust on first use.
"""

from __future__ import annotations

import logging
import re
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mlpublish import settings
from mlpublish.artifacts import App
from mlpublish.checking import device as devices
from mlpublish.checking.asking import Wanted, Way, way_for
from mlpublish.checking.device import Device
from mlpublish.checking.listening import Guarded, Listener
from mlpublish.checking.outcome import outcome_of
from mlpublish.checking.patience import Patience
from mlpublish.checking.play import Asked, Play
from mlpublish.checking.state import read_state
from mlpublish.errors import NewerFormat, RecipeError
from mlpublish.reporting.progress import Progress, Transfer, shown
from mlpublish.reports import CheckReport
from mlpublish.repository.channels import channel_name, default_channel

_LOG = logging.getLogger(__name__)


def check(
    app: App | str | None = None,
    *,
    at: str | Path | None = None,
    config: Path | str | None = None,
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
    self_test: bool = True,
    legacy_zip: bool = False,
    timeout: float = 3600.0,
    stall: float = 30.0,
    retries: int = 3,
    ca: Path | str | None = None,
    listener: Listener | None = None,
    cancel: threading.Event | None = None,
    progress: Progress = True,
) -> CheckReport:
    """Ask once for an update, as the app would, and install it if there is one.

    Args:
        app: an App, or its bundle id (then ``app_version`` too); by default mlpublish.toml's only app.
        at: ``http(s)://host[:port]`` or ``file:DIR``; or one zip's address, with its signature beside it as ``<zip>.sig``
            (pin-only mode: ``pin`` is all that is trusted). By default what ``config`` names, else mlpublish.toml's.
        config: the app's own ``mfpclient.plist`` or ``.properties``: where it asks, and what it pins; ``at``, ``root`` and
            ``pin`` stand before what is in there.
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
        self_test: whether a new model's golden inputs run through it before it is used.
        legacy_zip: take the predecessor's plain zips too, under the same safety rules (pin-only mode, else it is refused).
        timeout: seconds for the network, from the first request to the last byte; work on the device is not cut short by it.
        stall: seconds for which next to nothing may come.
        retries: how often what may pass is asked for again.
        ca: a PEM file of certificate authorities to trust instead of the system's.
        listener: hears about progress.
        cancel: set it from another thread to end the check as CANCELED.
        progress: False for silence, or a function that is told what is downloaded and unzipped. A listener takes its place.

    Returns:
        A CheckReport, whatever happened on the device; its failures are data. One Ctrl-C is CANCELED too.

    Raises:
        RecipeError: the call itself makes no sense: no app version is named, no root, another app's root or device folder.
        FormatError: the configuration is no property list, or the device's folder is of a newer format.
    """
    who = settings.app_for(app, app_version, platform)
    _refuse_bad_system(os_version)
    way = way_for(
        who.id,
        Wanted(at=at, config=config, root=root, pin=pin, repository=repository),
        channel=channel_name(default_channel(who.id, channel)),
        patience=Patience(timeout=timeout, stall=stall, retries=retries),
        ca=None if ca is None else Path(ca),
    )
    if legacy_zip:
        _refuse_signed(way)
    asked = Asked(
        device_id=device_id,
        os_version=os_version,
        shipped=None if shipped is None else Path(shipped),
        shipped_release=shipped_release,
        self_test=self_test,
        legacy_zip=legacy_zip,
    )
    folder = (Path(device) if device is not None else devices.default_folder(who.id)).absolute()
    report = None
    with suppress(KeyboardInterrupt), shown(listener is None and progress, steps=2) as tell:
        guarded = Guarded(Transfer(tell) if listener is None else listener)
        report = _report(who, folder, way, asked, guarded, cancel or threading.Event())
    if report is None:  # interrupted before the play, or after it: once more, to see what is in use
        report = _report(who, folder, way, asked, None, _canceled())
    if listener is not None:
        listener.on_finish(report.status)
    return report


def _report(app: App, folder: Path, way: Way, asked: Asked, listener: Listener | None, cancel: threading.Event) -> CheckReport:
    """What the device answers: a report, whatever happens, unless the folder is none that this app could use."""
    try:
        with Device.opened(folder, app.id) as device:
            play = Play(app=app, device=device, transport=way.transport, asked=asked, listener=listener, cancel=cancel)
            report = _played(play, way)
    except (RecipeError, NewerFormat):
        raise
    except Exception as exc:  # noqa: BLE001 - the folder is another check's, or the disk refuses
        report = _unopened(app, exc)
    return replace(report, endpoint=way.at, channel=way.channel, device=folder)


def _played(play: Play, way: Way) -> CheckReport:
    try:
        return way.go(play)
    except RecipeError:
        raise
    except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - a device answers with a status, whatever happens
        _LOG.debug("%s ended the check.", type(exc).__name__, exc_info=exc)
        with suppress(OSError):  # an interrupt, or a disk that fails late, may fall between writing the state and noting it
            play.device.state = read_state(play.device.folder / "state.json")
        return play.report(*outcome_of(exc))


def _unopened(app: App, exc: Exception) -> CheckReport:
    """Nothing was read or changed."""
    status, detail = outcome_of(exc)
    _LOG.debug("%s kept the device shut.", type(exc).__name__, exc_info=exc)
    return CheckReport(status=status, app=app, installed=None, offered=None, reason=None, path=None, models={}, detail=detail)


def _canceled() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def _refuse_signed(way: Way) -> None:
    """What a signed repository offers is a bundle: to take plain zips too would change nothing, and nobody would notice."""
    if way.channel is not None:
        raise RecipeError(
            f"{way.at} is asked as a signed repository, which offers bundles alone; plain zips are taken in pin-only mode.",
            remedy="Leave --legacy-zip out; or name the zip itself with --at, and the key that signed it with --pin.",
            field="legacy_zip",
        )


def _refuse_bad_system(os_version: str | None) -> None:
    if os_version is not None and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}", os_version) is None:
        raise RecipeError(
            f"{os_version!r} is not a system version.", remedy="Give dotted whole numbers, such as 17.2.", field="os_version"
        )
