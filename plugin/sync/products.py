"""Products: made where an EAN of bol is unknown, one by one for an order, or by a walk over all offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, or_, select, update

from host_app.plugin_api import HostError, HostPort, Level, NewProduct
from plugin import connector
from plugin.connector import BadRequest, BolError, routes
from plugin.models import Offer, OfferLink, OfferState, Run, RunState, Store
from plugin.settings import StoreSettings
from plugin.sync import runs
from plugin.sync.context import CALL_SECONDS, Context, is_active
from plugin.sync.dirty import change_offers
from plugin.sync.eans import problem
from plugin.sync.failures import come_back, tried_again
from plugin.sync.links import kept_by_hand, link_offers
from plugin.sync.mapping import FBR
from plugin.sync.matching import Match, find_look_alikes, find_matches, find_products
from plugin.sync.offers import record_offers, tell_of_nameless
from plugin.sync.order_list import is_fresh, know_orders
from plugin.sync.pending import all_pending, pending_quantities
from plugin.texts import gettext as _

KIND = "product import"
PAGE_SIZE = 100
#: A reference of bol may have 100 characters; as a product code it would be of no use to anybody.
LONGEST_CODE = 40
LONGEST_NAME = 500
#: A call gets so many seconds to leave this process, before the work on another page keeps it from running.
HEAD_START = 0.01
#: How often a walk that creates products looks if the order list was read.
ORDERS_FIRST = timedelta(seconds=2)
#: When the warehouse is asked again that did not take a product.
REFUSED_AGAIN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A product to create for an offer, or for an order item whose offer does not tell our stock (``stock`` None).

    ``name`` "" is not known yet: the product is named by its EAN until bol's catalogue was asked.
    """

    ean: str
    name: str
    reference: str
    price: Decimal | None
    stock: int | None
    offer_id: str = ""


def create_products(
    ctx: Context, wanted: Sequence[Wanted], pending: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Create the products that are still unknown, link the offers, and return all of them by EAN.

    Stock: what bol would sell, plus the open pieces of bol orders that the host will reserve when it gets them.
    In a transaction.

    :param pending: those pieces by EAN, as they were known before bol was asked what it would sell. What came in or
        was cancelled since is then counted too low, never too high.
    """
    found = find_products(ctx.host, ctx.settings, [item.ean for item in wanted])
    open_now = pending_quantities(ctx.host.session, ctx.store_id, [item.ean for item in wanted])
    codes = set(ctx.host.products_by_code([item.reference for item in wanted if item.reference]))
    created: dict[str, int] = {}
    for item in wanted:
        if item.ean in found or item.ean in created:
            continue
        usable = 0 < len(item.reference) <= LONGEST_CODE and item.reference not in codes
        code = item.reference if usable else item.ean
        codes.add(code)
        to_come = open_now.get(item.ean, 0)
        if pending is not None:
            to_come = min(to_come, pending.get(item.ean, 0))
        created[item.ean] = ctx.host.create_product(
            NewProduct(
                code=code,
                name=item.name[:LONGEST_NAME] or item.ean,
                price=item.price,
                barcodes=(item.ean,),
                stock=None if item.stock is None else item.stock + to_come,
                warehouse_id=ctx.delivers_from,
                reason=_("imported from bol (%(store)s)", store=ctx.store_name),
            )
        )
    if created:
        made_from = {item.offer_id for item in wanted if item.ean in created and item.stock is not None}
        link_offers(ctx, {ean: Match((product_id,)) for ean, product_id in created.items()}, made_from)
        _apply_settings(ctx, made_from)
        _ask_for_names(ctx, [item.ean for item in wanted if item.ean in created and not item.name])
    return found | created


def _apply_settings(ctx: Context, offer_ids: Iterable[str]) -> None:
    """A product has the stock that bol has, so bol need not be told; unless the store's settings keep some of it back
    or call for another flag."""
    deviates = [
        Offer.confirmed_managed.is_distinct_from(ctx.settings.managed_by_retailer),
        Offer.confirmed_amount > ctx.settings.max_stock,
    ]
    if ctx.settings.safety_stock:
        deviates.append(Offer.confirmed_amount > 0)
    change_offers(
        ctx.host.session,
        Offer.store_id == ctx.store_id,
        Offer.offer_id.in_(list(offer_ids)),
        or_(*deviates),
        dirty_version=Offer.dirty_version + 1,
        held_at=None,
    )


def _ask_for_names(ctx: Context, eans: Iterable[str]) -> None:
    """Have the names of products that have none read from bol's catalogue, in their own time."""
    ctx.host.session.execute(
        update(Offer)
        .where(
            Offer.store_id == ctx.store_id,
            Offer.ean.in_(list(eans)),
            Offer.link == OfferLink.CREATED,
            Offer.title == "",
        )
        .values(title_due_at=ctx.now(), title_attempts=0)
    )


def lock_products(ctx: Context) -> None:
    """Let one flow at a time create products, so that two don't create the same one. First in a transaction."""
    ctx.host.session.execute(select(Store.id).order_by(Store.id).with_for_update(key_share=True))


def wanted_for(offer: connector.Offer, title: str | None = None) -> Wanted:
    """Return the product to create for an offer. What lies in bol's own warehouse is no stock of this one."""
    stock: int | None = offer.amount if offer.corrected_stock is None else offer.corrected_stock
    if offer.method != FBR:
        stock = None
    name, reference = title or offer.title or "", (offer.reference or "").strip()
    return Wanted(offer.ean, name, reference, offer.price, stock, offer.offer_id)


def start_import(host: HostPort, store_id: int) -> None:
    """Walk over the offers from the beginning; a walk that is under way begins anew. In a transaction."""
    session, now = host.session, host.now()
    session.execute(select(Store.id).where(Store.id == store_id).with_for_update())
    begun: dict[str, Any] = {
        "cursor": "",
        "counts": {},
        "expected": _expected(session, store_id),
        "started_at": now,
        "due_at": now,
        "error": "",
    }
    restarted = session.execute(
        update(Run)
        .where(Run.store_id == store_id, Run.kind == KIND, Run.state == RunState.RUNNING)
        .values(begun)
    )
    if not restarted.rowcount:
        runs.prune(host, store_id, KIND)
        session.add(Run(store_id=store_id, kind=KIND, state=RunState.RUNNING, **begun))


def _expected(session: Any, store_id: int) -> int | None:
    """Return how many offers there will be: as many as the last walk saw or are known since, None before the first."""
    known = session.scalar(
        select(func.count()).where(Offer.store_id == store_id, Offer.state == OfferState.LISTED)
    )
    return known or None


def import_products(ctx: Context) -> bool:
    """Walk over the store's offers where the last slice ended. True when pages are left.

    The open pieces of orders that the host does not have yet belong to the stock of a new product. So the order list
    must have been read once before the walk, and where products are made it is read again and again on the way.
    A walk that begins anew meanwhile, and a store that is activated or paused, are for a job that knows of it.
    """
    began: datetime | None = None
    with ThreadPoolExecutor(1) as pool:
        pages = _Pages(ctx, pool)
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
                store = session.get_one(Store, ctx.store_id)
            if run is None:
                return False
            began = began or run.started_at
            if run.started_at != began or is_active(store) != ctx.active:
                return True
            if store.orders_read_at is None and ctx.active and ctx.settings.import_orders:
                _come_back(ctx, run, ctx.now() + ORDERS_FIRST)
                return False
            try:
                page = pages.get(run.cursor)
            except BolError as error:
                _postpone(ctx, run, error)
                return False
            try:
                taken_in = _take_in(ctx, run, page)
            except HostError as error:
                _refused(ctx, run, error)
                return False
            pages.read_orders_first |= not taken_in
    return True


@dataclass(frozen=True, slots=True)
class _Moment:
    """What was known before a page was asked for: the time, and the open pieces of orders by EAN.

    fresh: orders were read just before, or are not imported at all.
    """

    at: datetime
    pending: Mapping[str, int]
    fresh: bool


@dataclass(frozen=True, slots=True)
class _Page:
    """A page that was asked for."""

    cursor: str
    asked: _Moment
    answer: Future[connector.OfferPage]


class _Pages:
    """The offers list, page by page; the next one is under way while one is worked on.

    read_orders_first: products are being made from this list, so orders are read anew before a page is asked for.
    """

    def __init__(self, ctx: Context, pool: ThreadPoolExecutor) -> None:
        self.read_orders_first = False
        self._ctx = ctx
        self._pool = pool
        self._next: _Page | None = None

    def get(self, cursor: str) -> _Page:
        """Return the page at a cursor, with its answer. :raises BolError: it can't be had."""
        page, self._next = self._next, None
        if page is None or page.cursor != cursor:
            page = self._ask(cursor, self._moment())
        # Looked up while the page comes in, so that the next one is asked for as soon as its cursor is known.
        ahead = self._moment()
        following = page.answer.result().next_cursor
        if following is not None and not self._ctx.lease.slice_over():
            self._next = self._ask(following, ahead)
            wait([self._next.answer], timeout=HEAD_START)
        return page

    def _moment(self) -> _Moment:
        ctx = self._ctx
        if not (ctx.active and ctx.settings.import_products):
            return _Moment(ctx.now(), {}, fresh=True)
        at, fresh = ctx.now(), self._orders_are_fresh()
        if self.read_orders_first and not fresh:
            fresh = know_orders(ctx, at)
        with ctx.host.reading() as session:
            return _Moment(ctx.now(), all_pending(session, ctx.store_id), fresh)

    def _orders_are_fresh(self) -> bool:
        ctx = self._ctx
        if not ctx.settings.import_orders:
            return True
        with ctx.host.reading() as session:
            store = session.scalars(select(Store).where(Store.id == ctx.store_id)).one()
        return is_fresh(store, ctx.now())

    def _ask(self, cursor: str, known: _Moment) -> _Page:
        ctx = self._ctx
        ctx.lease.ensure(CALL_SECONDS)
        answer = self._pool.submit(ctx.client.offers.page, cursor=cursor or None, page_size=PAGE_SIZE)
        return _Page(cursor, known, answer)


def _take_in(ctx: Context, run: Run, page: _Page) -> bool:
    """Keep one page of offers, link them, create the products that are missing, and move on, in one transaction.

    False where products are missing and orders were not read just before the page was asked for: it must be had anew.
    """
    listed = page.answer.result()
    mine = [offer for offer in listed.offers if offer.method == FBR]
    ours = {offer.ean: offer for offer in mine if offer.ean}
    with ctx.host.transaction() as session:
        creating = ctx.active and _may_create(ctx)
        record_offers(ctx, listed.offers, page.asked.at)
        tell_of_nameless(ctx, listed.nameless)
        matches = find_matches(ctx.host, ctx.settings.lookup, ours)
        link_offers(ctx, matches)
        unknown = {ean for ean, match in matches.items() if match.product is None}
        unknown -= kept_by_hand(session, ctx.store_id, unknown) if unknown else set()
        created: dict[str, int] = {}
        similar: Mapping[str, object] = {}
        if creating and unknown and not page.asked.fresh:
            return False
        if unknown and (creating or not ctx.active):
            # A product whose number was mistyped is for a person to link: a second one would share its stock.
            similar = find_look_alikes(ctx.host, [ean for ean in sorted(unknown) if not problem(ean)])
        if creating and unknown:
            wanted = [wanted_for(ours[ean]) for ean in ours if ean in unknown and ean not in similar]
            created = create_products(ctx, wanted, page.asked.pending)
        counts = dict(run.counts)
        counts.pop("failures", None)
        _count(counts, "offers", len(listed.offers))
        _count(counts, "linked", sum(bool(offer.ean) and offer.ean not in unknown for offer in mine))
        _count(counts, "several products", sum(match.candidates > 1 for match in matches.values()))
        _count(counts, "created", len(created))
        _count(counts, "similar", len(similar))
        _count(counts, "unlinked", len(unknown) - len(created))
        _count(counts, "bol ships", len(listed.offers) - len(mine))
        done = listed.next_cursor is None or not listed.offers
        session.execute(
            update(Run)
            .where(
                Run.id == run.id,
                Run.started_at == run.started_at,
                Run.cursor == run.cursor,
                Run.state == RunState.RUNNING,
            )
            .values(
                cursor=listed.next_cursor or "",
                counts=counts,
                state=RunState.DONE if done else RunState.RUNNING,
                finished_at=ctx.now() if done else None,
                error="",
            )
        )
        if run.error:
            ctx.settle(_refusal(run))
    return True


def _may_create(ctx: Context) -> bool:
    """Tell if products may be created, as the settings are now, and keep other flows from creating them meanwhile."""
    lock_products(ctx)
    settings = ctx.host.session.scalar(select(Store.settings).where(Store.id == ctx.store_id))
    return StoreSettings.load(settings or {}).import_products


def _count(counts: dict[str, int], name: str, more: int) -> None:
    counts[name] = counts.get(name, 0) + more


def _come_back(ctx: Context, run: Run, when: datetime) -> None:
    with ctx.host.transaction() as session:
        session.execute(
            update(Run).where(Run.id == run.id, Run.state == RunState.RUNNING).values(due_at=when)
        )


def _refused(ctx: Context, run: Run, error: HostError) -> None:
    """The warehouse does not take the products: a person must do something, and then the walk goes on by itself."""
    with ctx.host.transaction() as session:
        session.execute(
            update(Run)
            .where(Run.id == run.id, Run.cursor == run.cursor, Run.state == RunState.RUNNING)
            .values(due_at=ctx.now() + REFUSED_AGAIN, error=str(error))
        )
        ctx.notify(
            # At each place of the walk: where it went on in between, this is another refusal.
            f"{_refusal(run)}:{run.counts.get('offers', 0)}",
            "stock",
            Level.DANGER,
            _("products could not be imported"),
            tried_again(str(error)),
        )


def _refusal(run: Run) -> str:
    return f"import-refused:{run.id}"


def _postpone(ctx: Context, run: Run, error: BolError) -> None:
    """Leave a walk for later; where bol does not accept its cursor any more, it begins anew."""
    attempts = int(run.counts.get("failures", 0))
    when: datetime = max(come_back(error, ctx.now(), attempts), ctx.now() + timedelta(seconds=5))
    begins_anew = isinstance(error, BadRequest) and error.route == routes.OFFERS.template and run.cursor
    values: dict[str, Any] = {"counts": {**run.counts, "failures": attempts + 1}}
    if begins_anew:
        values = {"counts": {"failures": attempts + 1}, "cursor": ""}
    with ctx.host.transaction() as session:
        session.execute(
            update(Run)
            .where(Run.id == run.id, Run.cursor == run.cursor, Run.state == RunState.RUNNING)
            .values(due_at=when, error=error.operator_text(_), **values)
        )
