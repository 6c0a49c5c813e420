"""One page of a stock check: bol's offers beside what should stand there, and what is kept of the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update

from plugin import connector
from plugin.models import Discrepancy, Offer, OfferLink, OfferState, Run
from plugin.settings import StoreSettings
from plugin.sync.amounts import amounts
from plugin.sync.context import Context
from plugin.sync.dirty import near_zero
from plugin.sync.findings import (
    Action,
    Asked,
    Cause,
    Facts,
    action_on,
    cause_of,
    differs,
    is_untouched,
    skipped,
)
from plugin.sync.links import link_offers
from plugin.sync.mapping import FBR
from plugin.sync.matching import find_matches, find_products
from plugin.sync.offers import record_offers
from plugin.sync.pending import last_orders

#: What is read of an offer of ours.
COLUMNS = (
    *("id", "offer_id", "ean", "method", "state", "price", "reference", "product_id", "link", "excluded"),
    *("dirty_version", "done_version", "in_doubt", "held_at", "wanted_amount", "sent_amount", "sent_at"),
    *("confirmed_amount", "confirmed_managed", "confirmed_at", "corrected_stock"),
)


@dataclass(frozen=True, slots=True)
class Subject:
    """An offer as its amount is worked out: listed, with the product that it has or would get.

    id: of its row, or a number below zero where it has none.
    """

    id: int
    offer_id: str
    ean: str
    method: str
    product_id: int | None
    excluded: bool
    state: str = OfferState.LISTED


@dataclass(frozen=True, slots=True)
class Found:
    """One difference and what is done about it. row_id, version: the offer in our table as it was compared."""

    offer_id: str
    ean: str
    product_id: int | None
    bol_amount: int | None
    bol_managed: bool | None
    our_amount: int | None
    our_managed: bool | None
    cause: Cause
    action: Action
    row_id: int | None
    version: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How an offer stands with the pump."""

    dirty_version: int
    done_version: int
    in_doubt: bool


@dataclass(frozen=True, slots=True)
class Unlike:
    """An offer of which bol has something else than was confirmed."""

    row_id: int
    compared: Standing
    shown: connector.Offer

    @property
    def at_bol(self) -> dict[str, Any]:
        """Return what bol has, as columns of the offer's row."""
        return {
            "id": self.row_id,
            "confirmed_amount": self.shown.amount,
            "confirmed_managed": self.shown.managed_by_retailer,
        }


@dataclass(frozen=True, slots=True)
class Look:
    """What was made of some offers.

    unlike: offers of which bol has something else than was confirmed, by row id, as they were compared. One that waits for
    the pump is among them: it would take it for up to date.
    to_record: offers that are new here, or of which bol shows other facts than we have.
    products: those found for offers without one, by EAN. shown: the ids of all offers that bol showed. sending: updates
    are sent at all.
    """

    found: Sequence[Found]
    counts: dict[str, int]
    unlike: dict[int, Unlike]
    to_record: Sequence[connector.Offer]
    products: dict[str, int]
    shown: Sequence[str]
    sending: bool


def look_at(ctx: Context, asked: Asked, shown: Sequence[connector.Offer], *, changing: bool) -> Look:
    """Compare offers with what should stand at bol. The number of queries does not grow with them."""
    with ctx.host.reading() as session:
        rows = {
            row.offer_id: row
            for row in session.execute(
                select(*(getattr(Offer, name) for name in COLUMNS)).where(
                    Offer.store_id == ctx.store_id, Offer.offer_id.in_([offer.offer_id for offer in shown])
                )
            )
        }
        looking = [offer.ean for offer in shown if _wants_product(offer, rows.get(offer.offer_id))]
        products = find_products(ctx.host, ctx.settings, looking) if looking else {}
        subjects = [
            _subject(offer, rows.get(offer.offer_id), products, -number)
            for number, offer in enumerate(shown, start=1)
        ]
        wanted = amounts(ctx.host, ctx.store_id, ctx.settings, subjects)
        facts = [
            Facts(offer, rows.get(offer.offer_id), subject.product_id, wanted[subject.id])
            for offer, subject in zip(shown, subjects, strict=True)
        ]
        reasons = [skipped(item, asked) for item in facts]
        differing = [
            item
            for item, reason in zip(facts, reasons, strict=True)
            if reason is None and differs(item, ctx.settings)
        ]
        ordered = (
            last_orders(session, ctx.store_id, [item.shown.ean for item in differing]) if differing else {}
        )
    counts: dict[str, int] = {"compared": sum(reason is None for reason in reasons)}
    for reason in reasons:
        if reason is not None:
            counts[reason] = counts.get(reason, 0) + 1
    return Look(
        found=[
            _found(
                replace(item, ordered_at=ordered.get(item.shown.ean)),
                asked,
                ctx.settings,
                changing=changing,
            )
            for item in differing
        ],
        counts=counts,
        unlike={
            item.row.id: Unlike(item.row.id, _standing(item.row), item.shown)
            for item in facts
            if item.row is not None and is_untouched(item.row, asked) and _unlike(item.row, item.shown)
        },
        to_record=[item.shown for item in facts if item.is_new or _has_changed(item.row, item.shown)],
        products=products,
        shown=[offer.offer_id for offer in shown],
        sending=asked.sending,
    )


def _wants_product(offer: connector.Offer, row: Row[Any] | None) -> bool:
    """Tell if the check may look for a product: the offer is ours, has none, and nobody took it away by hand."""
    if offer.method != FBR or not offer.ean:
        return False
    return row is None or (row.product_id is None and row.link != OfferLink.UNLINKED)


def _subject(
    offer: connector.Offer, row: Row[Any] | None, products: Mapping[str, int], number: int
) -> Subject:
    """Return the offer as it would stand in our table if this page was taken over."""
    if row is None:
        product_id = products.get(offer.ean)
        return Subject(number, offer.offer_id, offer.ean, offer.method, product_id, excluded=False)
    product_id = products.get(offer.ean) if _wants_product(offer, row) else row.product_id
    return Subject(row.id, row.offer_id, row.ean, offer.method, product_id, row.excluded)


def _found(facts: Facts, asked: Asked, settings: StoreSettings, *, changing: bool) -> Found:
    cause = cause_of(facts, asked)
    return Found(
        offer_id=facts.shown.offer_id,
        ean=facts.shown.ean,
        product_id=facts.product_id,
        bol_amount=facts.shown.amount,
        bol_managed=facts.shown.managed_by_retailer,
        our_amount=facts.wanted,
        our_managed=settings.managed_by_retailer,
        cause=cause,
        action=action_on(facts, cause, changing=changing),
        row_id=None if facts.row is None else facts.row.id,
        version=0 if facts.row is None else facts.row.dirty_version,
    )


def _unlike(row: Row[Any], shown: connector.Offer) -> bool:
    return (row.confirmed_amount, row.confirmed_managed) != (shown.amount, shown.managed_by_retailer)


def _has_changed(row: Row[Any] | None, shown: connector.Offer) -> bool:
    return row is not None and (
        (row.ean, row.method, row.price, row.corrected_stock, row.reference)
        != (shown.ean, shown.method, shown.price, shown.corrected_stock, (shown.reference or "")[:100])
    )


def keep(ctx: Context, run: Run, look: Look, gone: Sequence[Offer], *, changing: bool) -> list[Found]:
    """Keep what was made of a page, and return what is new in the report. In a transaction.

    :param gone: offers that bol does not know any more.
    """
    session = ctx.host.session
    standings = _lock(session, ctx.store_id, look.shown)
    versions = {row_id: standing.dirty_version for row_id, standing in standings.items()}
    session.execute(update(Offer).where(Offer.id.in_(list(versions))).values(seen_at=ctx.now()))
    # Where something changed since it was compared, the pump looks at it anyway.
    found = [item for item in look.found if item.row_id is None or versions.get(item.row_id) == item.version]
    unlike = [item for item in look.unlike.values() if standings.get(item.row_id) == item.compared]
    if changing:
        _change(ctx, look, found, unlike)
    else:
        _show(ctx, look)
        if not look.sending:
            _learn(session, unlike)
    found += _settle_gone(session, gone, changing=changing)
    return _report(session, run, ctx.now(), found)


def _lock(session: Any, store_id: int, offer_ids: Sequence[str]) -> dict[int, Standing]:
    """Lock these offers and return how they stand, by row id."""
    rows = session.execute(
        select(Offer.id, Offer.dirty_version, Offer.done_version, Offer.in_doubt)
        .where(Offer.store_id == store_id, Offer.offer_id.in_(offer_ids))
        .order_by(Offer.id)
        .with_for_update()
    ).all()
    return {row.id: _standing(row) for row in rows}


def _standing(row: Row[Any]) -> Standing:
    return Standing(row.dirty_version, row.done_version, row.in_doubt)


def _change(ctx: Context, look: Look, found: Sequence[Found], unlike: Sequence[Unlike]) -> None:
    """Take over what bol shows, and mark what differs for the pump. In a transaction."""
    session = ctx.host.session
    # Where bol has something else than we thought, the pump must not take it for up to date; also not one that is
    # looking at it just now, as it waits for that.
    known = {
        item.row_id: item.at_bol
        | {
            "dirty_version": item.compared.dirty_version
            + (item.compared.dirty_version > item.compared.done_version)
        }
        for item in unlike
    }
    for item in found:
        if item.action == Action.MARKED and item.row_id is not None:
            values = known.setdefault(item.row_id, {"id": item.row_id})
            values["dirty_version"], values["held_at"] = item.version + 1, None
            values["urgent"] = near_zero(item.our_amount) or near_zero(item.bol_amount)
    # A statement for each set of columns: what is marked, what is mended, or both.
    for columns in {frozenset(values) for values in known.values()}:
        session.execute(update(Offer), [values for values in known.values() if values.keys() == columns])
    if look.to_record:
        record_offers(ctx, look.to_record)
    linked = [item.ean for item in found if item.action == Action.LINKED]
    if linked:
        link_offers(ctx, find_matches(ctx.host, ctx.settings.lookup, linked))


def _show(ctx: Context, look: Look) -> None:
    """What is left at bol was read just now, also where nothing else of it is taken over. In a transaction."""
    for shown in look.to_record:
        ctx.host.session.execute(
            update(Offer)
            .where(Offer.store_id == ctx.store_id, Offer.offer_id == shown.offer_id)
            .values(corrected_stock=shown.corrected_stock)
        )


def _learn(session: Any, unlike: Sequence[Unlike]) -> None:
    """Where nothing is sent yet, what bol shows is what sending begins with. In a transaction.

    Without this an offer that somebody changed at bol would pass for up to date when sending is turned on, though the
    plan had said that it changes.
    """
    learnt = [
        item.at_bol | {"dirty_version": item.compared.dirty_version + 1, "held_at": None} for item in unlike
    ]
    if learnt:
        session.execute(update(Offer), learnt)


def _settle_gone(session: Any, rows: Sequence[Offer], *, changing: bool) -> list[Found]:
    if changing and rows:
        session.execute(
            update(Offer)
            .where(Offer.id.in_([row.id for row in rows]), Offer.state == OfferState.LISTED)
            .values(state=OfferState.GONE, done_version=Offer.dirty_version, next_try_at=None, held_at=None)
        )
    action = Action.MARKED_GONE if changing else Action.REPORTED
    return [
        Found(
            offer_id=row.offer_id,
            ean=row.ean,
            product_id=row.product_id,
            bol_amount=None,
            bol_managed=None,
            our_amount=None,
            our_managed=None,
            cause=Cause.GONE,
            action=action,
            row_id=row.id,
            version=row.dirty_version,
        )
        for row in rows
    ]


def _report(session: Any, run: Run, now: datetime, found: Sequence[Found]) -> list[Found]:
    """Keep differences that are not in the report yet, and return them: a changed offer comes by a second time."""
    if not found:
        return []
    there = set(
        session.scalars(
            select(Discrepancy.offer_id).where(
                Discrepancy.run_id == run.id, Discrepancy.offer_id.in_([item.offer_id for item in found])
            )
        )
    )
    kept = [item for item in found if item.offer_id not in there]
    session.add_all(
        Discrepancy(
            run_id=run.id,
            offer_id=item.offer_id,
            ean=item.ean,
            product_id=item.product_id,
            bol_amount=item.bol_amount,
            bol_managed=item.bol_managed,
            our_amount=item.our_amount,
            our_managed=item.our_managed,
            cause=item.cause,
            action=item.action,
            found_at=now,
        )
        for item in kept
    )
    return kept
