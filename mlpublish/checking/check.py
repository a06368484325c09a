"""The verb ``check``: play the device once, and say in one of nine statuses what happened.

The device trusts what it was given at first (the root that the app embeds, or the pinned key) and from then on the root that
it has accepted; there is no trust on first use.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

from mlpublish import settings
from mlpublish.artifacts import App
from mlpublish.checking import device as devices
from mlpublish.checking.device import Device
from mlpublish.checking.fetching import transport_beside, transport_for
from mlpublish.checking.listening import Listener
from mlpublish.checking.metadata import Trust
from mlpublish.checking.outcome import DeviceFailure, outcome_of
from mlpublish.checking.patience import Patience
from mlpublish.checking.pinned import names_a_zip, update_pinned
from mlpublish.checking.play import Asked, Play
from mlpublish.checking.update import update
from mlpublish.errors import RecipeError
from mlpublish.plugins import scheme_of
from mlpublish.reports import CheckReport
from mlpublish.repository import defaults
from mlpublish.repository.channels import channel_name, default_channel
from mlpublish.repository.place import Place
from mlpublish.trust.pin import pin_text


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
    self_test: bool = True,
    legacy_zip: bool = False,
    timeout: float = 3600.0,
    stall: float = 30.0,
    retries: int = 3,
    ca: Path | str | None = None,
    listener: Listener | None = None,
    cancel: threading.Event | None = None,
) -> CheckReport:
    """Ask once for an update, as the app would, and install it if there is one.

    Args:
        app: an App, or its bundle id (then ``app_version`` too); by default mlpublish.toml's only app.
        at: ``http(s)://host[:port]`` or ``file:DIR``; or one zip's address, with its signature beside it as ``<zip>.sig``
            (pin-only mode: ``pin`` is all that is trusted).
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
        legacy_zip: take the predecessor's plain zips too, under the same safety rules (pin-only mode).
        timeout: seconds for the whole check.
        stall: seconds for which next to nothing may come.
        retries: how often what may pass is asked for again.
        ca: a PEM file of certificate authorities to trust instead of the system's.
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
    patience, certificates = Patience(timeout=timeout, stall=stall, retries=retries), None if ca is None else Path(ca)
    folder = (Path(device) if device is not None else devices.default_folder(who.id)).absolute()
    told = Asked(
        device_id=device_id,
        os_version=os_version,
        shipped=None if shipped is None else Path(shipped),
        shipped_release=shipped_release,
        self_test=self_test,
        legacy_zip=legacy_zip,
    )
    if names_a_zip(str(at)):
        zip_name, pinned = str(at).rpartition("/")[2], _pin_alone(root, pin)
        transport = transport_beside(str(at), patience=patience, ca=certificates)
        played: Callable[[Play], CheckReport] = lambda play: update_pinned(play, zip_name, pinned)  # noqa: E731
    else:
        origin, trust = _trust(who, str(at), root, pin, repository)
        transport = transport_for(origin, who.id, patience=patience, ca=certificates)
        played = lambda play: update(play, trust, asked)  # noqa: E731
    try:
        with Device.opened(folder, who.id) as opened:
            play = Play(
                app=who,
                device=opened,
                transport=transport,
                asked=told,
                listener=listener,
                cancel=cancel or threading.Event(),
            )
            return _played(play, played)
    except DeviceFailure as exc:  # the folder is another check's; nothing was read or changed
        return _unopened(who, exc, listener)


def _played(play: Play, played: Callable[[Play], CheckReport]) -> CheckReport:
    try:
        report = played(play)
    except RecipeError:
        raise
    except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - a device answers with a status, whatever happens
        report = play.report(*outcome_of(exc))
    if play.listener is not None:
        play.listener.on_finish(report.status)
    return report


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


def _pin_alone(root: Path | str | bytes | None, pin: Path | str | None) -> str:
    """The text of the pin, which is all that a bare zip can be held against."""
    if root is not None or pin is None:
        raise RecipeError(
            "A bare zip is held against the key that the app pins, and no root signs one.",
            remedy="Pass --pin KEY and no --root; or name the repository instead of the zip.",
            field="pin",
        )
    return pin_text(pin)


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
