"""Disconnecting: what was begun is finished first, then the store's secret is erased."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, literal_column, select, true

from host_app.plugin_api import HostPort, OrderState
from plugin.models import (
    BolOrder,
    BolOrderItem,
    BolOrderState,
    CancellationEffect,
    EffectState,
    LabelEffect,
    ProcessStatusRow,
    ShipmentEffect,
    Store,
    StoreState,
    TransportEffect,
)
from plugin.models.effects import UNSETTLED
from plugin.settings import StoreSettings
from plugin.sync import cancel_decisions, corrections, labels, shipments

#: Effects that may still become known to bol, or of which a person must decide.
OPEN = (EffectState.WANTED, *UNSETTLED)
#: What keeps a store, by ledger. Of what bol refused only a shipment can be ended by a person; the rest was told, and stays.
KEEPING: tuple[tuple[Any, tuple[EffectState, ...]], ...] = (
    (ShipmentEffect, (*OPEN, EffectState.REFUSED)),
    (CancellationEffect, OPEN),
    (LabelEffect, OPEN),
    (TransportEffect, OPEN),
)
BATCH = 500


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What bol still has to be told. orders: open here and at bol; messages: shipments, cancellations and the like.

    here: orders of which people must still do something in the warehouse; no store waits for that.
    """

    orders: int
    messages: int
    here: int = 0

    @property
    def any(self) -> bool:
        return bool(self.orders or self.messages)


def unfinished(host: HostPort, store_id: int) -> Unfinished:
    """Count what a store would leave behind if it went now. In a transaction."""
    session = host.session
    sending = _sends_shipments(host, store_id)
    messages = sum(
        session.scalar(
            select(func.count()).where(
                model.store_id == store_id, model.state.in_(states), _told(model, sending)
            )
        )
        for model, states in KEEPING
    )
    waiting = session.scalar(
        select(func.count()).where(
            ProcessStatusRow.store_id == store_id, ProcessStatusRow.next_poll_at.is_not(None)
        )
    )
    # Where bol is told nothing of shipments by this store, none of them keeps it.
    here = session.scalar(
        # The literal words let the database use the index of the few that are not empty.
        select(func.count()).where(
            BolOrder.store_id == store_id,
            literal_column("bol_order.undone <> ''"),
            BolOrder.undone.in_((cancel_decisions.OPEN_HERE, cancel_decisions.WITHDRAWN_HERE)),
        )
    )
    return Unfinished(_open_orders(host, store_id) if sending else 0, int(messages + waiting), int(here))


def _sends_shipments(host: HostPort, store_id: int) -> bool:
    settings: Any = host.session.scalar(select(Store.settings).where(Store.id == store_id))
    return StoreSettings.load(settings or {}).send_shipments


def _told(model: Any, sending: bool) -> Any:
    """Return the condition of effects that are sent with these settings, or were sent before."""
    if sending or model not in (ShipmentEffect, TransportEffect):
        return true()
    return model.state != EffectState.WANTED


def _open_orders(host: HostPort, store_id: int) -> int:
    """Count the orders of which something is open at bol and that the warehouse is still to ship."""
    ids = host.session.scalars(
        select(BolOrder.host_order_id)
        .join(BolOrderItem)
        .where(
            BolOrder.store_id == store_id,
            BolOrder.state == BolOrderState.IMPORTED,
            BolOrder.host_order_id.is_not(None),
            BolOrderItem.imported > 0,
            BolOrderItem.quantity > BolOrderItem.shipped + BolOrderItem.cancelled,
        )
        .distinct()
    ).all()
    done = (OrderState.COMPLETED, OrderState.CANCELLED)
    count = 0
    for start in range(0, len(ids), BATCH):
        views = host.order_views(ids[start : start + BATCH])
        count += sum(view.state not in done for view in views.values())
    return count


def leave_if_ready(host: HostPort, store_id: int) -> bool:
    """Erase the secret of a store that is being disconnected, where nothing is left to do or it is to go all the same.

    Opens a transaction of its own; True where the store has gone now.
    """
    with host.transaction() as session:
        store = session.scalar(select(Store).where(Store.id == store_id).with_for_update())
        if store is None or store.state != StoreState.DISCONNECTING:
            return False
        at_once = store.leaves_at is not None and store.leaves_at <= host.now()
        if not at_once and unfinished(host, store_id).any:
            return False
        for ledger in (shipments, corrections, labels, cancel_decisions):
            ledger.leave_to_people(host, store)
        store.state, store.secret, store.leaves_at = StoreState.DISCONNECTED, "", None
        store.secret_version += 1
        store.claim = store.claim_until = store.consent_until = store.refused_at = None
        store.problem = store.problem_kind = ""
        store.problem_at = store.next_upkeep_at = None
        session.flush()
        for what in ("sign-in", "consent"):
            host.settle_notices(f"bol:{store_id}:{what}")
    return True
