"""Stock to bol: what changed is marked, and one pump per store sends the amount that is right when it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update

from host_app.plugin_api import HostPort, Level, Notice, ProductView, StockChange
from plugin.connector import BolError, NotFound
from plugin.models import Offer, OfferState
from plugin.sync.amounts import amounts
from plugin.sync.context import CALL_SECONDS, Context, store_url
from plugin.sync.failures import come_back, line_is_down
from plugin.sync.mapping import FBR
from plugin.sync.pending import last_orders

BATCH = 200
CHUNK = 500
#: Enough calls in flight to use 50 a second at 300 ms each (bol's published limit for PATCH of offers).
IN_FLIGHT = 16
#: After this many failures in a row a person is told; it goes on being tried.
TELL_AFTER = 5
#: bol's clock and ours may differ by this much.
CLOCK = timedelta(minutes=1)


class OfferGone(NotFound):
    """bol does not know the offer, asked twice in two ways."""


@dataclass(frozen=True, slots=True)
class Push:
    """One amount to send: what an offer's stock should be, computed from the version that was claimed."""

    row_id: int
    offer_id: str
    ean: str
    version: int
    attempts: int
    amount: int
    claimed_at: datetime


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


def mark_order_items(ctx: Context, eans: Iterable[str]) -> None:
    """What bol counts as open of these EANs changed: where bol subtracts it, the amounts change with it.

    In a transaction.
    """
    if ctx.settings.managed_by_retailer:
        return
    ctx.host.session.execute(
        update(Offer)
        .where(Offer.store_id == ctx.store_id, Offer.ean.in_(list(eans)), Offer.product_id.is_not(None))
        .values(dirty_version=Offer.dirty_version + 1)
    )


def push_stock(ctx: Context) -> bool:
    """Send the stock of every offer that is due, several at a time. True when some are left."""
    if not ctx.active or not ctx.settings.send_stock:
        return False
    while not ctx.lease.slice_over():
        ctx.lease.ensure(CALL_SECONDS)
        pushes, left_out = _claim(ctx)
        if not pushes and not left_out:
            return False
        if pushes and not _send(ctx, pushes):
            return False
    return True


def _claim(ctx: Context) -> tuple[list[Push], int]:
    """Return what to send of the offers that are due, and how many were settled without a call."""
    claimed_at = ctx.now()
    with ctx.host.reading() as session:
        rows = session.scalars(
            select(Offer)
            .where(
                Offer.store_id == ctx.store_id,
                Offer.dirty_version > Offer.done_version,
                or_(Offer.next_try_at.is_(None), Offer.next_try_at <= ctx.now()),
            )
            .order_by(Offer.next_try_at, Offer.id)
            .limit(BATCH)
        ).all()
        if not rows:
            return [], 0
        wanted = amounts(ctx.host, ctx.store_id, ctx.settings, rows)
        ordered = last_orders(session, ctx.store_id, [row.ean for row in rows])
    pushes: list[Push] = []
    settled: list[tuple[int, int]] = []
    for row in rows:
        amount = wanted[row.id]
        if amount is None:
            settled.append((row.id, row.dirty_version))
            continue
        last = ordered.get(row.ean)
        if (
            row.confirmed_amount == amount
            and row.confirmed_managed == ctx.settings.managed_by_retailer
            and row.confirmed_at is not None
            and (last is None or last + CLOCK <= row.confirmed_at)
        ):
            settled.append((row.id, row.dirty_version))
        else:
            pushes.append(
                Push(row.id, row.offer_id, row.ean, row.dirty_version, row.attempts, amount, claimed_at)
            )
    if settled:
        with ctx.host.transaction() as session:
            for row_id, version in settled:
                _record(session, row_id, version, attempts=0, error="", next_try_at=None)
    return pushes, len(settled)


def _send(ctx: Context, pushes: Sequence[Push]) -> bool:
    """Send these amounts, several in flight; False where the line to bol is down."""
    with ctx.host.transaction() as session:
        # From the first call on bol's amount is not known until its answer is recorded: a job that dies in between
        # must not leave the old amount as confirmed.
        session.execute(
            update(Offer).where(Offer.id.in_([push.row_id for push in pushes])).values(confirmed_amount=None)
        )
    waiting = list(reversed(pushes))
    running: dict[Future[BolError | None], Push] = {}
    down: BolError | None = None
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        while waiting or running:
            while waiting and len(running) < IN_FLIGHT and down is None:
                ctx.lease.ensure(CALL_SECONDS)
                push = waiting.pop()
                running[pool.submit(_patch, ctx, push)] = push
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            results = [(running.pop(future), future.result()) for future in done]
            results.sort(key=lambda result: result[0].row_id)
            with ctx.host.transaction() as session:
                for push, error in results:
                    _settle(ctx, session, push, error)
            down = down or next((error for _, error in results if error and line_is_down(error)), None)
    if down is not None:
        ctx.report_problem(down)
        _put_off(ctx, waiting, down)
        return False
    ctx.clear_problem()
    return True


def _patch(ctx: Context, push: Push) -> BolError | None:
    try:
        ctx.client.offers.set_stock(push.offer_id, push.amount, ctx.settings.managed_by_retailer)
    except NotFound as error:
        return OfferGone(str(error)) if _is_gone(ctx, push) else error
    except BolError as error:
        return error
    return None


def _is_gone(ctx: Context, push: Push) -> bool:
    """One 404 may be a mistake of the moment: the offer is gone when reading it says so, too."""
    try:
        ctx.client.offers.get(push.offer_id)
    except NotFound:
        return True
    except BolError:
        pass
    return False


def _settle(ctx: Context, session: Any, push: Push, error: BolError | None) -> None:
    """Record the end of one call. A PATCH is absolute: after any failure the newest amount is sent, nothing asked."""
    now = ctx.now()
    if error is None:
        _record(
            session,
            push.row_id,
            push.version,
            confirmed_amount=push.amount,
            confirmed_managed=ctx.settings.managed_by_retailer,
            # Orders placed while the call was under way count as placed after it.
            confirmed_at=push.claimed_at,
            attempts=0,
            error="",
            next_try_at=None,
        )
        return
    if isinstance(error, OfferGone):
        _record(session, push.row_id, push.version, state=OfferState.GONE, error=error.operator_text())
        ctx.notify(
            f"offer-gone:{push.offer_id}",
            "stock",
            Level.WARNING,
            f"the offer of {push.ean} is gone at bol",
            "Its stock is not sent any more. If it is there all the same, press “Import products”.",
        )
        return
    session.execute(
        update(Offer)
        .where(Offer.id == push.row_id)
        .values(
            attempts=push.attempts + 1,
            error=error.operator_text(),
            next_try_at=max(come_back(error, now, push.attempts), now + timedelta(seconds=1)),
        )
    )
    if push.attempts + 1 == TELL_AFTER and not line_is_down(error):
        ctx.notify(
            f"stock-failed:{push.offer_id}:{now:%Y-%m-%d}",
            "stock",
            Level.WARNING,
            f"the stock of {push.ean} can't be sent to bol",
            error.operator_text(),
        )


def _record(session: Any, row_id: int, version: int, **values: Any) -> None:
    """Note that the claimed version is dealt with; a change that came meanwhile stays due."""
    session.execute(update(Offer).where(Offer.id == row_id).values(done_version=version, **values))


def _put_off(ctx: Context, pushes: Iterable[Push], error: BolError) -> None:
    """Leave what was not sent for later, so that the pump rests while the line is down."""
    when = max(come_back(error, ctx.now()), ctx.now() + timedelta(seconds=2))
    with ctx.host.transaction() as session:
        session.execute(
            update(Offer)
            .where(
                Offer.store_id == ctx.store_id,
                Offer.dirty_version > Offer.done_version,
                or_(Offer.next_try_at.is_(None), Offer.next_try_at < when),
            )
            .values(next_try_at=when)
        )


def mark_all(host: HostPort, store_id: int) -> None:
    """Have every offer of a store looked at: after "Send stock updates" or a stock setting changed. In a transaction."""
    host.session.execute(
        update(Offer)
        .where(Offer.store_id == store_id, Offer.method == FBR, Offer.product_id.is_not(None))
        .values(dirty_version=Offer.dirty_version + 1, next_try_at=None)
    )


def _chunks(values: Iterable[str]) -> Iterable[list[str]]:
    unique = list(values)
    for start in range(0, len(unique), CHUNK):
        yield unique[start : start + CHUNK]
