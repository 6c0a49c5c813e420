"""Shipments whose outcome is not known: settled by finding them at bol, never by not finding them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from host_app.plugin_api import Level
from plugin.connector import BolError, NotFound, Order, ProcessStatus
from plugin.models import BolOrder, BolOrderItem, EffectState, ShipmentEffect
from plugin.sync import effects
from plugin.sync.context import CALL_SECONDS, Context, decisions_url
from plugin.sync.failures import come_back
from plugin.sync.packed_anew import first_parcel
from plugin.sync.shipments import (
    after_confirmation,
    end_of_refused,
    mark_confirmed,
    nothing_to_ship,
    record_accepted,
    tell_refused,
)
from plugin.sync.shipped import was_withdrawn_before
from plugin.sync.taking_over import lock_row, take_changes
from plugin.sync.timeline import note
from plugin.texts import gettext as _
from plugin.texts import lazy as _l

EVENT_TYPE = "CREATE_SHIPMENT"
MAX_PAGES = 20
#: Begins with "bol", as what we say of a refusal ourselves; and what is to be done about it, until it is.
SHIPPED_ALREADY = _l(
    "bol has these goods as shipped already, by a parcel that was withdrawn here, and takes no second shipment of them."
)
ONCE_SENT = _l(
    "If this parcel holds the very goods of that one, write its tracking code at it here (“Correct”): bol is told it then. If "
    "not, tell bol's partner service where they travel, and press “Handled elsewhere”."
)

NOTHING_OPEN = _l(
    "bol has not so many of these goods open any more, and would refuse them again: press “Handled elsewhere”."
)


@dataclass(frozen=True, slots=True)
class Found:
    """What bol shows of one parcel: the items of ours it has, the order, and statuses of a creation.

    failed: it could not even be asked.
    """

    item_ids: frozenset[str]
    order: Order | None
    statuses: dict[str, tuple[ProcessStatus, ...]]
    failed: bool = False


def check_due(ctx: Context) -> bool:
    """Look at bol for every parcel whose check is due. True when some are left."""
    while not ctx.lease.slice_over():
        with ctx.host.reading() as session:
            rows = _due(ctx, session)
            order_id = (
                session.scalar(select(BolOrder.order_id).where(BolOrder.id == rows[0].order_id))
                if rows
                else ""
            )
        if not rows:
            return False
        try:
            found = _look(ctx, order_id or "", rows)
        except BolError as error:
            hopeless = effects.is_hopeless(error, rows[0].unknown_since, ctx.now())
            if not effects.is_final(error) and not hopeless:
                with ctx.host.transaction() as session:
                    when = max(come_back(error, ctx.now()), ctx.now() + timedelta(seconds=2))
                    _postpone(session, rows, when)
                return False
            # bol will never say anything of it: a person must look in the end.
            found = Found(frozenset(), None, {}, failed=hopeless)
        with ctx.host.transaction() as session:
            # The order first, as everywhere: what is settled may change it.
            lock_row(ctx, rows[0].order_id)
            confirmed = [row for row in rows if row.order_item_id in found.item_ids]
            for row in confirmed:
                if _end(session, row, EffectState.CONFIRMED, ctx.now(), ""):
                    after_confirmation(ctx, row)
            mark_confirmed(ctx, confirmed)
            for row in rows:
                if row not in confirmed:
                    _settle(ctx, session, row, found)
    return True


def _due(ctx: Context, session: Any) -> Sequence[ShipmentEffect]:
    """Return the rows of the one parcel whose check is due longest."""
    first = session.scalar(
        select(ShipmentEffect)
        .where(
            ShipmentEffect.store_id == ctx.store_id,
            ShipmentEffect.state == EffectState.UNKNOWN,
            ShipmentEffect.due_at <= ctx.now(),
        )
        .order_by(ShipmentEffect.due_at, ShipmentEffect.id)
        .limit(1)
    )
    if first is None:
        return []
    return session.scalars(  # type: ignore[no-any-return]
        select(ShipmentEffect).where(
            ShipmentEffect.store_id == ctx.store_id,
            ShipmentEffect.host_shipment_id == first.host_shipment_id,
            ShipmentEffect.state == EffectState.UNKNOWN,
        )
    ).all()


def _look(ctx: Context, order_id: str, rows: Sequence[ShipmentEffect]) -> Found:
    """Read bol's shipments of the order, the order, and, where no status is known, those of the items."""
    item_ids: set[str] = set()
    for number in range(1, MAX_PAGES):
        ctx.lease.ensure(CALL_SECONDS)
        page = ctx.client.shipments.page(number, order_id=order_id)
        for shipment in page.shipments:
            if shipment.reference == rows[0].reference:
                item_ids |= set(shipment.order_item_ids)
        if page.last:
            break
    ctx.lease.ensure(CALL_SECONDS)
    try:
        order = ctx.client.orders.get(order_id)
    except NotFound:
        order = None
    statuses: dict[str, tuple[ProcessStatus, ...]] = {}
    for row in rows:
        if row.process_status_id is None and row.order_item_id not in item_ids:
            ctx.lease.ensure(CALL_SECONDS)
            statuses[row.order_item_id] = ctx.client.statuses.by_entity(row.order_item_id, EVENT_TYPE)
    return Found(frozenset(item_ids), order, statuses)


def _settle(ctx: Context, session: Any, row: ShipmentEffect, found: Found) -> None:
    """Decide from what bol shows on one row whose shipment it does not. In a transaction."""
    now = ctx.now()
    outcome = effects.status_row(session, row.store_id, row.process_status_id)
    if outcome is not None and outcome.status == "FAILURE":
        _refused(ctx, session, row, found, outcome.error_message)
        return
    status = effects.own_status(session, row.store_id, row.sent_at, found.statuses.get(row.order_item_id, ()))
    if status is not None and status.pending:
        record_accepted(ctx, session, [row.id], status)
        return
    # A SUCCESS that can't be tied to this request proves nothing: only our reference among bol's shipments does.
    if status is not None and status.status == "FAILURE":
        effects.remember(ctx, status)
        _refused(ctx, session, row, found, status.error_message or "")
        return
    if (first := first_parcel(ctx.host, row.host_shipment_id)) is not None:
        # bol can't have done it: it has all of these goods by a parcel of before.
        if _end(session, row, EffectState.CLOSED, now, first.reason):
            nothing_to_ship(ctx, session, row.host_shipment_id)
        return
    since = row.unknown_since or now
    parcel = ctx.host.parcel(row.host_shipment_id)
    # One that was withdrawn is not sent again, but bol may still carry out what it was asked: it goes on being looked for.
    wanted = parcel is None or not parcel.withdrawn
    if wanted and now - since >= effects.RESEND_AFTER and _all_that_is_open(row, found):
        # A second request could only fail now: nothing else of this item is left to ship.
        session.execute(
            _still(row).values(
                state=EffectState.WANTED, due_at=now, process_status_id=None, unknown_since=None
            )
        )
        return
    if now - since >= effects.DECIDE_AFTER:
        _ask_a_person(ctx, session, row, found)
        return
    _postpone(session, [row], effects.next_check(since, now))


def _all_that_is_open(row: ShipmentEffect, found: Found) -> bool:
    if found.order is None:
        return False
    return any(
        item.order_item_id == row.order_item_id and item.open_quantity == row.quantity
        for item in found.order.items
    )


def _refused(ctx: Context, session: Any, row: ShipmentEffect, found: Found, message: str) -> None:
    """bol says that it was not done: tell people, and if the item is cancelled that the parcel must not leave."""
    item = next(
        (
            item
            for item in (found.order.items if found.order else ())
            if item.order_item_id == row.order_item_id
        ),
        None,
    )
    cancelled = item is not None and item.quantity_cancelled > _cancelled_before(session, row)
    reason = message or _("bol refused it without a reason.")
    if cancelled:
        reason = _("Cancelled at bol. %(reason)s", reason=message).strip()
    shipped = not cancelled and item is not None and item.open_quantity < row.quantity
    again = shipped and was_withdrawn_before(ctx.host, row)
    if again:
        reason = f"{SHIPPED_ALREADY} {ONCE_SENT}"
    state, error = end_of_refused(ctx, row.host_shipment_id, reason)
    if not _end(session, row, state, ctx.now(), error):
        return
    planned = state == EffectState.CLOSED and first_parcel(ctx.host, row.host_shipment_id) is not None
    told = (
        _(
            "bol has item %(item)s of shipment %(shipment)s as shipped already, by a parcel that was withdrawn",
            shipment=row.host_shipment_id,
            item=row.order_item_id,
        )
        if planned
        else _(
            "bol refused shipment %(shipment)s of item %(item)s: %(reason)s",
            shipment=row.host_shipment_id,
            item=row.order_item_id,
            reason=message,
        )
    )
    note(ctx.host, row.order_id, told)
    if state == EffectState.CLOSED:
        nothing_to_ship(ctx, session, row.host_shipment_id)
    if found.order is not None and cancelled:
        # The parcel must not leave: told as what it is, a cancellation, and so not a second time by the import.
        take_changes(ctx, lock_row(ctx, row.order_id), found.order)
    elif state == EffectState.REFUSED:
        said = _("bol says: %(said)s.", said=message.rstrip(". ")) if message else _("bol gave no reason.")
        body = reason if again else f"{said} {NOTHING_OPEN}" if shipped else ""
        tell_refused(ctx, session, [row.id], said, body=body)


def _cancelled_before(session: Any, row: ShipmentEffect) -> int:
    """Return the pieces of an item that were cancelled before the order came in."""
    return (
        session.scalar(
            select(BolOrderItem.cancelled_before_import).where(
                BolOrderItem.order_id == row.order_id, BolOrderItem.order_item_id == row.order_item_id
            )
        )
        or 0
    )


def _shown(row: ShipmentEffect, found: Found) -> str:
    """Say what bol shows of an item whose shipment it does not show."""
    if found.failed:
        return _("For three hours bol has failed to show the shipments of this order.")
    items = found.order.items if found.order is not None else ()
    item = next((item for item in items if item.order_item_id == row.order_item_id), None)
    if item is None:
        return _("bol does not show this order item any more.")
    return _(
        "Looked for during three hours and not found. bol shows of %(all)s pieces: %(shipped)s shipped, %(cancelled)s "
        "cancelled, %(open)s open; this parcel holds %(here)s.",
        all=item.quantity,
        shipped=item.quantity_shipped,
        cancelled=item.quantity_cancelled,
        open=item.open_quantity,
        here=row.quantity,
    )


def _ask_a_person(ctx: Context, session: Any, row: ShipmentEffect, found: Found) -> None:
    order = session.get(BolOrder, row.order_id)
    shown = _shown(row, found)
    if not session.execute(_still(row).values(state=EffectState.DECISION, due_at=None, error=shown)).rowcount:
        return
    ctx.notify(
        f"shipment-unknown:{row.host_shipment_id}:{row.order_item_id}:{row.attempts}",
        "shipment",
        Level.DANGER,
        _("it is not known if bol has the shipment of order %(order)s", order=order.order_id),
        _(
            "%(shown)s Look in bol's seller portal, then press “Send again” or “Handled elsewhere”.",
            shown=shown,
        ),
        decisions_url(ctx.store_id),
    )


def _still(row: ShipmentEffect) -> Any:
    """An update of a row that is carried out only while its outcome is unknown."""
    return update(ShipmentEffect).where(
        ShipmentEffect.id == row.id, ShipmentEffect.state == EffectState.UNKNOWN
    )


def _end(session: Any, row: ShipmentEffect, state: EffectState, now: Any, error: str) -> bool:
    """End a row; False where somebody else has settled it meanwhile, who told of it, too."""
    ended = session.execute(_still(row).values(state=state, settled_at=now, due_at=None, error=error))
    return bool(ended.rowcount)


def _postpone(session: Any, rows: Sequence[ShipmentEffect], when: Any) -> None:
    for row in rows:
        session.execute(_still(row).values(due_at=when))
