"""The client of one account: signs, keeps to the budget, sends, repeats what may be repeated, names what failed."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence

from requests import PreparedRequest
from requests.auth import AuthBase

from plugin.connector.answers import Answer, retry_after
from plugin.connector.budget import NO_ANSWER, Budget
from plugin.connector.calls import OnCall
from plugin.connector.deadline import Deadline
from plugin.connector.environment import Environment
from plugin.connector.errors import BolError, ConnectFailed, ConnectionLost
from plugin.connector.resources.catalog import Catalog
from plugin.connector.resources.labels import Labels
from plugin.connector.resources.offers import Offers
from plugin.connector.resources.orders import Orders
from plugin.connector.resources.rate_limits import RateLimits
from plugin.connector.resources.retailers import Retailers
from plugin.connector.resources.shipments import Shipments
from plugin.connector.resources.statuses import Statuses
from plugin.connector.resources.subscriptions import Subscriptions
from plugin.connector.resources.transports import Transports
from plugin.connector.routes import Route
from plugin.connector.tokens import TokenSource
from plugin.connector.wire import Clock, Outgoing, Wire, utc_now

REPEATS = 2
REPEATED_STATUSES = (502, 503, 504)
FIRST_PAUSE = 0.2


class BolClient:
    """bol's API for one account, for use by many threads at once; keep one per account and process.

    environment: PRODUCTION, DEMO or a sandbox_environment.
    tokens, budget: where tokens come from and how many calls may be made; both shared between processes. Budgets
        are counted per `tokens.account`.
    on_call: given a CallRecord after each HTTP attempt to the API, in the calling thread.
    urgent: False for bulk work, which leaves room in the budget for urgent calls.

    Every call takes a `deadline` (20 seconds if none is given) that covers waiting for a token and for the budget,
    and the HTTP attempts together. GET is repeated at most twice on connection errors and 502, 503, 504, a write
    never; a 401 leads to one fresh token and one repeat of either, as bol did not do the work.
    """

    def __init__(
        self,
        environment: Environment,
        tokens: TokenSource,
        budget: Budget,
        *,
        on_call: OnCall | None = None,
        pool_size: int = 32,
        urgent: bool = True,
        clock: Clock = utc_now,
    ) -> None:
        self._environment, self._tokens, self._budget, self._urgent = environment, tokens, budget, urgent
        self._wire = Wire(pool_size=pool_size, on_call=on_call, clock=clock)
        self.orders = Orders(self)
        self.shipments = Shipments(self)
        self.transports = Transports(self)
        self.labels = Labels(self)
        self.statuses = Statuses(self)
        self.offers = Offers(self)
        self.catalog = Catalog(self)
        self.subscriptions = Subscriptions(self)
        self.retailers = Retailers(self)
        self.rate_limits = RateLimits(self)

    def close(self) -> None:
        self._wire.close()

    def call(
        self,
        route: Route,
        *,
        values: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: Deadline | None = None,
        urgent: bool = True,
    ) -> Answer:
        """The successful answer (2xx) of one call; every other end raises a BolError. For the resources.

        `urgent` False: the call leaves room in the budget, as all calls of a client for bulk work do.
        """
        request = _Request(
            route,
            route.path(values or {}),
            query,
            _encoded(body),
            headers or {},
            _about(query, body or {}),
            self._urgent and urgent,
        )
        deadline = deadline or Deadline.after()
        for repeat in range(REPEATS + 1):
            asked = None
            try:
                answer = self._signed(request, deadline)
                if answer.ok:
                    return answer
                failure, passing = answer.error(), answer.status in REPEATED_STATUSES
                asked = retry_after(answer.headers)
            except (ConnectFailed, ConnectionLost) as error:
                failure, passing = error, error.route == route.template
            pause = max(asked or 0.0, FIRST_PAUSE * 2**repeat * random.uniform(0.5, 1.0))
            if repeat == REPEATS or not (route.reads and passing) or pause >= deadline.remaining():
                break
            time.sleep(pause)
        raise failure

    def _signed(self, request: _Request, deadline: Deadline) -> Answer:
        if not request.route.signed:
            return self._wire.exchange(self._outgoing(request, _NoAuth()), deadline)
        token = self._tokens.token(deadline)
        answer = self._budgeted(request, token, deadline)
        if answer.status == 401:
            self._tokens.refused(token)
            answer = self._budgeted(request, self._tokens.token(deadline), deadline)
        return answer

    def _budgeted(self, request: _Request, token: str, deadline: Deadline) -> Answer:
        account, method, path = self._tokens.account, request.route.method, request.path
        self._budget.acquire(account, method, path, deadline, request.urgent)
        try:
            answer = self._wire.exchange(self._outgoing(request, _Bearer(token)), deadline)
        except BolError:
            self._budget.learn(account, method, path, {}, NO_ANSWER)
            raise
        self._budget.learn(account, method, path, answer.headers, answer.status)
        return answer

    def _outgoing(self, request: _Request, auth: AuthBase) -> Outgoing:
        route = request.route
        headers = {"Accept": route.media, **request.headers}
        if request.body is not None:
            headers["Content-Type"] = route.media
        path = self._environment.path(request.path)
        return Outgoing(
            route, self._environment.api_url, path, auth, request.query, headers, request.body, request.about
        )


class _Request:
    def __init__(
        self,
        route: Route,
        path: str,
        query: Sequence[tuple[str, str]],
        body: bytes | None,
        headers: Mapping[str, str],
        about: str,
        urgent: bool,
    ) -> None:
        self.route, self.path, self.query, self.body, self.headers = route, path, query, body, headers
        self.about, self.urgent = about, urgent


class _NoAuth(AuthBase):
    """No Authorization at all. Any AuthBase keeps requests from looking into a netrc file."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return request


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _about(query: Sequence[tuple[str, str]], body: Mapping[str, object]) -> str:
    """Which order or order items a call is about, where its path does not tell."""
    ids = [f"order {value}" for name, value in query if name == "order-id"]
    items = body.get("orderItems")
    for item in items if isinstance(items, list | tuple) else ():
        if isinstance(item, Mapping):
            ids.append(f"order item {item.get('orderItemId')}")
    return ", ".join(ids)


def _encoded(body: Mapping[str, object] | None) -> bytes | None:
    return None if body is None else json.dumps(body, ensure_ascii=False).encode()
