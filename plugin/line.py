"""The line to bol: which bols there are, and a client for a store's row, from its secret, the keys and Redis."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from host_app.plugin_api import HostError, HostPort
from plugin.connector import (
    DEMO,
    PRODUCTION,
    PUBLISHED_LIMITS,
    BolClient,
    Budget,
    Credentials,
    Deadline,
    Environment,
    LimitRule,
    OnCall,
    StoredToken,
    Tokens,
    sandbox_environment,
)
from plugin.connector.budget import rule_for
from plugin.connector.redis_budget import RedisBudget, Use
from plugin.connector.redis_tokens import RedisTokenStore
from plugin.connector.routes import ALL
from plugin.models import SignInWay, Store
from plugin.secrets import load_secrets
from plugin.sync.sign_in import StoreLedger
from plugin.texts import gettext as _

SANDBOX = "sandbox"
SANDBOX_VARIABLE = "BOL_SANDBOX_URL"
#: The installation's own credentials, for stores that sign in at bol's login page. Those of a sandbox have names of
#: their own, so that no setting sends a production secret to another address.
INSTALLATION = ("BOL_CLIENT_ID", "BOL_CLIENT_SECRET")
SANDBOX_INSTALLATION = ("BOL_SANDBOX_CLIENT_ID", "BOL_SANDBOX_CLIENT_SECRET")


class Line:
    """Everything between the host and bol, in one process."""

    def __init__(self, host: HostPort, environ: Mapping[str, str] = os.environ) -> None:
        self.host = host
        # The deadline of a call can't bound Redis: its own limits are short, and it is asked twice at most.
        self.redis = redis.Redis.from_url(
            host.redis_url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 1)
        )
        self._sandbox_url = environ.get(SANDBOX_VARIABLE, "").rstrip("/")
        self._installation = {
            SANDBOX: _credentials(environ, SANDBOX_INSTALLATION),
            PRODUCTION.name: _credentials(environ, INSTALLATION),
        }

    def close(self) -> None:
        """Give back connections."""
        self.redis.close()

    def environments(self) -> dict[str, Environment]:
        """Return the environments a store can be in. Production and demo addresses can't be changed by settings."""
        found = {PRODUCTION.name: PRODUCTION, DEMO.name: DEMO}
        if self._sandbox_url:
            found[SANDBOX] = sandbox_environment(self._sandbox_url)
        return found

    def environment(self, name: str) -> Environment:
        """:raises HostError: it is not available here."""
        environment = self.environments().get(name)
        if environment is None:
            raise HostError(
                _(
                    "This store lives in the %(environment)s: set %(variable)s to reach it.",
                    environment=name,
                    variable=SANDBOX_VARIABLE,
                )
            )
        return environment

    def installation(self, environment: str) -> Credentials | None:
        """Return the credentials with which stores of this environment can sign in at bol's login page, if any."""
        return self._installation.get(environment)

    def client(self, store: Store, on_call: OnCall | None = None, *, urgent: bool = True) -> BolClient:
        """Return the client of a store; close it.

        :raises SecretUnreadable: its key is missing. :raises HostError: its environment is not available, or it is
            not connected, or the installation's credentials, with which it signs in, are missing.
        """
        if not store.secret:
            raise HostError(_("This store is not connected: sign in again on its connection page."))
        secrets = load_secrets(self.host.secret_folder)
        secrets.reveal(store.secret)
        environment = self.environment(store.environment)
        installation = self.installation(store.environment)
        if store.sign_in == SignInWay.LOGIN and installation is None:
            names = SANDBOX_INSTALLATION if store.environment == SANDBOX else INSTALLATION
            raise HostError(
                _(
                    "This store signs in with the credentials of this installation, which are missing: set %(first)s and "
                    "%(second)s.",
                    first=names[0],
                    second=names[1],
                )
            )
        tokens = Tokens(
            environment,
            StoreLedger(self.host, secrets, store.id, installation),
            self._token_store(environment),
            _token_key(store.id),
            account=account_of(store),
            on_call=on_call,
        )
        return BolClient(environment, tokens, self.budget(store), on_call=on_call, urgent=urgent)

    def budget(self, store: Store | None = None) -> Budget:
        """Return the budget that all processes share, with bol's limits as they were read last."""
        return _Guarded(RedisBudget(self.redis, limits_of(store)), self.host)

    def use(self, store: Store) -> Sequence[Use]:
        """Return how much is used at the moment of each limit that our calls count towards. Raises StoreUnavailable."""
        rules = limits_of(store)
        ours = {rule_for(rules, route.method, route.template) for route in ALL if route.signed}
        budget = RedisBudget(self.redis, tuple(rule for rule in rules if rule in ours))
        return budget.use(f"{store.environment}:{account_of(store)}")

    def token(self, store: Store) -> StoredToken | None:
        """Return the access token that is kept now. Raises StoreUnavailable, and AddressBlocked while bol blocks us."""
        return self._token_store(self.environment(store.environment)).get(_token_key(store.id))

    def keep_token(self, store: Store, token: StoredToken) -> None:
        """Let all processes use a token that came with a sign-in. Raises StoreUnavailable."""
        self._token_store(self.environment(store.environment)).set(_token_key(store.id), token)

    def forget_token(self, store: Store) -> None:
        """Raises StoreUnavailable."""
        self._token_store(self.environment(store.environment)).delete(_token_key(store.id))

    def _token_store(self, environment: Environment) -> RedisTokenStore:
        return RedisTokenStore(self.redis, load_secrets(self.host.secret_folder), login=environment.login_url)


def account_of(store: Store) -> str:
    """Return the name under which a store's calls are counted: one per account, however it signs in."""
    return store.account or store.client_id


def limits_of(store: Store | None) -> tuple[LimitRule, ...]:
    """Return bol's limits as they were read last, and our copy for what bol's list leaves out."""
    read = tuple(
        LimitRule(**{**rule, "methods": tuple(rule["methods"])}) for rule in (store and store.limits) or ()
    )
    # A rule of the same path and method is the newer one; the budget takes the most specific.
    known = {(rule.path, method) for rule in read for method in rule.methods}
    kept = []
    for rule in PUBLISHED_LIMITS:
        methods = tuple(method for method in rule.methods if (rule.path, method) not in known)
        if methods:
            kept.append(LimitRule(rule.path, methods, rule.capacity, rule.seconds))
    return read + tuple(kept)


def expires_at(token: StoredToken) -> datetime:
    """Return until when a token is used."""
    return datetime.fromtimestamp(token.expires_at, UTC)


def _token_key(store_id: int) -> str:
    return f"store:{store_id}"


def _credentials(environ: Mapping[str, str], names: tuple[str, str]) -> Credentials | None:
    client_id, client_secret = (environ.get(name, "").strip() for name in names)
    return Credentials(client_id, client_secret) if client_id and client_secret else None


class _Guarded:
    """A budget that refuses a call while the host has a transaction open: no call is made inside one."""

    def __init__(self, budget: Budget, host: HostPort) -> None:
        self._budget = budget
        self._host = host

    def acquire(self, account: str, method: str, path: str, deadline: Deadline, urgent: bool = True) -> None:
        if self._host.in_transaction:
            raise RuntimeError(f"{method} {path} was about to be called inside a transaction")
        self._budget.acquire(account, method, path, deadline, urgent)

    def learn(self, account: str, method: str, path: str, headers: Mapping[str, str], status: int) -> None:
        self._budget.learn(account, method, path, headers, status)
