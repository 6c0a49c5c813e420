"""How a store signs in: its secret, the right to use it, whose account it is, and what people are told of it."""

from __future__ import annotations

import math
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.exc import OperationalError

from host_app.plugin_api import HostError, HostPort, Level, Notice, speaking
from plugin.connector import AddressBlocked, Claim, Credentials, SignInRefused
from plugin.connector.sign_in import CONSENT_DAYS
from plugin.models import Offer, OfferState, SignInWay, Store, StoreState
from plugin.secrets import Secrets
from plugin.sync.context import connection_url, note_problem
from plugin.sync.failures import BLOCKED, SIGN_IN
from plugin.texts import gettext as _
from plugin.texts import ngettext

#: The client id and secret of the store are asked again after this rest: bol may have been mistaken. A refresh token
#: that was refused stays refused.
REFUSED_REST = timedelta(minutes=15)
#: The database may be away for a moment just when bol has handed out a new refresh token: it is worth some patience.
KEEP_TRIES = 6
KEEP_PAUSE = 1.0
#: From keeping what bol gave to telling all processes the token.
HANDED_OVER = timedelta(seconds=5)
#: Days before the end of the consent on which people are told.
WARNINGS = (30, 14, 7, 1)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that bol has accepted. ``secret``: client secret or refresh token, encrypted; ``account``: bol's number
    of the seller, "" where bol does not tell."""

    way: SignInWay
    client_id: str
    secret: str
    account: str
    account_name: str
    scopes: str


class StoreLedger:
    """The sign-in of one store, kept on its row; see :class:`plugin.connector.SignInLedger`.

    Each step is a transaction of its own and changes the row only where its version is still the one that was read.

    :param installation: credentials of the installation, for stores that signed in at bol's login page.
    """

    def __init__(
        self, host: HostPort, secrets: Secrets, store_id: int, installation: Credentials | None
    ) -> None:
        self._host, self._secrets, self._store_id, self._installation = host, secrets, store_id, installation

    def claim(self, seconds: float) -> Claim | None:
        """:raises SecretUnreadable: its key is missing."""
        holder, now = secrets.token_hex(16), self._host.now()
        with self._host.reading() as session:
            store = session.get(Store, self._store_id)
        if store is None or not store.secret:
            raise SignInRefused("the store is not connected")
        if store.problem_kind == BLOCKED and store.rests_until is not None and store.rests_until > now:
            # All processes are told by Redis, which may have lost it.
            left = (store.rests_until - now).total_seconds()
            raise AddressBlocked("bol blocked our address a while ago", retry_after=left)
        if store.claim is not None and store.claim_until is not None and store.claim_until > now:
            return None
        self._refuse_known(store, now)
        claim = self._claim_of(store, holder)
        with self._host.transaction() as session:
            taken = session.execute(
                update(Store)
                .where(
                    Store.id == self._store_id,
                    Store.secret_version == store.secret_version,
                    or_(Store.claim.is_(None), Store.claim_until.is_(None), Store.claim_until <= now),
                )
                .values(claim=holder, claim_until=now + timedelta(seconds=seconds))
            )
        return claim if taken.rowcount == 1 else None

    def keep(self, claim: Claim, refresh_token: str | None) -> bool:
        # The claim stays until it is given back, or for a moment where that never happens: until the token is there for all
        # processes, who claimed would ask for another one.
        until = self._host.now() + HANDED_OVER
        changes: dict[str, Any] = {"claim_until": until, "refused_at": None, "refused_code": ""}
        if refresh_token is not None and refresh_token != claim.refresh_token:
            changes["secret"] = self._secrets.hide(refresh_token)
            changes["secret_version"] = claim.version + 1
        for left in reversed(range(KEEP_TRIES)):
            try:
                return self._kept(claim, changes)
            except OperationalError:
                if not left:
                    raise
                time.sleep(KEEP_PAUSE)
        return False

    def refused(self, claim: Claim, error: SignInRefused) -> bool:
        now = self._host.now()
        changes = {"claim": None, "claim_until": None, "refused_at": now, "refused_code": error.code or "401"}
        with self._host.transaction() as session, speaking(self._host.language):
            known = session.scalar(select(Store.refused_at).where(Store.id == self._store_id))
            done = session.execute(self._update(claim, changes))
            if done.rowcount != 1:
                return False
            store = session.get_one(Store, self._store_id)
            text = f"{error.operator_text(_)} {reason(store)}"
            note_problem(session, store.id, text, SIGN_IN, now)
            if known is not None:
                return True
            # bol may accept the same secret again, and refuse it later: that is news.
            self._host.notify(
                Notice(
                    key=f"bol:{store.id}:sign-in:{claim.version}:{now.isoformat()}",
                    kind="bol.connection",
                    level=Level.DANGER,
                    title=_("%(store)s: bol does not accept the sign-in any more", store=store.name),
                    body=" ".join((reason(store), _("Nothing is read from bol or sent to it until then."))),
                    url=connection_url(store.id),
                )
            )
        return True

    def blocked(self, claim: Claim, error: AddressBlocked) -> None:
        """All stores of that login rest, with an alarm."""
        now = self._host.now()
        until = now + timedelta(seconds=error.retry_after or 0)
        with self._host.transaction() as session, speaking(self._host.language):
            session.execute(self._update(claim, {"claim": None, "claim_until": None}))
            store = session.get_one(Store, self._store_id)
            # Told once for each time that it begins, however often it is tried meanwhile.
            since = store.problem_at if store.problem_kind == BLOCKED and store.problem_at else now
            session.execute(
                update(Store)
                .where(Store.environment.in_(_same_login(store.environment)))
                .values(
                    rests_until=until, problem=error.operator_text(_), problem_kind=BLOCKED, problem_at=since
                )
            )
            self._host.notify(
                Notice(
                    key=f"bol:blocked:{since.isoformat()}",
                    kind="bol.connection",
                    level=Level.DANGER,
                    title=_("bol blocks the internet address of this server"),
                    body=" ".join(
                        (
                            error.operator_text(_),
                            _(
                                "No call to bol is made for some minutes; then it is tried again. Nothing is lost: what is "
                                "owed to bol waits."
                            ),
                        )
                    ),
                    url=connection_url(store.id),
                )
            )

    def give_back(self, claim: Claim) -> None:
        with self._host.transaction() as session:
            session.execute(self._update(claim, {"claim": None, "claim_until": None}))

    def _refuse_known(self, store: Store, now: datetime) -> None:
        """Ask bol nothing whose answer is known: each refused sign-in counts against our address."""
        if store.refused_at is None:
            return
        until = tried_again_at(store)
        if until is None or now < until:
            error = SignInRefused(f"refused before: {store.refused_code}")
            error.code = store.refused_code
            raise error

    def _claim_of(self, store: Store, holder: str) -> Claim:
        secret = self._secrets.reveal(store.secret)
        if store.sign_in == SignInWay.CREDENTIALS:
            return Claim(holder, Credentials(store.client_id, secret), version=store.secret_version)
        if self._installation is None:
            raise SignInRefused("this installation has no credentials of its own")
        return Claim(holder, self._installation, secret, store.secret_version)

    def _kept(self, claim: Claim, changes: dict[str, Any]) -> bool:
        with self._host.transaction() as session:
            done: int = session.execute(self._update(claim, changes)).rowcount
            if not done:
                return False
            self._host.settle_notices(f"bol:{self._store_id}:sign-in")
            store = session.get_one(Store, self._store_id)
            # bol's login answers again: what rested because of it goes on.
            session.execute(
                update(Store)
                .where(Store.environment.in_(_same_login(store.environment)), Store.problem_kind == BLOCKED)
                .values(rests_until=None, problem="", problem_kind="", problem_at=None)
            )
            self._host.settle_notices("bol:blocked")
        return True

    def _update(self, claim: Claim, changes: dict[str, Any]) -> Any:
        """Change the row if its secret is the one of the claim; end the claim only if it is still this one."""
        mine = {"claim", "claim_until"}
        statement = update(Store).where(Store.id == self._store_id)
        if changes.keys() <= mine:
            # Also where the secret was renewed under this claim.
            return statement.where(Store.claim == claim.holder).values(changes)
        return statement.where(Store.secret_version == claim.version).values(changes)


def tried_again_at(store: Store) -> datetime | None:
    """Return when bol is asked by itself after a refusal; None where that would only be refused again, or nothing was."""
    lasting = store.sign_in == SignInWay.LOGIN and store.refused_code == "invalid_grant"
    return None if lasting or store.refused_at is None else store.refused_at + REFUSED_REST


def reason(store: Store) -> str:
    """Say why bol refuses a store's sign-in, and what to do."""
    if store.sign_in == SignInWay.CREDENTIALS:
        return _(
            "The client id and secret were changed or withdrawn in bol's seller portal (Settings › Services › API settings), "
            "or the account is closed. Sign in again on the store's connection page."
        )
    if store.refused_code != "invalid_grant":
        return _(
            "bol does not accept the credentials of this installation (BOL_CLIENT_ID and BOL_CLIENT_SECRET): "
            "whoever runs it must correct them."
        )
    return _(
        "What was allowed at bol's login page was withdrawn there, is older than a year, or bol's answer with its "
        "successor was lost when a process or a connection broke off. Sign in again on the store's connection page."
    )


def signed_in(host: HostPort, store: Store, sign_in: SignedIn) -> None:
    """Let a store use a new sign-in, which bol has accepted. In a transaction, the store locked.

    :raises HostError: it is for another account, or for that of another store; nothing was changed.
    """
    refuse_other_account(store, sign_in.account, sign_in.account_name)
    own = sign_in.client_id if sign_in.way == SignInWay.CREDENTIALS else ""
    refuse_known_account(
        host, environment=store.environment, account=sign_in.account, client_id=own, but=store.id
    )
    now = host.now()
    store.sign_in, store.client_id, store.secret = sign_in.way, sign_in.client_id, sign_in.secret
    store.secret_version += 1
    store.claim = store.claim_until = store.refused_at = store.consent_told = None
    store.refused_code = ""
    store.account, store.scopes = store.account or sign_in.account, sign_in.scopes[:200]
    store.account_name = (sign_in.account_name or store.account_name)[:200]
    store.signed_in_at = store.next_upkeep_at = now
    store.consent_until = now + timedelta(days=CONSENT_DAYS) if sign_in.way == SignInWay.LOGIN else None
    store.problem = store.problem_kind = ""
    store.problem_at = store.rests_until = None
    if store.state in (StoreState.DISCONNECTED, StoreState.DISCONNECTING):
        store.state, store.leaves_at = StoreState.PAUSED, None
    host.session.flush()
    for what in ("sign-in", "consent"):
        host.settle_notices(f"bol:{store.id}:{what}")


def refuse_other_account(store: Store, account: str, name: str) -> None:
    """:raises HostError: the store belongs to another account of bol than this one."""
    if store.account and account and store.account != account:
        raise HostError(
            _(
                "You signed in with the account %(account)s, but %(store)s belongs to the account %(own)s. Nothing was "
                "changed. Log out at bol, and sign in with the store's own account; or connect the other account as a "
                "store of its own.",
                account=named(account, name),
                store=store.name,
                own=named(store.account, store.account_name),
            )
        )


def refuse_known_account(
    host: HostPort, *, environment: str, account: str, client_id: str, but: int | None = None
) -> None:
    """In a transaction. :raises HostError: the account is connected already, as another store.

    :param client_id: of a seller's own credentials; "" where the installation's are used.
    :param but: the store that signs in.
    """
    same: list[Any] = []
    if account:
        same.append(Store.account == account)
    if client_id:
        same.append((Store.client_id == client_id) & (Store.sign_in == SignInWay.CREDENTIALS))
    if not same:
        return
    other = host.session.scalars(
        select(Store).where(Store.environment == environment, or_(*same), Store.id != (but or 0)).limit(1)
    ).first()
    if other is None:
        return
    account = _("This account")
    if other.account:
        account = _("This account (%(account)s)", account=named(other.account, other.account_name))
    if other.state == StoreState.DISCONNECTED:
        raise HostError(
            _(
                "%(account)s belongs to %(store)s, which was disconnected: sign in again on its connection page.",
                account=account,
                store=other.name,
            )
        )
    raise HostError(
        _(
            "%(account)s is connected already, as %(store)s. Connecting it twice would double its orders.",
            account=account,
            store=other.name,
        )
    )


def named(account: str, name: str) -> str:
    """Return an account as people know it: its name at bol, and bol's number of it."""
    return f"{name}, {account}" if name else account


def an_offer(host: HostPort, store_id: int) -> str | None:
    """Return the newest offer that was seen at bol. In a transaction."""
    found: str | None = host.session.scalar(
        select(Offer.offer_id)
        .where(Offer.store_id == store_id, Offer.state == OfferState.LISTED)
        .order_by(Offer.id.desc())
        .limit(1)
    )
    return found


def warn_of_consent(host: HostPort, store: Store) -> None:
    """Tell people 30, 14, 7 and 1 days before the consent ends, each once. In a transaction, the store locked."""
    left = days_left(store, host.now())
    if left is None:
        return
    due = min((days for days in WARNINGS if left <= days), default=None)
    if due is None or (store.consent_told is not None and store.consent_told <= due):
        return
    store.consent_told = due
    if left > 1:
        title = ngettext(
            "%(store)s: the permission at bol ends in %(num)s day",
            "%(store)s: the permission at bol ends in %(num)s days",
            left,
            store=store.name,
        )
    elif left:
        title = _("%(store)s: the permission at bol ends within a day", store=store.name)
    else:
        title = _("%(store)s: the permission at bol has ended", store=store.name)
    host.notify(
        Notice(
            key=f"bol:{store.id}:consent:{store.secret_version}:{due}",
            kind="bol.connection",
            level=Level.WARNING if due > 7 else Level.DANGER,
            title=title,
            body=_(
                "bol lets us act for a year after a login. Sign in again on the store's connection page. It takes a minute, "
                "and nothing stops meanwhile."
            ),
            url=connection_url(store.id),
        )
    )


def days_left(store: Store, now: datetime) -> int | None:
    """Return the days until the consent ends, begun ones too; None for own credentials, which do not end."""
    if store.consent_until is None:
        return None
    return max(0, math.ceil((store.consent_until - now) / timedelta(days=1)))


def _same_login(environment: str) -> tuple[str, ...]:
    """Return the environments that sign in at the same address: bol's demo has no login of its own."""
    together = ("production", "demo")
    return together if environment in together else (environment,)
