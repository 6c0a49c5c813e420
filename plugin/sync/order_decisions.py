"""What people do to an order of bol: read it again, choose a product, keep it, take pieces off it here."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, literal_column, or_, select, update
from sqlalchemy.orm import selectinload

from host_app.plugin_api import HostError, HostPort, speaking
from plugin.models import BolOrder, BolOrderItem, BolOrderState, Offer, Store
from plugin.sync.cancel_decisions import REQUEST_MARK, accept_if_wished, keep_order, still_here
from plugin.sync.dirty import mark_product_sold
from plugin.sync.failures import without_reference
from plugin.sync.links import remember
from plugin.sync.timeline import note, note_once
from plugin.texts import gettext as _


def want_import(host: HostPort, store_id: int) -> None:
    """Ask for an import at once. In a transaction."""
    host.session.execute(update(Store).where(Store.id == store_id).values(import_wanted_at=host.now()))


def locked(host: HostPort, store_id: int, order_row_id: int) -> BolOrder:
    """Return an order of bol, locked. In a transaction. :raises HostError: the store has no such order."""
    row: BolOrder | None = host.session.scalar(
        select(BolOrder)
        .where(BolOrder.id == order_row_id, BolOrder.store_id == store_id)
        .with_for_update(key_share=True)
    )
    if row is None:
        raise HostError(_("This order does not exist."))
    return row


def read_again(host: HostPort, row: BolOrder) -> None:
    """Read an order from bol at once. In a transaction."""
    row.read_due_at, row.attempts = host.now(), 0
    host.session.flush()


def put_back(host: HostPort, store_id: int, reference: str) -> bool:
    """Nothing of a stopped order is picked any more: what a person wants to accept is accepted, and the order is compared with
    bol again, which cancels it here where bol has.

    False where it is not known. In a transaction.
    """
    row = _known(host, store_id, reference)
    if row is not None:
        accept_if_wished(host, row)
        read_again(host, row)
    return row is not None


def reduced(host: HostPort, store_id: int, reference: str, order_id: int) -> bool:
    """A person took pieces off an order here: compare it with bol again; False where it is not known. In a transaction."""
    row = _known(host, store_id, reference)
    if row is None:
        return False
    read_again(host, row)
    view = host.order_views([order_id]).get(order_id)
    lines = [line for line in (view.lines if view else ()) if line.cancelled and line.external_ref]
    pieces = ", ".join(
        _(
            "%(count)s of %(all)s × item %(item)s",
            count=line.cancelled,
            all=line.quantity,
            item=line.external_ref,
        )
        for line in lines
    )
    fact = ",".join(sorted(f"{line.external_ref}={line.cancelled}" for line in lines))
    note_once(
        host,
        row.id,
        f"taken off: {fact}",
        _("Taken off here by hand, in all: %(pieces)s", pieces=pieces),
    )
    return True


def _known(host: HostPort, store_id: int, reference: str) -> BolOrder | None:
    row: BolOrder | None = host.session.scalar(
        select(BolOrder)
        .where(BolOrder.store_id == store_id, BolOrder.order_id == reference)
        .with_for_update(key_share=True)
    )
    return row


def keep(host: HostPort, row: BolOrder, who: str) -> None:
    """Ship an order although the customer asks to cancel it. In a transaction."""
    keep_order(host, row, who)
    if row.host_order_id is not None:
        host.mark_order(row.host_order_id, REQUEST_MARK, None)


def take_off_cancelled(host: HostPort, row: BolOrder, who: str) -> int:
    """Take off the order here what bol cancelled of it; return how many pieces. In a transaction.

    bol's cancellation of a part changes nothing here by itself: this is a person's answer to it.

    :raises HostError: nothing of that is open here any more, or some of it is picked.
    """
    view = host.order(row.host_order_id) if row.host_order_id is not None else None
    pieces = still_here(row, view) if view is not None else []
    if view is None or not pieces:
        raise HostError(_("Nothing that bol cancelled is open on this order any more."))
    lines = {line.external_ref: line for line in view.lines}
    # Products by rising id, as everywhere: their stock is freed.
    for item, count in sorted(pieces, key=lambda piece: lines[piece[0].order_item_id].product_id):
        host.take_off(view.order_id, lines[item.order_item_id].order_line_id, count, who)
    taken = ", ".join(f"{count} × {item.title or item.ean}" for item, count in pieces)
    with speaking(host.language):
        note(host, row.id, _("Taken off by %(who)s, as bol cancelled it: %(pieces)s", who=who, pieces=taken))
    return sum(count for _item, count in pieces)


def link_item(host: HostPort, row: BolOrder, item_row_id: int, code: str) -> None:
    """Choose the product of an item that waits for one; the order goes on. In a transaction.

    :raises HostError: the order does not wait, or no product has this code or barcode.
    """
    item = next((item for item in row.items if item.id == item_row_id), None)
    if row.state != BolOrderState.WAITING_FOR_PRODUCT or item is None:
        raise HostError(_("This order does not wait for a product any more."))
    _link(host, [(row, item)], code)


def link_waiting(host: HostPort, store_id: int, ean: str, code: str) -> int:
    """Choose the product of an EAN for every order that waits for it; return how many go on. In a transaction.

    :raises HostError: no product has this code or barcode, or no order waits any more.
    """
    waits = select(BolOrderItem.order_id).where(BolOrderItem.ean == ean, BolOrderItem.product_id.is_(None))
    # All of them before the first of their offers: who holds a later one may be waiting for these.
    rows = host.session.scalars(
        select(BolOrder)
        .where(
            BolOrder.store_id == store_id,
            BolOrder.state == BolOrderState.WAITING_FOR_PRODUCT,
            BolOrder.id.in_(waits),
        )
        .order_by(BolOrder.id)
        .with_for_update(key_share=True)
        .options(selectinload(BolOrder.items))
        .execution_options(populate_existing=True)
    ).all()
    waiting = [
        (row, item) for row in rows for item in row.items if item.ean == ean and item.product_id is None
    ]
    if not waiting:
        raise HostError(_("No order waits for this product any more."))
    _link(host, waiting, code)
    return len({row.id for row, _item in waiting})


def _link(host: HostPort, waiting: Sequence[tuple[BolOrder, BolOrderItem]], code: str) -> None:
    """Choose the product of items of one EAN, whose orders are locked."""
    wanted = code.strip()
    product_id = host.products_by_code([wanted]).get(wanted)
    if product_id is None:
        product_id = next(iter(host.products_by_barcode([wanted]).get(wanted, ())), None)
    if product_id is None:
        raise HostError(_("No product has the code or barcode %(code)s.", code=wanted))
    for _row, item in waiting:
        item.product_id = product_id
    host.session.flush()
    row, item = waiting[0]
    # Those that are linked now and those that were before: locked by rising id, all at once.
    host.session.execute(
        select(Offer.id)
        .where(
            or_(Offer.product_id == product_id, and_(Offer.store_id == row.store_id, Offer.ean == item.ean))
        )
        .order_by(Offer.id)
        .with_for_update()
    ).all()
    remember(host, row.store_id, item.ean, product_id)
    mark_product_sold(host, product_id)
    for row, item in waiting:
        read_again(host, row)
        with speaking(host.language):
            linked = _(
                "Item %(item)s linked to product %(product)s by hand",
                item=item.order_item_id,
                product=wanted,
            )
        note(host, row.id, linked)


def read_failed_again(host: HostPort, store_id: int, row_id: int) -> int:
    """Read every order at once that failed for the same reason as this one; return how many. In a transaction."""
    failed = dict(
        host.session.execute(
            select(BolOrder.id, BolOrder.error).where(
                BolOrder.store_id == store_id, literal_column("bol_order.error <> ''"), BolOrder.attempts >= 0
            )
        ).all()
    )
    reason = without_reference(failed.get(row_id, ""))
    alike = [other for other, error in failed.items() if reason and without_reference(error) == reason]
    if alike:
        host.session.execute(
            update(BolOrder)
            .where(BolOrder.id.in_(alike))
            .values(read_due_at=host.now(), attempts=0)
            .execution_options(synchronize_session=False)
        )
    return len(alike)
