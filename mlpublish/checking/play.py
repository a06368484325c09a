"""One check while it runs: who plays, on which device, over which network, and what is known so far."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mlpublish.artifacts import App
from mlpublish.checking.device import Device
from mlpublish.checking.fetching import Transport, stop_if
from mlpublish.checking.listening import Listener
from mlpublish.checking.outcome import DeviceFailure
from mlpublish.formats.channel import DeviceFacts
from mlpublish.formats.status import ProgressStatus, Reason, UpdateStatus
from mlpublish.reports import CheckReport, Phase, RoleReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the caller of a check says of the device, beside the app.

    Args:
        device_id: stands for the id that the device drew.
        os_version: dotted integers.
        shipped: the model that came with the app.
        shipped_release: its release number.
        self_test: whether golden inputs run through a new model before it is used.
        legacy_zip: whether a zip that ``bundle()`` did not write is taken.
    """

    device_id: str | None = None
    os_version: str | None = None
    shipped: Path | None = None
    shipped_release: int | None = None
    self_test: bool = True
    legacy_zip: bool = False


@dataclass(kw_only=True)
class Play:
    """What one check knows and has done so far."""

    app: App
    device: Device
    transport: Transport
    asked: Asked
    listener: Listener | None
    cancel: threading.Event
    offered: int | None = None
    phases: dict[str, Phase] = field(default_factory=dict)
    roles: tuple[RoleReport, ...] = ()
    verified: tuple[str, ...] = ()
    self_tests: dict[str, str] = field(default_factory=dict)

    @property
    def facts(self) -> DeviceFacts:
        """What the offer rule asks about the device, as it is now."""
        current = self.device.current_for(self.app)
        return DeviceFacts(
            platform=self.app.platform,
            app_version=self.app.version,
            device_id=self.asked.device_id or self.device.id,
            os_version=self.asked.os_version,
            installed=None if current is None else current.release,
            shipped=self.asked.shipped_release,
        )

    def stop_if_canceled(self) -> None:
        stop_if(self.cancel)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time one part of the check, and count what it brings over the wire; a canceled check does not begin it."""
        stop_if(self.cancel)
        began, before, passed = time.monotonic(), self.transport.traffic.now(), False
        try:
            yield
            passed = True
        finally:
            after = self.transport.traffic.now()
            self.phases[name] = Phase(
                seconds=time.monotonic() - began,
                received=after.received - before.received,
                requests=after.requests - before.requests,
                retries=after.retries - before.retries,
                passed=passed,
            )

    def tell(self, status: ProgressStatus, total: int, done: int) -> None:
        """Tell the listener, if there is one."""
        if self.listener is not None:
            self.listener.on_progress(status, total, done)

    def unzipping(self, total: int) -> Callable[[int], None]:
        """What an unpacking calls after every piece: it stops a canceled check, and tells the listener."""
        done = 0

        def on_bytes(count: int) -> None:
            nonlocal done
            stop_if(self.cancel)
            done += count
            self.tell(ProgressStatus.UNZIP_IN_PROGRESS, total, min(done, total))

        return on_bytes

    def need_space(self, needed: int) -> None:
        """End the check if the device's disk has less than so many bytes free."""
        free = shutil.disk_usage(self.device.folder).free
        if free < needed:
            raise DeviceFailure(
                UpdateStatus.FAILURE_NOT_ENOUGH_SPACE,
                f"The update needs {needed} bytes; {free} are free on the device. Free some space and check again.",
            )

    def report(self, status: UpdateStatus, detail: str, reason: Reason | None = None) -> CheckReport:
        """What is known now, under this status."""
        current = self.device.current_for(self.app)
        path = self.asked.shipped if current is None else self.device.path_of(current)
        return CheckReport(
            status=status,
            app=self.app,
            installed=None if current is None else current.release,
            sha256=None if current is None else current.sha256,
            offered=self.offered,
            reason=reason,
            path=path,
            models={} if current is None else self.device.models_of(current),
            detail=detail,
            phases=self.phases,
            roles=self.roles,
            verified=self.verified,
            self_tests=self.self_tests,
        )
