"""What bol should show as the stock of an offer, by the store's rules: the pump sends it, the check compares with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import func, select

from host_app.plugin_api import HostPort
from plugin.models import BolOrder, BolOrderItem, EanLink, Offer, OfferState, ProductRule, Store
from plugin.models.orders import NOT_IN_HOST
from plugin.settings import MAX_AMOUNT, StoreSettings
from plugin.sync.eans import other_forms
from plugin.sync.mapping import FBR
from plugin.sync.pending import open_of_offers

CHUNK = 500


class Offered(Protocol):
    """What must be known of an offer: a row of ours is one."""

    @property
    def id(self) -> int: ...
    @property
    def offer_id(self) -> str: ...
    @property
    def ean(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def product_id(self) -> int | None: ...
    @property
    def excluded(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Making:
    """What makes the amount of one offer, in pieces: free stock, less orders to come in, plus what bol subtracts itself, less
    what is kept back. ``amount`` is that, from 0 to the most that is shown; ``reserved``: what free stock lacks of what is
    there."""

    free: int
    reserved: int
    pending: int
    open_at_bol: int
    kept: int
    amount: int


def amount_to_send(
    settings: StoreSettings, free: int, pending: int, open_at_bol: int = 0, safety_stock: int | None = None
) -> int:
    """Return the stock amount for bol, in pieces.

    With ``managedByRetailer`` true bol subtracts only orders placed after this update, so the amount is net of all
    that is known: free stock, less what is sold but not in the host yet. With false bol subtracts all open orders of
    this offer itself, so they are put back. (bol Offers API v11, UpdateStock.)

    :param pending: pieces of the product sold at bol, by any offer of any store, that the host does not have yet.
    :param open_at_bol: pieces of this very offer that bol counts as open and that were taken off ``free`` or by
        ``pending``. Counts only with ``managedByRetailer`` false.
    :param safety_stock: of this product; None takes the store's.
    """
    amount = free - pending if settings.managed_by_retailer else free - pending + open_at_bol
    kept = settings.safety_stock if safety_stock is None else safety_stock
    return max(0, min(amount - kept, settings.max_stock, MAX_AMOUNT))


def amounts(
    host: HostPort, store_id: int, settings: StoreSettings, offers: Sequence[Offered]
) -> dict[int, int | None]:
    """Return the amount that bol should have, by the offers' row ids. The number of queries does not grow with them.

    None: nothing may be sent, as bol ships it, the offer is gone or kept out, has no product, or its stock is not
    known. In a transaction, for reading at least.
    """
    made = makings(host, store_id, settings, offers)
    return {offer.id: made[offer.id].amount if offer.id in made else None for offer in offers}


def makings(
    host: HostPort, store_id: int, settings: StoreSettings, offers: Sequence[Offered]
) -> dict[int, Making]:
    """Return how each amount that may be sent is made, by the offers' row ids. As :func:`amounts`."""
    session = host.session
    ours = [offer for offer in offers if may_be_sent(offer)]
    ids = sorted({offer.product_id for offer in ours if offer.product_id is not None})
    # Orders that are still to come in are read before the free stock: where one comes in between, it is subtracted
    # twice for a moment, never not at all.
    pending = pending_of_products(host, ids)
    open_now: Mapping[str, int] = {} if settings.managed_by_retailer else open_of_offers(host, store_id, ours)
    safety = _safety_stocks(session, store_id, ids)
    stock = host.free_stock(ids, settings.stock_warehouses or None)
    found: dict[int, Making] = {}
    for offer in ours:
        product_id = offer.product_id or 0
        here = stock.get(product_id)
        if here is None or not here.known:
            continue
        coming, opened = pending.get(product_id, 0), open_now.get(offer.offer_id, 0)
        kept = safety.get(product_id, settings.safety_stock)
        amount = amount_to_send(settings, here.free, coming, opened, kept)
        found[offer.id] = Making(here.free, here.reserved, coming, opened, kept, amount)
    return found


def may_be_sent(offer: Offered) -> bool:
    """Tell if the offer is ours to update: shipped by us, listed, with a product, and not kept out by a person."""
    return (
        offer.method == FBR
        and offer.state == OfferState.LISTED
        and not offer.excluded
        and offer.product_id is not None
    )


def is_at_bol(offer: Offer, amount: int | None, settings: StoreSettings) -> bool:
    """Tell if bol confirmed this amount, with the flag that the settings call for, and after any order it subtracted."""
    managed = settings.managed_by_retailer
    return (
        not offer.in_doubt
        and offer.confirmed_amount == amount
        and offer.confirmed_managed == managed
        and (not managed or offer.confirmed_version >= offer.ordered_version)
    )


def pending_of_products(host: HostPort, product_ids: Iterable[int]) -> dict[int, int]:
    """Return, by product, the open pieces of orders of all stores that are found but not in the host.

    An item is of the product that a person chose for it; else of each that has its EAN as code or barcode, or by an
    offer. Counted too often rather than too seldom. In a transaction.
    """
    session, ids = host.session, list(dict.fromkeys(product_ids))
    found: dict[int, int] = {}
    owners = _owners(host, ids)
    for chunk in _chunks(owners):
        rows = session.execute(_open_pieces(BolOrderItem.ean).where(BolOrderItem.ean.in_(chunk)))
        for ean, pieces in rows:
            for product_id in owners[ean]:
                found[product_id] = found.get(product_id, 0) + int(pieces)
    for chunk in _chunks(ids):
        rows = session.execute(
            # Naming the stores lets the database use its index, which begins with the store.
            _open_pieces(BolOrderItem.product_id, chosen=True).where(
                BolOrder.store_id.in_(select(Store.id)), BolOrderItem.product_id.in_(chunk)
            )
        )
        for product_id, pieces in rows:
            found[product_id] = found.get(product_id, 0) + int(pieces)
    return found


def _open_pieces(by: Any, *, chosen: bool = False) -> Any:
    return (
        select(by, func.sum(BolOrderItem.quantity - BolOrderItem.shipped - BolOrderItem.cancelled))
        .join(BolOrder)
        .where(
            BolOrder.state.in_(NOT_IN_HOST),
            BolOrderItem.product_id.is_not(None) if chosen else BolOrderItem.product_id.is_(None),
            BolOrderItem.method.in_((FBR, "")),
            BolOrderItem.quantity > BolOrderItem.shipped + BolOrderItem.cancelled,
        )
        .group_by(by)
    )


def _owners(host: HostPort, product_ids: Sequence[int]) -> dict[str, set[int]]:
    """Return, by EAN, the products among these that an order item of it may turn out to be."""
    found: dict[str, set[int]] = {}
    for product in host.products(product_ids).values():
        for number in (product.code, *product.barcodes):
            for ean in (number, *other_forms(number)):
                found.setdefault(ean, set()).add(product.product_id)
    for chunk in _chunks(product_ids):
        rows = host.session.execute(
            select(Offer.ean, Offer.product_id).where(Offer.product_id.in_(chunk)).distinct()
        )
        for ean, product_id in rows:
            found.setdefault(ean, set()).add(product_id)
        linked = host.session.execute(
            select(EanLink.ean, EanLink.product_id).where(EanLink.product_id.in_(chunk)).distinct()
        )
        for ean, product_id in linked:
            found.setdefault(ean, set()).add(product_id)
    return found


def _safety_stocks(session: Any, store_id: int, product_ids: Sequence[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for chunk in _chunks(product_ids):
        rows = session.execute(
            select(ProductRule.product_id, ProductRule.safety_stock).where(
                ProductRule.store_id == store_id, ProductRule.product_id.in_(chunk)
            )
        )
        found |= dict(rows.all())
    return found


def _chunks(values: Iterable[Any]) -> Iterable[list[Any]]:
    unique = list(values)
    for start in range(0, len(unique), CHUNK):
        yield unique[start : start + CHUNK]
