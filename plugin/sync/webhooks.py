"""What bol tells by webhook: a hint that something is due now. Nothing in it is believed but ids."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from host_app.plugin_api import HostPort
from plugin.connector.webhooks import (
    MalformedEvent,
    UnknownKey,
    WebhookRefused,
    read_event,
    verify,
)
from plugin.connector.webhooks import WebhookEvent as Event
from plugin.models import (
    BolOrder,
    BolOrderItem,
    ProcessStatusRow,
    SignatureKey,
    Store,
    StoreState,
    Webhook,
    WebhookEvent,
)
from plugin.sync.context import Surroundings
from plugin.sync.due import ORDERS, SHIPMENTS, UPKEEP, Due
from plugin.sync.subscriptions import KEYS_EVERY

log = logging.getLogger(__name__)

#: bol's messages are a few hundred bytes.
LARGEST = 16 * 1024
#: After a message that names an order we don't know the list is read at once, but not more often than this: one read
#: finds all that are new, and the stock pump needs its share of bol's 25 calls a minute.
LIST_EVERY = timedelta(seconds=10)
LOOK_AGAIN = timedelta(minutes=1)
#: bol tries for ten minutes; a repeat that comes later is harmless, too.
KEPT = timedelta(days=2)
PRUNED_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Reply:
    """What bol is answered, and which work is due now."""

    status: int
    work: Sequence[Due] = ()


ACCEPTED, NOT_SIGNED, OTHER_ACCOUNT, NOT_HERE, GONE, TOO_LARGE, LATER = 204, 401, 403, 404, 410, 413, 503


def receive(host: HostPort, key: str, header: str | None, body: bytes | None) -> Reply:
    """Check one message and mark what it says is due. Outside of any transaction; makes no call to bol.

    :param key: the last part of the address.
    :param header: the value of ``Signature``.
    :param body: as it came in, byte by byte; None where it was larger than :data:`LARGEST`, and not read.
    """
    with host.reading() as session:
        webhook = session.scalar(select(Webhook).where(Webhook.key == key))
        store = session.get(Store, webhook.store_id) if webhook is not None else None
        keys = _keys(session, store.environment) if store is not None else {}
    if webhook is None or store is None:
        # Strangers may send as many as they like: no line of the log for each.
        log.debug("a message came to an address that no store has")
        return Reply(NOT_HERE)
    if body is None:
        _count(host, store.id, strange=1)
        return Reply(TOO_LARGE)
    if store.state == StoreState.DISCONNECTED:
        return Reply(GONE)
    try:
        verify(body, header, keys)
    except UnknownKey:
        # bol tries again; meanwhile its keys are read anew.
        return Reply(LATER, _want_keys(host, store))
    except WebhookRefused:
        _count(host, store.id, unsigned=1)
        return Reply(NOT_SIGNED)
    try:
        event = read_event(body)
    except MalformedEvent:
        # bol did sign it: refusing it would only bring it back, and end the subscription after ten times.
        _count(host, store.id, strange=1)
        return Reply(ACCEPTED)
    if store.account and event.retailer_id != store.account:
        _count(host, store.id, strange=1)
        return Reply(OTHER_ACCOUNT)
    return Reply(ACCEPTED, _take_in(host, store, event))


def _keys(session: Any, environment: str) -> dict[str, str]:
    rows = session.execute(
        select(SignatureKey.key_id, SignatureKey.public_key).where(SignatureKey.environment == environment)
    )
    return {row.key_id: row.public_key for row in rows}


def _take_in(host: HostPort, store: Store, event: Event) -> Sequence[Due]:
    """Mark what is due in one commit; a message that came before marks nothing."""
    now = host.now()
    with host.transaction() as session:
        if not _is_new(session, store.id, event, now):
            _change(session, store.id, repeated=1)
            return ()
        _change(session, store.id, received=1)
        session.execute(update(Webhook).where(Webhook.store_id == store.id).values(received_at=now))
        match event.resource:
            case "PROCESS_STATUS":
                return _status_ended(session, store.id, event.resource_id, now)
            case "ORDER":
                return _order_changed(session, store, event.resource_id, now)
        # What a carrier does with a parcel changes nothing that we keep.
        return ()


def _status_ended(session: Any, store_id: int, status_id: str, now: datetime) -> Sequence[Due]:
    """Ask for a status that is followed at once. One that is not known yet was asked for a moment ago, and is asked for
    again a second later anyway."""
    marked = session.execute(
        update(ProcessStatusRow)
        .where(
            ProcessStatusRow.store_id == store_id,
            ProcessStatusRow.process_status_id == status_id,
            ProcessStatusRow.next_poll_at.is_not(None),
        )
        .values(next_poll_at=now)
    )
    return [Due(SHIPMENTS, store_id)] if marked.rowcount else ()


def _order_changed(session: Any, store: Store, resource_id: str, now: datetime) -> Sequence[Due]:
    """Read the order again; bol does not say if it names the order or an item. One that is new is found by the list."""
    known = session.scalar(
        select(BolOrder.id).where(BolOrder.store_id == store.id, BolOrder.order_id == resource_id)
    ) or session.scalar(
        select(BolOrder.id)
        .join(BolOrderItem)
        .where(BolOrder.store_id == store.id, BolOrderItem.order_item_id == resource_id)
        .limit(1)
    )
    if known is not None:
        session.execute(update(BolOrder).where(BolOrder.id == known).values(read_due_at=now, attempts=0))
    else:
        earliest = max(now, (store.orders_read_at or now) + LIST_EVERY)
        session.execute(
            update(Store)
            .where(
                Store.id == store.id,
                (Store.import_wanted_at.is_(None)) | (Store.import_wanted_at > earliest),
            )
            .values(import_wanted_at=earliest)
        )
        # bol's list may not show it yet: one more look, before the usual one.
        session.execute(
            update(Store)
            .where(Store.id == store.id, Store.next_import_at > now + LOOK_AGAIN)
            .values(next_import_at=now + LOOK_AGAIN)
        )
    return [Due(ORDERS, store.id)]


def _is_new(session: Any, store_id: int, event: Event, now: datetime) -> bool:
    """Keep the mark of a message; False where it was kept before."""
    parts = (event.retailer_id, event.resource, event.type, event.resource_id, str(event.at))
    values = {
        "store_id": store_id,
        "digest": hashlib.sha256("\n".join(parts).encode()).hexdigest(),
        "at": now,
    }
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(WebhookEvent).values(**values)
    kept = session.execute(statement.on_conflict_do_nothing(index_elements=["store_id", "digest"]))
    return bool(kept.rowcount)


def _want_keys(host: HostPort, store: Store) -> Sequence[Due]:
    """Have bol's keys read again, not more often than bol allows."""
    now = host.now()
    with host.transaction() as session:
        read_at = session.scalar(
            select(func.max(SignatureKey.read_at)).where(SignatureKey.environment == store.environment)
        )
        due = now if read_at is None else max(now, read_at + KEYS_EVERY)
        session.execute(
            update(Webhook)
            .where(Webhook.store_id == store.id)
            .values(keys_wanted_at=now, unsigned=Webhook.unsigned + 1)
        )
        session.execute(
            update(Store).where(Store.id == store.id, Store.next_upkeep_at > due).values(next_upkeep_at=due)
        )
    return [Due(UPKEEP, store.id)] if due <= now else ()


def _count(host: HostPort, store_id: int, **counts: int) -> None:
    with host.transaction() as session:
        _change(session, store_id, **counts)


def _change(session: Any, store_id: int, **counts: int) -> None:
    values = {name: getattr(Webhook, name) + count for name, count in counts.items()}
    session.execute(update(Webhook).where(Webhook.store_id == store_id).values(**values))


def prune_events(ctx: Surroundings) -> None:
    """Forget messages whose repeats have long stopped, some thousands in each transaction."""
    while not ctx.lease.slice_over():
        with ctx.host.transaction() as session:
            old = session.scalars(
                select(WebhookEvent.id)
                .where(WebhookEvent.store_id == ctx.store_id, WebhookEvent.at < ctx.now() - KEPT)
                .order_by(WebhookEvent.at)
                .limit(PRUNED_AT_ONCE)
            ).all()
            if old:
                session.execute(delete(WebhookEvent).where(WebhookEvent.id.in_(old)))
        if len(old) < PRUNED_AT_ONCE:
            return
