"""What bol has as shipped and the warehouse has not: somebody shipped it in bol's seller portal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from sqlalchemy import func, select

from host_app.plugin_api import HostPort, OrderLineView, OrderState, OrderView
from plugin.models import BolOrder, BolOrderItem, EffectState, ShipmentEffect
from plugin.models.effects import UNSETTLED


def shipped_elsewhere(host: HostPort, row: BolOrder, view: OrderView) -> list[tuple[BolOrderItem, int]]:
    """Return the items of which bol has more as shipped than left here, with the pieces that would be sent twice.

    In a transaction.
    """
    if view.state in (OrderState.CANCELLED, OrderState.COMPLETED):
        return []
    lines = {line.external_ref: line for line in view.lines}
    found = []
    for item in row.items:
        line = lines.get(item.order_item_id)
        if line is None or not item.imported:
            continue
        # What is open at bol is to leave from here.
        too_many = line.quantity - line.shipped - line.cancelled - item.open
        if min(too_many, item.shipped - shipped_before(item) - line.shipped) <= 0:
            continue
        count = min(too_many, item.shipped - shipped_before(item) - accounted(host, item, line))
        if count > 0:
            found.append((item, count))
    return found


def shipped_before(item: BolOrderItem) -> int:
    """Return the pieces of an item that were shipped before its order came in."""
    return item.quantity - item.imported - item.cancelled_before_import


def accounted(host: HostPort, item: BolOrderItem, line: OrderLineView) -> int:
    """Return the pieces that left here, or that bol has from us: of a parcel that was withdrawn people know.

    In a transaction.
    """
    told = host.session.scalar(
        select(func.coalesce(func.sum(ShipmentEffect.quantity), 0)).where(
            ShipmentEffect.order_id == item.order_id,
            ShipmentEffect.order_item_id == item.order_item_id,
            ShipmentEffect.state.in_((*UNSETTLED, EffectState.CONFIRMED)),
        )
    )
    return max(line.shipped, int(told))


def withdrawn_after(
    effects: Iterable[ShipmentEffect], withdrawn: frozenset[int], view: OrderView
) -> Mapping[str, int]:
    """Return the pieces, by bol's order item, that wait here again although bol has them as shipped: their parcel was
    withdrawn after bol had confirmed it.

    :param withdrawn: those of the parcels that were withdrawn.
    """
    at_bol: Counter[str] = Counter()
    for effect in effects:
        if effect.state == EffectState.CONFIRMED and effect.host_shipment_id in withdrawn:
            at_bol[effect.order_item_id] += effect.quantity
    waiting = {line.external_ref: line.quantity - line.shipped - line.cancelled for line in view.lines}
    left = {item_id: min(count, waiting.get(item_id, 0)) for item_id, count in at_bol.items()}
    return {item_id: count for item_id, count in left.items() if count > 0}


def sent_in_their_place(effects: Iterable[ShipmentEffect], withdrawn: frozenset[int]) -> frozenset[int]:
    """Return the parcels that bol has not, nor is to have, whose goods it has by parcels that were withdrawn.

    :param effects: all of an order.
    :param withdrawn: those of the parcels that were withdrawn.
    """
    at_bol: Counter[str] = Counter()
    closed: dict[int, Counter[str]] = {}
    others: set[int] = set()
    for effect in effects:
        if effect.host_shipment_id not in withdrawn and effect.state == EffectState.CLOSED:
            closed.setdefault(effect.host_shipment_id, Counter())[effect.order_item_id] += effect.quantity
        elif effect.host_shipment_id not in withdrawn:
            others.add(effect.host_shipment_id)
        elif effect.state == EffectState.CONFIRMED:
            at_bol[effect.order_item_id] += effect.quantity
    return frozenset(parcel for parcel, goods in closed.items() if goods <= at_bol and parcel not in others)


def in_place(host: HostPort, closed: Iterable[ShipmentEffect]) -> frozenset[int]:
    """Return which parcels of these rows were sent in the place of others, by which bol has their goods. In a transaction."""
    orders = {effect.order_id for effect in closed if effect.state == EffectState.CLOSED}
    if not orders:
        return frozenset()
    effects = host.session.scalars(select(ShipmentEffect).where(ShipmentEffect.order_id.in_(orders))).all()
    withdrawn = host.withdrawn({effect.host_shipment_id for effect in effects})
    of_orders: dict[int, list[ShipmentEffect]] = {}
    for effect in effects:
        of_orders.setdefault(effect.order_id, []).append(effect)
    return frozenset().union(*(sent_in_their_place(mine, withdrawn) for mine in of_orders.values()))


def was_withdrawn_before(host: HostPort, effect: ShipmentEffect) -> bool:
    """Tell if bol has pieces of this item as shipped, of another parcel that was withdrawn here. In a transaction."""
    others = host.session.scalars(
        select(ShipmentEffect.host_shipment_id).where(
            ShipmentEffect.order_id == effect.order_id,
            ShipmentEffect.order_item_id == effect.order_item_id,
            ShipmentEffect.state == EffectState.CONFIRMED,
            ShipmentEffect.host_shipment_id != effect.host_shipment_id,
        )
    ).all()
    return bool(host.withdrawn(others))
