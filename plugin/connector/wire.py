"""One HTTP attempt: within a total deadline, with a cap on the answer, and with an honest error if it fails."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version

import requests
from requests.auth import AuthBase

from plugin.connector import errors
from plugin.connector.answers import Answer
from plugin.connector.calls import CallRecord, OnCall
from plugin.connector.deadline import Deadline
from plugin.connector.routes import Route
from plugin.connector.watch import Watch, WatchedAdapter, watching

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024 * 1024
CHUNK_BYTES = 64 * 1024

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@cache
def user_agent() -> str:
    """Who we are, as bol asks of its integrators."""
    try:
        ours = version("bol-retailer-connector")
    except PackageNotFoundError:
        ours = "0"
    return f"bol-retailer-connector/{ours} python/{platform.python_version()} requests/{requests.__version__}"


@dataclass(frozen=True)
class Outgoing:
    """What to send. `path` is what goes on the wire, without the query; `about` goes into the log."""

    route: Route
    base_url: str
    path: str
    auth: AuthBase = field(repr=False)
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    about: str = ""


class Wire:
    """Sends from many threads; after a fork each process gets connections of its own."""

    def __init__(self, *, pool_size: int = 32, on_call: OnCall | None = None, clock: Clock = utc_now) -> None:
        self._pool_size, self._on_call, self._clock = pool_size, on_call, clock
        self._guard = threading.Lock()
        self._session: requests.Session | None = None
        self._pid = os.getpid()

    def exchange(self, outgoing: Outgoing, deadline: Deadline) -> Answer:
        """The answer, whatever its status. Raises NoTimeLeft, ConnectFailed, TimedOut, ConnectionLost or
        MalformedAnswer (too large, or not decodable)."""
        at, started = self._clock(), time.monotonic()
        answer: Answer | None = None
        failure: errors.BolError | None = None
        try:
            answer = self._attempt(outgoing, deadline)
            failure = None if answer.ok else answer.error()
            return answer
        except errors.BolError as error:
            failure = error
            raise
        finally:
            duration = round((time.monotonic() - started) * 1000)
            self._report(outgoing, at, duration, answer, failure)

    def close(self) -> None:
        with self._guard:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def _attempt(self, outgoing: Outgoing, deadline: Deadline) -> Answer:
        if deadline.passed:
            raise _failed(errors.NoTimeLeft, outgoing)
        session = self._own_session()
        request = requests.Request(
            outgoing.route.method,
            outgoing.base_url + outgoing.path,
            headers={"User-Agent": user_agent(), **outgoing.headers},
            params=list(outgoing.query),
            data=outgoing.body,
            auth=outgoing.auth,
        )
        try:
            prepared = session.prepare_request(request)
            settings = session.merge_environment_settings(prepared.url or "", {}, True, True, None)
        except (requests.RequestException, ValueError):
            raise _failed(errors.ConnectFailed, outgoing, "the address cannot be used") from None
        with watching(deadline) as watch:
            try:
                timeout = max(deadline.remaining(), 0.001)
                response = session.send(prepared, timeout=timeout, allow_redirects=False, **settings)
            except (requests.RequestException, OSError) as error:
                raise _failed(_kind(error, watch), outgoing, _reason(error)) from None
            with response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                body = _read(response, outgoing, watch)
                return Answer(outgoing.route, response.status_code, headers, body)

    def _own_session(self) -> requests.Session:
        with self._guard:
            if self._session is None or self._pid != os.getpid():
                self._session, self._pid = _session(self._pool_size), os.getpid()
            return self._session

    def _report(
        self,
        outgoing: Outgoing,
        at: datetime,
        duration_ms: int,
        answer: Answer | None,
        failure: errors.BolError | None,
    ) -> None:
        if self._on_call is None:
            return
        record = CallRecord(
            at=at,
            method=outgoing.route.method,
            route=outgoing.route.template,
            path=outgoing.path,
            about=outgoing.about,
            status=answer.status if answer else None,
            duration_ms=duration_ms,
            request_id=answer.request_id if answer else None,
            error=type(failure).__name__ if failure else None,
        )
        try:
            self._on_call(record)
        except Exception:  # the outcome of the call must not be lost to its log
            log.exception("could not record a call to %s %s", record.method, record.route)


def _session(pool_size: int) -> requests.Session:
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = WatchedAdapter(pool_connections=4, pool_maxsize=pool_size, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.stream = True
    return session


def _read(response: requests.Response, outgoing: Outgoing, watch: Watch) -> bytes:
    """The whole body. One that breaks off under a status that says "not done" is not needed."""
    received, chunks = 0, []
    certain = Answer(outgoing.route, response.status_code, {}, b"").error().executed == "no"
    try:
        for chunk in response.iter_content(CHUNK_BYTES):
            received += len(chunk)
            chunks.append(chunk)
            if received > MAX_BODY_BYTES:
                raise _failed(
                    errors.MalformedAnswer, outgoing, "the answer is too large", response.status_code
                )
        if watch.fired:
            raise _failed(errors.TimedOut, outgoing, "the answer was cut off", response.status_code)
    except (requests.RequestException, OSError) as error:
        if not certain:
            raise _failed(_kind(error, watch), outgoing, _reason(error), response.status_code) from None
    except errors.BolError:
        if not certain:
            raise
    return b"".join(chunks)


def _kind(error: Exception, watch: Watch) -> type[errors.BolError]:
    """Which end it was, from what was sent and not from texts."""
    never_began = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)
    if watch.nothing_sent or isinstance(error, never_began):
        return errors.ConnectFailed
    if watch.fired or isinstance(error, requests.Timeout):
        return errors.TimedOut
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return errors.MalformedAnswer
    return errors.ConnectionLost


def _reason(error: Exception) -> str:
    """The kind of trouble. Texts of requests may quote URLs and proxy passwords, so they stay out."""
    return type(error).__name__


def _failed(
    kind: type[errors.BolError], outgoing: Outgoing, detail: str = "", status: int | None = None
) -> errors.BolError:
    return kind(detail, method=outgoing.route.method, route=outgoing.route.template, status=status)
