"""Links from offers to products: made by EAN, followed when stock or EANs change, never moved where a person chose."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from host_app.plugin_api import FreeStock, HostPort, Level, Notice, StockChange
from plugin.models import EanLink, Offer, OfferLink, OfferState, Store
from plugin.settings import StoreSettings
from plugin.sync.context import Context, store_url
from plugin.sync.dirty import lock_offers, near_zero
from plugin.sync.eans import other_forms
from plugin.sync.mapping import FBR
from plugin.sync.matching import Match, find_matches
from plugin.texts import gettext as _

#: Changes that are looked up together; no host tells many more at once.
CHUNK = 200
#: What bol showed of an offer that nothing here followed counts for so long: people change such offers at bol.
SEEN_LATELY = timedelta(minutes=15)
BY_HAND = (OfferLink.HAND, OfferLink.UNLINKED)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A product that changed, with the newest row of its stock history."""

    product_id: int
    history_id: int


def mark(host: HostPort, changes: Sequence[StockChange]) -> set[int]:
    """Mark the offers that follow these products as to be sent; return the stores they are in. In a transaction.

    An offer follows the product that has its EAN as code or barcode; of several, the one modified last. One that a
    person linked follows that product only.
    """
    in_order = sorted(changes, key=lambda change: change.history_id)
    parts = [_Followed(host, in_order[start : start + CHUNK]) for start in range(0, len(in_order), CHUNK)]
    if len(parts) > 1:
        # All of them by rising id: those of the second part may come before those of the first.
        lock_offers(
            host.session, {row for part in parts for row in host.session.scalars(part.offers(Offer.id))}
        )
    stores: set[int] = set()
    for part in parts:
        stores |= _mark_part(host, part)
    return stores


class _Followed:
    """What is looked for after changes of stock: the numbers of their products, and which change each of them follows."""

    def __init__(self, host: HostPort, changes: Sequence[StockChange]) -> None:
        products = host.products(change.product_id for change in changes)
        self.own = {change.product_id: change for change in changes}
        self.exact: dict[str, StockChange] = {}
        for change in changes:
            product = products.get(change.product_id)
            if product is not None:
                self.exact |= dict.fromkeys((product.code, *product.barcodes), change)
        self.others = {form: change for ean, change in self.exact.items() for form in other_forms(ean)}

    def offers(self, *columns: Any) -> Any:
        """Select these columns of the offers that may follow."""
        return select(*columns).where(
            or_(
                Offer.ean.in_([*self.exact, *self.others]),
                and_(Offer.product_id.in_(list(self.own)), Offer.link == OfferLink.HAND),
            ),
            Offer.method == FBR,
            Offer.state == OfferState.LISTED,
        )


def _mark_part(host: HostPort, changes: _Followed) -> set[int]:
    session = host.session
    rows = session.execute(
        changes.offers(
            Offer.id,
            Offer.store_id,
            Offer.ean,
            Offer.product_id,
            Offer.product_history_id,
            Offer.link,
            Offer.dirty_version,
            Offer.changed_at,
            Offer.changed_version,
            Offer.done_version,
            Offer.confirmed_amount,
        )
        # Rows are locked in one order everywhere, so that pump and dispatcher can't lock each other out.
        .order_by(Offer.id)
        .with_for_update()
    )
    stores: set[int] = set()
    updates: list[dict[str, Any]] = []
    for row in rows:
        if row.link in BY_HAND:
            followed = changes.own.get(row.product_id) if row.link == OfferLink.HAND else None
        else:
            followed = changes.exact.get(row.ean) or _same_number(row, changes.others)
        if followed is None or _is_older(row, followed) or _is_its_making(row, followed):
            continue
        updates.append(
            {
                "id": row.id,
                "product_id": followed.product_id,
                "product_history_id": max(followed.history_id, row.product_history_id),
                "link": row.link if row.product_id == followed.product_id else OfferLink.AUTO,
                "dirty_version": row.dirty_version + 1,
                "changed_at": _changed_at(row, followed.at or host.now()),
                "changed_version": row.dirty_version + 1,
                "urgent": near_zero(followed.free_stock) or near_zero(row.confirmed_amount),
                "held_at": None,
            }
        )
        stores.add(row.store_id)
    if updates:
        session.execute(update(Offer), updates)
    return stores


def _changed_at(row: Any, at: datetime) -> datetime:
    """Return since when an offer waits for the pump: an earlier change may wait already."""
    waiting = row.changed_version == row.dirty_version > row.done_version and row.changed_at is not None
    return row.changed_at if waiting else at


def _same_number(row: Any, others: Mapping[str, StockChange]) -> StockChange | None:
    """A product with the number in another form takes an offer that nobody has, from no other product."""
    change = others.get(row.ean)
    return change if change is not None and row.product_id in (None, change.product_id) else None


def _is_older(row: Any, change: StockChange) -> bool:
    return bool(
        row.product_id not in (None, change.product_id) and row.product_history_id > change.history_id
    )


def _is_its_making(row: Any, change: StockChange) -> bool:
    """The stock that a product was imported with is what bol has: telling bol would be an echo."""
    return bool(
        row.link == OfferLink.CREATED
        and row.product_id == change.product_id
        and row.product_history_id == change.history_id
    )


def mark_product(host: HostPort, product_id: int, lost: Iterable[str] = ()) -> set[int]:
    """A product is new or changed: link its offers anew; return the stores where that changed one. In a transaction.

    :param lost: codes and barcodes that it had before.
    """
    product = host.products([product_id]).get(product_id)
    stock = host.free_stock([product_id]).get(product_id)
    if product is None or stock is None:
        return set()
    written = dict.fromkeys((product.code, *product.barcodes, *lost))
    eans = [*written, *(form for ean in written for form in other_forms(ean))]
    session = host.session
    rows = session.scalars(
        select(Offer)
        .where(or_(Offer.ean.in_(eans), and_(Offer.product_id == product_id, Offer.link.not_in(BY_HAND))))
        .order_by(Offer.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    seen = _Seen(product_id, stock.history_id)
    stores: set[int] = set()
    for store in session.scalars(select(Store).where(Store.id.in_({row.store_id for row in rows}))):
        of_store = [row for row in rows if row.store_id == store.id]
        lookup = StoreSettings.load(store.settings).lookup
        matches = find_matches(host, lookup, [row.ean for row in of_store])
        if _settle(host, of_store, matches, changed=seen):
            stores.add(store.id)
    return stores


def link_offers(ctx: Context, matches: Mapping[str, Match], made_from: Collection[str] = ()) -> None:
    """Bring the store's offers of these EANs to what the host has for each. In a transaction.

    :param made_from: ids of the offers at bol from which their products were made just now: bol knows their stock.
    """
    session = ctx.host.session
    found = session.execute(
        select(
            Offer.id,
            Offer.ean,
            Offer.method,
            Offer.link,
            Offer.product_id,
            Offer.product_history_id,
            Offer.candidates,
        ).where(Offer.store_id == ctx.store_id, Offer.ean.in_(list(matches)))
    ).all()
    # Most often nothing is new: a hundred whole rows are not worth loading then.
    stale = [
        row.id
        for row in found
        if row.candidates != matches[row.ean].candidates
        or row.product_id != _product_for(row, matches[row.ean], None)
    ]
    if not stale:
        return
    rows = session.scalars(
        select(Offer)
        .where(Offer.id.in_(stale))
        .order_by(Offer.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    _settle(ctx.host, rows, matches, made_from=made_from)


def remember(host: HostPort, store_id: int, ean: str, product_id: int) -> None:
    """Keep the product that a person chose for an EAN that orders wait for, and link its offers. In a transaction."""
    if not ean:
        return
    session = host.session
    insert: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    # Somebody may choose one for another order of this EAN at the same moment: the later choice counts.
    session.execute(
        insert(EanLink)
        .values(store_id=store_id, ean=ean, product_id=product_id)
        .on_conflict_do_update(index_elements=["store_id", "ean"], set_={"product_id": product_id})
    )
    _link_chosen(host, store_id, {ean: product_id})


def forget(host: HostPort, store_id: int, ean: str) -> None:
    """A person decided about an offer of this EAN: what was chosen for an order counts no more. In a transaction."""
    host.session.execute(delete(EanLink).where(EanLink.store_id == store_id, EanLink.ean == ean))


def remembered(session: Any, store_id: int, eans: Iterable[str]) -> dict[str, int]:
    """Return the products that a person chose for these EANs when orders waited for them."""
    rows = session.execute(
        select(EanLink.ean, EanLink.product_id).where(
            EanLink.store_id == store_id, EanLink.ean.in_([ean for ean in eans if ean])
        )
    )
    return {ean: product_id for ean, product_id in rows}


def link_remembered(ctx: Context, eans: Iterable[str]) -> None:
    """Link offers that are new here as a person chose, where no product has their EAN. In a transaction."""
    if chosen := remembered(ctx.host.session, ctx.store_id, eans):
        matches = find_matches(ctx.host, ctx.settings.lookup, chosen)
        nobody = {ean: product for ean, product in chosen.items() if matches[ean].product is None}
        _link_chosen(ctx.host, ctx.store_id, nobody)


def _link_chosen(host: HostPort, store_id: int, products: Mapping[str, int]) -> None:
    if not products:
        return
    rows = host.session.scalars(
        select(Offer)
        .where(
            Offer.store_id == store_id,
            Offer.ean.in_(list(products)),
            Offer.product_id.is_(None),
            Offer.method == FBR,
            Offer.link != OfferLink.UNLINKED,
        )
        .order_by(Offer.id)
        .with_for_update()
    ).all()
    for row in rows:
        choose(host, row, products[row.ean])


def hand_links(session: Any, store_id: int, offer_ids: Iterable[str]) -> dict[str, int]:
    """Return the products that people chose for these offers, by bol's ids of the offers."""
    rows = session.execute(
        select(Offer.offer_id, Offer.product_id).where(
            Offer.store_id == store_id,
            Offer.offer_id.in_([offer_id for offer_id in offer_ids if offer_id]),
            Offer.link == OfferLink.HAND,
            Offer.product_id.is_not(None),
        )
    )
    return {offer_id: product_id for offer_id, product_id in rows}


def kept_by_hand(session: Any, store_id: int, eans: Iterable[str]) -> set[str]:
    """Return the EANs of which a person decided what product their offers have, or that they have none."""
    return set(
        session.scalars(
            select(Offer.ean).where(
                Offer.store_id == store_id, Offer.ean.in_(list(eans)), Offer.link.in_(BY_HAND)
            )
        )
    )


def choose(host: HostPort, row: Offer, product_id: int) -> None:
    """Link an offer to the product that a person chose; only a person changes that. In a transaction."""
    row.product_id, row.link = product_id, OfferLink.HAND
    stock = host.free_stock([product_id])
    row.product_history_id = _history(stock, product_id)
    row.next_try_at, row.attempts = None, 0
    trust_no_more(row)
    _mark(row, stock)
    host.session.flush()


def release(host: HostPort, row: Offer) -> None:
    """Let an offer find its product by its EAN again. In a transaction."""
    store = host.session.get(Store, row.store_id)
    matches = find_matches(host, StoreSettings.load(store.settings).lookup, [row.ean])
    row.link = OfferLink.AUTO
    if row.product_id not in matches.get(row.ean, Match()).products:
        row.product_id = None
    _settle(host, [row], matches)


def _settle(
    host: HostPort,
    rows: Collection[Offer],
    matches: Mapping[str, Match],
    *,
    changed: _Seen | None = None,
    made_from: Collection[str] = (),
) -> bool:
    """Give each offer its product and the number of those that have its EAN; tell if a link changed."""
    moving: list[tuple[Offer, int | None]] = []
    for row in rows:
        match = matches.get(row.ean, Match())
        if row.candidates != match.candidates:
            row.candidates = match.candidates
        product_id = _product_for(row, match, changed)
        if product_id != row.product_id:
            moving.append((row, product_id))
    stock = host.free_stock(product_id for _row, product_id in moving if product_id is not None)
    for row, product_id in moving:
        lost = row.product_id if product_id is None else None
        made = row.offer_id in made_from
        seen = row.confirmed_at is not None and row.confirmed_at > host.now() - SEEN_LATELY
        if row.product_id is None and not (made or seen):
            trust_no_more(row)
        row.product_id, row.link = product_id, OfferLink.CREATED if made else OfferLink.AUTO
        row.product_history_id = _history(stock, product_id)
        if not made:
            _mark(row, stock)
        if lost is not None:
            _tell_of_loss(host, row, lost)
    host.session.flush()
    return bool(moving)


def _product_for(row: Any, match: Match, changed: _Seen | None) -> int | None:
    product_id: int | None = row.product_id
    if row.link in BY_HAND or row.method != FBR:
        return product_id
    if product_id not in match.products:
        return match.product
    if (
        changed is not None
        and changed.product_id in match.products
        and changed.history_id > row.product_history_id
    ):
        return changed.product_id
    return product_id


def trust_no_more(row: Offer) -> None:
    """Have an offer's amount sent even where bol is thought to have it: nobody here has seen to that for a while."""
    row.confirmed_managed = None


def _mark(row: Offer, stock: Mapping[int, FreeStock]) -> None:
    """Let the pump look at an offer whose product is another one now."""
    free = None if row.product_id is None else stock.get(row.product_id)
    row.dirty_version += 1
    row.urgent = near_zero(free.free if free else None) or near_zero(row.confirmed_amount)
    row.held_at = None


def _history(stock: Mapping[int, FreeStock], product_id: int | None) -> int:
    """Return the newest row of a product's stock history, 0 for none."""
    found = None if product_id is None else stock.get(product_id)
    return found.history_id if found else 0


def _tell_of_loss(host: HostPort, row: Offer, product_id: int) -> None:
    product = host.products([product_id]).get(product_id)
    values = {"product": product.code if product else product_id, "pieces": row.confirmed_amount}
    host.notify(
        Notice(
            key=f"bol:{row.store_id}:unlinked:{row.offer_id}:{host.now():%Y-%m-%d}",
            kind="bol.stock",
            level=Level.WARNING,
            title=_("The bol offer of %(ean)s has no product any more", ean=row.ean),
            body=_(
                "Product %(product)s has lost this code or barcode. bol goes on selling what it was told last: give a "
                "product this barcode, or change the stock at bol.",
                **values,
            )
            if row.confirmed_amount is None
            else _(
                "Product %(product)s has lost this code or barcode. bol goes on selling what it was told last, %(pieces)s "
                "pieces: give a product this barcode, or change the stock at bol.",
                **values,
            ),
            url=f"{store_url(row.store_id)}offers/{row.id}",
        )
    )
