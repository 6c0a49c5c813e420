"""What an error of bol means for a whole flow: is it about one row, or will every call fail now?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from plugin.connector import (
    AddressBlocked,
    BolError,
    BudgetExhausted,
    ConnectFailed,
    Forbidden,
    RateLimited,
    SignInRefused,
    SignInUnavailable,
    StoreUnavailable,
)
from plugin.connector.errors import REFERENCE
from plugin.texts import gettext as _
from plugin.texts import in_each_language

#: Errors that every further call would meet as well: the flow stops and comes back later.
LINE_DOWN = (
    AddressBlocked,
    BudgetExhausted,
    ConnectFailed,
    Forbidden,
    RateLimited,
    SignInRefused,
    SignInUnavailable,
    StoreUnavailable,
)
FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=1)
#: Waiting for somebody to mend the sign-in or the account.
REFUSED_PAUSE = timedelta(minutes=5)


#: What a person must do about a problem with the line to bol, in one word; "" where it passes by itself.
SIGN_IN, BLOCKED, ACCOUNT, KEY, SETUP = "sign-in", "blocked", "account", "key", "setup"
_KINDS: Mapping[type[BolError], str] = {SignInRefused: SIGN_IN, AddressBlocked: BLOCKED, Forbidden: ACCOUNT}


def problem_kind(error: BolError) -> str:
    """Return who can end this problem: a word for what a person must do, "" where it passes by itself."""
    return next((kind for error_class, kind in _KINDS.items() if isinstance(error, error_class)), "")


def without_reference(text: str) -> str:
    """Return an operator's text without bol's number of the call, by which alone many of the same may differ."""
    for ending in in_each_language(REFERENCE):
        text = text.partition(f" {ending.partition('%(')[0]}")[0]
    return text


def tried_again(reason: str) -> str:
    """Add to an operator's text that it is tried again by itself, where it does not say so."""
    again = _("It is tried again by itself.")
    # What bol's errors advise may go on from there.
    return reason if again.rstrip(".") in reason else f"{reason} {again}"


def line_is_down(error: BolError) -> bool:
    """Tell if further calls would fail for the same reason."""
    return isinstance(error, LINE_DOWN)


def come_back(error: BolError, now: datetime, attempts: int = 0) -> datetime:
    """Return when to try again: as bol asks, else ever later, from ten seconds to an hour."""
    pause = min(FIRST_PAUSE * (1 << min(attempts, 10)), LONGEST_PAUSE)
    if error.retry_after is None:
        return now + max(pause, REFUSED_PAUSE)
    return now + max(timedelta(seconds=error.retry_after), pause if attempts else timedelta(0))
