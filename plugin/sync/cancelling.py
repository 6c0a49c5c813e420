"""Cancelling at bol, because a person or a setting said so: each item once, followed until bol has decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, select, update

from host_app.plugin_api import HostError, HostPort, Level, Notice, OrderState, OrderView
from plugin.connector import BolError, NotFound, Order, ProcessStatus
from plugin.models import BolOrder, BolOrderItem, CancellationEffect, EffectState, ShipmentEffect, Store
from plugin.models.effects import UNSETTLED
from plugin.sync import effects
from plugin.sync.context import CALL_SECONDS, Context, order_url
from plugin.sync.failures import line_is_down
from plugin.sync.timeline import note

REQUESTED = "REQUESTED_BY_CUSTOMER"
#: bol's reasons (Retailer API v10, cancel-order-item), in words for people.
REASONS: Mapping[str, str] = {
    REQUESTED: "The customer asked for it",
    "OUT_OF_STOCK": "Out of stock",
    "BAD_CONDITION": "Damaged",
    "HIGHER_SHIPCOST": "Shipping costs too much",
    "INCORRECT_PRICE": "The price was wrong",
    "NOT_AVAIL_IN_TIME": "Not available in time",
    "NO_BOL_GUARANTEE": "No bol guarantee",
    "ORDERED_TWICE": "Ordered twice",
    "RETAIN_ITEM": "The item is kept",
    "TECH_ISSUE": "Technical problem",
    "UNFINDABLE_ITEM": "Can't be found",
    "OTHER": "Other",
}
EVENT_TYPE = "CANCEL_ORDER"
HOLD = "bol-cancelling"
#: States in which bol may still be asked, or be at work.
ACTIVE = (EffectState.WANTED, *UNSETTLED)


# what people decide


def accept_request(host: HostPort, row: BolOrder, who: str) -> None:
    """Accept a customer's request: hold the order here and ask bol to cancel the items. In a transaction.

    :raises HostError: nothing is asked for any more, or the packer was first.
    """
    items = requested(row)
    if row.host_order_id is None or not items:
        raise HostError("The customer does not ask to cancel anything of this order any more.")
    view = host.order(row.host_order_id)
    if view is None or view.state != OrderState.CANCELLED:
        held = host.hold_order(
            row.host_order_id, HOLD, "The cancellation is being accepted at bol. Do not pick this order."
        )
        if not held:
            raise HostError(
                "Something of this order was picked or shipped, so the request is not accepted: the packer was first."
            )
    _want(host, row, items, REQUESTED, who)
    _settle_request(host, row)
    note(host, row.id, f"Cancellation accepted by {who}; bol is asked to cancel")


def keep_order(host: HostPort, row: BolOrder, who: str) -> None:
    """Keep an order although the customer asks to cancel it: shipping it is the answer. In a transaction."""
    for item in requested(row):
        item.request_kept = True
    host.session.flush()
    _settle_request(host, row)
    note(host, row.id, f"Kept by {who}: the order is shipped although the customer asked to cancel")


def cancel_at_bol(host: HostPort, row: BolOrder, reason_code: str, who: str) -> None:
    """Cancel at bol what was cancelled in the warehouse. In a transaction.

    :raises HostError: the reason is not bol's, the order is not cancelled here, or nothing is open at bol.
    """
    if reason_code not in REASONS:
        raise HostError("Choose a reason.")
    view = host.order(row.host_order_id) if row.host_order_id is not None else None
    if view is None or not any(line.cancelled for line in view.lines):
        raise HostError("Only what is cancelled in the warehouse can be cancelled at bol from here.")
    items = cancelled_here(row, view)
    if not items:
        raise HostError("Nothing that was cancelled here is open at bol any more.")
    _want(host, row, items, reason_code, who)
    host.settle_notices(f"bol:{row.store_id}:cancelled-here:{row.order_id}")
    note(host, row.id, f"Cancellation at bol asked by {who}: {REASONS[reason_code]}")


def cancelled_here(row: BolOrder, view: OrderView) -> list[BolOrderItem]:
    """Return the items of which nothing will be shipped from here any more, although bol still counts on it.

    bol cancels all of an item that is open: what is still to be picked here, or left and bol does not show it as
    shipped yet, keeps an item from it.
    """
    lines = {line.external_ref: line for line in view.lines}
    found = []
    for item in row.items:
        line = lines.get(item.order_item_id)
        if line is None or not line.cancelled or not item.imported or not item.open:
            continue
        shipped_before = item.quantity - item.imported - item.cancelled_before_import
        picked_over = line.shipped + line.cancelled >= line.quantity
        if picked_over and item.shipped - shipped_before >= line.shipped:
            found.append(item)
    return found


def offer_to_cancel(host: HostPort, store_id: int, reference: str, order_id: int) -> None:
    """An order was cancelled in the warehouse: where bol still counts on it, ask people what to do. In a transaction.

    Nothing is cancelled at bol by itself: a cancellation by the seller counts against him.
    """
    session = host.session
    host.settle_notices(f"bol:{store_id}:cancelled:{reference}")
    row = session.scalar(
        select(BolOrder).where(BolOrder.store_id == store_id, BolOrder.order_id == reference)
    )
    store = session.get(Store, store_id)
    if row is None or store is None or not any(item.imported and item.open for item in row.items):
        return
    note(host, row.id, "Cancelled in the warehouse, still open at bol")
    host.notify(
        Notice(
            key=f"bol:{store_id}:cancelled-here:{reference}",
            kind="bol.cancellation",
            level=Level.WARNING,
            title=f"{store.name}: order {reference} was cancelled here, but bol still counts on it",
            body="Cancel it at bol with a reason, or undo the cancellation by making a new order.",
            url=order_url(store_id, row.id),
        )
    )


def requested(row: BolOrder) -> list[BolOrderItem]:
    """Return the items that the customer asks to cancel and nobody has decided to keep."""
    return [
        item
        for item in row.items
        if item.imported and item.cancellation_request and item.open and not item.request_kept
    ]


def unanswered() -> ColumnElement[bool]:
    """Return the condition of orders of which the customer asks to cancel something, and nobody has answered."""
    asked = select(BolOrderItem.order_id).where(
        BolOrderItem.cancellation_request,
        ~BolOrderItem.request_kept,
        BolOrderItem.imported > 0,
        BolOrderItem.quantity > BolOrderItem.shipped + BolOrderItem.cancelled,
    )
    answered = exists().where(
        CancellationEffect.order_id == BolOrder.id, CancellationEffect.state.in_(ACTIVE)
    )
    return and_(BolOrder.id.in_(asked), ~answered)


def _settle_request(host: HostPort, row: BolOrder) -> None:
    """A person has decided on the customer's request."""
    host.settle_notices(f"bol:{row.store_id}:cancellation-request:{row.order_id}")


def _want(host: HostPort, row: BolOrder, items: Iterable[BolOrderItem], reason_code: str, who: str) -> None:
    session, now = host.session, host.now()
    known = {
        effect.order_item_id: effect
        for effect in session.scalars(select(CancellationEffect).where(CancellationEffect.order_id == row.id))
    }
    for item in items:
        effect = known.get(item.order_item_id)
        if effect is None:
            effect = CancellationEffect(
                store_id=row.store_id,
                order_id=row.id,
                order_item_id=item.order_item_id,
                token="",
                attempts=0,
                error="",
                created_at=now,
            )
            session.add(effect)
        elif effect.state in ACTIVE:
            continue
        effect.reason_code, effect.who, effect.state, effect.due_at = (
            reason_code,
            who,
            EffectState.WANTED,
            now,
        )
        effect.process_status_id, effect.unknown_since, effect.settled_at, effect.error = None, None, None, ""
    session.flush()


# telling bol


def cancel_due(ctx: Context) -> bool:
    """Ask bol for every cancellation that is due. True when some are left."""
    if not ctx.active:
        return False
    while not ctx.lease.slice_over():
        ctx.lease.ensure(CALL_SECONDS)
        claimed = _claim(ctx)
        if claimed is None:
            return False
        try:
            status = ctx.client.orders.cancel(claimed.order_item_id, claimed.reason_code)
        except BolError as error:
            _record_failure(ctx, claimed, error)
            if line_is_down(error):
                ctx.report_problem(error)
                return False
        else:
            with ctx.host.transaction() as session:
                _accepted(ctx, session, claimed.id, status)
    return True


def find_abandoned(ctx: Context) -> None:
    """Rows claimed by a job that died before it noted an answer: nobody can tell if bol has them."""
    with ctx.host.transaction() as session:
        session.execute(
            update(CancellationEffect)
            .where(
                CancellationEffect.store_id == ctx.store_id,
                CancellationEffect.state == EffectState.SENT,
                CancellationEffect.process_status_id.is_(None),
                CancellationEffect.token != ctx.lease.token,
            )
            .values(
                state=EffectState.UNKNOWN, unknown_since=ctx.now(), due_at=ctx.now() + effects.FIRST_CHECK
            )
        )


def next_cancellation(store_id: int, now: datetime) -> Select[CancellationEffect]:
    """Select the cancellation that waits longest, of an item of which no shipment is unsettled."""
    shipping = exists().where(
        ShipmentEffect.store_id == CancellationEffect.store_id,
        ShipmentEffect.order_item_id == CancellationEffect.order_item_id,
        ShipmentEffect.state.in_(UNSETTLED),
    )
    return (
        select(CancellationEffect)
        .where(
            CancellationEffect.store_id == store_id,
            CancellationEffect.state == EffectState.WANTED,
            CancellationEffect.due_at <= now,
            ~shipping,
        )
        .order_by(CancellationEffect.due_at, CancellationEffect.id)
        .limit(1)
    )


def _claim(ctx: Context) -> CancellationEffect | None:
    with ctx.host.transaction() as session:
        effect: CancellationEffect | None = session.scalar(
            next_cancellation(ctx.store_id, ctx.now()).with_for_update()
        )
        if effect is not None:
            effect.state, effect.token, effect.sent_at = EffectState.SENT, ctx.lease.token, ctx.now()
            effect.attempts += 1
            effect.process_status_id, effect.due_at, effect.error = None, None, ""
        return effect


def _accepted(ctx: Context, session: Any, effect_id: int, status: ProcessStatus) -> None:
    """bol works on it: follow its process status."""
    effects.follow(ctx, status)
    session.execute(
        update(CancellationEffect)
        .where(
            CancellationEffect.id == effect_id,
            CancellationEffect.state.in_((EffectState.SENT, EffectState.UNKNOWN)),
        )
        .values(state=EffectState.SENT, process_status_id=status.id, due_at=None)
    )


def _record_failure(ctx: Context, effect: CancellationEffect, error: BolError) -> None:
    with ctx.host.transaction() as session:
        if effects.is_final(error):
            refuse(ctx, session, effect, error.operator_text())
            return
        session.execute(
            update(CancellationEffect)
            .where(
                CancellationEffect.id == effect.id,
                CancellationEffect.state == EffectState.SENT,
                CancellationEffect.token == ctx.lease.token,
            )
            .values(**effects.after_failure(error, ctx.now(), effect.attempts))
        )


# how it ended


def confirm(ctx: Context, session: Any, effect: CancellationEffect) -> None:
    """bol has cancelled the item: read the order again, which settles the host's. In a transaction."""
    _end(ctx, session, effect, EffectState.CONFIRMED, "")
    session.execute(update(BolOrder).where(BolOrder.id == effect.order_id).values(read_due_at=ctx.now()))
    note(ctx.host, effect.order_id, f"bol cancelled item {effect.order_item_id}")


def refuse(ctx: Context, session: Any, effect: CancellationEffect, reason: str) -> None:
    """bol did not cancel the item: the order goes on here, and people are told. In a transaction."""
    _end(ctx, session, effect, EffectState.REFUSED, reason)
    row = session.get(BolOrder, effect.order_id)
    release_if_decided(ctx, row)
    session.execute(update(BolOrder).where(BolOrder.id == effect.order_id).values(read_due_at=ctx.now()))
    note(ctx.host, effect.order_id, f"bol did not cancel item {effect.order_item_id}: {reason}")
    ctx.notify(
        f"cancellation-refused:{effect.order_item_id}:{effect.attempts}",
        "cancellation",
        Level.DANGER,
        f"bol did not cancel order {row.order_id}",
        f"{reason} Look at the order in bol's seller portal; here it goes on as before.",
        ctx.host.order_url(row.host_order_id) if row.host_order_id else None,
    )


def release_if_decided(ctx: Context, row: BolOrder) -> None:
    """Let an order go on once bol has decided on every cancellation of it. In a transaction."""
    if row.host_order_id is None:
        return
    waiting = ctx.host.session.scalar(
        select(CancellationEffect.id)
        .where(CancellationEffect.order_id == row.id, CancellationEffect.state.in_(ACTIVE))
        .limit(1)
    )
    if waiting is None:
        ctx.host.release_order(row.host_order_id, HOLD)


def _end(ctx: Context, session: Any, effect: CancellationEffect, state: EffectState, error: str) -> None:
    session.execute(
        update(CancellationEffect)
        .where(CancellationEffect.id == effect.id, CancellationEffect.state.in_(UNSETTLED))
        .values(state=state, error=error, settled_at=ctx.now(), due_at=None)
    )


# checking


def check_cancellations(ctx: Context) -> bool:
    """Look at bol for every cancellation whose outcome is not known. True when some are left."""
    while not ctx.lease.slice_over():
        with ctx.host.reading() as session:
            effect = session.scalar(
                select(CancellationEffect)
                .where(
                    CancellationEffect.store_id == ctx.store_id,
                    CancellationEffect.state == EffectState.UNKNOWN,
                    CancellationEffect.due_at <= ctx.now(),
                )
                .order_by(CancellationEffect.due_at)
                .limit(1)
            )
            order_id = (
                session.scalar(select(BolOrder.order_id).where(BolOrder.id == effect.order_id))
                if effect
                else ""
            )
        if effect is None:
            return False
        try:
            order, statuses = _look(ctx, order_id or "", effect)
        except BolError:
            _postpone(ctx, effect)
            return False
        with ctx.host.transaction() as session:
            _settle(ctx, session, effect, order, statuses)
    return True


def _look(
    ctx: Context, order_id: str, effect: CancellationEffect
) -> tuple[Order | None, Sequence[ProcessStatus]]:
    ctx.lease.ensure(CALL_SECONDS)
    try:
        order = ctx.client.orders.get(order_id)
    except NotFound:
        order = None
    if effect.process_status_id is not None:
        return order, ()
    ctx.lease.ensure(CALL_SECONDS)
    return order, ctx.client.statuses.by_entity(effect.order_item_id, EVENT_TYPE)


def _settle(
    ctx: Context,
    session: Any,
    effect: CancellationEffect,
    order: Order | None,
    statuses: Sequence[ProcessStatus],
) -> None:
    """Decide from what bol shows: the item itself first, then the status. In a transaction."""
    now = ctx.now()
    item = next((i for i in (order.items if order else ()) if i.order_item_id == effect.order_item_id), None)
    if item is not None and item.quantity_cancelled and not item.open_quantity:
        confirm(ctx, session, effect)
        return
    if item is not None and not item.open_quantity:
        refuse(ctx, session, effect, "bol shows the item as shipped.")
        return
    outcome = effects.status_row(session, ctx.store_id, effect.process_status_id)
    if outcome is not None and outcome.status == "FAILURE":
        refuse(ctx, session, effect, outcome.error_message or "bol gave no reason.")
        return
    status = effects.own_status(session, ctx.store_id, effect.sent_at, statuses)
    if status is not None and not status.ended:
        _accepted(ctx, session, effect.id, status)
        return
    if status is not None and status.status == "FAILURE":
        effects.remember(ctx, status)
        refuse(ctx, session, effect, status.error_message or "bol gave no reason.")
        return
    since = effect.unknown_since or now
    if item is not None and item.open_quantity and now - since >= effects.RESEND_AFTER:
        # Cancelling is absolute: what is open of the item. A second request can't cancel more than the first.
        values: dict[str, Any] = {
            "state": EffectState.WANTED,
            "due_at": now,
            "process_status_id": None,
            "unknown_since": None,
        }
    else:
        values = {"due_at": effects.next_check(since, now)}
    session.execute(
        update(CancellationEffect)
        .where(CancellationEffect.id == effect.id, CancellationEffect.state == EffectState.UNKNOWN)
        .values(**values)
    )


def _postpone(ctx: Context, effect: CancellationEffect) -> None:
    with ctx.host.transaction() as session:
        session.execute(
            update(CancellationEffect)
            .where(CancellationEffect.id == effect.id, CancellationEffect.state == EffectState.UNKNOWN)
            .values(due_at=effects.next_check(effect.unknown_since or ctx.now(), ctx.now()))
        )
