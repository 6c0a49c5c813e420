"""When orders must leave, and which ones bol will cancel soon because they are not confirmed as shipped: told a day before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, select, update

from host_app.plugin_api import HostPort, Level
from plugin.models import BolOrder, BolOrderItem, BolOrderState, EffectState, LabelEffect
from plugin.sync.context import Context, order_url
from plugin.sync.mapping import AMSTERDAM, FBR, is_ours, leaves_by, start_of_day
from plugin.texts import gettext as _

#: bol cancels what is not confirmed by the third day after the latest delivery date (partner platform, "You cancel
#: the order"), where it names no expiry date itself.
DAYS_AFTER_DELIVERY = 3
BEFORE = timedelta(days=1)
#: Orders that bol cancels within this time are shown on a list of their own.
SOON = timedelta(days=2)
BATCH = 100
#: States of orders that somebody here has to ship.
WARNED = (BolOrderState.IMPORTED, BolOrderState.WAITING_FOR_PRODUCT)


#: Items of which pieces are open at bol that are shipped from here: few of all, and an index knows them.
_OPEN_ITEM = (
    BolOrderItem.method.in_((FBR, "")),
    BolOrderItem.quantity > BolOrderItem.shipped + BolOrderItem.cancelled,
)
#: Tells if an order has such items.
STILL_OPEN = exists().where(BolOrderItem.order_id == BolOrder.id, *_OPEN_ITEM)


def cancel_day(latest_delivery: date | None, expires: date | None) -> date | None:
    """Return the day on which bol cancels an order that is not confirmed, or None where bol names no date."""
    if expires is None and latest_delivery is not None:
        return latest_delivery + timedelta(days=DAYS_AFTER_DELIVERY)
    return expires


def warn_moment(cancels_on: date | None) -> datetime | None:
    """Return when to warn of an order: a day before bol cancels it, or None where bol names no date."""
    return start_of_day(cancels_on) - BEFORE if cancels_on is not None else None


def last_soon(now: datetime) -> date:
    """Return the last day that is soon."""
    return now.astimezone(AMSTERDAM).date() + SOON


def move_open_orders(host: HostPort, store_id: int, carrier_days: int) -> None:
    """Let the orders that are still to be shipped leave so many days before their delivery; the moment on a bought label is exact,
    and stays. In a transaction."""
    for host_order_id, delivery, placed_at in _movable(host, store_id):
        host.set_deadline(host_order_id, leaves_by(delivery, placed_at, carrier_days))


def count_moved(host: HostPort, store_id: int, before: int, after: int) -> int:
    """Return how many orders get another day to leave where carriers take another number of days. In a transaction."""
    if before == after:
        return 0
    return sum(
        leaves_by(delivery, placed_at, before) != leaves_by(delivery, placed_at, after)
        for _order, delivery, placed_at in _movable(host, store_id)
    )


def _movable(host: HostPort, store_id: int) -> Sequence[Any]:
    """Return the orders that leave so many days before their delivery: each with that day, and when it was placed."""
    exact = select(LabelEffect.order_id).where(
        LabelEffect.store_id == store_id,
        LabelEffect.state == EffectState.CONFIRMED,
        LabelEffect.hand_over_by.is_not(None),
    )
    rows: Sequence[Any] = host.session.execute(
        select(BolOrder.host_order_id, BolOrder.latest_delivery, BolOrder.placed_at)
        .where(
            BolOrder.store_id == store_id,
            BolOrder.state == BolOrderState.IMPORTED,
            BolOrder.latest_delivery.is_not(None),
            BolOrder.id.in_(select(BolOrderItem.order_id).where(*_OPEN_ITEM)),
            BolOrder.id.not_in(exact),
        )
        .order_by(BolOrder.host_order_id)
    ).all()
    return rows


def cancelled_soon(now: datetime) -> ColumnElement[bool]:
    """Return the condition of orders that bol cancels soon, or should have cancelled already."""
    # From the open items to their orders: of the orders whose day is past nearly all are shipped.
    still_open = BolOrder.id.in_(select(BolOrderItem.order_id).where(*_OPEN_ITEM))
    return and_(BolOrder.state.in_(WARNED), BolOrder.cancels_on <= last_soon(now), still_open)


def threatened(row: BolOrder) -> bool:
    """Tell if bol will cancel an order unless it is confirmed as shipped."""
    owed = any(is_ours(item.method) and item.open for item in row.items)
    return row.cancels_on is not None and row.state in WARNED and owed


def warn_due(ctx: Context) -> bool:
    """Tell of orders that bol cancels within a day, once each. Nothing is left afterwards."""
    if not ctx.active:
        return False
    with ctx.host.reading() as session:
        rows = session.execute(
            select(BolOrder.id, BolOrder.order_id, BolOrder.expires, STILL_OPEN.label("open"))
            .where(
                BolOrder.store_id == ctx.store_id,
                BolOrder.state.in_(WARNED),
                BolOrder.warn_at <= ctx.now(),
            )
            .order_by(BolOrder.warn_at)
            .limit(BATCH)
        ).all()
    if not rows:
        return False
    with ctx.host.transaction() as session:
        for row in rows:
            session.execute(update(BolOrder).where(BolOrder.id == row.id).values(warn_at=None))
            if row.open:
                ctx.notify(
                    f"deadline:{row.order_id}",
                    "deadline",
                    Level.DANGER,
                    _("bol cancels order %(order)s within a day", order=row.order_id),
                    _(
                        "It is not confirmed as shipped. Ship it now, or bol cancels it without payment and sets the "
                        "stock of its offers to 0."
                    ),
                    order_url(ctx.store_id, row.id),
                )
    return len(rows) == BATCH
