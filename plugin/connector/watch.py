"""Connections that can be cut when a deadline passes, and that know if a request was begun.

Time limits of sockets restart with every byte: a server that drips bytes would hold a caller for ever. So each call
has a watch; when its time is up the connection in use is shut down from outside, and the blocked read ends.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.connection import allowed_gai_family, create_connection

from plugin.connector.deadline import Deadline

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 20.0

_guard = threading.RLock()  # closing may happen while it is held, in garbage collection
_current = threading.local()


class Watch:
    """One call on one thread. `sent`: the first byte of the request left. `seen`: a connection of ours took part."""

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.seen = self.sent = self.fired = False
        self.connection: _Watched | None = None
        self._lifelines: list[socket.socket] = []

    def fire(self) -> None:
        with _guard:
            self.fired = True
            if self.connection is not None and self.connection.watch is self:
                self.connection.cut()
            for lifeline in self._lifelines:
                _shut(lifeline)

    def inherit(self, lifeline: socket.socket) -> None:
        """Guard held: a connection that closes after this answer is closed before its body is read."""
        self._lifelines.append(lifeline)
        if self.fired:
            _shut(lifeline)

    def end(self) -> None:
        with _guard:
            if self.connection is not None and self.connection.watch is self:
                self.connection.watch = None
            self.connection = None
            while self._lifelines:
                self._lifelines.pop().close()

    @property
    def nothing_sent(self) -> bool:
        """Certainly nothing; without a connection of ours in play that cannot be known."""
        return self.seen and not self.sent


@contextmanager
def watching(deadline: Deadline) -> Iterator[Watch]:
    """Cut the connection that this thread uses inside the block as soon as the deadline passes."""
    watch = Watch(deadline)
    timer = threading.Timer(deadline.remaining(), watch.fire)
    timer.daemon = True
    _current.watch = watch
    timer.start()
    try:
        yield watch
    finally:
        timer.cancel()
        _current.watch = None
        watch.end()


def _shut(lifeline: socket.socket) -> None:
    try:
        lifeline.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # already gone


class _Watched(HTTPConnection):
    """A connection with a duplicate of its socket, the lifeline: shutting that down ends both, TLS or not."""

    watch: Watch | None = None
    _lifeline: socket.socket | None = None
    _cut = False
    _opening = False
    _idle_since = 0.0

    def cut(self) -> None:
        """Called with the guard held, from another thread."""
        self._cut = True
        if self._lifeline is not None:
            _shut(self._lifeline)

    def _take(self) -> None:
        watch: Watch | None = getattr(_current, "watch", None)
        if watch is None:
            return
        with _guard:
            self.watch, watch.connection, watch.seen = watch, self, True
            if watch.fired:
                self.cut()

    def _new_conn(self) -> socket.socket:
        """As urllib3's, with one deadline over all addresses of the host; only the name look-up has none."""
        self._take()
        deadline = self.watch.deadline if self.watch is not None else Deadline.after(CONNECT_SECONDS)
        problem: Exception | None = None
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, "the name of the server was not found") from error
        for *_, address in found:
            seconds = min(CONNECT_SECONDS, deadline.remaining())
            if seconds <= 0:
                break
            try:
                made = create_connection(
                    (str(address[0]), int(address[1])), seconds, socket_options=self.socket_options
                )
            except OSError as error:
                problem = error
                continue
            with _guard:
                self._lifeline, self._cut = made.dup(), False
                if self.watch is not None and self.watch.fired:
                    self.cut()
            return made
        if problem is None or isinstance(problem, TimeoutError):
            raise ConnectTimeoutError(self, "no connection in time")
        raise NewConnectionError(self, "the server cannot be reached") from problem

    def connect(self) -> None:
        self._opening = True
        try:
            super().connect()
        finally:
            self._opening = False

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._take()
        if self._cut:
            self.close()  # cut while idle; sending opens it anew
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if not self._opening and self.watch is not None:
            self.watch.sent = True
        super().send(data)

    @property
    def is_connected(self) -> bool:
        """Long idle connections count as gone: losing one after sending leaves the outcome unknown."""
        return super().is_connected and time.monotonic() - self._idle_since < IDLE_SECONDS

    def getresponse(self) -> Any:
        self._idle_since = time.monotonic()
        return super().getresponse()

    def close(self) -> None:
        try:
            super().close()
        finally:
            with _guard:
                lifeline, self._lifeline, self._cut = self._lifeline, None, False
                if lifeline is not None and self.watch is not None:
                    self.watch.inherit(lifeline)
                elif lifeline is not None:
                    lifeline.close()


class _WatchedTLS(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


_POOLS: dict[str, Any] = {"http": _Pool, "https": _TLSPool}


class WatchedAdapter(HTTPAdapter):
    """requests' adapter over watched connections, through a proxy too (HTTP proxies; SOCKS stays unwatched)."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager
