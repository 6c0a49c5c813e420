"""What a stock check makes of one offer: does bol show what it should, if not why, and what is done about it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from plugin import connector
from plugin.models import OfferState
from plugin.settings import StoreSettings
from plugin.sync.mapping import FBR

#: bol's clock and ours may differ by this much.
CLOCK = timedelta(minutes=1)
#: Of the runs that compare stock.
#: What brought a check about, where no person asked for it: kept among its counts.
OCCASION = "occasion"
BEFORE_ACTIVATION, BEFORE_SENDING, SENDING_BEGAN, NIGHT = (
    "before activation",
    "before sending",
    "sending began",
    "night",
)
#: Setting a store up compares its offers, and sends nothing.
SETTING_UP = (BEFORE_ACTIVATION, BEFORE_SENDING)
KIND = "stock check"


class Cause(StrEnum):
    """The likely reason of a difference."""

    CHANGED_AT_BOL = "changed at bol"
    LOST = "lost update"
    ORDER = "order in flight"
    NEW = "new offer"
    LINK = "link changed"
    ON_ITS_WAY = "update on its way"
    NOT_SENT = "not sent yet"
    DISCARDED = "discarded"
    CUT_OFF = "switched cut-off"
    GONE = "gone"


class Action(StrEnum):
    """What became of a difference."""

    MARKED = "marked for sending"
    LINKED = "linked"
    MARKED_GONE = "marked as gone"
    REPORTED = "reported only"
    WILL_BE_SENT = "will be sent"
    HELD = "held by the guard"


class Skipped(StrEnum):
    """Why an offer was not compared."""

    BOL_SHIPS = "bol ships"
    NO_PRODUCT = "no product"
    EXCLUDED = "kept out"
    UNKNOWN_STOCK = "stock unknown"
    MEANWHILE = "changed meanwhile"


@dataclass(frozen=True, slots=True)
class Asked:
    """When bol was asked, and of which offers (row ids) an update was under way then.

    sending: updates are sent at all; without, nothing is ever on its way.
    """

    at: datetime
    flying: AbstractSet[int]
    sending: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one offer when it is compared.

    :param shown: as bol shows it.
    :param row: columns of our table (``plugin.sync.comparing.COLUMNS``); None where it is not there.
    :param product_id: the product that it follows, or follows from now on; None for none.
    :param wanted: the amount by the store's rule; None where nothing may be sent.
    :param ordered_at: when the newest order of its EAN that we know of was placed.
    """

    shown: connector.Offer
    row: Row[Any] | None
    product_id: int | None
    wanted: int | None
    ordered_at: datetime | None = None

    @property
    def is_new(self) -> bool:
        """Tell if the offer was not listed here so far."""
        return self.row is None or self.row.state == OfferState.GONE

    @property
    def is_newly_linked(self) -> bool:
        """Tell if it got its product just now."""
        return self.product_id is not None and (self.row is None or self.row.product_id is None)


def skipped(facts: Facts, asked: Asked) -> Skipped | None:
    """Return why an offer is not compared, None where it is."""
    if facts.shown.method != FBR:
        return Skipped.BOL_SHIPS
    if facts.is_newly_linked:
        return None
    row = facts.row
    if row is None or facts.product_id is None:
        return Skipped.NO_PRODUCT
    if row.excluded:
        return Skipped.EXCLUDED
    if facts.wanted is None:
        return Skipped.UNKNOWN_STOCK
    if not facts.is_new and _moved(row, asked) and not _is_waiting(row, asked):
        return Skipped.MEANWHILE
    return None


def differs(facts: Facts, settings: StoreSettings) -> bool:
    """Tell if bol shows something else than it should. Offers that are new here, and have a product, always differ."""
    if facts.is_new or facts.is_newly_linked:
        return True
    shown = facts.shown
    return shown.amount != facts.wanted or shown.managed_by_retailer != settings.managed_by_retailer


def is_untouched(row: Row[Any], asked: Asked) -> bool:
    """Tell if no update was on its way to bol, so that what bol shows is what it has."""
    return not (_moved(row, asked) or row.in_doubt or _is_held(row))


def cause_of(facts: Facts, asked: Asked) -> Cause:
    """Return the likely cause of a difference."""
    row, shown = facts.row, facts.shown
    if row is None or facts.is_new:
        return Cause.NEW
    if facts.is_newly_linked:
        return Cause.LINK
    if _is_waiting(row, asked):
        return Cause.ON_ITS_WAY
    if _is_due(row):
        return Cause.NOT_SENT
    if shown.amount == facts.wanted:
        return Cause.CUT_OFF
    if _is_discarded(row, facts.wanted):
        return Cause.DISCARDED
    if shown.amount == row.confirmed_amount:
        # bol has what we told it: it is here that something changed since.
        return Cause.ORDER if _ordered_since(facts, row.confirmed_at) else Cause.LOST
    sent_at = row.sent_at or row.confirmed_at
    if sent_at is not None and shown.modified_at is not None and shown.modified_at < sent_at - CLOCK:
        # bol acknowledged our update, and has not changed the offer since long before it.
        return Cause.LOST
    return Cause.CHANGED_AT_BOL


def action_on(facts: Facts, cause: Cause, *, changing: bool) -> Action:
    """Return what to do about a difference.

    :param changing: False for a check that only reports.
    """
    if cause == Cause.ON_ITS_WAY:
        held = facts.row is not None and _is_held(facts.row)
        return Action.HELD if held else Action.WILL_BE_SENT
    if not changing or cause == Cause.DISCARDED:
        return Action.REPORTED
    if cause == Cause.GONE:
        return Action.MARKED_GONE
    return Action.LINKED if facts.is_newly_linked else Action.MARKED


def _is_due(row: Row[Any]) -> bool:
    return bool(row.dirty_version > row.done_version)


def _is_held(row: Row[Any]) -> bool:
    return row.held_at is not None and _is_due(row)


def _is_discarded(row: Row[Any], wanted: int | None) -> bool:
    """Tell if the pump was about to send 0, and a person said at the guard not to.

    An older release left no moment of the guard: of its offers this is seen by the 0 that was worked out and not sent.
    """
    left_before = row.wanted_amount == 0 and row.sent_amount != 0
    return wanted == 0 and (row.held_at is not None or left_before)


def _is_waiting(row: Row[Any], asked: Asked) -> bool:
    return asked.sending and (_is_due(row) or row.in_doubt)


def _moved(row: Row[Any], asked: Asked) -> bool:
    """Tell if bol may have answered with what it had before an update."""
    if row.id in asked.flying:
        return True
    return any(moment is not None and moment >= asked.at for moment in (row.sent_at, row.confirmed_at))


def _ordered_since(facts: Facts, moment: datetime | None) -> bool:
    """Tell if an order is known that was placed since, or bol shows by its own count that something was sold."""
    corrected = facts.shown.corrected_stock
    if corrected is not None and corrected < facts.shown.amount:
        return True
    return facts.ordered_at is not None and (moment is None or facts.ordered_at > moment - CLOCK)
