"""Open pieces at bol that the host does not have yet: they are sold, but nothing reserves them here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import func, select

from host_app.plugin_api import HostPort, OrderState
from plugin.models import BolOrder, BolOrderItem, EffectState, Offer, OfferState, ShipmentEffect
from plugin.models.orders import NOT_IN_HOST
from plugin.sync.mapping import FBR

CHUNK = 500


class Named(Protocol):
    """An offer, by bol's id and its EAN."""

    @property
    def offer_id(self) -> str: ...
    @property
    def ean(self) -> str: ...


def pending_quantities(session: Any, store_id: int, eans: Iterable[str]) -> dict[str, int]:
    """Return, by EAN, the open pieces of the store's orders that are found but not in the host."""
    found: dict[str, int] = {}
    for (ean, _offer_id), pieces in _to_come(session, store_id, eans).items():
        found[ean] = found.get(ean, 0) + pieces
    return found


def all_pending(session: Any, store_id: int) -> dict[str, int]:
    """Return the same for every EAN of which something is open."""
    eans = session.scalars(
        select(BolOrderItem.ean)
        .join(BolOrder)
        .where(BolOrder.store_id == store_id, BolOrder.state.in_(NOT_IN_HOST))
        .distinct()
    ).all()
    return pending_quantities(session, store_id, eans)


def open_of_offers(host: HostPort, store_id: int, offers: Sequence[Named]) -> dict[str, int]:
    """Return, by bol's offer id, the pieces that bol counts as open for this very offer and that are taken off here: those
    that are still to come, and those that the host holds or has sent.

    An order whose offer bol has not named yet counts where the store has no other offer of that EAN; else for none of
    them, as too little is shown then, and not too much. In a transaction.
    """
    session, eans = host.session, list(dict.fromkeys(offer.ean for offer in offers))
    pieces = _to_come(session, store_id, eans)
    for key, held in _held(host, store_id, eans).items():
        pieces[key] = pieces.get(key, 0) + held
    several = _with_several(session, store_id, offers)
    return {
        offer.offer_id: pieces.get((offer.ean, offer.offer_id), 0)
        + (0 if offer.ean in several else pieces.get((offer.ean, ""), 0))
        for offer in offers
    }


def _to_come(session: Any, store_id: int, eans: Iterable[str]) -> dict[tuple[str, str], int]:
    """Return, by EAN and offer id, the open pieces of the store's orders that are found but not in the host."""
    found: dict[tuple[str, str], int] = {}
    for chunk in _chunks(eans):
        rows = session.execute(
            select(
                BolOrderItem.ean,
                BolOrderItem.offer_id,
                func.sum(BolOrderItem.quantity - BolOrderItem.shipped - BolOrderItem.cancelled),
            )
            .join(BolOrder)
            .where(
                BolOrder.store_id == store_id,
                BolOrder.state.in_(NOT_IN_HOST),
                BolOrderItem.ean.in_(chunk),
                BolOrderItem.method.in_((FBR, "")),
                BolOrderItem.quantity > BolOrderItem.shipped + BolOrderItem.cancelled,
            )
            .group_by(BolOrderItem.ean, BolOrderItem.offer_id)
        )
        found |= {(ean, offer_id): int(pieces) for ean, offer_id, pieces in rows}
    return found


def _with_several(session: Any, store_id: int, offers: Sequence[Named]) -> set[str]:
    """Return the EANs that more than one offer of the store has."""
    by_ean: dict[str, set[str]] = {}
    for offer in offers:
        by_ean.setdefault(offer.ean, set()).add(offer.offer_id)
    for chunk in _chunks(by_ean):
        rows = session.execute(
            select(Offer.ean, Offer.offer_id).where(
                Offer.store_id == store_id, Offer.ean.in_(chunk), Offer.state == OfferState.LISTED
            )
        )
        for ean, offer_id in rows:
            by_ean[ean].add(offer_id)
    return {ean for ean, ids in by_ean.items() if len(ids) > 1}


def _held(host: HostPort, store_id: int, eans: Iterable[str]) -> dict[tuple[str, str], int]:
    """Return, by EAN and offer id, the pieces that the host holds or has sent for orders and bol still counts as open.

    What bol confirmed is not open any more, also where the order was not read since. Orders cancelled in the host hold
    nothing.
    """
    session = host.session
    found: dict[tuple[str, str], int] = {}
    for chunk in _chunks(eans):
        confirmed = (
            select(func.coalesce(func.sum(ShipmentEffect.quantity), 0))
            .where(
                ShipmentEffect.store_id == store_id,
                ShipmentEffect.order_item_id == BolOrderItem.order_item_id,
                ShipmentEffect.state == EffectState.CONFIRMED,
            )
            .scalar_subquery()
        )
        at_bol = BolOrderItem.quantity - BolOrderItem.shipped - BolOrderItem.cancelled
        rows = session.execute(
            select(
                BolOrder.host_order_id,
                BolOrderItem.ean,
                BolOrderItem.offer_id,
                at_bol,
                BolOrderItem.quantity - BolOrderItem.cancelled - confirmed,
                BolOrderItem.imported,
            )
            .join(BolOrder)
            .where(
                BolOrder.store_id == store_id,
                BolOrder.host_order_id.is_not(None),
                BolOrderItem.ean.in_(chunk),
                BolOrderItem.imported > 0,
                at_bol > 0,
            )
        ).all()
        orders = host.order_views({row[0] for row in rows})
        for order_id, ean, offer_id, as_read, as_confirmed, imported in rows:
            order = orders.get(order_id)
            if order is not None and order.state != OrderState.CANCELLED:
                pieces = max(0, min(as_read, int(as_confirmed), imported))
                found[ean, offer_id] = found.get((ean, offer_id), 0) + pieces
    return found


def last_orders(session: Any, store_id: int, eans: Iterable[str]) -> dict[str, datetime]:
    """Return, by EAN, when the newest order that we know of was placed."""
    found: dict[str, datetime] = {}
    for chunk in _chunks(eans):
        rows = session.execute(
            select(BolOrderItem.ean, func.max(BolOrder.placed_at))
            .join(BolOrder)
            .where(
                BolOrder.store_id == store_id, BolOrderItem.ean.in_(chunk), BolOrder.placed_at.is_not(None)
            )
            .group_by(BolOrderItem.ean)
        )
        found |= dict(rows.all())
    return found


def _chunks(eans: Iterable[str]) -> Iterable[list[str]]:
    unique = list(dict.fromkeys(eans))
    for start in range(0, len(unique), CHUNK):
        yield unique[start : start + CHUNK]
