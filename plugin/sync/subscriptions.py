"""Keeping a store's subscription: bol has exactly one for our address, enabled, with the events we want."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from host_app.plugin_api import HostPort
from plugin.connector import BolError, Subscription
from plugin.connector.models.subscriptions import SignatureKey as Key
from plugin.models import SignatureKey, Store, StoreState, Webhook
from plugin.sync.context import CALL_SECONDS, Context
from plugin.texts import gettext as _

log = logging.getLogger(__name__)

#: What bol tells by webhook and we have a use for (facts of the subscriptions API; the others need a queue).
RESOURCES = ("PROCESS_STATUS", "SHIPMENT", "ORDER")
#: bol works on a subscription for a while, and its list may not show it yet: it is not asked for a second one before.
PATIENCE = timedelta(minutes=5)
LOOK_AGAIN = timedelta(seconds=20)
AFTER_FAILURE = timedelta(hours=1)
#: bol lets its keys be read ten times an hour.
KEYS_EVERY = timedelta(minutes=10)
PATH = "/bol/webhooks/"


def address_of(host: HostPort, webhook: Webhook) -> str:
    """Return where bol is to tell a store's events."""
    return f"{host.public_url}{PATH}{webhook.key}"


def why_not(host: HostPort, store: Store) -> str:
    """Say why bol is not asked to tell events; "" where it is."""
    if not host.public_url:
        return _(
            "HOST_PUBLIC_URL is not set, so bol does not know where to tell: answers are asked for instead."
        )
    if store.environment == "demo":
        return _("bol's demo tells no events.")
    if store.environment == "production" and not host.public_url.startswith("https://"):
        return _("bol tells events by https only: HOST_PUBLIC_URL must begin with https://.")
    return ""


def keep_subscription(ctx: Context) -> timedelta | None:
    """Compare bol's list with what should be there, and change what differs; return when to look again.

    Asking twice is harmless: what is there too many goes with the next look. None: as usual.
    """
    with ctx.host.reading() as session:
        store = session.get_one(Store, ctx.store_id)
        webhook = session.get(Webhook, ctx.store_id)
    leaving = store.state == StoreState.DISCONNECTING
    if store.activated_at is None:
        return None
    if why_not(ctx.host, store) or leaving:
        return _end(ctx, webhook) if webhook is not None else None
    webhook = webhook or _first(ctx)
    try:
        if webhook.keys_wanted_at is not None or not _known_keys(ctx, store.environment):
            _read_keys(ctx, store.environment)
        ctx.lease.ensure(CALL_SECONDS)
        return _compare(ctx, webhook, ctx.client.subscriptions.list())
    except BolError as error:
        _note(ctx, error=error.operator_text(_))
        return AFTER_FAILURE


def _compare(ctx: Context, webhook: Webhook, at_bol: Sequence[Subscription]) -> timedelta | None:
    url, now = address_of(ctx.host, webhook), ctx.now()
    mine = [one for one in at_bol if one.url == url]
    # Only what this installation made for this store: others may have subscriptions of their own.
    stale = [one for one in at_bol if one.url != url and one.url.endswith(f"{PATH}{webhook.key}")]
    for extra in [*mine[1:], *stale]:
        ctx.lease.ensure(CALL_SECONDS)
        ctx.client.subscriptions.delete(extra.id)
    if not mine:
        if webhook.asked_at is not None and now - webhook.asked_at < PATIENCE:
            _note(ctx, enabled=False)
            return LOOK_AGAIN
        _note(ctx, asked_at=now, subscription_id=None, enabled=False)
        ctx.lease.ensure(CALL_SECONDS)
        ctx.client.subscriptions.create(RESOURCES, url)
        return LOOK_AGAIN
    found = mine[0]
    right = found.enabled and set(RESOURCES) <= set(found.resources)
    _note(ctx, asked_at=None, subscription_id=found.id, enabled=right, error="", checked_at=now)
    if right:
        return None
    ctx.lease.ensure(CALL_SECONDS)
    ctx.client.subscriptions.update(found.id, RESOURCES, url, enabled=True)
    return PATIENCE


def _end(ctx: Context, webhook: Webhook) -> timedelta | None:
    """Ask bol to stop, until its list shows nothing of ours. A store that goes before that leaves it to bol, which stops
    by itself where it is always told that the store is gone."""
    if webhook.subscription_id is None and webhook.asked_at is None:
        return None
    try:
        ctx.lease.ensure(CALL_SECONDS)
        ours = [one for one in ctx.client.subscriptions.list() if one.url.endswith(f"{PATH}{webhook.key}")]
        for one in ours:
            ctx.lease.ensure(CALL_SECONDS)
            ctx.client.subscriptions.delete(one.id)
    except BolError as error:
        log.warning("a subscription could not be ended: %s", error)
        return AFTER_FAILURE
    # What bol was asked for a moment ago may not be on its list yet.
    if not ours and (webhook.asked_at is None or ctx.now() - webhook.asked_at >= PATIENCE):
        _note(ctx, subscription_id=None, enabled=False, asked_at=None)
        return None
    _note(ctx, enabled=False)
    return PATIENCE


def _first(ctx: Context) -> Webhook:
    """Make the store's address; nobody but bol is told it."""
    with ctx.host.transaction() as session:
        webhook: Webhook | None = session.get(Webhook, ctx.store_id)
        if webhook is None:
            webhook = Webhook(store_id=ctx.store_id, key=secrets.token_urlsafe(32))
            session.add(webhook)
            session.flush()
    return webhook


def _known_keys(ctx: Context, environment: str) -> bool:
    with ctx.host.reading() as session:
        return (
            session.scalar(select(SignatureKey.id).where(SignatureKey.environment == environment).limit(1))
            is not None
        )


def _read_keys(ctx: Context, environment: str) -> None:
    """Replace the known keys by those that bol shows, not more often than bol allows."""
    now = ctx.now()
    with ctx.host.reading() as session:
        read_at = session.scalar(
            select(SignatureKey.read_at).where(SignatureKey.environment == environment).limit(1)
        )
    if read_at is not None and now - read_at < KEYS_EVERY:
        return
    ctx.lease.ensure(CALL_SECONDS)
    keys = ctx.client.subscriptions.signature_keys()
    if keys:
        keep_keys(ctx, environment, keys)


def keep_keys(ctx: Context, environment: str, keys: Sequence[Key]) -> None:
    """Replace the known keys by these. Another store of the same bol may be doing so at the same moment."""
    now = ctx.now()
    rows = [
        {"environment": environment, "key_id": key.id, "public_key": key.public_key, "read_at": now}
        for key in sorted(keys, key=lambda key: key.id)
    ]
    with ctx.host.transaction() as session:
        insert: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
        statement = insert(SignatureKey)
        new = {name: statement.excluded[name] for name in ("public_key", "read_at")}
        session.execute(
            statement.on_conflict_do_update(index_elements=["environment", "key_id"], set_=new), rows
        )
        session.execute(
            delete(SignatureKey).where(
                SignatureKey.environment == environment, SignatureKey.key_id.not_in([key.id for key in keys])
            )
        )
        session.execute(update(Webhook).where(Webhook.store_id == ctx.store_id).values(keys_wanted_at=None))


def _note(ctx: Context, **values: Any) -> None:
    with ctx.host.transaction() as session:
        session.execute(update(Webhook).where(Webhook.store_id == ctx.store_id).values(**values))
