"""Offers in our own table: what bol shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from host_app.plugin_api import Level
from plugin import connector
from plugin.models import Offer, OfferState
from plugin.sync.context import Context
from plugin.sync.eans import problem
from plugin.sync.links import link_remembered
from plugin.sync.mapping import FBR
from plugin.texts import gettext as _
from plugin.texts import ngettext

#: What bol shows of an offer, as columns of its row.
SHOWN = ("ean", "ean_problem", "method", "price", "reference", "title", "corrected_stock", "state")


def record_offers(ctx: Context, offers: Sequence[connector.Offer], asked_at: datetime | None = None) -> None:
    """Keep what bol says of these offers. What bol shows counts as confirmed until we have sent something.

    In a transaction; the rows are locked until it ends.

    :param asked_at: when bol was asked; now, if it is not given.
    """
    session, now = ctx.host.session, ctx.now()
    newest = {offer.offer_id: offer for offer in offers}
    known = {
        row.offer_id: row
        for row in session.execute(
            select(Offer.id, Offer.offer_id, Offer.dirty_version, *(getattr(Offer, name) for name in SHOWN))
            .where(Offer.store_id == ctx.store_id, Offer.offer_id.in_(list(newest)))
            .order_by(Offer.id)
            .with_for_update()
        )
    }
    added: list[dict[str, Any]] = []
    unchanged: list[int] = []
    for offer in newest.values():
        row, at_bol = known.get(offer.offer_id), _confirmed(offer, asked_at or now)
        if row is None:
            shown = _shown(offer, "")
            mine = {"store_id": ctx.store_id, "offer_id": offer.offer_id, "seen_at": now}
            added.append(mine | shown | at_bol | {"ordered_version": int(_is_ordered(offer))})
            continue
        shown = _shown(offer, row.title)
        changes = {name: value for name, value in shown.items() if value != getattr(row, name)}
        if _is_back(row, offer):
            changes |= at_bol | {"dirty_version": row.dirty_version + 1, "held_at": None}
            if _is_ordered(offer):
                changes["ordered_version"] = row.dirty_version + 1
            ctx.settle(f"offer-gone:{offer.offer_id}")
        if changes:
            session.execute(update(Offer).where(Offer.id == row.id).values(seen_at=now, **changes))
        else:
            unchanged.append(row.id)
    if unchanged:
        session.execute(update(Offer).where(Offer.id.in_(unchanged)).values(seen_at=now))
    if added:
        session.execute(insert(Offer), added)
        link_remembered(ctx, {str(values["ean"]) for values in added})


def tell_of_nameless(ctx: Context, count: int) -> None:
    """Tell people of offers that nobody can tell bol about, once a day. In a transaction."""
    if not count:
        return
    ctx.notify(
        f"offers-nameless:{ctx.now():%Y-%m-%d}",
        "stock",
        Level.WARNING,
        ngettext(
            "bol lists %(num)s offer without a number that can be used",
            "bol lists %(num)s offers without a number that can be used",
            count,
        ),
        _(
            "Its stock can't be sent. Look in bol's seller portal which offer is missing here, and change it there."
        ),
    )


def _shown(offer: connector.Offer, title: str) -> dict[str, Any]:
    return {
        "ean": offer.ean,
        "ean_problem": problem(offer.ean),
        "method": offer.method,
        "price": offer.price,
        "reference": (offer.reference or "")[:100],
        "title": (offer.title or title)[:500],
        "corrected_stock": offer.corrected_stock,
        "state": OfferState.LISTED.value,
    }


def _confirmed(offer: connector.Offer, asked_at: datetime) -> dict[str, Any]:
    return {
        "confirmed_amount": offer.amount,
        "confirmed_managed": offer.managed_by_retailer,
        "confirmed_at": asked_at,
    }


def _is_ordered(offer: connector.Offer) -> bool:
    """bol subtracts orders from the amount it has: the amount that is right must be sent even where it is the same."""
    return offer.corrected_stock is not None and offer.corrected_stock != offer.amount


def _is_back(row: Any, offer: connector.Offer) -> bool:
    """While an offer was gone, or bol shipped it, changes of stock passed it by."""
    return bool(row.state == OfferState.GONE or (row.method != FBR and offer.method == FBR))
