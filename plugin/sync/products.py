"""Products and offers: bol's offers in our own table, linked to the host's products by EAN, created where unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import select, update

from host_app.plugin_api import HostPort, NewProduct
from plugin import connector
from plugin.connector import BolClient, BolError
from plugin.models import Offer, OfferState, Run, RunState, Store
from plugin.settings import BARCODE_FIRST, StoreSettings
from plugin.sync.context import CALL_SECONDS, Context
from plugin.sync.failures import come_back
from plugin.sync.mapping import FBR
from plugin.sync.pending import all_pending, pending_quantities

KIND = "product import"
PAGE_SIZE = 100
TITLES_AT_ONCE = 8
#: A reference of bol may have 100 characters; as a product code it would be of no use to anybody.
LONGEST_CODE = 40
#: How often a walk that creates products looks if the order list was read.
ORDERS_FIRST = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A product to create for an offer, or for an order item whose offer can't be read (``stock`` None)."""

    ean: str
    name: str
    reference: str
    price: Decimal | None
    stock: int | None


def find_products(host: HostPort, settings: StoreSettings, eans: Iterable[str]) -> dict[str, int]:
    """Return the product of each EAN, searched as the store's settings say; by barcode the first found wins.

    In a transaction.
    """
    wanted = list(dict.fromkeys(ean for ean in eans if ean))
    by_code = dict(host.products_by_code(wanted))
    by_barcode = {ean: ids[0] for ean, ids in host.products_by_barcode(wanted).items()}
    return by_code | by_barcode if settings.lookup == BARCODE_FIRST else by_barcode | by_code


def record_offers(ctx: Context, offers: Sequence[connector.Offer]) -> None:
    """Keep what bol says of these offers. What bol shows counts as confirmed until we have sent something.

    In a transaction.
    """
    session, now = ctx.host.session, ctx.now()
    known = {
        row.offer_id: row
        for row in session.scalars(
            select(Offer).where(
                Offer.store_id == ctx.store_id, Offer.offer_id.in_([offer.offer_id for offer in offers])
            )
        )
    }
    for offer in offers:
        row = known.get(offer.offer_id)
        if row is None:
            row = known[offer.offer_id] = Offer(
                store_id=ctx.store_id,
                offer_id=offer.offer_id,
                title="",
                product_history_id=0,
                dirty_version=0,
                done_version=0,
                attempts=0,
                error="",
                confirmed_amount=offer.amount,
                confirmed_managed=offer.managed_by_retailer,
                confirmed_at=now,
            )
            session.add(row)
        row.ean, row.method, row.price = offer.ean, offer.method, offer.price
        row.reference = (offer.reference or "")[:100]
        row.title = (offer.title or row.title)[:500]
        row.corrected_stock = offer.corrected_stock
        if row.state == OfferState.GONE:
            row.dirty_version += 1
        row.state, row.seen_at = OfferState.LISTED, now
    session.flush()


def link_offers(ctx: Context, products: Mapping[str, int]) -> None:
    """Link the store's offers of these EANs that have no product yet, and let the pump look at them.

    In a transaction.
    """
    if not products:
        return
    session = ctx.host.session
    rows = session.execute(
        select(Offer.id, Offer.ean).where(
            Offer.store_id == ctx.store_id,
            Offer.ean.in_(list(products)),
            Offer.method == FBR,
            Offer.product_id.is_(None),
        )
    ).all()
    if not rows:
        return
    history = ctx.host.free_stock(products[row.ean] for row in rows)
    for offer_id, ean in rows:
        product_id = products[ean]
        session.execute(
            update(Offer)
            .where(Offer.id == offer_id)
            .values(
                product_id=product_id,
                product_history_id=history[product_id].history_id if product_id in history else 0,
                dirty_version=Offer.dirty_version + 1,
            )
        )


def create_products(
    ctx: Context, wanted: Sequence[Wanted], pending: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Create the products that are still unknown and return them by EAN.

    Stock: what bol would sell, plus the open pieces of bol orders that the host will reserve when it gets them.
    In a transaction.

    :param pending: those pieces by EAN, as they were known before bol was asked what it would sell: an order that
        came in between is then counted too low, never too high.
    """
    found = find_products(ctx.host, ctx.settings, [item.ean for item in wanted])
    if pending is None:
        pending = pending_quantities(ctx.host.session, ctx.store_id, [item.ean for item in wanted])
    codes = set(ctx.host.products_by_code([item.reference for item in wanted if item.reference]))
    created: dict[str, int] = {}
    for item in wanted:
        if item.ean in found or item.ean in created:
            continue
        usable = 0 < len(item.reference) <= LONGEST_CODE and item.reference not in codes
        code = item.reference if usable else item.ean
        codes.add(code)
        created[item.ean] = ctx.host.create_product(
            NewProduct(
                code=code,
                name=item.name or item.ean,
                price=item.price,
                barcodes=(item.ean,),
                stock=None if item.stock is None else item.stock + pending.get(item.ean, 0),
                warehouse_id=ctx.settings.warehouse_id,
                reason=f"imported from bol ({ctx.store_name})",
            )
        )
    return found | created


def lock_products(ctx: Context) -> None:
    """Let one flow at a time create products, so that two don't create the same one. First in a transaction."""
    ctx.host.session.execute(select(Store.id).order_by(Store.id).with_for_update(key_share=True))


def wanted_for(offer: connector.Offer, title: str | None) -> Wanted:
    """Return the product to create for an offer."""
    stock = offer.amount if offer.corrected_stock is None else offer.corrected_stock
    return Wanted(offer.ean, title or offer.title or "", (offer.reference or "").strip(), offer.price, stock)


def start_import(host: HostPort, store_id: int) -> None:
    """Walk over the offers from the beginning; a walk that is under way begins anew. In a transaction."""
    session, now = host.session, host.now()
    session.execute(select(Store.id).where(Store.id == store_id).with_for_update())
    restarted = session.execute(
        update(Run)
        .where(Run.store_id == store_id, Run.kind == KIND, Run.state == RunState.RUNNING)
        .values(cursor="", counts={}, started_at=now, due_at=now, error="")
    )
    if not restarted.rowcount:
        session.add(
            Run(
                store_id=store_id,
                kind=KIND,
                state=RunState.RUNNING,
                cursor="",
                counts={},
                started_at=now,
                due_at=now,
                error="",
            )
        )


def import_products(ctx: Context) -> bool:
    """Walk over the store's offers where the last slice ended. True when pages are left.

    Before products are created the order list must have been read once: the open pieces of orders that the host
    does not have yet belong to the stock of a new product.
    """
    while not ctx.lease.slice_over():
        with ctx.host.reading() as session:
            run = session.scalar(
                select(Run).where(
                    Run.store_id == ctx.store_id,
                    Run.kind == KIND,
                    Run.state == RunState.RUNNING,
                    Run.due_at <= ctx.now(),
                )
            )
            orders_read = session.scalar(select(Store.orders_read_at).where(Store.id == ctx.store_id))
        if run is None:
            return False
        if orders_read is None and ctx.active and ctx.settings.import_orders:
            _come_back(ctx, run, ctx.now() + ORDERS_FIRST)
            return False
        try:
            _import_page(ctx, run)
        except BolError as error:
            _postpone(ctx, run, error)
            return False
    return True


def _import_page(ctx: Context, run: Run) -> None:
    ctx.lease.ensure(CALL_SECONDS)
    with ctx.host.reading() as session:
        pending = all_pending(session, ctx.store_id)
    page = ctx.client.offers.page(cursor=run.cursor or None, page_size=PAGE_SIZE)
    ours = [offer for offer in page.offers if offer.method == FBR and offer.ean]
    creating = ctx.active and ctx.settings.import_products
    with ctx.host.reading():
        known = find_products(ctx.host, ctx.settings, [offer.ean for offer in ours])
    unknown = list({offer.ean: offer for offer in ours if offer.ean not in known}.values())
    titles = read_titles(ctx, unknown) if creating else {}
    counts = dict(run.counts)
    with ctx.host.transaction() as session:
        if creating:
            lock_products(ctx)
        record_offers(ctx, page.offers)
        products = known
        if creating and unknown:
            products = known | create_products(
                ctx, [wanted_for(offer, titles.get(offer.ean)) for offer in unknown], pending
            )
        link_offers(ctx, products)
        _count(counts, "offers", len(page.offers))
        _count(counts, "linked", sum(offer.ean in known for offer in ours))
        _count(counts, "created", len(products) - len(known))
        _count(counts, "unlinked", sum(offer.ean not in products for offer in ours))
        _count(counts, "bol ships", len(page.offers) - len(ours))
        done = page.next_cursor is None or not page.offers
        session.execute(
            update(Run)
            .where(Run.id == run.id, Run.cursor == run.cursor, Run.state == RunState.RUNNING)
            .values(
                cursor=page.next_cursor or "",
                counts=counts,
                state=RunState.DONE if done else RunState.RUNNING,
                finished_at=ctx.now() if done else None,
                error="",
            )
        )


def read_titles(ctx: Context, offers: Sequence[connector.Offer]) -> dict[str, str]:
    """Return names from bol's catalogue for offers without one. A name that can't be read is left out."""
    missing = [offer.ean for offer in offers if not offer.title]
    ctx.lease.ensure(CALL_SECONDS)
    with ThreadPoolExecutor(TITLES_AT_ONCE) as pool:
        titles = pool.map(lambda ean: _title(ctx.client, ean), missing)
        return {ean: title for ean, title in zip(missing, titles, strict=True) if title}


def _title(client: BolClient, ean: str) -> str | None:
    try:
        return client.catalog.title(ean)
    except BolError:
        # A name is a convenience: the product is created with its EAN as name, and can be renamed.
        return None


def _count(counts: dict[str, int], name: str, more: int) -> None:
    counts[name] = counts.get(name, 0) + more


def _come_back(ctx: Context, run: Run, when: datetime) -> None:
    with ctx.host.transaction() as session:
        session.execute(update(Run).where(Run.id == run.id).values(due_at=when))


def _postpone(ctx: Context, run: Run, error: BolError) -> None:
    attempts = int(run.counts.get("failures", 0))
    when: datetime = max(come_back(error, ctx.now(), attempts), ctx.now() + timedelta(seconds=5))
    with ctx.host.transaction() as session:
        session.execute(
            update(Run)
            .where(Run.id == run.id)
            .values(due_at=when, error=error.operator_text(), counts={**run.counts, "failures": attempts + 1})
        )
