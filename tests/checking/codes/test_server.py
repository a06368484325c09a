"""The real server, ended by SIGKILL in the middle of a body: what came is kept, and goes on when it is back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

from mlpublish.formats.status import ProgressStatus, UpdateStatus

if TYPE_CHECKING:
    from tests.checking.conftest import Lab
    from tests.conftest import Served

LARGE = 40_000_000  # bytes; more than the sockets of both sides hold
Serving = Callable[..., AbstractContextManager["Served"]]


class Witness:
    """A listener that does something once, when so much of the download is there."""

    def __init__(self, do: Callable[[], object], *, after: int = 1) -> None:
        self.do, self.after, self.done = do, after, False

    def on_start(self, total: int) -> None:
        """Nothing has come yet."""

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
        if not self.done and status is ProgressStatus.DOWNLOAD_IN_PROGRESS and done >= self.after:
            self.done = True
            self.do()

    def on_finish(self, status: UpdateStatus) -> None:
        assert self.done


@pytest.fixture
def waiting(lab: Lab) -> Lab:
    """Release 1 is in use, and release 2 (40 MB) waits."""
    lab.release()
    lab.updates_to(1)
    lab.release(bytes(LARGE))
    return lab


def killing(server: Served) -> Witness:
    def kill() -> None:
        server.process.kill()
        server.process.wait()

    return Witness(kill, after=1_000_000)


def test_a_server_that_is_killed_in_the_middle_of_the_bundle_is_the_downloads_fault(waiting: Lab, serving: Serving) -> None:
    folder, whole = waiting.development.folder, waiting.stored(2).stat().st_size
    with serving(folder) as server:
        report = waiting.fails(UpdateStatus.FAILURE_DOWNLOADING, at=server.url, listener=killing(server), retries=0)
    assert (report.installed, report.offered) == (1, 2)
    (part,) = (waiting.phone / "downloads").iterdir()
    kept = part.stat().st_size
    assert 1_000_000 <= kept < whole
    waiting.fails(UpdateStatus.FAILURE_NETWORK_PROBLEM, at=server.url, retries=0)
    with serving(folder, port=server.port) as server:
        assert waiting.updates_to(2, at=server.url).downloaded == whole - kept


def test_a_server_that_is_back_before_patience_ends_costs_retries_alone(waiting: Lab, serving: Serving) -> None:
    folder, whole = waiting.development.folder, waiting.stored(2).stat().st_size
    asked, back, over = threading.Event(), threading.Event(), threading.Event()

    def kill(server: Any) -> None:
        server.process.kill()
        server.process.wait()
        asked.set()

    def return_(port: int) -> None:
        asked.wait(60)
        with serving(folder, port=port):
            back.set()
            over.wait(60)

    with serving(folder) as server:
        thread = threading.Thread(target=return_, args=(server.port,))
        thread.start()
        try:
            listener = Witness(lambda: kill(server), after=1_000_000)
            report = waiting.updates_to(2, at=server.url, listener=listener, retries=20)
        finally:
            asked.set()
            over.set()
            thread.join()
    assert back.is_set()
    assert report.retries > 0
    assert whole <= report.downloaded  # the last piece of the first answer may have gone with the server
