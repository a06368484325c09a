"""One request, made by a thread of its own, so that whoever waits for it can stop waiting at any moment.

Nothing else ends a look-up of a name, a server that drips its headers or a byte now and then: no socket timeout sees them.
And what has come is hashed and written while the next piece is received.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import ConnectionPool, HTTPConnectionPool

from mlpublish.checking.budget import Broken, Budget

_PIECE = 256 * 1024  # bytes; larger ones are no faster
_AHEAD = 8  # pieces that lie ready at most
_TICK = 0.05  # seconds until somebody who waits looks up
_LEAST = 1024  # bytes per second; what gives less counts as giving nothing

_Item = requests.Response | bytes | Exception | None


class Switchboard(HTTPAdapter):
    """Knows the connections of a session, and can end them while another thread waits on one."""

    def __init__(self) -> None:
        super().__init__()
        self._connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> ConnectionPool:
        pool = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        if isinstance(pool, HTTPConnectionPool):
            make = type(pool).ConnectionCls

            def known(*args: object, **keywords: object) -> HTTPConnection:
                connection = cast(HTTPConnection, make(*args, **keywords))  # type: ignore[arg-type]
                self._connections.add(connection)
                return connection

            pool.ConnectionCls = known  # type: ignore[assignment]
        return pool

    def hang_up(self) -> None:
        """End every connection; what waits on one is told that it was lost."""
        for connection in list(self._connections):
            if (sock := connection.sock) is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)  # the plain one: TLS would still talk


class Line:
    """A request under way: first its answer, then the pieces of the body.

    Args:
        send: sends it and gives the answer, its body unread.
        hang_up: ends its connection.
    """

    def __init__(
        self, send: Callable[[], requests.Response], hang_up: Callable[[], None], budget: Budget, cancel: threading.Event
    ) -> None:
        self._hang_up, self._budget, self._cancel = hang_up, budget, cancel
        self._items: queue.Queue[_Item] = queue.Queue(_AHEAD)
        self._abandoned = threading.Event()
        self._ended = False
        self._waited, self._came = 0.0, 0  # seconds and bytes since it last gave enough
        threading.Thread(target=self._run, args=(send,), daemon=True, name="mlpublish-request").start()

    def answer(self) -> requests.Response:
        """What the server answers.

        Raises:
            Broken: nothing came within the stall limit.
            DownloadError: the check's time is over.
            DeviceFailure: CANCELED.
            Exception: whatever ``send`` raised.
        """
        item = self._next()
        assert isinstance(item, requests.Response)
        self._waited = 0.0
        return item

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes; may end as ``answer`` may."""
        while isinstance(item := self._next(), bytes):
            yield item

    def close(self) -> None:
        """Wait no longer."""
        self._abandoned.set()
        if not self._ended:
            self._hang_up()

    def _next(self) -> _Item:
        while True:
            began = time.monotonic()
            item: _Item = b""
            with contextlib.suppress(queue.Empty):
                item = self._items.get(timeout=_TICK)
            # a process that was stopped for a while did not wait for the network
            self._waited += min(time.monotonic() - began, 2 * _TICK)
            self._ended = not isinstance(item, (bytes, requests.Response))
            self._budget.check(self._cancel)
            if isinstance(item, Exception):
                raise item
            self._refuse_stall(len(item) if isinstance(item, bytes) else 0)
            if item != b"":
                return item

    def _refuse_stall(self, came: int) -> None:
        stall = self._budget.patience.stall
        self._came += came
        if self._came >= _LEAST * stall:
            self._waited, self._came = 0.0, 0
        if self._waited > stall:
            raise Broken(f"hardly anything came for {stall:g} s (stall)")

    def _run(self, send: Callable[[], requests.Response]) -> None:
        end: Exception | None = None
        try:
            with send() as response:
                self._give(response)
                while not self._abandoned.is_set() and (piece := response.raw.read1(_PIECE, decode_content=True)):
                    self._give(piece)
        except Exception as exc:  # noqa: BLE001 - carried over to the thread that waits
            end = exc
        self._give(end)

    def _give(self, item: _Item) -> None:
        while not self._abandoned.is_set():
            with contextlib.suppress(queue.Full):
                return self._items.put(item, timeout=2 * _TICK)
        return None
