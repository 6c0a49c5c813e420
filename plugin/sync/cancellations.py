"""Cancellations by bol: the whole order, nothing picked yet, is cancelled here; everything else is told to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select, update

from host_app.plugin_api import HostError, Level, OrderState, OrderView
from plugin.models import BolOrder, BolOrderItem, CancellationEffect, EffectState
from plugin.sync import left_labels
from plugin.sync.cancel_decisions import (
    CANCELLED_FOR_BOL,
    CANCELLED_MARK,
    REQUEST_MARK,
    REQUEST_WITHDRAWN,
    REQUESTED,
    SHIPPED_MARK,
    accept_if_wished,
    accept_request,
    being_cancelled,
    cancelled_here,
    forget_marks,
    mark_wish,
    note_undone,
    release_if_decided,
    requested,
    wish_of,
)
from plugin.sync.context import Context, order_url
from plugin.sync.order_waits import is_dead
from plugin.sync.shipped import shipped_elsewhere
from plugin.sync.timeline import note, note_once, times_noted
from plugin.texts import gettext as _


def apply_changes(ctx: Context, row: BolOrder) -> None:
    """Act on what changed at bol since the order came in. Facts are told once. In a transaction."""
    if row.host_order_id is None:
        return
    view = ctx.host.order(row.host_order_id)
    if view is None:
        return
    _apply_cancellation(ctx, row, view)
    if is_dead(row):
        left_labels.look(ctx.host, view.order_id)
    _apply_taken_off(ctx, row, view)
    if not any(item.imported and item.open for item in row.items):
        ctx.settle(f"deadline:{row.order_id}")
        if _was_refused(ctx, row):
            # Whatever bol refused to cancel: it is shipped or cancelled by now.
            for item in row.items:
                ctx.settle(f"cancellation-refused:{item.order_item_id}")
                ctx.settle(f"cancellation-not-known:{item.order_item_id}")
    _apply_shipped(ctx, row, view)
    _apply_request(ctx, row, view)
    release_if_decided(ctx.host, row)
    note_undone(ctx.host, row)


def _apply_cancellation(ctx: Context, row: BolOrder, view: OrderView) -> None:
    imported = [item for item in row.items if item.imported]
    cancelled = {
        item.order_item_id: min(item.imported, item.cancelled - item.cancelled_before_import)
        for item in imported
        if item.cancelled > item.cancelled_before_import
    }
    if view.state == OrderState.CANCELLED:
        forget_marks(ctx.host, view.order_id)
        return
    if not cancelled:
        return
    if all(cancelled.get(item.order_item_id, 0) >= item.imported for item in imported):
        _cancel_all(ctx, row, view)
        return
    _tell_of_part(ctx, row, view, cancelled)


def _tell_of_part(ctx: Context, row: BolOrder, view: OrderView, cancelled: Mapping[str, int]) -> None:
    """Tell people what must not be shipped; what they took off the order here by hand is done with."""
    lines = {line.external_ref: line for line in view.lines}
    taken_off = {item_id: line.cancelled for item_id in cancelled if (line := lines.get(item_id)) is not None}
    if all(taken_off.get(item_id, 0) >= count for item_id, count in cancelled.items()):
        ctx.host.mark_order(view.order_id, CANCELLED_MARK, None)
        ctx.settle(f"partly-cancelled:{row.order_id}")
        return
    pieces = ", ".join(
        f"{item.imported} × {item.title or item.ean}"
        if cancelled[item.order_item_id] >= item.imported
        else _(
            "%(count)s of %(all)s × %(name)s",
            count=cancelled[item.order_item_id],
            all=item.imported,
            name=item.title or item.ean,
        )
        for item in row.items
        if item.order_item_id in cancelled
    )
    fact = ",".join(f"{item_id}={count}" for item_id, count in sorted(cancelled.items()))
    note_once(
        ctx.host,
        row.id,
        f"partly cancelled: {fact}",
        _("Partly cancelled at bol: %(pieces)s", pieces=pieces),
    )
    ctx.host.mark_order(
        view.order_id,
        CANCELLED_MARK,
        _(
            "bol cancelled a part: %(pieces)s. Do not ship these pieces.",
            pieces=pieces,
        ),
    )
    left = any(
        line is not None and line.shipped + count > line.quantity
        for item_id, count in cancelled.items()
        for line in [lines.get(item_id)]
    )
    if left:
        ctx.notify(
            f"partly-cancelled:{row.order_id}:{fact}:shipped",
            "cancellation",
            Level.DANGER,
            _("order %(order)s was partly cancelled at bol: stop the parcel", order=row.order_id),
            _(
                "Cancelled: %(pieces)s. It was shipped already: if the parcel is still in the house, take these pieces "
                "out, and withdraw the shipment.",
                pieces=pieces,
            ),
            ctx.host.order_url(view.order_id),
        )
        return
    ctx.notify(
        f"partly-cancelled:{row.order_id}:{fact}",
        "cancellation",
        Level.WARNING,
        _("order %(order)s was partly cancelled at bol", order=row.order_id),
        _(
            "Cancelled: %(pieces)s. Order %(number)s was not changed: take these pieces off it there, and do not ship "
            "them.",
            pieces=pieces,
            number=view.number,
        ),
        ctx.host.order_url(view.order_id),
    )


def _apply_taken_off(ctx: Context, row: BolOrder, view: OrderView) -> None:
    """Tell people where bol still counts on pieces that somebody took off the order here."""
    if view.state == OrderState.CANCELLED:
        # That is told when it happens.
        return
    lines = {line.external_ref: line for line in view.lines}
    pieces, fact = [], []
    for item in row.items:
        line = lines.get(item.order_item_id)
        if line is None or not item.imported or not item.open:
            continue
        count = min(item.open, line.cancelled - (item.cancelled - item.cancelled_before_import))
        if count > 0:
            pieces.append(f"{count} × {item.title or item.ean}")
            fact.append(f"{item.order_item_id}={line.cancelled}")
    if not pieces:
        ctx.settle(f"taken-off:{row.order_id}")
        return
    ctx.notify(
        f"taken-off:{row.order_id}:{','.join(fact)}",
        "cancellation",
        Level.WARNING,
        _("pieces of order %(order)s were taken off here, but bol still counts on them", order=row.order_id),
        _(
            "%(pieces)s. bol cancels what is open of a whole item: where nothing of it is left to ship from here, cancel "
            "it at bol with a reason.",
            pieces=", ".join(pieces),
        ),
        order_url(ctx.store_id, row.id),
    )


def _apply_shipped(ctx: Context, row: BolOrder, view: OrderView) -> None:
    """Tell people where bol has more as shipped than left here: who sends it once more gives goods away.

    Somebody has shipped it in bol's seller portal, for whatever reason, so that only a person can tell what is right.
    """
    found = shipped_elsewhere(ctx.host, row, view)
    if not found:
        ctx.host.mark_order(view.order_id, SHIPPED_MARK, None)
        ctx.settle(f"shipped-elsewhere:{row.order_id}")
        return
    pieces = ", ".join(f"{count} × {item.title or item.ean}" for item, count in found)
    fact = ",".join(f"{item.order_item_id}={count}" for item, count in found)
    told = _("Shipped at bol, but not from here: %(pieces)s", pieces=pieces)
    note_once(ctx.host, row.id, f"shipped elsewhere: {fact}", told)
    ctx.host.mark_order(
        view.order_id,
        SHIPPED_MARK,
        _(
            "bol has this as shipped already, but not from here: %(pieces)s. Ask before you send it.",
            pieces=pieces,
        ),
    )
    ctx.notify(
        f"shipped-elsewhere:{row.order_id}:{fact}",
        "shipment",
        Level.WARNING,
        _("order %(order)s is shipped at bol, but did not leave here", order=row.order_id),
        _(
            "At bol, and not from here: %(pieces)s. If they were sent in another way, take them off order %(number)s or cancel "
            "it; if not, send them, and tell bol's partner service the tracking code.",
            pieces=pieces,
            number=view.number,
        ),
        ctx.host.order_url(view.order_id),
    )


def _cancel_all(ctx: Context, row: BolOrder, view: OrderView) -> None:
    """Cancel the host's order where nothing was picked; else tell people to stop the parcel."""
    reason = ""
    if not view.picked:
        try:
            ctx.host.cancel_order(view.order_id, _("cancelled at bol"))
        except HostError as error:
            reason = str(error)
        else:
            forget_marks(ctx.host, view.order_id)
            told = _("Order %(number)s was cancelled, because bol cancelled it", number=view.number)
            note(ctx.host, row.id, told, CANCELLED_FOR_BOL)
            return
    note_once(
        ctx.host,
        row.id,
        "cancelled, but not here",
        _(
            "Cancelled at bol; order %(number)s was not, because of what is picked or refused",
            number=view.number,
        ),
    )
    # What is to be done about it stands beside the mark, for each role, and only while there is something to do.
    ctx.host.mark_order(
        view.order_id, CANCELLED_MARK, _("Cancelled at bol. Do not ship it."), stops_picking=True
    )
    if any(line.shipped for line in view.lines):
        # Another fact than a cancellation of what is still on the picklist: the parcel may be leaving.
        ctx.notify(
            f"cancelled:{row.order_id}:shipped",
            "cancellation",
            Level.DANGER,
            _("order %(order)s was cancelled at bol: stop the parcel", order=row.order_id),
            _(
                "Order %(number)s was shipped already: stop the parcel if it is still in the house, and withdraw the "
                "shipment.",
                number=view.number,
            ),
            ctx.host.order_url(view.order_id),
        )
        return
    todo = _(
        "Put back what was picked, and press “Everything is back on the shelf” on its picklist: then it is cancelled here, "
        "too."
    )
    ctx.notify(
        f"cancelled:{row.order_id}",
        "cancellation",
        Level.DANGER,
        _("order %(order)s was cancelled at bol", order=row.order_id),
        _(
            "Order %(number)s is not cancelled here yet. %(reason)s",
            number=view.number,
            reason=reason or todo,
        ),
        ("" if reason else ctx.host.picked_url(view.order_id)) or ctx.host.order_url(view.order_id),
    )


def withdraw_requests(ctx: Context, row: BolOrder, items: Sequence[BolOrderItem]) -> None:
    """The customer does not ask to cancel these items any more: bol is not asked to, where it was not yet. In a transaction.

    Where they are asked for once more that is a new question, whatever was answered before.
    """
    view = ctx.host.order(row.host_order_id) if row.host_order_id is not None else None
    here = {item.order_item_id for item in cancelled_here(row, view)} if view is not None else set()
    for item in items:
        item.request_kept = False
    dropped = ctx.host.session.execute(
        update(CancellationEffect)
        .where(
            CancellationEffect.order_id == row.id,
            CancellationEffect.order_item_id.in_([item.order_item_id for item in items]),
            # What was cancelled here is cancelled at bol all the same.
            CancellationEffect.order_item_id.not_in(here),
            CancellationEffect.reason_code == REQUESTED,
            CancellationEffect.state == EffectState.WANTED,
        )
        .values(
            state=EffectState.CLOSED,
            due_at=None,
            settled_at=ctx.now(),
            error=_("Not asked for at bol: the customer withdrew the request."),
        )
    )
    pieces = ", ".join(f"{item.open} × {item.title or item.ean}" for item in items)
    told = (
        _(
            "The customer withdrew the request to cancel, and bol is not asked to any more: %(pieces)s",
            pieces=pieces,
        )
        if dropped.rowcount
        else _("The customer withdrew the request to cancel: %(pieces)s", pieces=pieces)
    )
    note(ctx.host, row.id, told, REQUEST_WITHDRAWN)


def _apply_request(ctx: Context, row: BolOrder, view: OrderView) -> None:
    """Show that the customer asks to cancel: the item is still open at bol, so a person decides."""
    asked = requested(row)
    if (
        not asked
        or view.state in (OrderState.CANCELLED, OrderState.COMPLETED)
        or being_cancelled(ctx.host, row)
    ):
        ctx.host.mark_order(view.order_id, REQUEST_MARK, None)
        ctx.settle(f"cancellation-request:{row.order_id}")
        return
    if ctx.settings.accept_requests and not view.picked and not _was_refused(ctx, row):
        try:
            accept_request(ctx.host, row, "")
        except HostError as error:
            note(ctx.host, row.id, _("The request was not accepted by itself: %(reason)s", reason=error))
        else:
            ctx.host.mark_order(view.order_id, REQUEST_MARK, None)
            return
    if accept_if_wished(ctx.host, row):
        return
    wish = wish_of(ctx.host, row)
    if wish and not any(line.shipped for line in view.lines):
        mark_wish(ctx.host, row, asked, wish)
        return
    pieces = ", ".join(f"{item.open} × {item.title or item.ean}" for item in asked)
    # What was asked, withdrawn and asked again is told again.
    before = times_noted(ctx.host, row.id, REQUEST_WITHDRAWN)
    again = f":{before}" if before else ""
    ctx.host.mark_order(
        view.order_id,
        REQUEST_MARK,
        _("The customer asks bol to cancel: %(pieces)s.", pieces=pieces),
    )
    note_once(
        ctx.host,
        row.id,
        f"asked: {','.join(sorted(f'{item.order_item_id}={item.open}' for item in asked))}{again}",
        _("The customer asks to cancel: %(pieces)s", pieces=pieces),
    )
    ctx.notify(
        f"cancellation-request:{row.order_id}:{','.join(sorted(item.order_item_id for item in asked))}{again}",
        "cancellation",
        Level.WARNING,
        _("the customer asks to cancel order %(order)s", order=row.order_id),
        _(
            "Asked for: %(pieces)s. Choose “Accept at bol” or “Keep the order”; shipping it is the answer no.",
            pieces=pieces,
        ),
        order_url(ctx.store_id, row.id),
    )


def _was_refused(ctx: Context, row: BolOrder) -> bool:
    """Tell if bol refused to cancel something of the order: from then on a person decides."""
    return (
        ctx.host.session.scalar(
            select(CancellationEffect.id)
            .where(CancellationEffect.order_id == row.id, CancellationEffect.state == EffectState.REFUSED)
            .limit(1)
        )
        is not None
    )
