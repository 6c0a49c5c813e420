"""Orders: the list says which orders changed, each changed one is read and taken over, exactly once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update

from host_app.plugin_api import HostError, HostPort, Level
from plugin import connector
from plugin.connector import BolError
from plugin.models import BolOrder, BolOrderItem, BolOrderState, Store, StoreState
from plugin.sync.cancellations import apply_changes
from plugin.sync.context import Context
from plugin.sync.failures import come_back, line_is_down
from plugin.sync.mapping import host_order, is_ours, items_to_pick, read_interval, start_of_day
from plugin.sync.products import (
    CALL_SECONDS,
    Wanted,
    create_products,
    find_products,
    link_offers,
    lock_products,
    read_titles,
    record_offers,
    wanted_for,
)

log = logging.getLogger(__name__)

DETAILS_AT_ONCE = 8
BATCH = 40
#: More pages than bol could ever list; guards against a list that never ends.
MAX_PAGES = 2000
SANDBOX_EVERY = timedelta(seconds=10)


def import_orders(ctx: Context) -> bool:
    """Read the list if that is due, then every order that is due. True when some are left."""
    if not ctx.active or not ctx.settings.import_orders:
        return False
    try:
        if _list_is_due(ctx):
            read_list(ctx)
            ctx.clear_problem()
    except BolError as error:
        ctx.report_problem(error)
        _put_off_list(ctx, error)
        return False
    return read_due_orders(ctx)


def want_import(host: HostPort, store_id: int) -> None:
    """Ask for an import at once. In a transaction."""
    host.session.execute(update(Store).where(Store.id == store_id).values(import_wanted_at=host.now()))


def due_stores(host: HostPort, only: int | None, *, forced: bool) -> list[int]:
    """Return the active stores whose import is due; with ``forced`` ask for it at once. In a transaction."""
    session, now = host.session, host.now()
    active = [Store.state == StoreState.ACTIVE]
    if only is not None:
        active.append(Store.id == only)
    if forced:
        session.execute(update(Store).where(*active).values(import_wanted_at=now))
    due = or_(Store.next_import_at.is_(None), Store.next_import_at <= now, Store.import_wanted_at <= now)
    return list(session.scalars(select(Store.id).where(*active, due).order_by(Store.id)))


def retry_waiting(host: HostPort, product_id: int) -> list[int]:
    """A product is new or changed: orders that wait for its code or a barcode go on. In a transaction."""
    product = host.products([product_id]).get(product_id)
    if product is None:
        return []
    session = host.session
    waiting = session.execute(
        select(BolOrder.id, BolOrder.store_id)
        .join(BolOrderItem)
        .where(
            BolOrder.state == BolOrderState.WAITING_FOR_PRODUCT,
            BolOrderItem.ean.in_([product.code, *product.barcodes]),
        )
    ).all()
    if waiting:
        session.execute(
            update(BolOrder)
            .where(BolOrder.id.in_([row.id for row in waiting]))
            .values(read_due_at=host.now(), attempts=0)
        )
    return sorted({row.store_id for row in waiting})


def read_list(ctx: Context) -> None:
    """Read the whole list of orders that changed since the last complete read, and note which must be read.

    Status ALL, so that what was handled or cancelled between two reads is seen: it stays listed for 48 hours (bol,
    orders and shipments). Orders are listed newest first, so while pages are read rows only shift down: they may come
    twice, but none is passed over. The read counts only when all its pages came in.
    """
    began = ctx.now()
    with ctx.host.reading() as session:
        last = session.scalar(select(Store.orders_read_at).where(Store.id == ctx.store_id))
    interval = read_interval(last, began)
    for number in range(1, MAX_PAGES):
        ctx.lease.ensure(CALL_SECONDS)
        page = ctx.client.orders.page(number, change_interval_minutes=interval)
        with ctx.host.transaction():
            _note_page(ctx, page.orders)
        if page.last:
            break
    with ctx.host.transaction() as session:
        session.execute(
            update(Store)
            .where(Store.id == ctx.store_id)
            .values(orders_read_at=began, next_import_at=began + _every(ctx))
        )
        session.execute(
            update(Store)
            .where(Store.id == ctx.store_id, Store.import_wanted_at <= began)
            .values(import_wanted_at=None)
        )


def read_due_orders(ctx: Context) -> bool:
    """Read every order that is due, several at a time, oldest first. True when some are left."""
    while not ctx.lease.slice_over():
        with ctx.host.reading() as session:
            due = session.execute(
                select(BolOrder.id, BolOrder.order_id)
                .where(BolOrder.store_id == ctx.store_id, BolOrder.read_due_at <= ctx.now())
                .order_by(BolOrder.placed_at, BolOrder.id)
                .limit(BATCH)
            ).all()
        if not due:
            _note_done(ctx)
            return False
        ctx.lease.ensure(CALL_SECONDS)
        with ThreadPoolExecutor(DETAILS_AT_ONCE) as pool:
            answers = list(pool.map(lambda row: _read(ctx, row.order_id), due))
        for row, answer in zip(due, answers, strict=True):
            if isinstance(answer, BolError):
                _set_aside(ctx, row.id, answer)
                if line_is_down(answer):
                    ctx.report_problem(answer)
                    _put_off_all(ctx, answer)
                    return False
            else:
                _take_over(ctx, row.id, answer)
    return True


def _read(ctx: Context, order_id: str) -> connector.Order | BolError:
    try:
        return ctx.client.orders.get(order_id)
    except BolError as error:
        return error


def _take_over(ctx: Context, row_id: int, order: connector.Order) -> None:
    """Make the host agree with one order of bol, in one transaction. An order that can't be is set aside."""
    try:
        offers, titles = _missing_offers(ctx, order)
        with ctx.host.transaction() as session:
            if ctx.settings.import_products:
                lock_products(ctx)
            row = session.scalars(select(BolOrder).where(BolOrder.id == row_id).with_for_update()).one()
            _apply(ctx, row, order, offers, titles)
    except BolError as error:
        _set_aside(ctx, row_id, error)
    except Exception as error:
        # An order that nobody foresaw must not hold up the others; it is told, and tried again.
        if not isinstance(error, HostError):
            log.exception("order %s could not be taken over", order.order_id)
        _set_aside(ctx, row_id, error)
        with ctx.host.transaction():
            ctx.notify(
                f"order-refused:{order.order_id}",
                "order",
                Level.DANGER,
                f"order {order.order_id} could not be taken over",
                f"{_reason(error)} It is tried again by itself.",
            )


def _apply(
    ctx: Context,
    row: BolOrder,
    order: connector.Order,
    offers: Sequence[connector.Offer],
    titles: dict[str, str],
) -> None:
    row.read_at, row.read_due_at, row.attempts, row.error = ctx.now(), None, 0, ""
    row.placed_at = order.placed_at or row.placed_at
    _update_items(ctx, row, order)
    ctx.host.session.flush()
    if row.host_order_id is not None:
        apply_changes(ctx, row, order)
        return
    wanted = items_to_pick(order)
    if not wanted:
        row.state = BolOrderState.NOTHING_TO_SHIP
        return
    if _too_old(ctx, row.placed_at):
        row.state = BolOrderState.TOO_OLD
        return
    products = find_products(ctx.host, ctx.settings, [item.ean for item in wanted])
    missing = [item for item in wanted if item.ean not in products]
    if missing and ctx.settings.import_products and all(item.ean for item in missing):
        record_offers(ctx, offers)
        products |= create_products(ctx, _wanted_products(missing, offers, titles))
        missing = []
    if missing:
        row.state = BolOrderState.WAITING_FOR_PRODUCT
        _tell_of_missing(ctx, order, missing)
        return
    accepted = ctx.host.accept_order(
        host_order(
            order,
            products,
            source=ctx.source,
            shop_name=ctx.store_name,
            process=ctx.settings.process_orders,
            warehouse_id=ctx.settings.warehouse_id,
            now=ctx.now(),
        )
    )
    row.state, row.host_order_id = BolOrderState.IMPORTED, accepted.order_id
    imported = {item.order_item_id: item for item in wanted}
    for item in row.items:
        if item.order_item_id in imported:
            item.imported = imported[item.order_item_id].open_quantity
            item.cancelled_before_import = item.cancelled
            item.product_id = products[item.ean]
    link_offers(ctx, products)
    apply_changes(ctx, row, order)


def _update_items(ctx: Context, row: BolOrder, order: connector.Order) -> None:
    known = {item.order_item_id: item for item in row.items}
    for item in order.items:
        kept = known.get(item.order_item_id)
        if kept is None:
            kept = BolOrderItem(order_item_id=item.order_item_id, imported=0, cancelled_before_import=0)
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


def _missing_offers(ctx: Context, order: connector.Order) -> tuple[list[connector.Offer], dict[str, str]]:
    """Read the offers of items whose product the host does not know. Outside of transactions."""
    if not ctx.settings.import_products:
        return [], {}
    with ctx.host.reading():
        known = find_products(ctx.host, ctx.settings, [item.ean for item in items_to_pick(order)])
    found = []
    for item in items_to_pick(order):
        if item.ean in known or not item.offer_id:
            continue
        ctx.lease.ensure(CALL_SECONDS)
        try:
            found.append(ctx.client.offers.get(item.offer_id))
        except BolError as error:
            if line_is_down(error):
                raise
    return found, read_titles(ctx, found) if found else {}


def _wanted_products(
    items: Sequence[connector.OrderItem], offers: Sequence[connector.Offer], titles: dict[str, str]
) -> list[Wanted]:
    """Return the products to create: from the offer, or from the order with unknown stock."""
    by_ean = {offer.ean: offer for offer in offers}
    return [
        wanted_for(offer, item.title or titles.get(item.ean))
        if (offer := by_ean.get(item.ean)) is not None
        else Wanted(item.ean, item.title, item.offer_reference or "", item.unit_price, None)
        for item in items
    ]


def _note_page(ctx: Context, orders: Sequence[connector.OrderSummary]) -> None:
    """Note which orders of a page of the list must be read: those that are new or look different."""
    session, now = ctx.host.session, ctx.now()
    known = {
        row.order_id: row
        for row in session.scalars(
            select(BolOrder).where(
                BolOrder.store_id == ctx.store_id, BolOrder.order_id.in_([order.order_id for order in orders])
            )
        )
    }
    for order in orders:
        signature = _signature(order)
        row = known.get(order.order_id)
        if row is None:
            row = known[order.order_id] = BolOrder(
                store_id=ctx.store_id,
                order_id=order.order_id,
                placed_at=order.placed_at,
                state=BolOrderState.FOUND,
                found_at=now,
                attempts=0,
                error="",
            )
            session.add(row)
            _note_new(ctx, row, order)
        elif row.list_signature != signature:
            row.read_due_at, row.attempts = now, 0
        row.list_signature = signature
    session.flush()


def _note_new(ctx: Context, row: BolOrder, order: connector.OrderSummary) -> None:
    row.items = [
        BolOrderItem(
            order_item_id=item.order_item_id,
            ean=item.ean,
            method=item.fulfilment_method,
            quantity=item.quantity,
            shipped=item.quantity_shipped,
            cancelled=item.quantity_cancelled,
            cancellation_request=item.cancellation_request,
            imported=0,
            cancelled_before_import=0,
            distribution_party="",
            offer_id="",
        )
        for item in order.items
    ]
    ours = [item for item in order.items if is_ours(item.fulfilment_method)]
    if order.items and not any(item.open_quantity for item in ours):
        row.state = BolOrderState.NOTHING_TO_SHIP
    elif _too_old(ctx, order.placed_at):
        row.state = BolOrderState.TOO_OLD
    else:
        row.read_due_at = ctx.now()


def _signature(order: connector.OrderSummary) -> str:
    """Return what of an order's line in the list tells that the order changed."""
    return ";".join(
        sorted(
            f"{item.order_item_id}:{item.quantity}:{item.quantity_shipped}:{item.quantity_cancelled}"
            f":{int(item.cancellation_request)}:{item.fulfilment_status}"
            for item in order.items
        )
    )


def _too_old(ctx: Context, placed_at: datetime | None) -> bool:
    first = ctx.settings.orders_from
    return first is not None and placed_at is not None and placed_at < start_of_day(first)


def _tell_of_missing(ctx: Context, order: connector.Order, missing: Sequence[connector.OrderItem]) -> None:
    names = ", ".join(f"{item.ean or 'no EAN'} {item.title}".strip() for item in missing)
    ctx.notify(
        f"order-waits:{order.order_id}",
        "order",
        Level.WARNING,
        f"order {order.order_id} waits for a product",
        f"No product has this code or barcode: {names}. Add it, and the order comes in by itself.",
    )


def _list_is_due(ctx: Context) -> bool:
    with ctx.host.reading() as session:
        return (
            session.scalar(
                select(Store.id).where(
                    Store.id == ctx.store_id,
                    or_(
                        Store.next_import_at.is_(None),
                        Store.next_import_at <= ctx.now(),
                        Store.import_wanted_at <= ctx.now(),
                    ),
                )
            )
            is not None
        )


def _every(ctx: Context) -> timedelta:
    return SANDBOX_EVERY if ctx.sandbox else timedelta(minutes=ctx.settings.import_minutes)


def _put_off_list(ctx: Context, error: BolError) -> None:
    when = max(come_back(error, ctx.now()), ctx.now() + SANDBOX_EVERY)
    with ctx.host.transaction() as session:
        _update_store(session, ctx, next_import_at=when, import_wanted_at=None)


def _put_off_all(ctx: Context, error: BolError) -> None:
    when = max(come_back(error, ctx.now()), ctx.now() + SANDBOX_EVERY)
    with ctx.host.transaction() as session:
        session.execute(
            update(BolOrder)
            .where(BolOrder.store_id == ctx.store_id, BolOrder.read_due_at <= when)
            .values(read_due_at=when)
        )


def _note_done(ctx: Context) -> None:
    """Note that everything that was found is taken over."""
    with ctx.host.transaction() as session:
        session.execute(
            update(Store)
            .where(
                Store.id == ctx.store_id,
                or_(Store.orders_imported_at.is_(None), Store.orders_imported_at < Store.orders_read_at),
            )
            .values(orders_imported_at=ctx.now())
        )


def _update_store(session: Any, ctx: Context, **values: Any) -> None:
    session.execute(update(Store).where(Store.id == ctx.store_id).values(**values))


def _reason(error: Exception) -> str:
    if isinstance(error, BolError):
        return error.operator_text()
    return (
        str(error)
        if isinstance(error, HostError)
        else f"An error that nobody foresaw: {type(error).__name__}."
    )


def _set_aside(ctx: Context, row_id: int, error: Exception) -> None:
    """Note why an order could not be read or taken over; it is tried again, ever later, and holds up no other."""
    with ctx.host.transaction() as session:
        row = session.get(BolOrder, row_id)
        if row is None:
            return
        row.attempts += 1
        row.error = _reason(error)
        row.read_due_at = ctx.now() + min(
            timedelta(seconds=10) * 2 ** min(row.attempts, 10), timedelta(hours=1)
        )
