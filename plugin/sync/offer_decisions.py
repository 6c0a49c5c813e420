"""What a person decides about one offer: its product, if it is kept out of stock updates, its safety stock."""

from __future__ import annotations

from sqlalchemy import delete, select, update

from host_app.plugin_api import HostError, HostPort
from plugin.models import (
    BolOrder,
    BolOrderItem,
    BolOrderState,
    Offer,
    OfferLink,
    OfferState,
    ProductRule,
    Store,
)
from plugin.settings import MAX_AMOUNT
from plugin.sync.context import is_active, settings_of
from plugin.sync.links import choose, forget, release, trust_no_more
from plugin.sync.mapping import FBR
from plugin.texts import gettext as _


def locked(host: HostPort, store_id: int, row_id: int) -> Offer:
    """Return an offer, locked. In a transaction. :raises HostError: the store has no such offer."""
    row: Offer | None = host.session.scalar(
        select(Offer)
        .where(Offer.id == row_id, Offer.store_id == store_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise HostError(_("This offer does not exist."))
    return row


def link(host: HostPort, store_id: int, row_id: int, code: str) -> None:
    """Link an offer to the product with a code or barcode, and let orders that wait for it go on. In a transaction.

    :raises HostError: there is no such offer, bol ships it, or no product has this code or barcode.
    """
    offer_id = host.session.scalar(
        select(Offer.offer_id).where(Offer.id == row_id, Offer.store_id == store_id)
    )
    waiting = (
        select(BolOrder.id)
        .where(
            BolOrder.store_id == store_id,
            BolOrder.state == BolOrderState.WAITING_FOR_PRODUCT,
            BolOrder.id.in_(select(BolOrderItem.order_id).where(BolOrderItem.offer_id == offer_id)),
        )
        .order_by(BolOrder.id)
        .with_for_update(key_share=True)
    )
    # Orders before offers, as whoever takes an order over locks them.
    host.session.execute(
        update(BolOrder).where(BolOrder.id.in_(waiting)).values(read_due_at=host.now(), attempts=0)
    )
    row = locked(host, store_id, row_id)
    if row.method != FBR:
        raise HostError(_("bol ships this offer from its own warehouse: it has no product here."))
    wanted = code.strip()
    product_id = host.products_by_code([wanted]).get(wanted)
    if product_id is None:
        product_id = next(iter(host.products_by_barcode([wanted]).get(wanted, ())), None)
    if product_id is None:
        raise HostError(
            _("No product has the code or barcode %(code)s.", code=wanted)
            if wanted
            else _("Enter a code or barcode.")
        )
    forget(host, row.store_id, row.ean)
    choose(host, row, product_id)


def unlink(host: HostPort, row: Offer) -> None:
    """Take an offer's product away; nothing links it again by itself, and bol is told nothing. In a transaction.

    :raises HostError: it has none.
    """
    if row.product_id is None:
        raise HostError(_("This offer has no product."))
    forget(host, row.store_id, row.ean)
    row.product_id, row.link, row.product_history_id = None, OfferLink.UNLINKED, 0
    # What was about to be sent was the stock of the product.
    row.done_version, row.next_try_at, row.held_at = row.dirty_version, None, None
    row.wanted_amount, row.attempts, row.error = None, 0, ""
    trust_no_more(row)
    host.session.flush()


def match_again(host: HostPort, row: Offer) -> None:
    """Forget what a person chose, and look for the product by EAN again. In a transaction.

    :raises HostError: nobody chose anything.
    """
    if row.link not in (OfferLink.HAND, OfferLink.UNLINKED):
        raise HostError(_("This offer finds its product by itself already."))
    forget(host, row.store_id, row.ean)
    release(host, row)


def push(host: HostPort, row: Offer) -> None:
    """Send an offer's amount at once, also where bol is thought to have it already. In a transaction.

    :raises HostError: it can't be sent, and why.
    """
    store = host.session.get(Store, row.store_id)
    if store is None or not (is_active(store) and settings_of(store).send_stock):
        raise HostError(
            _("This store sends no stock updates: activate it, and turn them on in the settings.")
        )
    if row.method != FBR or row.state != OfferState.LISTED:
        raise HostError(
            _("bol ships this offer itself, or does not have it any more: its stock is not sent.")
        )
    if row.product_id is None:
        raise HostError(_("This offer has no product: link it first."))
    if row.excluded:
        raise HostError(_("This offer is kept out of stock updates: include it first."))
    if row.held_at is not None and row.dirty_version > row.done_version:
        raise HostError(
            _("The guard keeps this 0 back: press “Send 0 for these” on the store's page if it is right.")
        )
    _look_again(row)
    row.held_at, row.urgent = None, True
    trust_no_more(row)
    host.session.flush()


def exclude(host: HostPort, row: Offer, excluded: bool) -> None:
    """Keep an offer out of stock updates, or let it in again: its amount is then sent. In a transaction."""
    row.excluded = excluded
    if not excluded:
        trust_no_more(row)
    row.held_at = None
    _look_again(row)
    host.session.flush()


def set_safety_stock(host: HostPort, store_id: int, row_id: int, pieces: int | None) -> None:
    """Keep back so many pieces of the offer's product in this store; None: as many as its settings say.

    In a transaction. :raises HostError: it has no product, or the number can't be used.
    """
    session = host.session
    product_id = session.scalar(
        select(Offer.product_id).where(Offer.id == row_id, Offer.store_id == store_id)
    )
    if product_id is None:
        raise HostError(_("This offer has no product."))
    if pieces is not None and not 0 <= pieces <= MAX_AMOUNT:
        raise HostError(_("Choose 0 to %(most)s pieces.", most=MAX_AMOUNT))
    mine = (ProductRule.store_id == store_id, ProductRule.product_id == product_id)
    session.execute(delete(ProductRule).where(*mine))
    if pieces is not None:
        session.add(ProductRule(store_id=store_id, product_id=product_id, safety_stock=pieces))
    offers = session.scalars(
        select(Offer)
        .where(Offer.store_id == store_id, Offer.product_id == product_id)
        .order_by(Offer.id)
        .with_for_update()
    )
    for offer in offers:
        offer.held_at = None
        _look_again(offer)
    session.flush()


def _look_again(row: Offer) -> None:
    row.dirty_version += 1
    row.next_try_at, row.attempts = None, 0
