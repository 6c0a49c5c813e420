"""What people, or a setting of theirs, decide about cancelling: a request accepted or not, and what to cancel at bol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import ColumnElement, and_, exists, or_, select, update

from host_app.plugin_api import HostError, HostPort, Level, Notice, OrderState, OrderView, speaking
from plugin.models import (
    BolOrder,
    BolOrderEvent,
    BolOrderItem,
    CancellationEffect,
    EffectState,
    ShipmentEffect,
    Store,
)
from plugin.models.effects import UNSETTLED
from plugin.sync.context import order_url, store_url
from plugin.sync.shipped import withdrawn_after
from plugin.sync.timeline import is_noted, note, note_once
from plugin.texts import gettext as _
from plugin.texts import lazy as _l
from plugin.texts import ngettext

REQUESTED = "REQUESTED_BY_CUSTOMER"
#: bol's reasons (Retailer API v10, cancel-order-item), in words for people.
REASONS: Mapping[str, str] = {
    REQUESTED: _l("The customer asked for it"),
    "OUT_OF_STOCK": _l("Out of stock"),
    "BAD_CONDITION": _l("Damaged"),
    "HIGHER_SHIPCOST": _l("Shipping costs too much"),
    "INCORRECT_PRICE": _l("The price was wrong"),
    "NOT_AVAIL_IN_TIME": _l("Not available in time"),
    "NO_BOL_GUARANTEE": _l("No bol guarantee"),
    "ORDERED_TWICE": _l("Ordered twice"),
    "RETAIN_ITEM": _l("The item is kept"),
    "TECH_ISSUE": _l("Technical problem"),
    "UNFINDABLE_ITEM": _l("Can't be found"),
    "OTHER": _l("Other"),
}
HOLD = "bol-cancelling"
LEFT = _l(
    "The store was disconnected before bol had cancelled this order. Look it up in bol's seller portal before it is picked."
)
#: So many orders are named where there may be any number.
MOST_NAMED = 10
#: The keys of the marks on orders that the customer asks to cancel, and of which bol cancelled something.
REQUEST_MARK = "bol-cancellation-request"
CANCELLED_MARK = "bol-cancelled"
#: The key of the mark on orders of which bol has more as shipped than left here.
SHIPPED_MARK = "bol-shipped-elsewhere"
#: And of that on orders of which a parcel was withdrawn that bol has as shipped.
WITHDRAWN_MARK = "bol-withdrawn"
#: The line of the timeline that tells of an order that was cancelled here because bol did.
CANCELLED_FOR_BOL = "cancelled for bol"
#: The lines that tell of a customer who does not ask any more, of who wants to accept a request once the goods are put back,
#: and that this was decided otherwise, or done.
REQUEST_WITHDRAWN = "request withdrawn"
WISH, WISH_OVER = "accept wanted:", "accept wanted no more"
#: And of who decided to ship all the same.
KEPT = "kept by:"
#: States in which bol may still be asked, or be at work.
ACTIVE = (EffectState.WANTED, *UNSETTLED)
#: What a person must still do about a cancellation: bol's is open here, or ours is open at bol.
OPEN_HERE, OPEN_AT_BOL = "open here", "open at bol"
#: And what is to be done about pieces that bol has as shipped, of a parcel that was withdrawn here.
WITHDRAWN_HERE = "withdrawn here"


def accept_request(host: HostPort, row: BolOrder, who: str) -> bool:
    """Accept a customer's request: hold the order here and ask bol to cancel the items. In a transaction.

    What lies picked must be put back first: that somebody wants to accept is kept and stops the packer, and bol is asked
    once everything is back. Return False there.

    :param who: "" for the store's setting.
    :raises HostError: nothing is asked for any more, or the packer was first.
    """
    items = requested(row)
    if row.host_order_id is None or not items:
        raise HostError(_("The customer does not ask to cancel anything of this order any more."))
    view = host.order(row.host_order_id)
    if who and view is not None and view.state != OrderState.CANCELLED and _lies_picked(view):
        _wish(host, row, items, who)
        return False
    if view is None or view.state != OrderState.CANCELLED:
        with speaking(host.language):
            mark = _("The cancellation is being accepted at bol. Do not pick this order.")
        if not host.hold_order(row.host_order_id, HOLD, mark):
            raise HostError(
                _(
                    "Something of this order was picked or shipped, so the request is not accepted: the packer was first."
                )
            )
    _want(host, row, items, REQUESTED, who)
    _settle_request(host, row)
    with speaking(host.language):
        note(
            host,
            row.id,
            _("Cancellation accepted by %(who)s; bol is asked to cancel", who=who)
            if who
            else _("Cancellation accepted by the store's setting; bol is asked to cancel"),
            WISH_OVER,
        )
    host.mark_order(row.host_order_id, REQUEST_MARK, None)
    return True


def accept_if_wished(host: HostPort, row: BolOrder) -> bool:
    """Accept a request that somebody wants to accept, now that nothing lies picked any more; tell if it was. In a transaction."""
    who = wish_of(host, row)
    view = host.order(row.host_order_id) if who and row.host_order_id is not None else None
    if view is None or view.picked or not requested(row) or being_cancelled(host, row):
        return False
    try:
        return accept_request(host, row, who)
    except HostError:
        return False


def wish_of(host: HostPort, row: BolOrder) -> str:
    """Return who wants to accept the customer's request once the goods are put back; "" for nobody. In a transaction."""
    facts = BolOrderEvent.fact
    newest: str | None = host.session.scalar(
        select(facts)
        .where(
            BolOrderEvent.order_id == row.id,
            or_(
                facts.startswith(WISH, autoescape=True),
                facts.startswith(KEPT, autoescape=True),
                facts.in_((WISH_OVER, REQUEST_WITHDRAWN)),
            ),
        )
        .order_by(BolOrderEvent.id.desc())
        .limit(1)
    )
    return newest.removeprefix(WISH) if newest and newest.startswith(WISH) else ""


def _lies_picked(view: OrderView) -> bool:
    """Tell if something waits to be put back, and nothing has left."""
    return any(line.picked for line in view.lines) and not any(line.shipped for line in view.lines)


def _wish(host: HostPort, row: BolOrder, items: Iterable[BolOrderItem], who: str) -> None:
    if wish_of(host, row) != who:
        with speaking(host.language):
            text = _(
                "%(who)s wants to accept the cancellation; bol is asked once everything is put back", who=who
            )
        note(host, row.id, text, f"{WISH}{who}")
    host.session.flush()
    mark_wish(host, row, items, who)
    _settle_request(host, row)


def mark_wish(host: HostPort, row: BolOrder, items: Iterable[BolOrderItem], who: str) -> None:
    """Stop the packer, whose picklist asks for everything to be put back. In a transaction."""
    pieces = ", ".join(f"{item.open} × {item.title or item.ean}" for item in items)
    if row.host_order_id is None:
        return
    with speaking(host.language):
        text = _(
            "The customer asks to cancel %(pieces)s, and %(who)s accepts it. Do not ship it.",
            pieces=pieces,
            who=who,
        )
    host.mark_order(row.host_order_id, REQUEST_MARK, text, stops_picking=True)


def keep_order(host: HostPort, row: BolOrder, who: str) -> None:
    """Keep an order although the customer asks to cancel it: shipping it is the answer. In a transaction."""
    for item in requested(row):
        item.request_kept = True
    host.session.flush()
    _settle_request(host, row)
    with speaking(host.language):
        kept = _("Kept by %(who)s: the order is shipped although the customer asked to cancel", who=who)
    note(host, row.id, kept, f"{KEPT}{who}")


def cancel_at_bol(host: HostPort, row: BolOrder, reason_code: str, who: str) -> None:
    """Cancel at bol what was cancelled in the warehouse. In a transaction.

    :raises HostError: the reason is not bol's, the order is not cancelled here, or nothing is open at bol.
    """
    if reason_code not in REASONS:
        raise HostError(_("Choose a reason."))
    view = host.order(row.host_order_id) if row.host_order_id is not None else None
    if view is None or not any(line.cancelled for line in view.lines):
        raise HostError(_("Only what is cancelled in the warehouse can be cancelled at bol from here."))
    items = cancelled_here(row, view)
    if not items:
        raise HostError(_("Nothing that was cancelled here is open at bol any more."))
    _want(host, row, items, reason_code, who)
    host.settle_notices(f"bol:{row.store_id}:cancelled-here:{row.order_id}")
    with speaking(host.language):
        asked = _(
            "Cancellation at bol asked by %(who)s: %(reason)s", who=who, reason=str(REASONS[reason_code])
        )
    note(host, row.id, asked)


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


def note_undone(host: HostPort, row: BolOrder) -> None:
    """Keep what a person must still do about a cancellation of this order, here or at bol, or about a parcel of it that
    was withdrawn. In a transaction."""
    view = host.order(row.host_order_id) if row.host_order_id is not None else None
    before = row.undone
    row.undone = "" if view is None else _undone(row, view)
    again = withdrawn_here(host, row, view) if view is not None and not row.undone else []
    if again:
        row.undone = WITHDRAWN_HERE
    if view is not None and WITHDRAWN_HERE in (before, row.undone):
        pieces = ", ".join(f"{count} × {item.title or item.ean}" for item, count in again)
        told = _(
            "Shipped at bol, but its parcel was withdrawn here: %(pieces)s. This goes by itself once they are sent again.",
            pieces=pieces,
        )
        host.mark_order(view.order_id, WITHDRAWN_MARK, told if again else None)
    if before == WITHDRAWN_HERE != row.undone and view is not None and view.state != OrderState.CANCELLED:
        settle_withdrawn_late(host, row.store_id, row.id)
    host.session.flush()


def settle_withdrawn_late(host: HostPort, store_id: int, order_row: int) -> None:
    """That bol has withdrawn parcels of an order as shipped is dealt with. In a transaction."""
    parcels = select(ShipmentEffect.host_shipment_id).where(ShipmentEffect.order_id == order_row)
    for parcel_id in host.session.scalars(parcels.distinct()):
        host.settle_notices(f"bol:{store_id}:withdrawn-late:{parcel_id}")


def withdrawn_here(host: HostPort, row: BolOrder, view: OrderView) -> list[tuple[BolOrderItem, int]]:
    """Return the items that wait here again although bol has them as shipped, with the pieces. In a transaction."""
    if view.state in (OrderState.CANCELLED, OrderState.COMPLETED):
        return []
    effects = host.session.scalars(select(ShipmentEffect).where(ShipmentEffect.order_id == row.id)).all()
    again = withdrawn_after(effects, host.withdrawn(effect.host_shipment_id for effect in effects), view)
    return [(item, again[item.order_item_id]) for item in row.items if item.order_item_id in again]


def may_accept(view: OrderView, wish: str = "") -> bool:
    """Tell if a customer's request can be accepted by a press: nothing has left, and nobody has pressed yet."""
    return not wish and not any(line.shipped for line in view.lines)


def in_the_way(view: OrderView, wish: str = "") -> str:
    """Tell what must be done in the warehouse before a customer's request is accepted; "" where nothing.

    :param wish: who wants to accept it.
    """
    everything, shipped, picked = (
        sum(getattr(line, what) for line in view.lines) for what in ("quantity", "shipped", "picked")
    )
    if shipped:
        return ngettext(
            "%(num)s of %(all)s pieces is shipped, so the request can't be accepted here any more: keep the order.",
            "%(num)s of %(all)s pieces are shipped, so the request can't be accepted here any more: keep the order.",
            shipped,
            all=everything,
        )
    if picked and wish:
        return ngettext(
            "Accepted by %(who)s: bol is asked as soon as the %(num)s picked piece is back on the shelf.",
            "Accepted by %(who)s: bol is asked as soon as the %(num)s picked pieces are back on the shelf.",
            picked,
            who=wish,
        )
    if picked:
        return ngettext(
            "%(num)s of %(all)s pieces is picked: accept, and the packer is told to put it back; then bol is asked.",
            "%(num)s of %(all)s pieces are picked: accept, and the packer is told to put them back; then bol is asked.",
            picked,
            all=everything,
        )
    return ""


def being_cancelled(host: HostPort, row: BolOrder) -> bool:
    """Tell if bol is being asked to cancel something of the order. In a transaction."""
    return (
        host.session.scalar(
            select(CancellationEffect.id)
            .where(CancellationEffect.order_id == row.id, CancellationEffect.state.in_(ACTIVE))
            .limit(1)
        )
        is not None
    )


def is_answered(host: HostPort, row: BolOrder) -> bool:
    """Tell if nobody has to answer the customer's request any more: bol is being asked, or has cancelled it, which the next
    reading of the order shows. In a transaction."""
    return host.session.scalar(select(BolOrder.id).where(BolOrder.id == row.id, _answered())) is not None


def kept_by(host: HostPort, row: BolOrder) -> str:
    """Return who keeps what is open of an order although the customer asks to cancel it; "" for nobody. In a transaction."""
    if not any(item.cancellation_request and item.open and item.request_kept for item in row.items):
        return ""
    newest: str | None = host.session.scalar(
        select(BolOrderEvent.fact)
        .where(BolOrderEvent.order_id == row.id, BolOrderEvent.fact.startswith(KEPT, autoescape=True))
        .order_by(BolOrderEvent.id.desc())
        .limit(1)
    )
    return newest.removeprefix(KEPT) if newest else ""


def release_if_decided(host: HostPort, row: BolOrder) -> None:
    """Let an order go on once bol has decided on every cancellation of it. In a transaction."""
    if row.host_order_id is not None and not being_cancelled(host, row):
        host.release_order(row.host_order_id, HOLD)


def leave_to_people(host: HostPort, store: Store) -> None:
    """The store goes, with cancellations of which bol was not asked or has not told: their orders go on. In a transaction.

    Whoever asked for them is told, and packers see it on the order.
    """
    _forget_wishes(host, store)
    left = (CancellationEffect.store_id == store.id, CancellationEffect.state.in_(ACTIVE))
    ids = host.session.scalars(select(CancellationEffect.order_id).where(*left).distinct()).all()
    if not ids:
        return
    rows = host.session.scalars(select(BolOrder).where(BolOrder.id.in_(ids)).order_by(BolOrder.id)).all()
    held = sorted(row.host_order_id for row in rows if row.host_order_id is not None)
    views = {order_id: host.order(order_id) for order_id in held}
    host.session.execute(
        update(CancellationEffect)
        .where(*left)
        .values(state=EffectState.CLOSED, due_at=None, settled_at=host.now(), error=str(LEFT))
    )
    for order_id, view in views.items():
        host.release_order(order_id, HOLD)
        if view is not None and view.state not in (OrderState.COMPLETED, OrderState.CANCELLED):
            host.mark_order(order_id, REQUEST_MARK, str(LEFT))
    host.notify(
        Notice(
            key=f"bol:{store.id}:cancellation-left:{store.secret_version}",
            kind="bol.cancellation",
            level=Level.DANGER,
            title=ngettext(
                "%(store)s is disconnected, and bol has not cancelled %(num)s order as it should",
                "%(store)s is disconnected, and bol has not cancelled %(num)s orders as it should",
                len(rows),
                store=store.name,
            ),
            body=_(
                "Orders: %(orders)s. Look them up in bol's seller portal, and cancel them there and here; here they go on as "
                "before.",
                orders=names_of(host, ids),
            ),
            url=store_url(store.id),
        )
    )


def _forget_wishes(host: HostPort, store: Store) -> None:
    """Nobody can accept a request of a store that goes: the packer goes on, with the request as it was. In a transaction."""
    asked = select(BolOrder).where(BolOrder.store_id == store.id, unanswered()).order_by(BolOrder.id)
    for row in host.session.scalars(asked).all():
        if row.host_order_id is None or not wish_of(host, row):
            continue
        pieces = ", ".join(f"{item.open} × {item.title or item.ean}" for item in requested(row))
        with speaking(host.language):
            note(host, row.id, _("Not accepted any more: the store was disconnected"), WISH_OVER)
            mark = _("The customer asks bol to cancel: %(pieces)s.", pieces=pieces)
        host.mark_order(row.host_order_id, REQUEST_MARK, mark)


def names_of(host: HostPort, order_rows: Iterable[int]) -> str:
    """Return bol's numbers of some orders, for people; of many the first ones. In a transaction."""
    wanted = select(BolOrder.order_id).where(BolOrder.id.in_(set(order_rows))).order_by(BolOrder.id)
    found = host.session.scalars(wanted).all()
    return ", ".join(found[:MOST_NAMED]) + (", …" if len(found) > MOST_NAMED else "")


def is_open_here(row: BolOrder, view: OrderView) -> bool:
    """Tell if something that bol cancelled is still to be shipped here."""
    return _undone(row, view) == OPEN_HERE


def still_here(row: BolOrder, view: OrderView) -> list[tuple[BolOrderItem, int]]:
    """Return the items that bol cancelled and that are still to be shipped here, with the pieces to take off."""
    if view.state in (OrderState.CANCELLED, OrderState.COMPLETED):
        return []
    lines = {line.external_ref: line for line in view.lines}
    found = []
    for item in row.items:
        line = lines.get(item.order_item_id)
        count = min(item.imported, item.cancelled - item.cancelled_before_import)
        if line is None or count <= line.cancelled:
            continue
        left = line.quantity - line.shipped - line.cancelled
        if left > 0:
            found.append((item, min(count - line.cancelled, left)))
    return found


def _undone(row: BolOrder, view: OrderView) -> str:
    if still_here(row, view):
        return OPEN_HERE
    return OPEN_AT_BOL if cancelled_here(row, view) else ""


def offer_to_cancel(host: HostPort, store_id: int, reference: str, order_id: int) -> None:
    """An order was cancelled in the warehouse: where bol still counts on it, ask people what to do. In a transaction.

    Nothing is cancelled at bol by itself: a cancellation by the seller counts against him.
    """
    session = host.session
    # Locked before its marks and notices, as where bol's order is read again.
    row = session.scalar(
        select(BolOrder)
        .where(BolOrder.store_id == store_id, BolOrder.order_id == reference)
        .with_for_update(key_share=True)
    )
    for told in ("cancelled", "shipped-elsewhere"):
        host.settle_notices(f"bol:{store_id}:{told}:{reference}")
    forget_marks(host, order_id)
    store = session.get(Store, store_id)
    if row is None or store is None:
        return
    note_undone(host, row)
    if is_noted(host, row.id, CANCELLED_FOR_BOL):
        # It was us, because bol had cancelled it.
        return
    if not any(item.imported and item.open for item in row.items):
        note_once(host, row.id, "cancelled here", _("Cancelled in the warehouse"))
        return
    told = _("Cancelled in the warehouse, still open at bol")
    note_once(host, row.id, "cancelled here, open at bol", told)
    host.notify(
        Notice(
            key=f"bol:{store_id}:cancelled-here:{reference}",
            kind="bol.cancellation",
            level=Level.WARNING,
            title=_(
                "%(store)s: order %(order)s was cancelled here, but bol still counts on it",
                store=store.name,
                order=reference,
            ),
            body=_("Cancel it at bol with a reason, or undo the cancellation by making a new order."),
            url=order_url(store_id, row.id),
        )
    )


def forget_marks(host: HostPort, order_id: int) -> None:
    """Take away what was shown on an order that is cancelled here: nothing is left to do. In a transaction."""
    host.mark_order(order_id, CANCELLED_MARK, None)
    host.mark_order(order_id, REQUEST_MARK, None)
    host.mark_order(order_id, SHIPPED_MARK, None)


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
    return and_(BolOrder.id.in_(asked), ~_answered())


def _answered() -> ColumnElement[bool]:
    return exists().where(
        CancellationEffect.order_id == BolOrder.id,
        or_(
            CancellationEffect.state.in_(ACTIVE),
            # bol has cancelled it, and the order is about to be read, which tells that nothing is asked any more.
            and_(
                CancellationEffect.state == EffectState.CONFIRMED,
                CancellationEffect.settled_at >= BolOrder.read_at,
            ),
        ),
    )


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
