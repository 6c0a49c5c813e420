"""Marks offers for the stock pump: raises the version of what may have to be told to bol."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import or_, select, update

from host_app.plugin_api import HostPort
from plugin.models import EanLink, Offer
from plugin.sync.context import Context
from plugin.sync.mapping import FBR

#: An amount up to this is near zero: it goes first, and so does what rises from it.
NEAR_ZERO = 5


def mark_all(host: HostPort, store_id: int) -> None:
    """Have every offer of a store looked at: "Send stock updates" or a stock setting changed. In a transaction."""
    change_offers(
        host.session,
        *(Offer.store_id == store_id, Offer.method == FBR, Offer.product_id.is_not(None)),
        dirty_version=Offer.dirty_version + 1,
        next_try_at=None,
        held_at=None,
    )


def mark_order_items(ctx: Context, eans: Iterable[str]) -> None:
    """What bol counts as open of these EANs changed: where bol subtracts it, the amounts change with it.

    In a transaction.
    """
    if ctx.settings.managed_by_retailer:
        return
    change_offers(
        ctx.host.session,
        *(Offer.store_id == ctx.store_id, Offer.ean.in_(list(eans)), Offer.product_id.is_not(None)),
        dirty_version=Offer.dirty_version + 1,
        held_at=None,
    )


def mark_pending(ctx: Context, eans: Collection[str], *, found: bool = True) -> None:
    """Pieces that the host does not have yet were sold, or given back, at bol. In a transaction.

    Every offer of their products follows, in other stores, too.

    :param found: by an order that was found just now. Its offers are sent again even where their amounts stay the
        same, as bol may have subtracted the order already.
    """
    if not eans:
        return
    host, session = ctx.host, ctx.host.session
    products = set(
        session.scalars(
            select(Offer.product_id).where(Offer.ean.in_(eans), Offer.product_id.is_not(None)).distinct()
        )
    )
    products |= set(session.scalars(select(EanLink.product_id).where(EanLink.ean.in_(eans))))
    # Their offer may be unknown here, while offers of other EANs sell the same product.
    products |= set(host.products_by_code(eans).values())
    products.update(*host.products_by_barcode(eans).values())
    rows = session.execute(
        select(
            Offer.id,
            Offer.store_id,
            Offer.ean,
            Offer.dirty_version,
            Offer.ordered_version,
            Offer.confirmed_amount,
        )
        .where(Offer.product_id.in_(products), Offer.method == FBR)
        # Rows are locked in one order everywhere, so that pump and dispatcher can't lock each other out.
        .order_by(Offer.id)
        .with_for_update()
    ).all()
    marks = []
    for row in rows:
        version = row.dirty_version + 1
        ordered = found and row.store_id == ctx.store_id and row.ean in eans
        marks.append(
            {
                "id": row.id,
                "dirty_version": version,
                "ordered_version": version if ordered else row.ordered_version,
                "urgent": near_zero(row.confirmed_amount),
                "held_at": None,
            }
        )
    if marks:
        session.execute(update(Offer), marks)


def mark_product_sold(host: HostPort, product_id: int) -> None:
    """Pieces of this product are sold, and nothing reserves them yet: its offers follow. In a transaction."""
    change_offers(
        host.session,
        *(Offer.product_id == product_id, Offer.method == FBR),
        dirty_version=Offer.dirty_version + 1,
        urgent=True,
        held_at=None,
    )


def near_zero(amount: int | None) -> bool:
    """Tell if an amount is so low, or so unknown, that its offer goes first."""
    return amount is None or amount <= NEAR_ZERO


def in_need(offers: Any) -> Any:
    """Return the condition of offers (a table or alias) that wait for the pump."""
    return (offers.dirty_version > offers.done_version) & offers.held_at.is_(None)


def held(offers: Any) -> Any:
    """Return the condition of offers whose 0 the guard keeps back until a person decides."""
    return offers.held_at.is_not(None) & (offers.dirty_version > offers.done_version)


def kept_on_sale(offers: Any) -> Any:
    """Return the condition of offers whose 0 is not sent, as a person decided at the guard: bol goes on selling them.

    Whatever has them looked at again ends it, as it takes the moment of the guard away.
    """
    bol_sells = offers.in_doubt | offers.confirmed_amount.is_(None) | (offers.confirmed_amount != 0)
    return offers.held_at.is_not(None) & (offers.dirty_version <= offers.done_version) & bol_sells


def ready(now: Any) -> Any:
    """Return the condition of offers whose next try is not in the future."""
    return or_(Offer.next_try_at.is_(None), Offer.next_try_at <= now)


def change_offers(session: Any, *conditions: Any, **values: Any) -> int:
    """Change the offers that meet these conditions; return how many. In a transaction.

    Rows are locked in one order everywhere, the store's before those of its offers and these by rising id, so that
    two that change several of them can't lock each other out.
    """
    locked = select(Offer.id).where(*conditions).order_by(Offer.id).with_for_update()
    changed = session.execute(
        update(Offer)
        .where(Offer.id.in_(locked))
        .values(**values)
        # Nobody has loaded them here, and a store may have very many.
        .execution_options(synchronize_session=False)
    )
    return int(changed.rowcount)


def lock_offers(session: Any, row_ids: Iterable[int]) -> None:
    """Lock offers that are about to be changed in several statements, in the same order."""
    ids = list(row_ids)
    if len(ids) > 1:
        session.execute(select(Offer.id).where(Offer.id.in_(ids)).order_by(Offer.id).with_for_update()).all()
