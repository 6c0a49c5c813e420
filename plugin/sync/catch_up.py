"""Catching up after an outage: everything that waits for its next try is tried at once, and all orders are read."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update

from host_app.plugin_api import HostError, HostPort
from plugin.models import BolOrder, EffectState, Offer, ProcessStatusRow, Run, RunState, Store
from plugin.sync.dirty import change_offers, in_need
from plugin.sync.order_decisions import want_import
from plugin.sync.owed import EFFECTS
from plugin.texts import gettext as _

#: Waits up to this are not cut short.
SOON = timedelta(minutes=1)


def catch_up(host: HostPort, store_id: int) -> None:
    """Let nothing of a store wait because of failures that are over. Nothing is sent that was not owed. In a transaction.

    What is being checked at bol keeps its times: bol works asynchronously, and asking sooner settles nothing.

    :raises HostError: the store does not exist.
    """
    session, now = host.session, host.now()
    store = session.get(Store, store_id, with_for_update={"key_share": True})
    if store is None:
        raise HostError(_("This store does not exist."))
    store.rests_until, store.next_sweep_at = None, now
    want_import(host, store_id)
    session.execute(
        update(BolOrder)
        .where(BolOrder.store_id == store_id, BolOrder.read_due_at > now)
        .values(read_due_at=now, attempts=0)
    )
    session.execute(
        update(ProcessStatusRow)
        .where(ProcessStatusRow.store_id == store_id, ProcessStatusRow.next_poll_at > now)
        .values(next_poll_at=now)
    )
    session.execute(
        update(Run)
        .where(Run.store_id == store_id, Run.state == RunState.RUNNING, Run.due_at > now)
        .values(due_at=now)
    )
    for model in EFFECTS.values():
        session.execute(
            update(model)
            # What was not tried yet waits because a setting says so; what is tried within a minute may be waiting for the
            # end of a call that nobody answered.
            .where(
                model.store_id == store_id,
                model.state == EffectState.WANTED,
                model.attempts > 0,
                model.due_at > now + SOON,
            )
            .values(due_at=now)
        )
    change_offers(
        session,
        Offer.store_id == store_id,
        in_need(Offer),
        Offer.next_try_at > now,
        next_try_at=None,
        attempts=0,
    )
