"""Cancelling at bol what was decided to be: each item once, followed until bol has decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, exists, select, update

from host_app.plugin_api import Level
from plugin.connector import BolError, Order, OrderItem, ProcessStatus
from plugin.models import BolOrder, BolOrderItem, CancellationEffect, EffectState, ShipmentEffect
from plugin.models.effects import UNSETTLED
from plugin.sync import effects
from plugin.sync.cancel_decisions import REQUESTED, cancelled_here, release_if_decided
from plugin.sync.cancellations import apply_changes
from plugin.sync.context import CALL_SECONDS, Context
from plugin.sync.failures import line_is_down
from plugin.sync.taking_over import lock_row
from plugin.sync.timeline import note
from plugin.texts import gettext as _
from plugin.texts import lazy as _l

EVENT_TYPE = "CANCEL_ORDER"
NOT_ASKED = _l("Not asked for at bol: the customer withdrew the request.")
Shown = TypeVar("Shown")


def cancel_due(ctx: Context) -> bool:
    """Ask bol for every cancellation that is due. True when some are left."""
    if not ctx.active:
        return False
    while not ctx.lease.slice_over() and ctx.still_wanted():
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
        reason = effects.refusal(error, effect.attempts)
        row = lock_row(ctx, effect.order_id)
        if reason is not None:
            refuse(ctx, session, effect, reason, *_claimed(ctx))
            return
        values = effects.after_failure(error, ctx.now(), effect.attempts)
        item = next((item for item in row.items if item.order_item_id == effect.order_item_id), None)
        if values["state"] == EffectState.WANTED and _wanted_after_all(ctx, row, effect, item):
            # The request was withdrawn while bol was being asked, which it was not.
            values |= {"state": EffectState.CLOSED, "due_at": None, "settled_at": ctx.now()}
            values["error"] = str(NOT_ASKED)
        session.execute(
            update(CancellationEffect)
            .where(CancellationEffect.id == effect.id, *_claimed(ctx))
            .values(**values)
        )
        release_if_decided(ctx.host, row)


def _wanted_after_all(
    ctx: Context, row: BolOrder, effect: CancellationEffect, item: BolOrderItem | OrderItem | None
) -> bool:
    """Tell if the customer withdrew the request that this cancellation answers. With the order locked.

    What was cancelled here is cancelled at bol all the same.
    """
    if effect.reason_code != REQUESTED or item is None or item.cancellation_request:
        return False
    view = ctx.host.order(row.host_order_id) if row.host_order_id is not None else None
    here = cancelled_here(row, view) if view is not None else ()
    return effect.order_item_id not in {mine.order_item_id for mine in here}


def _claimed(ctx: Context) -> tuple[Any, ...]:
    """Return the conditions of what is being asked for under this lease."""
    return (
        CancellationEffect.state == EffectState.SENT,
        CancellationEffect.token == ctx.lease.token,
        CancellationEffect.process_status_id.is_(None),
    )


# how it ended


def confirm(ctx: Context, session: Any, effect: CancellationEffect) -> None:
    """bol has cancelled the item: read the order again, which settles the host's. In a transaction, with the order locked."""
    if not _end(ctx, session, effect, EffectState.CONFIRMED, ""):
        return
    session.execute(update(BolOrder).where(BolOrder.id == effect.order_id).values(read_due_at=ctx.now()))
    note(ctx.host, effect.order_id, _("bol cancelled item %(item)s", item=effect.order_item_id))


def refuse(
    ctx: Context, session: Any, effect: CancellationEffect, reason: str, *still: ColumnElement[bool]
) -> None:
    """bol did not cancel the item: the order goes on here, and people are told. In a transaction, with the order locked."""
    if not _end(ctx, session, effect, EffectState.REFUSED, reason, *still):
        return
    row = session.get(BolOrder, effect.order_id)
    release_if_decided(ctx.host, row)
    session.execute(update(BolOrder).where(BolOrder.id == effect.order_id).values(read_due_at=ctx.now()))
    note(
        ctx.host,
        effect.order_id,
        _("bol did not cancel item %(item)s: %(reason)s", item=effect.order_item_id, reason=reason),
    )
    ctx.notify(
        f"cancellation-refused:{effect.order_item_id}:{effect.attempts}",
        "cancellation",
        Level.DANGER,
        _("bol did not cancel order %(order)s", order=row.order_id),
        _(
            "%(reason)s Look at the order in bol's seller portal; here it goes on as before.",
            reason=reason,
        ),
        ctx.host.order_url(row.host_order_id) if row.host_order_id else None,
    )


def _leave_to_people(ctx: Context, session: Any, effect: CancellationEffect, reason: str, todo: str) -> None:
    """What became of the cancellation can't be found out: the order goes on here. In a transaction, with the order locked.

    :param todo: what people are told to do about it.
    """
    if not _end(ctx, session, effect, EffectState.REFUSED, reason):
        return
    row = session.get(BolOrder, effect.order_id)
    release_if_decided(ctx.host, row)
    note(
        ctx.host,
        effect.order_id,
        _("It is not known if bol cancelled item %(item)s", item=effect.order_item_id),
    )
    ctx.notify(
        f"cancellation-not-known:{effect.order_item_id}:{effect.attempts}",
        "cancellation",
        Level.DANGER,
        _("it is not known if bol cancelled order %(order)s", order=row.order_id),
        todo,
        ctx.host.order_url(row.host_order_id) if row.host_order_id else None,
    )


def _end(
    ctx: Context,
    session: Any,
    effect: CancellationEffect,
    state: EffectState,
    error: str,
    *still: ColumnElement[bool],
) -> bool:
    """End a cancellation; False where somebody else has ended it, who told of it, too."""
    ended = session.execute(
        update(CancellationEffect)
        .where(CancellationEffect.id == effect.id, *(still or (CancellationEffect.state.in_(UNSETTLED),)))
        .values(state=state, error=error, settled_at=ctx.now(), due_at=None)
    )
    return bool(ended.rowcount)


def take_confirmed(ctx: Context, row: BolOrder) -> None:
    """bol does not show the order any more: what it says to have cancelled is cancelled. In a transaction.

    bol cancels all of an item that is open.
    """
    confirmed = set(
        ctx.host.session.scalars(
            select(CancellationEffect.order_item_id).where(
                CancellationEffect.order_id == row.id, CancellationEffect.state == EffectState.CONFIRMED
            )
        )
    )
    items = [item for item in row.items if item.order_item_id in confirmed and item.open]
    for item in items:
        item.cancelled += item.open
    if items:
        ctx.host.session.flush()
        apply_changes(ctx, row)


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
        except BolError as error:
            if effects.is_hopeless(error, effect.unknown_since, ctx.now()):
                _not_to_be_seen(ctx, effect, error)
                continue
            _postpone(ctx, effect, error)
            return False
        with ctx.host.transaction() as session:
            # The order first, as everywhere: what is settled may change it.
            lock_row(ctx, effect.order_id)
            _settle(ctx, session, effect, order, statuses)
    return True


def _look(
    ctx: Context, order_id: str, effect: CancellationEffect
) -> tuple[Order | None, Sequence[ProcessStatus]]:
    ctx.lease.ensure(CALL_SECONDS)
    order = _if_shown(lambda: ctx.client.orders.get(order_id))
    if effect.process_status_id is not None:
        return order, ()
    ctx.lease.ensure(CALL_SECONDS)
    return order, _if_shown(lambda: ctx.client.statuses.by_entity(effect.order_item_id, EVENT_TYPE)) or ()


def _not_to_be_seen(ctx: Context, effect: CancellationEffect, error: BolError) -> None:
    """bol has failed to show the order for hours. Opens a transaction of its own."""
    with ctx.host.transaction() as session:
        lock_row(ctx, effect.order_id)
        _leave_to_people(
            ctx,
            session,
            effect,
            _("Not known: bol fails to show the order. %(said)s", said=error.operator_text(_)),
            _(
                "For three hours bol has failed to show the order. Look it up in bol's seller portal: if it is cancelled there, "
                "cancel it here, too; here it goes on as before."
            ),
        )


def _if_shown(ask: Callable[[], Shown]) -> Shown | None:
    """Ask bol; None where it refuses for good to show that, so that a person must look in the end."""
    try:
        return ask()
    except BolError as error:
        if not effects.is_final(error):
            raise
        return None


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
        refuse(ctx, session, effect, _("bol shows the item as shipped."))
        return
    outcome = effects.status_row(session, ctx.store_id, effect.process_status_id)
    if outcome is not None and outcome.status == "FAILURE":
        refuse(ctx, session, effect, outcome.error_message or _("bol gave no reason."))
        return
    status = effects.own_status(session, ctx.store_id, effect.sent_at, statuses)
    if status is not None and not status.ended:
        _accepted(ctx, session, effect.id, status)
        return
    if status is not None and status.status == "FAILURE":
        effects.remember(ctx, status)
        refuse(ctx, session, effect, status.error_message or _("bol gave no reason."))
        return
    if status is not None and status.status == "SUCCESS" and item is None:
        # Whoever asked for it: the item is cancelled, and nothing else will ever tell.
        effects.remember(ctx, status)
        confirm(ctx, session, effect)
        take_confirmed(ctx, lock_row(ctx, effect.order_id))
        return
    since = effect.unknown_since or now
    if (
        item is not None
        and now - since >= effects.RESEND_AFTER
        and _wanted_after_all(ctx, lock_row(ctx, effect.order_id), effect, item)
    ):
        _leave_to_people(
            ctx,
            session,
            effect,
            _("Not known, and not asked again: the customer withdrew the request."),
            _(
                "The customer withdrew the request to cancel while bol's answer was lost. bol shows the item as open and is not "
                "asked again, but it may still carry out what it was asked. Look at the order in bol's seller portal before the "
                "parcel leaves; here it goes on as before."
            ),
        )
        return
    if item is not None and item.open_quantity and now - since >= effects.RESEND_AFTER:
        # Cancelling is absolute: what is open of the item. A second request can't cancel more than the first.
        values: dict[str, Any] = {
            "state": EffectState.WANTED,
            "due_at": now,
            "process_status_id": None,
            "unknown_since": None,
        }
    elif item is None and now - since >= effects.DECIDE_AFTER:
        _leave_to_people(
            ctx,
            session,
            effect,
            _("Not known: bol does not show the item any more."),
            _(
                "bol does not show the order any more. Look it up in bol's seller portal: if it is cancelled there, cancel it "
                "here, too; here it goes on as before."
            ),
        )
        return
    else:
        values = {"due_at": effects.next_check(since, now)}
    session.execute(
        update(CancellationEffect)
        .where(CancellationEffect.id == effect.id, CancellationEffect.state == EffectState.UNKNOWN)
        .values(**values)
    )


def _postpone(ctx: Context, effect: CancellationEffect, error: BolError) -> None:
    when = effects.next_check(effect.unknown_since or ctx.now(), ctx.now())
    if error.retry_after is not None:
        when = max(when, ctx.now() + timedelta(seconds=error.retry_after))
    with ctx.host.transaction() as session:
        session.execute(
            update(CancellationEffect)
            .where(CancellationEffect.id == effect.id, CancellationEffect.state == EffectState.UNKNOWN)
            .values(due_at=when)
        )
