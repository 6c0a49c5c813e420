"""Access tokens: what a client needs of them, where they are kept, and who may ask bol for a new one."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from plugin.connector.deadline import Deadline
from plugin.connector.environment import Credentials
from plugin.connector.errors import AddressBlocked, SignInRefused


class TokenSource(Protocol):
    """Where a client gets its access token. Safe for use by many threads."""

    @property
    def account(self) -> str:
        """Whose calls these are: budgets are counted per account."""

    def token(self, deadline: Deadline) -> str:
        """A token that is believed valid. Raises NotExecuted (SignInRefused, AddressBlocked, ...)."""

    def refused(self, token: str) -> None:
        """bol answered 401 to this token: never hand it out again."""


@dataclass(frozen=True)
class StoredToken:
    """`expires_at`: seconds since 1970 (UTC), the safety margin already taken off."""

    value: str = field(repr=False)
    expires_at: float


class TokenStore(Protocol):
    """Keeps access tokens for all processes; may lose them at any moment. Raises StoreUnavailable when it is away."""

    def get(self, key: str) -> StoredToken | None:
        """The token of this key, if there is one. Raises AddressBlocked while a block stands."""

    def set(self, key: str, token: StoredToken) -> None: ...

    def delete_if(self, key: str, token: str) -> None:
        """Forget the token of this key if it still is this one."""

    def block(self, seconds: float) -> None:
        """bol blocks our address: hand out no token for some time, so that no call is made at all."""


@dataclass(frozen=True)
class Claim:
    """The sole right to ask bol for a token, and what to ask with.

    refresh_token: of a sign-in at bol's login page; None: the credentials are the seller's own.
    version: of the secret; it changes with each new refresh token and each new sign-in.
    """

    holder: str
    credentials: Credentials
    refresh_token: str | None = field(repr=False, default=None)
    version: int = 0


class SignInLedger(Protocol):
    """The sign-in of one account: its secret, and who of all processes may use it to ask for a token.

    A claim ends by itself after `seconds`, as its holder may have died. Whoever outlives its claim may still end it:
    what counts then is the version of the secret, not the clock.
    """

    def claim(self, seconds: float) -> Claim | None:
        """Take the right; None while somebody else has it.

        Raises SignInRefused, without asking bol, where it is known that a person must sign in again, and
        AddressBlocked while bol blocks our address.
        """

    def keep(self, claim: Claim, refresh_token: str | None) -> bool:
        """bol gave a token: keep the new refresh token, if there is one. The right is given back once the token is kept.

        False: somebody signed in anew meanwhile, so that token is not to be used.
        """

    def refused(self, claim: Claim, error: SignInRefused) -> bool:
        """bol does not accept the secret. False: it was replaced meanwhile, so the new one is to be tried."""

    def blocked(self, claim: Claim, error: AddressBlocked) -> None:
        """bol blocks our address: nobody is to ask for some time."""

    def give_back(self, claim: Claim) -> None:
        """Nothing came of it, or the token is there for all."""


class MemoryTokenStore:
    """Tokens of one process, for scripts and tests."""

    def __init__(self) -> None:
        self._tokens: dict[str, StoredToken] = {}
        self._guard = threading.Lock()
        self._blocked_until = 0.0

    def get(self, key: str) -> StoredToken | None:
        with self._guard:
            if (left := self._blocked_until - time.monotonic()) > 0:
                raise AddressBlocked(retry_after=left)
            return self._tokens.get(key)

    def set(self, key: str, token: StoredToken) -> None:
        with self._guard:
            self._tokens[key] = token

    def delete_if(self, key: str, token: str) -> None:
        with self._guard:
            stored = self._tokens.get(key)
            if stored is not None and stored.value == token:
                del self._tokens[key]

    def block(self, seconds: float) -> None:
        self._blocked_until = time.monotonic() + seconds


class MemoryLedger:
    """The sign-in of one process, for scripts and tests. `refresh_token` is the newest one."""

    def __init__(
        self,
        credentials: Credentials,
        refresh_token: str | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.refresh_token = refresh_token
        self._credentials, self._clock = credentials, clock
        self._guard = threading.Lock()
        self._holder, self._until, self._version = "", 0.0, 0

    def claim(self, seconds: float) -> Claim | None:
        with self._guard:
            if self._holder and self._until > self._clock():
                return None
            self._holder, self._until = secrets.token_hex(8), self._clock() + seconds
            return Claim(self._holder, self._credentials, self.refresh_token, self._version)

    def keep(self, claim: Claim, refresh_token: str | None) -> bool:
        with self._guard:
            if claim.version != self._version:
                return False
            if refresh_token is not None and refresh_token != self.refresh_token:
                self.refresh_token, self._version = refresh_token, self._version + 1
            self._end(claim)
            return True

    def refused(self, claim: Claim, error: SignInRefused) -> bool:
        with self._guard:
            self._end(claim)
            return claim.version == self._version

    def blocked(self, claim: Claim, error: AddressBlocked) -> None:
        self.give_back(claim)

    def give_back(self, claim: Claim) -> None:
        with self._guard:
            self._end(claim)

    def _end(self, claim: Claim) -> None:
        if self._holder == claim.holder:
            self._holder = ""
