"""Taking over: the host is made to agree with one order of bol, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from sqlalchemy import select

from host_app.plugin_api import Level
from plugin import connector
from plugin.connector import MalformedAnswer
from plugin.models import BolOrder, BolOrderItem, BolOrderState, Offer, Store
from plugin.models.orders import NOT_IN_HOST
from plugin.sync import counters
from plugin.sync.cancel_decisions import requested
from plugin.sync.cancellations import apply_changes, withdraw_requests
from plugin.sync.context import Context, current_settings, order_url
from plugin.sync.deadlines import cancel_day, warn_moment
from plugin.sync.dirty import mark_order_items, mark_pending
from plugin.sync.links import hand_links, link_offers, remembered
from plugin.sync.mapping import CLOCKS, FBR, host_order, items_to_pick
from plugin.sync.matching import find_matches, find_products
from plugin.sync.offers import record_offers
from plugin.sync.order_list import is_behind, too_old
from plugin.sync.pending import pending_quantities
from plugin.sync.products import Wanted, create_products, lock_products, wanted_for
from plugin.sync.timeline import note
from plugin.texts import gettext as _

#: States of orders that somebody must do something for, a product or a setting, before they come in.
SET_ASIDE = (BolOrderState.WAITING_FOR_PRODUCT, BolOrderState.TOO_OLD)
#: When an order is read again that shows less than bol's list has told: soon at first, then ever later.
BEHIND_FIRST, BEHIND_MOST = timedelta(seconds=30), timedelta(hours=1)
#: A slice of work is over by then.
SLICE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read at bol of one order, and what is still to be read before it can be taken over."""

    row_id: int
    order_id: str
    #: Before bol was asked.
    began: datetime
    order: connector.Order | None = None
    #: The offers to be read, by id: if the order can't be taken over without it.
    missing: Mapping[str, bool] = field(default_factory=dict)
    offers: tuple[connector.Offer, ...] = ()
    #: The open pieces, by EAN, of orders that were still to come before the offers were read.
    pending: Mapping[str, int] = field(default_factory=dict)

    def with_offer(self, offer: connector.Offer | None) -> Reading:
        """Return the same with the first missing offer; None: it can't be read."""
        _asked, *others = self.missing.items()
        return replace(self, missing=dict(others), offers=(*self.offers, *([offer] if offer else [])))


def with_order(ctx: Context, reading: Reading, order: connector.Order) -> Reading:
    """Return the same with the order, and with the offers that it needs. Opens read transactions."""
    missing = _missing_offers(ctx, order)
    pending = _pending_before(ctx, reading.row_id, order) if missing else {}
    return replace(reading, order=order, missing=missing, pending=pending)


def lock_row(ctx: Context, order_row_id: int) -> BolOrder:
    """Return an order of this store, locked. In a transaction."""
    row: BolOrder = ctx.host.session.scalars(
        select(BolOrder).where(BolOrder.id == order_row_id).with_for_update(key_share=True)
    ).one()
    return row


def _pending_before(ctx: Context, row_id: int, order: connector.Order) -> dict[str, int]:
    """Return the pieces, by EAN, of this order and of others that the host does not have yet.

    bol is asked for its offers after this: it has subtracted all of them.
    """
    items = items_to_pick(order)
    with ctx.host.reading() as session:
        found = pending_quantities(session, ctx.store_id, [item.ean for item in items])
        row = session.get_one(BolOrder, row_id)
        # What the list told of this very order may be old, or lack items.
        listed = [item for item in row.items if row.state in NOT_IN_HOST and item.method in (FBR, "")]
        for item in listed:
            found[item.ean] = found.get(item.ean, 0) - item.open
    for wanted in items:
        found[wanted.ean] = found.get(wanted.ean, 0) + wanted.open_quantity
    return found


def take_over(ctx: Context, reading: Reading) -> None:
    """Make the host agree with one order of bol, in one transaction."""
    if _agree(ctx, reading) in SET_ASIDE:
        _go_on_if_overtaken(ctx, reading)


def _go_on_if_overtaken(ctx: Context, reading: Reading) -> None:
    """Read an order again that was set aside while a product came or a setting changed: what looks for such orders then
    did not find it yet.

    A product counts at once; a setting when this slice is over, which goes by those of before.
    """
    order = reading.order
    assert order is not None
    with ctx.host.transaction() as session:
        # Waits for whoever is saving settings.
        session.execute(select(Store.id).where(Store.id == ctx.store_id).with_for_update(key_share=True))
        settings, row = current_settings(ctx), lock_row(ctx, reading.row_id)
        later = ctx.now() + SLICE
        if row.state == BolOrderState.TOO_OLD:
            overtaken = None if too_old(settings.orders_from, row.placed_at) else later
        elif row.state == BolOrderState.WAITING_FOR_PRODUCT and not _match(ctx, row, items_to_pick(order))[1]:
            overtaken = ctx.now()
        else:
            overtaken = later if settings.import_products and not ctx.settings.import_products else None
        if overtaken is not None and row.host_order_id is None:
            row.read_due_at = row.read_due_at or overtaken


def _match(
    ctx: Context, row: BolOrder, wanted: Sequence[connector.OrderItem]
) -> tuple[dict[str, int], list[connector.OrderItem]]:
    """Return the products of these items by the items' ids, and the items that have none here."""
    by_ean, by_id = _linked_by_hand(row)
    products = _known_products(ctx, wanted) | by_id
    for item in wanted:
        if item.ean in by_ean:
            products.setdefault(item.order_item_id, by_ean[item.ean])
    return products, [item for item in wanted if item.order_item_id not in products]


def _agree(ctx: Context, reading: Reading) -> str:
    """Take the order over as it was read; return its state, "" where somebody else was faster."""
    order, offers = reading.order, reading.offers
    assert order is not None
    with ctx.host.transaction():
        if ctx.settings.import_products or offers:
            lock_products(ctx)
        row = lock_row(ctx, reading.row_id)
        if row.read_at is not None and reading.began < row.read_at <= ctx.now() + CLOCKS:
            # Somebody who began later was faster, as this job hung: which answer is newer can't be told. Where its clock
            # is ahead, not before ours says so, too; one that is still further ahead was wrong.
            row.read_due_at = max(ctx.now(), row.read_at)
            return ""
        _check_complete(row, order)
        if row.error:
            ctx.settle(f"order-refused:{row.order_id}")
        behind = row.attempts + 1 if is_behind(row, order) else 0
        _done_reading(row, reading.began, ctx.now())
        if behind:
            row.attempts = behind
            soon = ctx.now() + min(BEHIND_FIRST * 2 ** min(behind - 1, 10), BEHIND_MOST)
            row.read_due_at = min(row.read_due_at or soon, soon)
        if offers:
            record_offers(ctx, offers, reading.began)
            link_offers(ctx, find_matches(ctx.host, ctx.settings.lookup, [offer.ean for offer in offers]))
        was_here = row.host_order_id is not None
        _apply(ctx, row, reading, order)
        if not was_here:
            # What the host reserves now marks its offers itself. The rest was counted as sold, and may not be any more.
            mark_pending(ctx, {item.ean for item in row.items if not item.imported}, found=False)
    return row.state


def _check_complete(row: BolOrder, order: connector.Order) -> None:
    """An answer that lacks items of the order, or is about another one, must not pass for the order.

    :raises MalformedAnswer: it does.
    """
    known = {item.order_item_id for item in row.items}
    if (
        order.order_id != row.order_id
        or not order.items
        or known - {item.order_item_id for item in order.items}
    ):
        raise MalformedAnswer("items of the order are missing from the answer")


def _done_reading(row: BolOrder, claimed_at: datetime, now: datetime) -> None:
    """Note that an order was read. What marked it as due since the read began stays: it may be about a later change."""
    row.read_at, row.attempts, row.error = now, 0, ""
    if row.read_due_at is not None and row.read_due_at <= claimed_at:
        row.read_due_at = None


def _apply(ctx: Context, row: BolOrder, reading: Reading, order: connector.Order) -> None:
    row.placed_at = order.placed_at or row.placed_at
    if row.latest_delivery is None and row.expires is None:
        row.latest_delivery = _first_day(order, "latest_delivery_date")
        row.expires = _first_day(order, "expiry_date")
        row.cancels_on = cancel_day(row.latest_delivery, row.expires)
        row.warn_at = warn_moment(row.cancels_on)
    mark_order_items(ctx, [item.ean for item in order.items])
    if row.host_order_id is not None:
        take_changes(ctx, row, order)
        return
    _update_items(ctx, row, order)
    ctx.host.session.flush()
    wanted = items_to_pick(order)
    if not wanted:
        row.state = BolOrderState.NOTHING_TO_SHIP
        return
    if too_old(ctx.settings.orders_from, row.placed_at):
        row.state = BolOrderState.TOO_OLD
        return
    products, missing = _match(ctx, row, wanted)
    if missing and ctx.settings.import_products and all(item.ean for item in missing):
        made = create_products(ctx, _wanted_products(missing, reading.offers), reading.pending)
        products |= {item.order_item_id: made[item.ean] for item in missing}
        missing = []
    if missing:
        if row.state != BolOrderState.WAITING_FOR_PRODUCT:
            names = ", ".join(item.ean or item.title for item in missing)
            note(ctx.host, row.id, _("Waits for a product: %(names)s", names=names))
        row.state = BolOrderState.WAITING_FOR_PRODUCT
        _tell_of_missing(ctx, row, order, missing)
        return
    accepted = ctx.host.accept_order(
        host_order(
            order,
            products,
            source=ctx.source,
            shop_name=ctx.store_name,
            process=ctx.settings.process_orders,
            warehouse_id=ctx.delivers_from,
            carrier_days=ctx.settings.carrier_days,
            now=ctx.now(),
        )
    )
    if row.state == BolOrderState.WAITING_FOR_PRODUCT:
        ctx.settle(f"order-waits:{row.order_id}")
    row.state, row.host_order_id = BolOrderState.IMPORTED, accepted.order_id
    note(ctx.host, row.id, _("Taken over as order %(number)s", number=accepted.number))
    counters.note(ctx.host.session, ctx.store_id, ctx.now(), counters.ORDERS)
    imported = {item.order_item_id: item for item in wanted}
    for item in row.items:
        if item.order_item_id in imported:
            item.imported = imported[item.order_item_id].open_quantity
            item.cancelled_before_import = item.cancelled
            item.product_id = products[item.order_item_id]
    if requested(row):
        apply_changes(ctx, row)


def take_changes(ctx: Context, row: BolOrder, order: connector.Order) -> None:
    """Act on what bol shows of an order that came in before. In a transaction, with the row locked."""
    asked = [item for item in row.items if item.imported and item.cancellation_request]
    _update_items(ctx, row, order)
    ctx.host.session.flush()
    # What is shipped or cancelled is not asked for any more either: bol leaves it open what its flag says then.
    if withdrawn := [item for item in asked if item.open and not item.cancellation_request]:
        withdraw_requests(ctx, row, withdrawn)
    apply_changes(ctx, row)


def _update_items(ctx: Context, row: BolOrder, order: connector.Order) -> None:
    known = {item.order_item_id: item for item in row.items}
    for item in order.items:
        kept = known.get(item.order_item_id)
        if kept is None:
            kept = BolOrderItem(
                order_item_id=item.order_item_id, imported=0, cancelled_before_import=0, request_kept=False
            )
            row.items.append(kept)
        kept.ean = item.ean or kept.ean or ""
        kept.method = item.method or kept.method or ""
        kept.distribution_party = item.distribution_party or ""
        kept.offer_id = item.offer_id or ""
        kept.quantity, kept.shipped, kept.cancelled = (
            item.quantity,
            item.quantity_shipped,
            item.quantity_cancelled,
        )
        kept.cancellation_request = item.cancellation_request
        kept.title = item.title[:500]


def _known_products(ctx: Context, items: Sequence[connector.OrderItem]) -> dict[str, int]:
    """Return the host's product of each item that has one, by the items' ids.

    The one that a person linked the item's own offer to goes before what is found by EAN, and that before what was chosen
    for an earlier order. Two offers of one EAN (new, second-hand) may be two products here.
    """
    session, eans = ctx.host.session, [item.ean for item in items]
    by_ean = remembered(session, ctx.store_id, eans) | find_products(ctx.host, ctx.settings, eans)
    by_offer = hand_links(session, ctx.store_id, [item.offer_id or "" for item in items])
    return {
        item.order_item_id: product_id
        for item in items
        if (product_id := by_offer.get(item.offer_id or "", by_ean.get(item.ean))) is not None
    }


def _linked_by_hand(row: BolOrder) -> tuple[dict[str, int], dict[str, int]]:
    """Return the products that a person chose for items that were waiting for one: by EAN, and by the items' ids."""
    chosen = [item for item in row.items if item.product_id is not None]
    return (
        {item.ean: item.product_id or 0 for item in chosen if item.ean},
        {item.order_item_id: item.product_id or 0 for item in chosen},
    )


def _first_day(order: connector.Order, name: str) -> date | None:
    """Return the earliest of a date that the items to pick have."""
    return min(
        (day for item in items_to_pick(order) if (day := getattr(item, name)) is not None), default=None
    )


def _missing_offers(ctx: Context, order: connector.Order) -> dict[str, bool]:
    """Return the offers to be read: those that are new here, and those of items whose product is to be made.

    An offer that is made at bol after the last import is first heard of by an order: its stock must follow, too.
    Each with whether the order can't be taken over without it.
    """
    items = {item.offer_id: item for item in items_to_pick(order) if item.offer_id}
    with ctx.host.reading() as session:
        creating = ctx.settings.import_products
        known = _known_products(ctx, list(items.values())) if creating else {}
        wanted = {
            offer_id for offer_id, item in items.items() if creating and item.order_item_id not in known
        }
        there = select(BolOrder.id).where(
            *(BolOrder.store_id == ctx.store_id, BolOrder.order_id == order.order_id),
            BolOrder.host_order_id.is_not(None),
        )
        if session.scalar(there) is None:
            here = select(Offer.offer_id).where(Offer.store_id == ctx.store_id, Offer.offer_id.in_(items))
            new = items.keys() - set(session.scalars(here))
        else:
            new = set()
    return {offer_id: offer_id in wanted for offer_id in items if offer_id in wanted or offer_id in new}


def _wanted_products(items: Sequence[connector.OrderItem], offers: Sequence[connector.Offer]) -> list[Wanted]:
    """Return the products to create: from the offer, or from the order with unknown stock."""
    by_ean = {offer.ean: offer for offer in offers}
    return [
        wanted_for(offer, item.title)
        if (offer := by_ean.get(item.ean)) is not None
        else Wanted(item.ean, item.title, (item.offer_reference or "").strip(), item.unit_price, None)
        for item in items
    ]


def _tell_of_missing(
    ctx: Context, row: BolOrder, order: connector.Order, missing: Sequence[connector.OrderItem]
) -> None:
    names = ", ".join(f"{item.ean or _('no EAN')} {item.title}".strip() for item in missing)
    ctx.notify(
        f"order-waits:{order.order_id}",
        "order",
        Level.WARNING,
        _("order %(order)s waits for a product", order=order.order_id),
        _(
            "No product has this code or barcode: %(names)s. Add it, and the order comes in by itself; or link a product "
            "that you have.",
            names=names,
        ),
        order_url(ctx.store_id, row.id),
    )
