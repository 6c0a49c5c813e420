"""Orders: taking them in, processing, pausing and cancelling them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from functools import cache

from flask_babel import gettext as _
from sqlalchemy import Select, bindparam, delete, func, select, update
from sqlalchemy.orm import selectinload

from host_app.db import current_session, insert_if_absent, utcnow
from host_app.events import emit
from host_app.languages import kept_text
from host_app.models import Label, Order, OrderLine, OrderMark, Picklist, PicklistLine, Stock
from host_app.models.picking import OPEN_PICKLISTS, PicklistState
from host_app.plugin_api import (
    AcceptedOrder,
    HostError,
    NewOrder,
    OrderCancelled,
    OrderLineView,
    OrderPicked,
    OrderPutBack,
    OrderReduced,
    OrderState,
    OrderView,
    Wake,
)
from host_app.plugins import HOST_QUEUE
from host_app.services.catalog import default_warehouse
from host_app.services.stock import change_stock
from host_app.wakes import wake

BACKORDERS = Wake("host:backorders", HOST_QUEUE, "host_app.services.backorders:fill_backorders")
#: Stands before the key of a hold on an order that a person had paused: it stays paused when the hold ends.
PAUSED_BEFORE = "paused before "


def lock_order(order_id: int) -> Order | None:
    """Read an order and lock its row: everything that changes an order, its picklists or picks does this first."""
    statement = (
        # Rows that point at the order may be added meanwhile; nothing else of it may change.
        select(Order)
        .where(Order.id == order_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return current_session().scalar(statement)


def accept_order(new: NewOrder) -> AcceptedOrder:
    """Take an order in and reserve its stock at once; the same source and reference again changes nothing.

    :raises HostError: it has no lines, or a line without pieces.
    """
    session = current_session()
    if not new.lines or any(line.quantity < 1 for line in new.lines):
        raise HostError(_("An order needs lines of at least one piece each."))
    values = {
        "source": new.source,
        # An order made by hand has no reference of a shop; it still needs one that is its own.
        "reference": new.reference or secrets.token_hex(8),
        "shop_name": new.shop_name,
        "state": OrderState.CONCEPT.value,
        "warehouse_id": new.warehouse_id or default_warehouse(),
        "placed_at": new.placed_at,
        "created_at": utcnow(),
        "deadline": new.deadline,
        "delivery": asdict(new.delivery),
        "billing": asdict(new.billing) if new.billing else None,
        "notes": "\n".join(new.notes),
        "cancel_reason": "",
    }
    created = insert_if_absent(session, Order, values, ["source", "reference"])
    order = session.scalars(
        select(Order)
        .where(Order.source == new.source, Order.reference == values["reference"])
        .with_for_update()
    ).one()
    if not created:
        return AcceptedOrder(order.id, order.number, created=False)
    for line in new.lines:
        session.add(
            OrderLine(
                order_id=order.id,
                product_id=line.product_id,
                name=line.name[:500],
                external_ref=line.external_ref or None,
                quantity=line.quantity,
                allocated=0,
                shipped=0,
                cancelled=0,
                unit_price=line.unit_price,
                discount=line.discount,
                note=line.note,
            )
        )
    session.flush()
    for line in sorted(new.lines, key=lambda line: line.product_id):
        change_stock(
            line.product_id,
            order.warehouse_id,
            reserved=line.quantity,
            reason=kept_text("order %(number)s", number=new.reference or order.number),
        )
    if new.process:
        _process(order)
    return AcceptedOrder(order.id, order.number, created=True)


def process_order(order_id: int) -> None:
    """Make a picklist for what is available; the rest waits as a backorder.

    :raises HostError: the order is not a concept.
    """
    order = lock_order(order_id)
    if order is None or order.state != OrderState.CONCEPT:
        raise HostError(_("Only a concept can be processed."))
    _process(order)


def _process(order: Order) -> None:
    order.state = OrderState.PROCESSING
    current_session().flush()
    make_picklist(order)


def make_picklist(order: Order) -> Picklist | None:
    """Make a picklist for what waits and is available of a locked order; None where nothing is."""
    session = current_session()
    lines = session.scalars(
        select(OrderLine)
        .where(
            OrderLine.order_id == order.id,
            OrderLine.quantity > OrderLine.shipped + OrderLine.cancelled + OrderLine.allocated,
        )
        # Stock rows are always locked in the order of products, so that two orders can't lock each other out.
        .order_by(OrderLine.product_id, OrderLine.id)
    ).all()
    picklist = None
    for line in lines:
        available = session.scalar(
            select(Stock.physical - Stock.allocated)
            .where(Stock.product_id == line.product_id, Stock.warehouse_id == order.warehouse_id)
            .with_for_update()
        )
        amount = min(line.waiting, available or 0)
        if amount <= 0:
            continue
        if picklist is None:
            picklist = Picklist(
                order_id=order.id,
                warehouse_id=order.warehouse_id,
                state=PicklistState.NEW,
                created_at=utcnow(),
            )
            session.add(picklist)
            session.flush()
        session.add(
            PicklistLine(
                picklist_id=picklist.id,
                order_line_id=line.id,
                product_id=line.product_id,
                quantity=amount,
                picked=0,
            )
        )
        line.allocated += amount
        session.flush()
        change_stock(
            line.product_id,
            order.warehouse_id,
            allocated=amount,
            reason=kept_text("picklist %(number)s", number=picklist.number),
        )
    return picklist


def waiting_orders(limit: int) -> list[int]:
    """Return orders, oldest first, that wait for stock which is there now."""
    return list(current_session().scalars(_waiting_statement(), {"most": limit}))


@cache
def _waiting_statement() -> Select[tuple[int]]:
    """Build it once: the scheduler asks each second."""
    return (
        select(Order.id)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .join(Stock, (Stock.product_id == OrderLine.product_id) & (Stock.warehouse_id == Order.warehouse_id))
        .where(
            OrderLine.quantity > OrderLine.shipped + OrderLine.cancelled + OrderLine.allocated,
            Order.state == OrderState.PROCESSING,
            Stock.physical > Stock.allocated,
        )
        .group_by(Order.id, Order.placed_at)
        .order_by(Order.placed_at, Order.id)
        .limit(bindparam("most"))
    )


def release_line(line: OrderLine, warehouse_id: int, reason: str, who: str) -> None:
    """Cancel what is open of an order line and free its stock."""
    open_pieces, allocated = line.open, line.allocated
    line.cancelled += open_pieces
    line.allocated = 0
    current_session().flush()
    change_stock(
        line.product_id, warehouse_id, reserved=-open_pieces, allocated=-allocated, reason=reason, who=who
    )


def cancel_order(order_id: int, reason: str, *, who: str = "") -> None:
    """Cancel an order: picklists withdrawn, stock freed, plugins told. Cancelled already: nothing happens.

    :raises OrderPicked: something was picked or shipped.
    :raises HostError: it does not exist or is completed.
    """
    session = current_session()
    order = lock_order(order_id)
    if order is None:
        raise HostError(_("This order does not exist."))
    if order.state == OrderState.CANCELLED:
        return
    picked = _picked(order_id)
    lines = session.scalars(
        select(OrderLine).where(OrderLine.order_id == order_id).order_by(OrderLine.product_id, OrderLine.id)
    ).all()
    if picked or any(line.shipped for line in lines):
        raise OrderPicked(
            _(
                "Order %(number)s can't be cancelled: something of it was picked or shipped.",
                number=order.number,
            )
        )
    if order.state == OrderState.COMPLETED:
        raise HostError(_("Order %(number)s is completed.", number=order.number))
    session.execute(
        update(Picklist)
        .where(Picklist.order_id == order_id, Picklist.state.in_(OPEN_PICKLISTS))
        .values(state=PicklistState.CANCELLED)
    )
    why = kept_text("order %(number)s cancelled", number=order.number)
    for line in lines:
        if line.open:
            release_line(line, order.warehouse_id, why, who)
    order.state = OrderState.CANCELLED
    order.cancel_reason = reason[:200]
    order.completed_at = utcnow()
    session.flush()
    emit(OrderCancelled(order.id, order.source, order.reference, reason), f"order:{order.id}")
    wake(BACKORDERS)


def take_off(order_id: int, order_line_id: int, pieces: int, *, who: str) -> None:
    """Take pieces that nobody has picked off an order; its stock is freed, plugins are told, the rest goes on.

    Where nothing is left of it, the order is cancelled, or completed if something was shipped.

    :raises HostError: the order is not open, the line is not of it, or not so many pieces are open and unpicked.
    """
    session = current_session()
    order = lock_order(order_id)
    if order is None or order.state in (OrderState.COMPLETED, OrderState.CANCELLED):
        raise HostError(_("Pieces can be taken off an open order only."))
    lines = session.scalars(
        select(OrderLine).where(OrderLine.order_id == order_id).execution_options(populate_existing=True)
    ).all()
    line = next((line for line in lines if line.id == order_line_id), None)
    if line is None:
        raise HostError(_("This line is not of this order."))
    on_picklists = session.scalars(
        select(PicklistLine)
        .join(Picklist)
        .where(PicklistLine.order_line_id == line.id, Picklist.state.in_(OPEN_PICKLISTS))
        .order_by(PicklistLine.id.desc())
        .execution_options(populate_existing=True)
    ).all()
    picked = sum(row.picked for row in on_picklists)
    if not 1 <= pieces <= line.open - picked:
        if picked:
            raise HostError(
                _(
                    "%(picked)s of the %(open)s open pieces are picked: put them back first (press −1 on the picklist).",
                    picked=picked,
                    open=line.open,
                )
            )
        raise HostError(
            _("1 to %(count)s pieces can be taken off this line.", count=line.open)
            if line.open
            else _("None are open.")
        )
    if pieces == sum(other.open for other in lines) and not any(other.shipped for other in lines):
        cancel_order(order_id, kept_text("all pieces were taken off"), who=who)
        return
    allocated = left = max(0, pieces - line.waiting)
    for row in on_picklists:
        taken = min(left, row.quantity - row.picked)
        row.quantity, left = row.quantity - taken, left - taken
        if not row.quantity:
            session.delete(row)
    line.cancelled += pieces
    line.allocated -= allocated
    session.flush()
    empty = select(PicklistLine.picklist_id).where(PicklistLine.picklist_id == Picklist.id)
    session.execute(
        update(Picklist)
        .where(Picklist.order_id == order_id, Picklist.state.in_(OPEN_PICKLISTS), ~empty.exists())
        .values(state=PicklistState.CANCELLED)
    )
    change_stock(
        line.product_id,
        order.warehouse_id,
        reserved=-pieces,
        allocated=-allocated,
        reason=kept_text("taken off order %(number)s", number=order.number),
        who=who,
    )
    complete_if_done(order_id)
    emit(OrderReduced(order.id, order.source, order.reference), f"order:{order.id}")
    wake(BACKORDERS)


def complete_if_done(order_id: int) -> None:
    """Complete an order of which nothing is open any more."""
    session = current_session()
    still_open = session.scalar(
        select(OrderLine.id)
        .where(OrderLine.order_id == order_id, OrderLine.quantity > OrderLine.shipped + OrderLine.cancelled)
        .limit(1)
    )
    if still_open is None:
        session.execute(
            update(Order)
            .where(Order.id == order_id)
            .values(state=OrderState.COMPLETED, completed_at=utcnow())
        )


def pause_order(order_id: int) -> None:
    """Pause an order and its picklists.

    :raises HostError: it is not a concept or processing.
    """
    session = current_session()
    order = lock_order(order_id)
    if order is None or order.state not in (OrderState.CONCEPT, OrderState.PROCESSING):
        raise HostError(_("Only an open order can be paused."))
    order.state_before_pause, order.state = order.state, OrderState.PAUSED
    _move_picklists(order_id, PicklistState.NEW, PicklistState.PAUSED)
    session.flush()


def resume_order(order_id: int) -> None:
    """Resume a paused order and its picklists.

    :raises HostError: it is not paused, or a plugin holds it.
    """
    session = current_session()
    order = lock_order(order_id)
    if order is None or order.state != OrderState.PAUSED:
        raise HostError(_("This order is not paused."))
    if order.held_by is not None:
        key = order.held_by.removeprefix(PAUSED_BEFORE)
        why = session.scalar(
            select(OrderMark.text).where(OrderMark.order_id == order_id, OrderMark.key == key)
        )
        raise HostError(_("This order is held. %(why)s", why=why or ""))
    order.state, order.state_before_pause = order.state_before_pause or OrderState.PROCESSING, None
    _move_picklists(order_id, PicklistState.PAUSED, PicklistState.NEW)
    session.flush()
    wake(BACKORDERS)


def hold_order(order_id: int, key: str, text: str) -> bool:
    """Pause an order on a plugin's behalf, unless something was picked or shipped; see the host port."""
    session = current_session()
    order = lock_order(order_id)
    if order is None or order.state in (OrderState.COMPLETED, OrderState.CANCELLED) or _picked(order_id):
        return False
    if session.scalar(select(func.sum(OrderLine.shipped)).where(OrderLine.order_id == order_id)):
        return False
    if order.state != OrderState.PAUSED:
        pause_order(order_id)
        order.held_by = key
    elif order.held_by is None:
        order.held_by = PAUSED_BEFORE + key
    mark_order(order_id, key, text)
    return True


def release_order(order_id: int, key: str) -> None:
    """End a plugin's hold; see the host port."""
    order = lock_order(order_id)
    if order is None:
        return
    mark_order(order_id, key, None)
    by_person = order.held_by == PAUSED_BEFORE + key
    if by_person or order.held_by == key:
        order.held_by = None
        if order.state == OrderState.PAUSED and not by_person:
            resume_order(order_id)


def tell_put_back(order_id: int) -> None:
    """Tell plugins, if it is so, that nothing of a stopped order lies picked any more. With the order locked."""
    order = current_session().scalar(
        select(Order).where(Order.id.in_(put_back_orders().where(Order.id == order_id)))
    )
    if order is not None:
        emit(OrderPutBack(order.id, order.source, order.reference), f"order:{order.id}")


def put_back_orders() -> Select[int]:
    """Select the ids of open orders that a mark keeps from being picked, and of which nothing lies picked."""
    stopped = select(OrderMark.order_id).where(OrderMark.stops_picking)
    picked = (
        select(PicklistLine.id)
        .join(Picklist)
        .where(Picklist.order_id == Order.id, Picklist.state.in_(OPEN_PICKLISTS), PicklistLine.picked > 0)
    )
    return (
        select(Order.id)
        .where(
            Order.id.in_(stopped),
            Order.state.not_in((OrderState.COMPLETED, OrderState.CANCELLED)),
            ~picked.exists(),
        )
        .order_by(Order.id)
    )


def picked_on(order_id: int) -> int | None:
    """Return the first open picklist of an order on which something lies picked; None where there is none."""
    found: int | None = current_session().scalar(
        select(Picklist.id)
        .join(PicklistLine, PicklistLine.picklist_id == Picklist.id)
        .where(Picklist.order_id == order_id, Picklist.state.in_(OPEN_PICKLISTS), PicklistLine.picked > 0)
        .order_by(Picklist.id)
        .limit(1)
    )
    return found


def _picked(order_id: int) -> int:
    """Return how many pieces of an order lie in carts."""
    return (
        current_session().scalar(
            select(func.sum(PicklistLine.picked))
            .join(Picklist)
            .where(Picklist.order_id == order_id, Picklist.state.in_(OPEN_PICKLISTS))
        )
        or 0
    )


def _move_picklists(order_id: int, before: PicklistState, after: PicklistState) -> None:
    current_session().execute(
        update(Picklist).where(Picklist.order_id == order_id, Picklist.state == before).values(state=after)
    )


def mark_order(order_id: int, key: str, text: str | None, *, stops_picking: bool = False) -> None:
    """Put a mark on an order, replacing the one with the same key; None takes it away."""
    session = current_session()
    session.execute(delete(OrderMark).where(OrderMark.order_id == order_id, OrderMark.key == key))
    if text:
        session.add(OrderMark(order_id=order_id, key=key, text=text[:500], stops_picking=stops_picking))
        session.flush()


def set_deadline(order_id: int, deadline: datetime) -> None:
    """Set by when an order must have been handed over."""
    current_session().execute(update(Order).where(Order.id == order_id).values(deadline=deadline))


def erase_addresses(source: str, done_before: datetime, most: int = 1000) -> int:
    """Blank names and addresses of a source's orders that were completed or cancelled before a moment, and the labels
    that show them; so many orders at most. Return how many."""
    session = current_session()
    ids = session.scalars(
        select(Order.id)
        .where(
            Order.source == source,
            Order.state.in_((OrderState.COMPLETED, OrderState.CANCELLED)),
            Order.completed_at < done_before,
            Order.delivery.is_not(None),
        )
        .limit(most)
    ).all()
    of_these = select(Picklist.id).where(Picklist.order_id.in_(ids))
    session.execute(update(Label).where(Label.picklist_id.in_(of_these)).values(pdf=b""))
    session.execute(update(Order).where(Order.id.in_(ids)).values(delivery=None, billing=None))
    return len(ids)


def order_views(order_ids: Iterable[int]) -> Mapping[int, OrderView]:
    """Return orders as plugins see them."""
    session = current_session()
    orders = session.scalars(
        select(Order)
        .where(Order.id.in_(list(order_ids)))
        .options(selectinload(Order.lines))
        .execution_options(populate_existing=True)
    ).all()
    picked: dict[int, int] = dict(
        session.execute(
            select(PicklistLine.order_line_id, func.sum(PicklistLine.picked))
            .join(Picklist)
            .where(Picklist.order_id.in_([order.id for order in orders]), Picklist.state.in_(OPEN_PICKLISTS))
            .group_by(PicklistLine.order_line_id)
        ).all()
    )
    return {
        order.id: OrderView(
            order_id=order.id,
            number=order.number,
            source=order.source,
            reference=order.reference,
            state=OrderState(order.state),
            lines=tuple(
                OrderLineView(
                    order_line_id=line.id,
                    product_id=line.product_id,
                    external_ref=line.external_ref,
                    quantity=line.quantity,
                    picked=picked.get(line.id) or 0,
                    shipped=line.shipped,
                    cancelled=line.cancelled,
                )
                for line in order.lines
            ),
        )
        for order in orders
    }


def locked_order_view(order_id: int) -> OrderView | None:
    """Return one order as plugins see it, locked until the transaction ends."""
    if lock_order(order_id) is None:
        return None
    return order_views([order_id]).get(order_id)
