"""What people do about a store's connection: signing in both ways, testing, leaving."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from contextlib import suppress

from sqlalchemy.exc import IntegrityError

from host_app.plugin_api import HostError, HostPort
from plugin.connector import (
    BolClient,
    BolError,
    Credentials,
    Deadline,
    Environment,
    Forbidden,
    MalformedAnswer,
    MemoryLedger,
    MemoryTokenStore,
    NotFound,
    Retailer,
    SignIn,
    SignInRefused,
    StoreUnavailable,
    TokenAnswer,
    Tokens,
    scopes_of,
)
from plugin.connector.sign_in import code_form, login_page, usable
from plugin.jobs.wakes import wake_for
from plugin.line import Line, expires_at
from plugin.models import SignInWay, Store
from plugin.secrets import SecretUnreadable, load_secrets
from plugin.sync import doctor, sign_in, stores
from plugin.sync.due import ORDERS, PRODUCTS, SHIPMENTS, UPKEEP
from plugin.sync.line_state import LineState
from plugin.sync.sign_in import SignedIn
from plugin.texts import gettext as _
from plugin.texts import lazy as _l

CHECK_SECONDS = 15.0
NOT_ACCEPTED = _l(
    "bol does not accept this client id with this client secret. Copy both from bol's API settings once more, and check "
    "that you chose the right bol."
)
CODE_NOT_ACCEPTED = _l(
    "bol does not accept what its login page sent back: it is valid for a short time only, and once. Start the login again."
)


class Connecting:
    """The actions; each raises HostError with words for the administrator where it refuses, and nothing is kept then."""

    def __init__(self, host: HostPort, environ: Mapping[str, str] = os.environ) -> None:
        self.host = host
        self.line = Line(host, environ)

    def close(self) -> None:
        """Give back connections."""
        self.line.close()

    def environments(self) -> Collection[str]:
        """Return the names of the environments a new store can be in."""
        return self.line.environments()

    def login_environments(self) -> Collection[str]:
        """Return those of them where a seller can log in at bol's page: the installation has credentials there."""
        return [name for name in self.line.environments() if self.line.installation(name) is not None]

    def login_addresses(self) -> Collection[str]:
        """Return the addresses of bol's login in them."""
        known = self.line.environments()
        return {known[name].login_url for name in self.login_environments()}

    # the seller's own client id and secret

    def connect_store(self, *, name: str, environment: str, client_id: str, client_secret: str) -> int:
        """Check the credentials by a real call and keep the store, inactive; return its id."""
        name, client_id, client_secret = name.strip(), client_id.strip(), client_secret.strip()
        if not (name and client_id and client_secret):
            raise HostError(_("Give the store a name, and fill in the client id and the client secret."))
        with self.host.reading():
            stores.refuse_name(self.host, name)
            sign_in.refuse_known_account(self.host, environment=environment, account="", client_id=client_id)
        signed_in = self._checked(self.line.environment(environment), client_id, client_secret)
        return self._add(name, environment, signed_in)

    def sign_in_again(self, store_id: int, *, client_id: str, client_secret: str) -> None:
        """Let a store use other credentials of the same account."""
        store = self._store(store_id)
        client_id, client_secret = client_id.strip(), client_secret.strip()
        if not (client_id and client_secret):
            raise HostError(_("Fill in the client id and the client secret."))
        signed_in = self._checked(self.line.environment(store.environment), client_id, client_secret, store)
        self._renew(store, signed_in)

    def _checked(
        self, environment: Environment, client_id: str, client_secret: str, store: Store | None = None
    ) -> SignedIn:
        credentials = Credentials(client_id, client_secret)
        try:
            seller, scopes = self._checked_tokens(
                environment,
                Tokens(environment, MemoryLedger(credentials), MemoryTokenStore(), "new", account=client_id),
                store,
            )
        except SignInRefused as error:
            raise HostError(str(NOT_ACCEPTED)) from error
        return self._signed_in(SignInWay.CREDENTIALS, client_id, client_secret, seller, scopes)

    # bol's login page

    def login_page(self, *, environment: str, redirect_uri: str, state: str, name: str | None = None) -> str:
        """Return the address of bol's page where a seller allows this installation to act.

        :param name: of the store to be connected; None where one signs in again.
        """
        if name is not None:
            with self.host.reading():
                stores.refuse_name(self.host, name.strip())
        credentials = self._installation(environment)
        return login_page(self.line.environment(environment), credentials.client_id, redirect_uri, state)

    def connect_by_login(self, *, name: str, environment: str, code: str, redirect_uri: str) -> int:
        """Take the code that bol's login page sent back, and keep the store, inactive; return its id."""
        name = name.strip()
        with self.host.reading():
            stores.refuse_name(self.host, name)
        signed_in, answer, asked_at = self._exchanged(environment, code, redirect_uri)
        store_id = self._add(name, environment, signed_in)
        self._keep_token(store_id, answer, asked_at)
        return store_id

    def login_again(self, store_id: int, *, code: str, redirect_uri: str) -> None:
        """Let a store use what its seller has just allowed at bol's login page."""
        store = self._store(store_id)
        signed_in, answer, asked_at = self._exchanged(store.environment, code, redirect_uri, store)
        self._renew(store, signed_in)
        self._keep_token(store_id, answer, asked_at)

    def _exchanged(
        self, environment: str, code: str, redirect_uri: str, store: Store | None = None
    ) -> tuple[SignedIn, TokenAnswer, float]:
        known = self.line.environment(environment)
        credentials = self._installation(environment)
        asked_at, login = time.time(), SignIn(known)
        try:
            answer = login.ask(credentials, code_form(code, redirect_uri), Deadline.after(CHECK_SECONDS))
        except SignInRefused as error:
            raise HostError(
                str(CODE_NOT_ACCEPTED)
                if error.code == "invalid_grant"
                else _(
                    "bol does not accept the credentials of this installation: whoever runs it must correct them."
                )
            ) from error
        except BolError as error:
            raise HostError(error.operator_text(_)) from error
        finally:
            login.close()
        if not answer.refresh_token:
            raise HostError(_("bol's login gave no lasting permission. Start the login again."))
        tokens = MemoryTokenStore()
        tokens.set("new", usable(answer, asked_at))
        ledger = MemoryLedger(credentials, answer.refresh_token)
        try:
            seller, scopes = self._checked_tokens(
                known, Tokens(known, ledger, tokens, "new", account=credentials.client_id), store
            )
        except SignInRefused as error:
            raise HostError(str(CODE_NOT_ACCEPTED)) from error
        secret = ledger.refresh_token or answer.refresh_token
        signed_in = self._signed_in(SignInWay.LOGIN, credentials.client_id, secret, seller, scopes)
        return signed_in, answer, asked_at

    def _installation(self, environment: str) -> Credentials:
        credentials = self.line.installation(environment)
        if credentials is None:
            raise HostError(
                _(
                    "This installation has no credentials of its own for bol's login page. Use the client id and secret of "
                    "the seller's account."
                )
            )
        return credentials

    # both

    def _checked_tokens(
        self, environment: Environment, tokens: Tokens, store: Store | None
    ) -> tuple[Retailer, tuple[str, ...]]:
        """Read an offer with a new sign-in; return whose account it is, and what it allows. Raises SignInRefused.

        :param store: the one that signs in again.
        :raises HostError: bol can't be asked, or refuses; or the account is not the store's.
        """
        client = BolClient(environment, tokens, self.line.budget(), pool_size=1)
        try:
            client.offers.page(page_size=1, deadline=Deadline.after(CHECK_SECONDS))
            seller = self._seller(client)
            if store is not None and seller.retailer_id and store.account:
                sign_in.refuse_other_account(store, seller.retailer_id, seller.display_name)
            elif store is not None:
                self._refuse_stranger(client, store)
            return seller, scopes_of(tokens.token(Deadline.after(CHECK_SECONDS)))
        except SignInRefused:
            raise
        except BolError as error:
            raise HostError(error.operator_text(_)) from error
        finally:
            client.close()
            tokens.close()

    def _seller(self, client: BolClient) -> Retailer:
        """Return whose account this is; without a number where bol does not tell, as its demo does."""
        try:
            return client.retailers.current(deadline=Deadline.after(CHECK_SECONDS))
        except (NotFound, Forbidden, MalformedAnswer):
            return Retailer("", "", "")

    def _refuse_stranger(self, client: BolClient, store: Store) -> None:
        """Where bol's tokens don't tell the account: it must have an offer that the store was seen to have.

        :raises HostError: it has not.
        """
        with self.host.reading():
            offer_id = sign_in.an_offer(self.host, store.id)
        if offer_id is None:
            return
        try:
            client.offers.get(offer_id, deadline=Deadline.after(CHECK_SECONDS))
        except NotFound as error:
            raise HostError(
                _(
                    "This account does not have the offers of %(store)s, so it is another one. Nothing was changed.",
                    store=store.name,
                )
            ) from error

    def _signed_in(
        self, way: SignInWay, client_id: str, secret: str, seller: Retailer, scopes: tuple[str, ...]
    ) -> SignedIn:
        try:
            hidden = load_secrets(self.host.secret_folder).hide(secret)
        except SecretUnreadable as error:
            raise HostError(str(error)) from error
        return SignedIn(way, client_id, hidden, seller.retailer_id, seller.display_name, " ".join(scopes))

    def _add(self, name: str, environment: str, signed_in: SignedIn) -> int:
        try:
            with self.host.transaction():
                store_id = stores.add_store(
                    self.host, name=name, environment=environment, signed_in=signed_in
                )
                self.host.wake(wake_for(PRODUCTS, store_id))
        except IntegrityError as error:
            raise HostError(_("This account, or one of this name, was connected a moment ago.")) from error
        return store_id

    def _renew(self, store: Store, signed_in: SignedIn) -> None:
        try:
            with self.host.transaction():
                stores.sign_in_again(self.host, store.id, signed_in)
                self.host.wake(*(wake_for(kind, store.id) for kind in (ORDERS, PRODUCTS, SHIPMENTS, UPKEEP)))
        except IntegrityError as error:
            raise HostError(_("This account was connected as another store a moment ago.")) from error
        with suppress(StoreUnavailable, HostError, SecretUnreadable):
            # A token of the sign-in before may still be there; it ends by itself, but need not be used.
            self.line.forget_token(store)

    def _keep_token(self, store_id: int, answer: TokenAnswer, asked_at: float) -> None:
        """Spare bol a question; losing it costs one."""
        with suppress(StoreUnavailable, HostError, SecretUnreadable):
            self.line.keep_token(self._store(store_id), usable(answer, asked_at))

    def _store(self, store_id: int) -> Store:
        with self.host.reading() as session:
            store: Store | None = session.get(Store, store_id)
        if store is None:
            raise HostError(_("This store does not exist."))
        return store

    # looking

    def examine(self) -> list[doctor.Finding]:
        """Look at everything the connector stands on, and call bol for each store."""
        return doctor.examine(self.host, self.line.client)

    def test_connection(self, store_id: int) -> list[doctor.Finding]:
        """Call bol for one store: reachable, clock, sign-in, each list it needs."""
        return doctor.examine_store(self.host, self._store(store_id), self.line.client)

    def line_state(self, store_id: int) -> LineState:
        """Tell how a store's line stands, without calling bol."""
        store = self._store(store_id)
        try:
            token = self.line.token(store)
            uses = self.line.use(store)
        except (BolError, SecretUnreadable, HostError) as error:
            text = error.operator_text(_) if isinstance(error, BolError) else str(error)
            return LineState(None, (), text)
        return LineState(expires_at(token) if token is not None else None, uses)

    # leaving

    def disconnect(self, store_id: int, *, at_once: bool, who: str = "") -> None:
        """Let a store finish what was begun and go, or go at once."""
        with self.host.transaction():
            stores.disconnect(self.host, store_id, at_once=at_once, who=who)
            self.host.wake(wake_for(UPKEEP, store_id), wake_for(SHIPMENTS, store_id))

    def stay_connected(self, store_id: int, who: str = "") -> None:
        """Keep a store that is being disconnected; it is paused then."""
        with self.host.transaction():
            stores.stay(self.host, store_id, who)
