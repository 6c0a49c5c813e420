"""Where an offer stands, in one word for its stock and in others for its product; what the pages filter and count by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select
from sqlalchemy.orm import aliased

from host_app.plugin_api import Level
from plugin.models import Discrepancy, Offer, OfferLink, OfferState, Run
from plugin.settings import StoreSettings
from plugin.sync.amounts import Making, is_at_bol
from plugin.sync.dirty import held, kept_on_sale
from plugin.sync.findings import KIND, Action
from plugin.sync.mapping import FBR
from plugin.texts import gettext as _
from plugin.texts import lazy as _l
from plugin.texts import minute, number

GONE, BOL_SHIPS, NO_PRODUCT, UNLINKED = "gone", "bol ships", "no product", "unlinked by hand"
EXCLUDED, HELD, KEPT_ON_SALE = "excluded", "held", "kept on sale"
WAITING, FAILED, UP_TO_DATE = "waiting", "failed", "up to date"
OFFER_STATES = (
    UP_TO_DATE,
    WAITING,
    FAILED,
    HELD,
    KEPT_ON_SALE,
    EXCLUDED,
    NO_PRODUCT,
    UNLINKED,
    BOL_SHIPS,
    GONE,
)
#: States of offers that have a product.
LINKED_STATES = (UP_TO_DATE, WAITING, FAILED, HELD, KEPT_ON_SALE, EXCLUDED)

DIFFERS = "differs"
FOUND, CREATED, BY_HAND, SEVERAL, INVALID = "found", "created", "by hand", "several products", "invalid EAN"

_OURS = and_(Offer.method == FBR, Offer.state == OfferState.LISTED)


#: Where an offer stands, in words.
WORDS: Mapping[str, tuple[str, Level]] = {
    UP_TO_DATE: (_l("up to date"), Level.SUCCESS),
    WAITING: (_l("waiting to be sent"), Level.INFO),
    FAILED: (_l("failed"), Level.DANGER),
    HELD: (_l("held by the guard"), Level.WARNING),
    KEPT_ON_SALE: (_l("kept on sale"), Level.WARNING),
    EXCLUDED: (_l("kept out"), Level.INFO),
    NO_PRODUCT: (_l("no product"), Level.WARNING),
    UNLINKED: (_l("unlinked by hand"), Level.INFO),
    BOL_SHIPS: (_l("bol ships it"), Level.INFO),
    GONE: (_l("gone at bol"), Level.INFO),
}

#: An amount that bol showed, and when.
Seen = tuple[int, datetime]


def offer_state() -> ColumnElement[str]:
    """Return the expression that tells in one word where an offer stands."""
    due = Offer.dirty_version > Offer.done_version
    return case(
        (Offer.state == OfferState.GONE, GONE),
        (Offer.method != FBR, BOL_SHIPS),
        (Offer.link == OfferLink.UNLINKED, UNLINKED),
        (Offer.product_id.is_(None), NO_PRODUCT),
        (Offer.excluded, EXCLUDED),
        (held(Offer), HELD),
        (kept_on_sale(Offer), KEPT_ON_SALE),
        (and_(due, Offer.error != ""), FAILED),
        (due, WAITING),
        else_=UP_TO_DATE,
    )


def standing(
    offer: Offer,
    word: str,
    wanted: int | None,
    settings: StoreSettings,
    *,
    sends: bool,
    seen: Mapping[int, Seen] = MappingProxyType({}),
) -> tuple[str, Level]:
    """Tell where an offer stands by the amount that bol should have now.

    A change of stock may not have been told yet to those who send it: that nothing is due does not make it right.

    :param word: its ``offer_state``.
    :param wanted: its amount by ``amounts``.
    :param sends: the store is active and sends stock.
    :param seen: what ``seen_otherwise`` found.
    """
    if word not in (UP_TO_DATE, WAITING, KEPT_ON_SALE):
        return WORDS[word]
    if wanted is None:
        return _("stock unknown"), Level.WARNING
    if word == KEPT_ON_SALE and wanted == 0:
        has = offer.confirmed_amount
        if has is None or offer.in_doubt:
            return WORDS[word]
        return _("kept on sale: bol has %(amount)s, here 0", amount=number(has)), Level.WARNING
    if offer.in_doubt or offer.confirmed_amount != wanted:
        if sends:
            return _("being sent to bol: %(amount)s", amount=number(wanted)), Level.INFO
        return _("not sent to bol: %(amount)s", amount=number(wanted)), Level.WARNING
    if word == UP_TO_DATE and offer.id in seen:
        amount, moment = seen[offer.id]
        told = _(
            "bol showed %(amount)s at the stock check of %(moment)s",
            amount=number(amount),
            moment=minute(moment),
        )
        return told, Level.WARNING
    return WORDS[UP_TO_DATE if is_at_bol(offer, wanted, settings) else word]


def sum_of(making: Making) -> str:
    """Tell what makes an amount, as a sum: "48 in stock − 2 ordered − 2 kept back"."""
    made = making.free - making.pending + making.open_at_bol - making.kept
    if making.reserved:
        there = number(making.free + making.reserved)
        parts = [
            _("%(count)s in stock", count=there),
            _("− %(count)s ordered", count=number(making.reserved)),
        ]
    else:
        parts = [_("%(count)s free here", count=number(making.free))]
    if making.pending:
        parts.append(_("− %(count)s on orders still to come in", count=number(making.pending)))
    if making.open_at_bol:
        parts.append(_("+ %(count)s that bol subtracts itself", count=number(making.open_at_bol)))
    if making.kept:
        parts.append(_("− %(count)s kept back", count=number(making.kept)))
    told = " ".join(parts)
    limit = ""
    if made > making.amount:
        limit = _("at most %(count)s are shown", count=number(making.amount))
    elif made < 0:
        limit = _("less than 0 is 0")
    return "; ".join(filter(None, (told, limit)))


def seen_otherwise(session: Any, offers: Sequence[Offer]) -> dict[int, Seen]:
    """Return, by row id, the amounts that the newest stock check of the store has seen at bol and left as they are, and when.

    A dry run tells and changes nothing; until something is sent, bol has what it saw. In a transaction.
    """
    newest = (
        select(func.max(Run.id))
        .where(Run.kind == KIND, Run.store_id.in_({offer.store_id for offer in offers}))
        .group_by(Run.store_id)
    )
    rows = session.execute(
        select(Run.store_id, Discrepancy.offer_id, Discrepancy.bol_amount, Discrepancy.found_at)
        .join(Run, Run.id == Discrepancy.run_id)
        .where(
            Discrepancy.run_id.in_(newest),
            Discrepancy.offer_id.in_([offer.offer_id for offer in offers]),
            Discrepancy.action == Action.REPORTED,
            Discrepancy.bol_amount.is_not(None),
        )
    )
    found = {(store_id, offer_id): (amount, found_at) for store_id, offer_id, amount, found_at in rows}
    seen: dict[int, Seen] = {}
    for offer in offers:
        amount, found_at = found.get((offer.store_id, offer.offer_id), (None, None))
        if amount is not None and (offer.sent_at is None or found_at > offer.sent_at):
            seen[offer.id] = (amount, found_at)
    return seen


def differs(store_id: int) -> ColumnElement[bool]:
    """Return the condition of offers of which bol was told another amount than was last worked out, or shows one, as far as
    the newest stock check has seen."""
    told = or_(Offer.confirmed_amount.is_(None), Offer.confirmed_amount != Offer.wanted_amount)
    return and_(
        _OURS,
        Offer.product_id.is_not(None),
        Offer.excluded.is_(False),
        or_(and_(Offer.wanted_amount.is_not(None), told), Offer.id.in_(_left_otherwise(store_id))),
    )


def _left_otherwise(store_id: int) -> Select[int]:
    """Select what :func:`seen_otherwise` tells of: few of many offers."""
    newest = select(func.max(Run.id)).where(Run.kind == KIND, Run.store_id == store_id)
    seen = aliased(Offer)
    return (
        select(seen.id)
        .join(Discrepancy, Discrepancy.offer_id == seen.offer_id)
        .where(
            seen.store_id == store_id,
            Discrepancy.run_id == newest.scalar_subquery(),
            Discrepancy.action == Action.REPORTED,
            Discrepancy.bol_amount.is_not(None),
            or_(seen.sent_at.is_(None), Discrepancy.found_at > seen.sent_at),
        )
    )


#: How an offer came to its product, and what is unclear about that: word -> condition.
MATCHES: Mapping[str, ColumnElement[bool]] = {
    FOUND: and_(_OURS, Offer.link == OfferLink.AUTO, Offer.product_id.is_not(None)),
    CREATED: and_(_OURS, Offer.link == OfferLink.CREATED),
    BY_HAND: and_(_OURS, Offer.link == OfferLink.HAND),
    SEVERAL: and_(_OURS, Offer.candidates > 1),
    INVALID: and_(_OURS, Offer.ean_problem != ""),
}
_FOLLOWING = and_(
    _OURS, Offer.link != OfferLink.UNLINKED, Offer.product_id.is_not(None), Offer.excluded.is_(False)
)
#: Not "is listed": that would lead to the index of all listed offers, and away from that of the few that are due.
_PUMPED = and_(
    Offer.state != OfferState.GONE,
    Offer.method == FBR,
    Offer.link != OfferLink.UNLINKED,
    Offer.product_id.is_not(None),
    Offer.excluded.is_(False),
)
_DUE = and_(_PUMPED, Offer.dirty_version > Offer.done_version, Offer.held_at.is_(None))
#: The states once more, as conditions that indexes answer: of many offers few are in most of them.
_STATES: Mapping[str, ColumnElement[bool]] = {
    GONE: Offer.state == OfferState.GONE,
    BOL_SHIPS: and_(Offer.state == OfferState.LISTED, Offer.method != FBR),
    UNLINKED: and_(_OURS, Offer.link == OfferLink.UNLINKED),
    NO_PRODUCT: and_(_OURS, Offer.link != OfferLink.UNLINKED, Offer.product_id.is_(None)),
    EXCLUDED: and_(
        _OURS, Offer.link != OfferLink.UNLINKED, Offer.product_id.is_not(None), Offer.excluded.is_(True)
    ),
    HELD: and_(_PUMPED, held(Offer)),
    KEPT_ON_SALE: and_(_PUMPED, kept_on_sale(Offer)),
    FAILED: and_(_DUE, Offer.error != ""),
    WAITING: and_(_DUE, Offer.error == ""),
    UP_TO_DATE: and_(_FOLLOWING, Offer.dirty_version <= Offer.done_version, ~kept_on_sale(Offer)),
}
#: Of these a person said at the guard that bol goes on selling them.
IS_KEPT_ON_SALE = _STATES[KEPT_ON_SALE]
#: Everything that a list of offers can be narrowed to.
FILTERS = (*OFFER_STATES, DIFFERS, *MATCHES)


def narrowed(statement: Any, word: str, store_id: int) -> Any:
    """Return a statement for those of a store's offers only that one of ``FILTERS`` names."""
    if word == DIFFERS:
        return statement.where(differs(store_id))
    return statement.where(MATCHES[word] if word in MATCHES else _STATES[word])
