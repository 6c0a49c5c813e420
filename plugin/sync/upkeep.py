"""What a store's line needs now and then: bol's limits read daily, its consent watched, its webhooks kept."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import timedelta

from sqlalchemy import select, update

from plugin.connector import BolError
from plugin.models import Store, StoreState
from plugin.sync.context import CALL_SECONDS, Context
from plugin.sync.sign_in import warn_of_consent
from plugin.sync.subscriptions import keep_subscription
from plugin.sync.webhooks import prune_events

log = logging.getLogger(__name__)

EVERY = timedelta(days=1)
#: A store that is being disconnected goes soon after the last thing it had to do.
LEAVING_EVERY = timedelta(minutes=1)
AFTER_FAILURE = timedelta(hours=1)


def keep_up(ctx: Context) -> bool:
    """Do what is due; each part fails by itself. Nothing is left afterwards but the next time."""
    given_up_at = ctx.now() + AFTER_FAILURE
    with ctx.host.transaction() as session:
        # First of all, so that a part that never ends is not begun each second.
        session.execute(update(Store).where(Store.id == ctx.store_id).values(next_upkeep_at=given_up_at))
        store = session.scalars(select(Store).where(Store.id == ctx.store_id).with_for_update()).one()
        warn_of_consent(ctx.host, store)
        session.flush()
    leaving = store.state == StoreState.DISCONNECTING
    wait = LEAVING_EVERY if leaving else EVERY
    if not leaving and not _read_limits(ctx):
        wait = AFTER_FAILURE
    again = keep_subscription(ctx)
    prune_events(ctx)
    with ctx.host.transaction() as session:
        session.execute(
            update(Store)
            # Not where it was activated, or let go, meanwhile: this look does not know of it.
            .where(Store.id == ctx.store_id, Store.next_upkeep_at == given_up_at)
            .values(next_upkeep_at=ctx.now() + (wait if again is None else min(wait, again)))
        )
    return False


def _read_limits(ctx: Context) -> bool:
    """Keep bol's published limits; the budgets of all processes begin with them. False where they can't be read."""
    ctx.lease.ensure(CALL_SECONDS)
    try:
        rules = ctx.client.rate_limits.read()
    except BolError as error:
        log.warning("bol's limits could not be read: %s", error)
        return False
    if rules:
        with ctx.host.transaction() as session:
            session.execute(
                update(Store).where(Store.id == ctx.store_id).values(limits=[asdict(rule) for rule in rules])
            )
    return True
