"""The EAN doctor: what is wrong with the numbers of offers and products, so that stock or orders may go astray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, False_, Select, and_, false, func, literal_column, select, union

from host_app.plugin_api import FreeStock, HostPort, ProductView
from plugin.models import AILING, Offer, OfferLink, OfferState
from plugin.settings import StoreSettings
from plugin.sync.mapping import FBR
from plugin.sync.matching import find_look_alikes, find_matches

INVALID, SEVERAL, MISSING, TWICE = "invalid", "several", "missing", "twice"
KINDS = (INVALID, SEVERAL, MISSING, TWICE)
#: So many numbers are handed over as they are.
MOST_TWICE = 500
#: Written out as the index has it, so that the index is used.
_AILING: ColumnElement[bool] = literal_column(AILING)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What there is to say about the EAN of one offer.

    :param problem: what is wrong with the number itself, a word of ``plugin.sync.eans``.
    :param having: the products that have the number, with their stock; of several, ``modified_last`` is the one
        whose stock was changed last.
    :param alike: numbers of products that look like it, each with its product.
    :param twins: other offers of the store with the same number, by row id, with what bol calls them.
    """

    problem: str
    having: tuple[ProductView, ...]
    stock: Mapping[int, FreeStock]
    modified_last: int | None
    alike: tuple[tuple[str, ProductView], ...]
    twins: Mapping[int, str]


def conditions(session: Any, store_id: int) -> dict[str, ColumnElement[bool]]:
    """Return, by kind, the condition of a store's offers that have such a problem. In a transaction, for reading at least."""
    # By adding nothing the store's number is kept from leading to any other index than that of the EANs.
    mine = and_(Offer.store_id + 0 == store_id, Offer.method == FBR, Offer.state == OfferState.LISTED)
    twice = _twice(mine)
    found = session.scalars(twice.limit(MOST_TWICE + 1)).all()
    # Looked up once where they are few, as they are nearly always: it takes a walk over the index of all EANs.
    known = Offer.ean.in_(found) if len(found) <= MOST_TWICE else Offer.ean.in_(twice.scalar_subquery())
    return {**ailments(store_id), TWICE: and_(mine, known) if found else false()}


def ailments(store_id: int) -> dict[str, ColumnElement[bool]]:
    """Return the conditions, by kind, that the index of what ails an offer answers alone."""
    ails = and_(Offer.store_id == store_id, _AILING)
    return {
        INVALID: and_(ails, Offer.ean_problem != ""),
        SEVERAL: and_(ails, Offer.candidates > 1, Offer.link.not_in((OfferLink.HAND, OfferLink.UNLINKED))),
        MISSING: and_(ails, Offer.product_id.is_(None), Offer.link != OfferLink.UNLINKED),
    }


def _twice(mine: ColumnElement[bool]) -> Select[str]:
    # Numbers that stand on several offers of whatever kind and store are found by the index alone, and are few.
    several = select(Offer.ean).group_by(Offer.ean, Offer.store_id).having(func.count() > 1)
    return (
        select(Offer.ean)
        .where(mine, Offer.ean != "", Offer.ean.in_(several))
        .group_by(Offer.ean)
        .having(func.count() > 1)
    )


def ailing(store_id: int, kinds: Mapping[str, ColumnElement[bool]], kind: str = "") -> Any:
    """Return the offers with a problem of this kind ("": of any), by EAN; ``kinds`` as :func:`conditions` gives them."""
    listed = select(Offer).order_by(Offer.ean, Offer.id)
    if kind:
        return listed.where(kinds[kind])
    ails = and_(Offer.store_id == store_id, _AILING)
    if isinstance(kinds[TWICE], False_):
        return listed.where(ails)
    # Two looks, each by an index of its own.
    found = union(select(Offer.id).where(ails), select(Offer.id).where(kinds[TWICE])).subquery()
    return listed.where(Offer.id.in_(select(found.c.id)))


def count(session: Any, kinds: Mapping[str, ColumnElement[bool]]) -> dict[str, int]:
    """Return how many offers have which problem."""
    return {
        kind: int(session.scalar(select(func.count()).select_from(Offer).where(condition)))
        for kind, condition in kinds.items()
    }


def diagnose(
    host: HostPort, store_id: int, settings: StoreSettings, offers: Sequence[Offer]
) -> dict[int, Diagnosis]:
    """Return what there is to say about these offers, by row id; the queries do not grow with them.

    In a transaction, for reading at least.
    """
    eans = [offer.ean for offer in offers if offer.ean]
    matches = find_matches(host, settings.lookup, eans)
    lonely = [ean for ean, match in matches.items() if not match.products]
    alike = find_look_alikes(host, lonely) if lonely else {}
    products = host.products(
        {product for match in matches.values() for product in match.products}
        | {product for found in alike.values() for _number, product in found}
    )
    stock = host.free_stock(products, settings.stock_warehouses or None)
    twins = _twins(host.session, store_id, eans)
    found = {}
    for offer in offers:
        match = matches.get(offer.ean)
        having = tuple(products[id_] for id_ in (match.products if match else ()) if id_ in products)
        found[offer.id] = Diagnosis(
            problem=offer.ean_problem,
            having=having,
            stock=stock,
            modified_last=max(
                (product.product_id for product in having),
                key=lambda id_: stock[id_].history_id if id_ in stock else 0,
                default=None,
            ),
            alike=tuple(
                (number, products[id_]) for number, id_ in alike.get(offer.ean, ()) if id_ in products
            ),
            twins={id_: title for id_, title in twins.get(offer.ean, {}).items() if id_ != offer.id},
        )
    return found


def _twins(session: Any, store_id: int, eans: Sequence[str]) -> dict[str, dict[int, str]]:
    if not eans:
        return {}
    rows = session.execute(
        # By the index of the EANs: with these two named as well, all of the store's would be gone through.
        select(Offer.ean, Offer.id, Offer.reference, Offer.offer_id, Offer.method, Offer.state).where(
            Offer.store_id == store_id, Offer.ean.in_(eans)
        )
    )
    found: dict[str, dict[int, str]] = {}
    for ean, row_id, reference, offer_id, method, state in rows:
        if method == FBR and state == OfferState.LISTED:
            found.setdefault(ean, {})[row_id] = reference or offer_id
    return found
