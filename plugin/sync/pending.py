"""Open pieces at bol that the host does not have yet: they are sold, but nothing reserves them here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from host_app.plugin_api import HostPort, OrderState
from plugin.models import BolOrder, BolOrderItem, EffectState, ShipmentEffect
from plugin.models.orders import NOT_IN_HOST
from plugin.sync.mapping import FBR

CHUNK = 500


def pending_quantities(session: Any, store_id: int, eans: Iterable[str]) -> dict[str, int]:
    """Return, by EAN, the open pieces of the store's orders that are found but not in the host."""
    found: dict[str, int] = {}
    for chunk in _chunks(eans):
        rows = session.execute(
            select(
                BolOrderItem.ean,
                func.sum(BolOrderItem.quantity - BolOrderItem.shipped - BolOrderItem.cancelled),
            )
            .join(BolOrder)
            .where(
                BolOrder.store_id == store_id,
                BolOrder.state.in_(NOT_IN_HOST),
                BolOrderItem.ean.in_(chunk),
                BolOrderItem.method.in_((FBR, "")),
                BolOrderItem.quantity > BolOrderItem.shipped + BolOrderItem.cancelled,
            )
            .group_by(BolOrderItem.ean)
        )
        found |= {ean: int(pieces) for ean, pieces in rows}
    return found


def all_pending(session: Any, store_id: int) -> dict[str, int]:
    """Return the same for every EAN of which something is open."""
    eans = session.scalars(
        select(BolOrderItem.ean)
        .join(BolOrder)
        .where(BolOrder.store_id == store_id, BolOrder.state.in_(NOT_IN_HOST))
        .distinct()
    ).all()
    return pending_quantities(session, store_id, eans)


def reserved_and_open(host: HostPort, store_id: int, eans: Iterable[str]) -> dict[str, int]:
    """Return, by EAN, the pieces that the host holds or has sent for orders and bol still counts as open.

    What bol confirmed is not open any more, also where the order was not read since. Orders cancelled in the host hold
    nothing.
    """
    session = host.session
    found: dict[str, int] = {}
    for chunk in _chunks(eans):
        confirmed = (
            select(func.coalesce(func.sum(ShipmentEffect.quantity), 0))
            .where(
                ShipmentEffect.store_id == store_id,
                ShipmentEffect.order_item_id == BolOrderItem.order_item_id,
                ShipmentEffect.state == EffectState.CONFIRMED,
            )
            .scalar_subquery()
        )
        at_bol = BolOrderItem.quantity - BolOrderItem.shipped - BolOrderItem.cancelled
        rows = session.execute(
            select(
                BolOrder.host_order_id,
                BolOrderItem.ean,
                at_bol,
                BolOrderItem.quantity - BolOrderItem.cancelled - confirmed,
                BolOrderItem.imported,
            )
            .join(BolOrder)
            .where(
                BolOrder.store_id == store_id,
                BolOrder.host_order_id.is_not(None),
                BolOrderItem.ean.in_(chunk),
                BolOrderItem.imported > 0,
                at_bol > 0,
            )
        ).all()
        orders = host.order_views({row[0] for row in rows})
        for order_id, ean, as_read, as_confirmed, imported in rows:
            order = orders.get(order_id)
            if order is not None and order.state != OrderState.CANCELLED:
                found[ean] = found.get(ean, 0) + max(0, min(as_read, int(as_confirmed), imported))
    return found


def last_orders(session: Any, store_id: int, eans: Iterable[str]) -> dict[str, datetime]:
    """Return, by EAN, when the newest order that we know of was placed."""
    found: dict[str, datetime] = {}
    for chunk in _chunks(eans):
        rows = session.execute(
            select(BolOrderItem.ean, func.max(BolOrder.placed_at))
            .join(BolOrder)
            .where(
                BolOrder.store_id == store_id, BolOrderItem.ean.in_(chunk), BolOrder.placed_at.is_not(None)
            )
            .group_by(BolOrderItem.ean)
        )
        found |= dict(rows.all())
    return found


def _chunks(eans: Iterable[str]) -> Iterable[list[str]]:
    unique = list(dict.fromkeys(eans))
    for start in range(0, len(unique), CHUNK):
        yield unique[start : start + CHUNK]
