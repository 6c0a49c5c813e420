"""The doctor: looks at everything the connector stands on, and says of each trouble what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from sqlalchemy import select

from host_app.plugin_api import HostError, HostPort, PlatformHealth
from plugin.connector import BolClient, BolError, Deadline
from plugin.connector.routes import RATE_LIMITS
from plugin.connector.webhooks import unreachable
from plugin.key_rotation import unreadable_stores
from plugin.models import Store, StoreState, Webhook
from plugin.secrets import SecretUnreadable
from plugin.sync.context import settings_of
from plugin.sync.failures import line_is_down
from plugin.sync.owed import KINDS, owed
from plugin.sync.stores import why_not_active
from plugin.sync.subscriptions import address_of, why_not
from plugin.texts import gettext as _
from plugin.texts import lazy as _l
from plugin.texts import ngettext

CALL_SECONDS = 10.0
#: Our clock may be wrong by so much; bol's answers tell whole seconds.
CLOCK_TOLERANCE = timedelta(seconds=30)
#: Work that has been due for longer is overdue: somebody should have done it.
OVERDUE = timedelta(minutes=5)

KEY_ADVICE = _l(
    "Put the key it was written with back, after the newest, into BOL_ENCRYPTION_KEYS or the key file."
)

MakeLine = Callable[[Store], BolClient]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``store`` is "" where it concerns all; ``advice`` is what to do about trouble."""

    check: str
    ok: bool
    text: str
    store: str = ""
    advice: str = ""


def examine(host: HostPort, line: MakeLine) -> list[Finding]:
    """Look at everything; never raises for what it finds. Changes nothing, here or at bol.

    :param line: makes a store's client; raises SecretUnreadable or HostError.
    """
    health = host.health()
    findings = list(_platform(health))
    if health.database:
        return findings
    findings.append(_events(health, host.now()))
    findings += _keys(host)
    with host.reading() as session:
        stores = list(
            session.scalars(select(Store).where(Store.state != StoreState.DISCONNECTED).order_by(Store.id))
        )
    for store in stores:
        findings += _line(host, store, line, signed=not health.redis)
    for store in stores:
        findings += _warehouse(host, store)
        findings += _webhooks(host, store)
        findings += _overdue(host, store)
    return findings


def examine_store(host: HostPort, store: Store, line: MakeLine) -> list[Finding]:
    """Call bol as one store; never raises for what it finds. Changes nothing."""
    try:
        return list(_line(host, store, line, signed=True)) + [
            Finding("keys", False, _("No key here can read its secret."), store.name, str(KEY_ADVICE))
            for _name in unreadable_stores(host, store.id)
        ]
    except SecretUnreadable as error:
        return [Finding("keys", False, str(error), store.name, str(KEY_ADVICE))]


def _platform(health: PlatformHealth) -> Iterator[Finding]:
    if health.database:
        yield Finding(
            "database",
            False,
            health.database,
            advice=_("Run: flask --app host_app upgrade. Check DATABASE_URL."),
        )
    else:
        yield Finding("database", True, _("It answers and is up to date."))
    if health.redis:
        yield Finding(
            "redis",
            False,
            _("Redis does not answer: %(reason)s", reason=health.redis),
            advice=_("Start it, or correct REDIS_URL. Nothing is lost: work goes on when it is back."),
        )
        return
    yield Finding("redis", True, _("It answers."))
    for check, count, command in (
        ("workers", health.workers, "worker"),
        ("scheduler", health.schedulers, "scheduler"),
    ):
        if count:
            yield Finding(check, True, _("%(count)s running.", count=count))
        else:
            yield Finding(
                check,
                False,
                _("None is running."),
                advice=_("Start: %(command)s.", command=f"flask --app host_app {command}"),
            )
    waiting = ", ".join(f"{name} {count}" for name, count in health.queued.items())
    yield Finding("queues", True, _("Jobs waiting: %(jobs)s.", jobs=waiting))


def _events(health: PlatformHealth, now: datetime) -> Finding:
    """Tell if what happens here reaches the connector."""
    age = now - (health.oldest_event_at or now)
    if age <= OVERDUE:
        return Finding("events", True, _("Plugins are told in time."))
    return Finding(
        "events",
        False,
        _("The oldest event that plugins were not told waits for %(age)s.", age=_told(age)),
        advice=_("Check that a worker runs. See also the page “Changes to pass on”."),
    )


def _keys(host: HostPort) -> Iterator[Finding]:
    """Tell if the secret of each store can be read."""
    try:
        unreadable = unreadable_stores(host)
    except SecretUnreadable as error:
        yield Finding(
            "keys", False, str(error), advice=_("Nothing is sent to bol or read from it until then.")
        )
        return
    for name in unreadable:
        yield Finding(
            "keys",
            False,
            _("No key here can read its secret."),
            name,
            str(KEY_ADVICE),
        )
    if not unreadable:
        yield Finding("keys", True, _("All secrets can be read."))


def _line(host: HostPort, store: Store, line: MakeLine, *, signed: bool) -> Iterator[Finding]:
    """Call bol as the store: reachable, clock, token, and each list it needs. Tokens need Redis."""
    try:
        client = line(store)
    except SecretUnreadable:
        # Told among the keys.
        return
    except HostError as error:
        yield Finding(
            "bol",
            False,
            str(error),
            store.name,
            _("Set the variable as it was when the store was connected."),
        )
        return
    try:
        began = host.now()
        try:
            answer = client.call(RATE_LIMITS, deadline=Deadline.after(CALL_SECONDS))
        except BolError as error:
            yield _refused("bol", store, error)
            return
        yield Finding("bol", True, _("It can be reached."), store.name)
        yield from _clock(store, answer.headers.get("date", ""), began, host.now())
        if signed:
            yield from _signed(store, client)
    finally:
        client.close()


def _clock(store: Store, date: str, began: datetime, ended: datetime) -> Iterator[Finding]:
    """Compare bol's time with ours; where its answer is slow, ours is anything in between."""
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return
    ahead = max(began - theirs - timedelta(seconds=1), theirs - ended, timedelta(0))
    if ahead <= CLOCK_TOLERANCE:
        yield Finding("clock", True, _("It agrees with bol's."), store.name)
        return
    seconds = f"{ahead.total_seconds():.0f}"
    yield Finding(
        "clock",
        False,
        _("The clock of this machine is %(seconds)s seconds ahead of bol's.", seconds=seconds)
        if began > theirs
        else _("The clock of this machine is %(seconds)s seconds behind bol's.", seconds=seconds),
        store.name,
        _("Set it right, and keep it so by NTP."),
    )


def _signed(store: Store, client: BolClient) -> Iterator[Finding]:
    """Read the first of each list; the first call also needs a token. Stops where all others would fail as well."""
    calls: tuple[tuple[str, Callable[[Deadline], object]], ...] = (
        ("orders", lambda deadline: client.orders.page(deadline=deadline)),
        ("offers", lambda deadline: client.offers.page(page_size=1, deadline=deadline)),
        ("shipments", lambda deadline: client.shipments.page(deadline=deadline)),
        # It reads, although it is a POST; bol leaves out ids that it does not know.
        ("answers", lambda deadline: client.statuses.bulk(["1"], deadline=deadline)),
    )
    for number, (check, call) in enumerate(calls):
        try:
            call(Deadline.after(CALL_SECONDS))
        except BolError as error:
            if line_is_down(error):
                yield _refused("token" if number == 0 else check, store, error)
                return
            yield _refused(check, store, error)
        else:
            if number == 0:
                yield Finding("token", True, _("bol accepts the sign-in."), store.name)
            yield Finding(check, True, _("They can be read."), store.name)


def _refused(check: str, store: Store, error: BolError) -> Finding:
    return Finding(check, False, str(error), store.name, error.operator_text(_))


def _warehouse(host: HostPort, store: Store) -> Iterator[Finding]:
    """Tell if there is a place for what comes in."""
    with host.reading():
        missing = why_not_active(host, settings_of(store))
    if missing:
        yield Finding("warehouse", False, missing, store.name)


def _webhooks(host: HostPort, store: Store) -> Iterator[Finding]:
    """Tell if bol's messages can come in."""
    if store.activated_at is None:
        return
    if reason := why_not(host, store):
        yield Finding("webhooks", True, reason, store.name)
        return
    with host.reading() as session:
        webhook = session.get(Webhook, store.id)
    if webhook is None or not webhook.enabled:
        yield Finding(
            "webhooks",
            False,
            (webhook.error if webhook else "") or _("bol does not tell events at the moment."),
            store.name,
            _("It is asked again by itself. Nothing is lost meanwhile: bol is asked, as without webhooks."),
        )
        return
    if trouble := unreachable(address_of(host, webhook), CALL_SECONDS):
        yield Finding(
            "webhooks",
            False,
            _("%(address)s can't be reached from here: %(reason)s.", address=host.public_url, reason=trouble),
            store.name,
            _("Correct HOST_PUBLIC_URL, or the server before the pages: it must pass on /bol/webhooks/."),
        )
        return
    yield Finding("webhooks", True, _("bol tells events, and the address answers."), store.name)


def _overdue(host: HostPort, store: Store) -> Iterator[Finding]:
    """Count the work that is due, by kind, with the age of the oldest."""
    now, found = host.now(), False
    for work in owed(host, store):
        found = True
        age = now - work.oldest
        text = _(
            "%(kind)s: %(count)s due, the oldest for %(age)s.",
            kind=str(KINDS.get(work.kind, work.kind)),
            count=work.count,
            age=_told(age),
        )
        advice = _("Check that a worker runs, and what it says of this store.") if age > OVERDUE else ""
        yield Finding("due", age <= OVERDUE, text, store.name, advice)
    if not found:
        yield Finding("due", True, _("Nothing is overdue."), store.name)


def _told(age: timedelta) -> str:
    """Say a length of time in its largest unit."""
    minutes = int(age.total_seconds() // 60)
    if minutes < 1:
        return _("less than a minute")
    if minutes >= 2 * 1440:
        return ngettext("%(num)s day", "%(num)s days", minutes // 1440)
    if minutes >= 2 * 60:
        return ngettext("%(num)s hour", "%(num)s hours", minutes // 60)
    return ngettext("%(num)s minute", "%(num)s minutes", minutes)
