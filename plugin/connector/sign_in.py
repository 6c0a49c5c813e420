"""bol's login: the token endpoint, the page that a seller allows us on, and tokens shared by all processes.

Reference: https://api.bol.com/retailer/public/Retailer-API/authentication.html
"""

from __future__ import annotations

import base64
import random
import threading
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
from plugin.connector.tokens import Claim, MemoryLedger, SignInLedger, StoredToken, TokenStore
from plugin.connector.wire import Outgoing, Wire

REFUSALS = frozenset({"invalid_client", "invalid_grant", "unauthorized_client"})
UNSAID_SECONDS = 60
MARGIN_SECONDS = 30.0
MARGIN_SHARE = 0.1
#: Longer than any deadline of a call, so that a claim is only outlived by a process that was held up.
CLAIM_SECONDS = 45.0
POLL_SECONDS = 0.1
LOGIN_SCOPE = "offline_access"
#: How long bol accepts a refresh token, leap years or not; the answer does not say (facts of an integrator, 2026).
CONSENT_DAYS = 365


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


class Tokens:
    """The TokenSource of one sign-in; one token per `key`, shared through the store.

    A token is used until shortly before its end (the smaller of 30 s and 10 %), because bol blocks addresses
    that keep asking. Of all threads and processes the one that gets the ledger's claim asks, the others wait and use
    what it got. A new refresh token is kept before its access token is handed out.
    """

    def __init__(
        self,
        environment: Environment,
        ledger: SignInLedger,
        store: TokenStore,
        key: str,
        *,
        account: str,
        on_call: OnCall | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.account = f"{environment.name}:{account}"
        self._ledger, self._store, self._key, self._clock = ledger, store, key, clock
        self._sign_in = SignIn(environment, on_call=on_call)
        self._turn = threading.Lock()

    def token(self, deadline: Deadline) -> str:
        stored = self._valid()
        if stored is not None:
            return stored.value
        # One thread of a process stands in line for all of them.
        if not self._turn.acquire(timeout=max(deadline.remaining(), 0)):
            raise errors.NoTimeLeft("another thread is still signing in")
        try:
            return self._asked_for(deadline).value
        finally:
            self._turn.release()

    def refused(self, token: str) -> None:
        self._store.delete_if(self._key, token)

    def close(self) -> None:
        self._sign_in.close()

    def _valid(self) -> StoredToken | None:
        stored = self._store.get(self._key)
        return stored if stored is not None and stored.expires_at > self._clock() else None

    def _asked_for(self, deadline: Deadline) -> StoredToken:
        """The token that this process or another one gets; each look for it comes after a look for the claim."""
        while True:
            claim = self._ledger.claim(CLAIM_SECONDS)
            try:
                stored = self._valid()
            except errors.BolError:
                if claim is not None:
                    self._ledger.give_back(claim)
                raise
            if stored is not None:
                if claim is not None:
                    self._ledger.give_back(claim)
                return stored
            if claim is not None:
                stored = self._new(claim, deadline)
                if stored is not None:
                    return stored
            elif deadline.remaining() <= POLL_SECONDS:
                raise errors.NoTimeLeft("another process is still signing in")
            else:
                time.sleep(POLL_SECONDS * random.uniform(0.5, 1.0))

    def _new(self, claim: Claim, deadline: Deadline) -> StoredToken | None:
        """Ask bol; None where somebody signed in anew meanwhile."""
        asked_at = self._clock()
        try:
            answer = self._sign_in.ask(claim.credentials, _form(claim), deadline)
        except errors.SignInRefused as error:
            if self._ledger.refused(claim, error):
                raise
            return None
        except errors.AddressBlocked as error:
            self._ledger.blocked(claim, error)
            self._store.block(error.retry_after or 0.0)
            raise
        except errors.BolError:
            self._ledger.give_back(claim)
            raise
        if not self._ledger.keep(claim, answer.refresh_token):
            return None
        stored = usable(answer, asked_at)
        try:
            self._store.set(self._key, stored)
        finally:
            self._ledger.give_back(claim)
        return stored


class ClientCredentialsTokens(Tokens):
    """Tokens of a seller's own client id and secret, for one process, or for one that shares a store with others."""

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
        super().__init__(
            environment,
            MemoryLedger(credentials),
            store,
            key,
            account=credentials.client_id,
            on_call=on_call,
            clock=clock,
        )


def login_page(environment: Environment, client_id: str, redirect_uri: str, state: str) -> str:
    """The address of bol's page where a seller allows an intermediary to act, which then returns to `redirect_uri`.

    `state` comes back unchanged, beside `code` (or `error`); the sender must check it.
    Reference: https://api.bol.com/retailer/public/Retailer-API/intermediary-authorization.html
    """
    query = {
        "response_type": "code",
        "client_id": client_id,
        "scope": LOGIN_SCOPE,
        "redirect_uri": redirect_uri,
        "state": state,
    }
    return f"{environment.login_url}/authorize?{urlencode(query)}"


def code_form(code: str, redirect_uri: str) -> dict[str, str]:
    """What to ask with for the code that came back from the login page; the address must be the same once more."""
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}


def usable(answer: TokenAnswer, asked_at: float) -> StoredToken:
    """The token with the moment until which it is used; `asked_at` in seconds since 1970."""
    margin = min(MARGIN_SECONDS, MARGIN_SHARE * answer.expires_in)
    return StoredToken(answer.access_token, asked_at + answer.expires_in - margin)


def _form(claim: Claim) -> dict[str, str]:
    if claim.refresh_token is None:
        return {"grant_type": "client_credentials"}
    return {"grant_type": "refresh_token", "refresh_token": claim.refresh_token}


def _token(fields: Fields) -> TokenAnswer:
    expires_in = fields.count("expires_in")
    return TokenAnswer(
        access_token=fields.essential_text("access_token"),
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


def scopes_of(access_token: str) -> tuple[str, ...]:
    """What a token allows, in bol's words: bol's tokens are JSON Web Tokens that name their scopes. () where it does
    not tell. It came from bol over TLS, so its signature is not checked, and nothing but a page depends on it."""
    try:
        payload = access_token.split(".")[1]
        claims = Fields(parse_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
    except (IndexError, ValueError, ShapeError):
        return ()
    return claims.words("scopes") or claims.words("scope")
