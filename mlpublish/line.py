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
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import ConnectionPool, HTTPConnectionPool
from urllib3.exceptions import HTTPError

from mlpublish.connections import Stalled, TimeIsOver

_PIECE = 256 * 1024  # bytes; larger ones are no faster
_AHEAD = 8  # pieces that lie ready at most
_TICK = 0.05  # seconds until somebody who waits looks up
_LEAST = 1024  # bytes per second; what gives less counts as giving nothing

_GRACE = 10.0  # seconds at least between a line's patience and its socket's

_Item = requests.Response | bytes | Exception | None


class Switchboard(HTTPAdapter):
    """Knows the connections of a session, and can end them while another thread waits on one."""

    def __init__(self) -> None:
        super().__init__()
        self._connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()

    @classmethod
    def of(cls, session: requests.Session) -> Switchboard:
        """One that a session's connections go through from now on."""
        board = cls()
        for scheme in ("http://", "https://"):
            session.mount(scheme, board)
        return board

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
        stall: seconds for which next to nothing may come.
        check: called at least every moment while somebody waits; what it raises ends the wait.
        sent: how many bytes of the request's body are sent; while they move, nothing stalls.
    """

    def __init__(
        self,
        send: Callable[[], requests.Response],
        hang_up: Callable[[], None],
        *,
        stall: float,
        check: Callable[[], None],
        sent: Callable[[], int] = lambda: 0,
    ) -> None:
        self._hang_up, self._stall, self._check, self._sent = hang_up, stall, check, sent
        self._items: queue.Queue[_Item] = queue.Queue(_AHEAD)
        self._abandoned = threading.Event()
        self._ended = False
        self._waited, self._moved = 0.0, 0  # seconds and bytes since it last gave, or took, enough
        self._sent_before = 0
        threading.Thread(target=self._run, args=(send,), daemon=True, name="mlpublish-request").start()

    def answer(self) -> requests.Response:
        """What the server answers.

        Raises:
            Stalled: nothing came within the stall limit.
            Exception: whatever ``check`` or ``send`` raised.
        """
        item = self._next()
        assert isinstance(item, requests.Response)
        self._waited = 0.0
        return item

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes; may end as ``answer`` may, and with a ConnectionError of requests' where it breaks off."""
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
            self._check()
            if isinstance(item, Exception):
                raise item
            self._refuse_stall(len(item) if isinstance(item, bytes) else 0)
            if item != b"":
                return item

    def _refuse_stall(self, came: int) -> None:
        sent = self._sent()
        self._moved += came + sent - self._sent_before
        self._sent_before = sent
        if self._moved >= _LEAST * self._stall:
            self._waited, self._moved = 0.0, 0
        if self._waited > self._stall:
            raise Stalled(f"hardly anything came for {self._stall:g} s (stall)")

    def _run(self, send: Callable[[], requests.Response]) -> None:
        end: Exception | None = None
        try:
            with send() as response:
                self._give(response)
                while not self._abandoned.is_set() and (piece := _piece(response)):
                    self._give(piece)
        except Exception as exc:  # noqa: BLE001 - carried over to the thread that waits
            end = exc
        self._give(end)

    def _give(self, item: _Item) -> None:
        while not self._abandoned.is_set():
            with contextlib.suppress(queue.Full):
                return self._items.put(item, timeout=2 * _TICK)
        return None


class Deadline:
    """A moment at which everything that was asked for has to be here.

    Args:
        seconds: from now, on the clock that no change of the date moves.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._ends = seconds, time.monotonic() + seconds

    def check(self) -> None:
        """Go on only if time is left.

        Raises:
            TimeIsOver: it is not.
        """
        if time.monotonic() >= self._ends:
            raise TimeIsOver(f"it was not whole after {self._seconds:g} s")


class Caller:
    """A session whose requests each have a line: none holds whoever waits for it without end.

    Args:
        connect: seconds to connect, for each address of a host.
        stall: seconds for which next to nothing may come.
    """

    def __init__(self, session: requests.Session, *, connect: float = 10.0, stall: float = 30.0) -> None:
        self.timeout = socket_timeouts(connect, stall)
        self._session, self._stall = session, stall
        self._switchboard = Switchboard.of(session)

    @contextlib.contextmanager
    def call(
        self,
        method: str,
        url: str,
        *,
        deadline: Deadline | None = None,
        sent: Callable[[], int] = lambda: 0,
        **options: Any,  # those of requests.Session.request
    ) -> Iterator[Line]:
        """Send a request; leaving the context before its body was read ends the connection.

        Args:
            deadline: when all of it has to be here.
            sent: see Line.

        Raises:
            requests.RequestException: as requests raises it; Stalled; TimeIsOver. So may the line.
        """
        with contextlib.closing(
            Line(
                lambda: self._session.request(method, url, stream=True, timeout=self.timeout, **options),
                self._switchboard.hang_up,
                stall=self._stall,
                check=(lambda: None) if deadline is None else deadline.check,
                sent=sent,
            )
        ) as line:
            yield line


def socket_timeouts(connect: float, stall: float) -> tuple[float, float]:
    """Seconds to connect and between two bytes, as requests takes them, where a line is left after ``stall`` already.

    The line says why, and does not count a time in which this process did not run; the socket counts it, and would come first
    on a busy machine if its own were not much longer.
    """
    return connect, stall + max(stall, _GRACE)


def _piece(response: requests.Response) -> bytes:
    """The next piece of a body; nothing at its end."""
    try:
        return response.raw.read1(_PIECE, decode_content=True)
    except (HTTPError, OSError) as exc:
        raise requests.ConnectionError(exc) from exc
