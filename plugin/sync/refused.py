"""Shipments that bol refused: of which of them it would refuse another try, as it has nothing open that they could ship."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import func, select

from plugin.models import BolOrderItem, EffectState, ShipmentEffect


def hopeless(session: Any, rows: Iterable[ShipmentEffect]) -> frozenset[int]:
    """Return the ids of those refused rows that ask for more than bol still has open of their item. In a transaction.

    What is open never grows again: by what bol showed last, and by what it has confirmed to us since.
    """
    refused = [row for row in rows if row.state == EffectState.REFUSED]
    if not refused:
        return frozenset()
    left = left_at_bol(session, {row.order_id for row in refused})
    return frozenset(
        row.id for row in refused if row.quantity > left.get((row.order_id, row.order_item_id), row.quantity)
    )


def left_at_bol(session: Any, orders: Iterable[int]) -> Mapping[tuple[int, str], int]:
    """Return how many pieces bol can have open at most, by order row and order item. In a transaction."""
    orders = set(orders)
    by_ledger = left_by_ledger(session, orders)
    return {
        (item.order_id, item.order_item_id): min(item.open, by_ledger[item.order_id, item.order_item_id])
        for item in session.scalars(select(BolOrderItem).where(BolOrderItem.order_id.in_(orders)))
    }


def left_by_ledger(session: Any, orders: Iterable[int]) -> Mapping[tuple[int, str], int]:
    """Return how many pieces neither bol has cancelled, nor confirmed to us as shipped, by order row and order item.

    In a transaction.
    """
    orders = set(orders)
    items = session.scalars(select(BolOrderItem).where(BolOrderItem.order_id.in_(orders)))
    confirmed: Counter[tuple[int, str]] = Counter()
    for order_id, item_id, pieces in session.execute(
        select(ShipmentEffect.order_id, ShipmentEffect.order_item_id, func.sum(ShipmentEffect.quantity))
        .where(ShipmentEffect.order_id.in_(orders), ShipmentEffect.state == EffectState.CONFIRMED)
        .group_by(ShipmentEffect.order_id, ShipmentEffect.order_item_id)
    ):
        confirmed[order_id, item_id] = int(pieces)
    return {
        (item.order_id, item.order_item_id): item.imported
        - (item.cancelled - item.cancelled_before_import)
        - confirmed[item.order_id, item.order_item_id]
        for item in items
    }
