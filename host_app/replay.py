"""Tells a plugin again what happened in the warehouse: for one that was away, or failed, while it happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, update

from host_app.db import changed_rows, current_session, reading, transaction, utcnow
from host_app.events import dispatch_wake, tell
from host_app.models import EventDelivery, Order, OrderLine, Picklist, Shipment, StockHistory
from host_app.models.picking import PicklistState
from host_app.plugin_api import (
    EVENT_HOOKS,
    Event,
    OrderCancelled,
    OrderPutBack,
    OrderReduced,
    OrderState,
    PicklistClosed,
    ShipmentChanged,
    StockChange,
)
from host_app.services import orders, picking
from host_app.services.stock import free_stock
from host_app.wakes import wake

AT_ONCE = 500


def tell_again(plugin: str, since: datetime | None) -> Mapping[str, int]:
    """Free the plugin's parked events, and write those since a moment anew, from the books; return how many by kind.

    Plugins are told at least once, so that telling again does no harm. What happened is told as it is now: parcels that
    were withdrawn are told as withdrawn only, and of a product's stock the newest. Outside of any transaction. Where it
    is interrupted, it may be run again.
    """
    told: Counter[str] = Counter()
    with transaction() as session:
        told["parked"] = changed_rows(
            session,
            update(EventDelivery)
            .where(EventDelivery.plugin == plugin, EventDelivery.parked_at.is_not(None))
            .values(parked_at=None, next_try_at=utcnow()),
        )
    if since is not None:
        for find, events in _KINDS:
            with reading() as session:
                ids = session.scalars(find(since)).all()
            for start in range(0, len(ids), AT_ONCE):
                with transaction():
                    for event, subject in events(ids[start : start + AT_ONCE]):
                        if tell(plugin, event, subject):
                            told[EVENT_HOOKS[type(event)]] += 1
    wake(dispatch_wake(plugin))
    return {kind: count for kind, count in told.items() if count}


def _closed(since: datetime) -> Any:
    return select(Picklist.id).where(
        Picklist.state == PicklistState.CLOSED, Picklist.closed_at >= since
    ).order_by(Picklist.closed_at, Picklist.id)  # fmt: skip


def _picklists(ids: Sequence[int]) -> Iterator[tuple[Event, str]]:
    for picklist_id in ids:
        view = picking.picklist_view(picklist_id)
        if view is not None and view.closed_at is not None:
            left = tuple(parcel for parcel in view.parcels if not parcel.withdrawn)
            yield (
                PicklistClosed(
                    view.picklist_id, view.order_id, view.source, view.reference, view.closed_at, left
                ),
                f"order:{view.order_id}",
            )


def _sent(since: datetime) -> Any:
    changed = or_(Shipment.created_at >= since, Shipment.withdrawn_at >= since)
    return select(Shipment.id).where(changed).order_by(Shipment.id)


def _shipments(ids: Sequence[int]) -> Iterator[tuple[Event, str]]:
    for row in current_session().scalars(select(Shipment).where(Shipment.id.in_(ids)).order_by(Shipment.id)):
        changed = ShipmentChanged(row.id, row.carrier, row.tracking_code, row.withdrawn_at is not None)
        yield changed, f"order:{row.order_id}"


def _cancelled(since: datetime) -> Any:
    return (
        select(Order.id)
        .where(Order.state == OrderState.CANCELLED, Order.completed_at >= since)
        .order_by(Order.id)
    )


def _cancellations(ids: Sequence[int]) -> Iterator[tuple[Event, str]]:
    for row in current_session().scalars(select(Order).where(Order.id.in_(ids)).order_by(Order.id)):
        yield OrderCancelled(row.id, row.source, row.reference, row.cancel_reason), f"order:{row.id}"


def _reduced(since: datetime) -> Any:
    """Find orders that had something taken off; nobody noted when, so all that are not done with count."""
    some = select(OrderLine.order_id).where(OrderLine.cancelled > 0)
    return (
        select(Order.id)
        .where(Order.id.in_(some), Order.state != OrderState.CANCELLED)
        .where(or_(Order.completed_at.is_(None), Order.completed_at >= since))
        .order_by(Order.id)
    )


def _reductions(ids: Sequence[int]) -> Iterator[tuple[Event, str]]:
    for row in current_session().scalars(select(Order).where(Order.id.in_(ids)).order_by(Order.id)):
        yield OrderReduced(row.id, row.source, row.reference), f"order:{row.id}"


def _back(_since: datetime) -> Any:
    """Find stopped orders of which nothing is picked any more; nobody noted since when."""
    return orders.put_back_orders()


def _put_back(ids: Sequence[int]) -> Iterator[tuple[Event, str]]:
    for row in current_session().scalars(select(Order).where(Order.id.in_(ids)).order_by(Order.id)):
        yield OrderPutBack(row.id, row.source, row.reference), f"order:{row.id}"


def _counted(since: datetime) -> Any:
    """Find the newest change of each product's stock, in the order in which they came."""
    newest = func.max(StockHistory.id)
    return select(newest).where(StockHistory.at >= since).group_by(StockHistory.product_id).order_by(newest)


def _amounts(ids: Sequence[int]) -> Iterator[tuple[Event, str]]:
    rows = current_session().scalars(select(StockHistory).where(StockHistory.id.in_(ids)))
    newest = {row.product_id: row for row in sorted(rows, key=lambda row: row.id)}
    for product_id, amount in free_stock(newest).items():
        row = newest[product_id]
        yield StockChange(product_id, row.id, amount.free, row.at), f"product:{product_id}"


_KINDS = (
    (_closed, _picklists),
    (_sent, _shipments),
    (_cancelled, _cancellations),
    (_reduced, _reductions),
    (_back, _put_back),
    (_counted, _amounts),
)
