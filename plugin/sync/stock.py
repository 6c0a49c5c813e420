"""Stock changes of the host: which offers follow a product, and which of them the stock pump must look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select, update

from host_app.plugin_api import HostPort, Level, Notice, ProductView, StockChange
from plugin.models import Offer, OfferState
from plugin.sync.context import store_url
from plugin.sync.dirty import near_zero
from plugin.sync.mapping import FBR

CHUNK = 500


def mark(host: HostPort, changes: Sequence[StockChange]) -> set[int]:
    """Mark the offers that follow these products as to be sent; return the stores they are in. In a transaction.

    An offer follows the product that has its EAN as code or barcode; of several, the one modified last.
    """
    session = host.session
    products = host.products(change.product_id for change in changes)
    followers: dict[str, StockChange] = {}
    for change in sorted(changes, key=lambda change: change.history_id):
        product = products.get(change.product_id)
        if product is not None:
            followers |= dict.fromkeys((product.code, *product.barcodes), change)
    stores: set[int] = set()
    updates: list[dict[str, Any]] = []
    for chunk in _chunks(followers):
        rows = session.execute(
            select(
                Offer.id,
                Offer.store_id,
                Offer.ean,
                Offer.product_id,
                Offer.product_history_id,
                Offer.dirty_version,
                Offer.confirmed_amount,
            )
            .where(Offer.ean.in_(chunk), Offer.method == FBR, Offer.state == OfferState.LISTED)
            # Rows are locked in one order everywhere, so that pump and dispatcher can't lock each other out.
            .order_by(Offer.id)
            .with_for_update()
        )
        for row in rows:
            change = followers[row.ean]
            if row.product_id not in (None, change.product_id) and row.product_history_id > change.history_id:
                continue
            updates.append(
                {
                    "id": row.id,
                    "product_id": change.product_id,
                    "product_history_id": max(change.history_id, row.product_history_id),
                    "dirty_version": row.dirty_version + 1,
                    "urgent": near_zero(change.free_stock) or near_zero(row.confirmed_amount),
                    "held_at": None,
                }
            )
            stores.add(row.store_id)
    if updates:
        session.execute(update(Offer), updates)
    return stores


def mark_product(host: HostPort, product_id: int) -> set[int]:
    """A product is new or changed: offers with its code or barcodes follow it from now on. In a transaction."""
    stock = host.free_stock([product_id]).get(product_id)
    product = host.products([product_id]).get(product_id)
    if stock is None or product is None:
        return set()
    _unlink_lost(host, product)
    return mark(host, [StockChange(product_id, stock.history_id, stock.free)])


def _unlink_lost(host: HostPort, product: ProductView) -> None:
    """Offers whose EAN the product does not have any more follow it no longer; people are told. In a transaction."""
    session = host.session
    lost = session.scalars(
        select(Offer)
        .where(Offer.product_id == product.product_id, Offer.ean.not_in([product.code, *product.barcodes]))
        .order_by(Offer.id)
        .with_for_update()
    ).all()
    for offer in lost:
        offer.product_id, offer.product_history_id = None, 0
        host.notify(
            Notice(
                key=f"bol:{offer.store_id}:unlinked:{offer.offer_id}:{host.now():%Y-%m-%d}",
                kind="bol.stock",
                level=Level.WARNING,
                title=f"The bol offer of {offer.ean} has no product any more",
                body=f"Product {product.code} has lost this code or barcode. bol goes on selling what it was told last, "
                f"{offer.confirmed_amount if offer.confirmed_amount is not None else 'an unknown number of'} pieces: "
                "give a product this barcode, or change the stock at bol.",
                url=f"{store_url(offer.store_id)}offers",
            )
        )
    session.flush()


def _chunks(values: Iterable[str]) -> Iterable[list[str]]:
    unique = list(values)
    for start in range(0, len(unique), CHUNK):
        yield unique[start : start + CHUNK]
