"""bol's token endpoint, and access tokens from a seller's own client credentials.

Reference: https://api.bol.com/retailer/public/Retailer-API/authentication.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from requests.auth import HTTPBasicAuth

from plugin.connector import errors, routes
from plugin.connector.answers import Answer, retry_after
from plugin.connector.calls import OnCall
from plugin.connector.deadline import Deadline
from plugin.connector.environment import Credentials, Environment
from plugin.connector.parsing import Fields, ShapeError, parse_json
from plugin.connector.tokens import StoredToken, TokenStore
from plugin.connector.wire import Outgoing, Wire

REFUSALS = frozenset({"invalid_client", "invalid_grant", "unauthorized_client"})
UNSAID_SECONDS = 60
MARGIN_SECONDS = 30.0
MARGIN_SHARE = 0.1


@dataclass(frozen=True)
class TokenAnswer:
    """`expires_in` in seconds from the moment of asking; `refresh_token` with the authorization code flow only."""

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str | None = field(repr=False, default=None)


class SignIn:
    """Asks for tokens: POST {login}/token with Basic authentication and a form body (never in the query)."""

    def __init__(self, environment: Environment, *, on_call: OnCall | None = None) -> None:
        self._login_url = environment.login_url
        self._wire = Wire(pool_size=2, on_call=on_call)

    def ask(self, credentials: Credentials, form: Mapping[str, str], deadline: Deadline) -> TokenAnswer:
        """One token request, not repeated.

        Raises SignInRefused (401, or an OAuth error about the client or grant, in its `code`), AddressBlocked
        (404: bol blocks our IP address), RateLimited, Forbidden, ConnectFailed, NoTimeLeft; for all else
        SignInUnavailable. With a refresh token that may change, the outcome of the last one is unknown.
        """
        outgoing = Outgoing(
            routes.TOKEN,
            self._login_url,
            routes.TOKEN.template,
            HTTPBasicAuth(credentials.client_id.encode(), credentials.client_secret.encode()),
            headers={"Accept": routes.PLAIN, "Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )
        try:
            answer = self._wire.exchange(outgoing, deadline)
            if not answer.ok:
                raise _refusal(answer)
            return answer.read(_token)
        except errors.OutcomeUnknown as error:
            raise errors.SignInUnavailable(
                type(error).__name__,
                method=error.method,
                route=error.route,
                status=error.status,
                request_id=error.request_id,
                retry_after=error.retry_after,
            ) from None

    def close(self) -> None:
        self._wire.close()


class ClientCredentialsTokens:
    """The TokenSource of a seller with own credentials; one token per `key`, shared through the store.

    A token is used until shortly before its end (the smaller of 30 s and 10 %), because bol blocks addresses
    that keep asking. Of all threads and processes one asks, the others wait and use what it got.
    """

    def __init__(
        self,
        environment: Environment,
        credentials: Credentials,
        store: TokenStore,
        key: str,
        *,
        on_call: OnCall | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.account = f"{environment.name}:{credentials.client_id}"
        self._credentials, self._store, self._key, self._clock = credentials, store, key, clock
        self._sign_in = SignIn(environment, on_call=on_call)

    def token(self, deadline: Deadline) -> str:
        stored = self._valid()
        if stored is None:
            with self._store.exclusive(self._key, deadline):
                stored = self._valid() or self._new(deadline)
        return stored.value

    def refused(self, token: str) -> None:
        self._store.delete_if(self._key, token)

    def close(self) -> None:
        self._sign_in.close()

    def _valid(self) -> StoredToken | None:
        stored = self._store.get(self._key)
        return stored if stored is not None and stored.expires_at > self._clock() else None

    def _new(self, deadline: Deadline) -> StoredToken:
        asked_at = self._clock()
        answer = self._sign_in.ask(self._credentials, {"grant_type": "client_credentials"}, deadline)
        margin = min(MARGIN_SECONDS, MARGIN_SHARE * answer.expires_in)
        stored = StoredToken(answer.access_token, asked_at + answer.expires_in - margin)
        self._store.set(self._key, stored)
        return stored


def _token(fields: Fields) -> TokenAnswer:
    expires_in = fields.count("expires_in")
    return TokenAnswer(
        access_token=fields.essential_id("access_token"),
        expires_in=UNSAID_SECONDS if expires_in is None else max(expires_in, 0),
        refresh_token=fields.text("refresh_token"),
    )


def _refusal(answer: Answer) -> errors.BolError:
    code = _oauth_code(answer)
    if answer.status == 401 or (answer.status == 400 and code in REFUSALS):
        kind: type[errors.NotExecuted] = errors.SignInRefused
    elif answer.status in (403, 404, 429):
        kind = {403: errors.Forbidden, 404: errors.AddressBlocked, 429: errors.RateLimited}[answer.status]
    else:
        kind = errors.SignInUnavailable
    error = kind(
        code or "",
        method=answer.route.method,
        route=answer.route.template,
        status=answer.status,
        request_id=answer.request_id,
        retry_after=retry_after(answer.headers) if answer.status in (429, 503) else None,
    )
    if isinstance(error, errors.SignInRefused):
        error.code = code
    return error


def _oauth_code(answer: Answer) -> str | None:
    try:
        code = Fields(parse_json(answer.body)).text("error")
    except ShapeError:
        return None
    return code[:50] if code and code.isascii() and code.isprintable() else None
