"""What can go wrong between us and bol, sorted by the one question that matters: was it done?

    BolError
    ├── NotExecuted            bol did not do the work; the same call may be made again
    │   ├── ConnectFailed        no connection, nothing was sent
    │   ├── NoTimeLeft           the deadline passed before anything was sent
    │   ├── BadRequest           400, 405, 406, 415: bol does not accept what we ask
    │   │   └── UnusableId         an id that can't be part of an address; nothing was sent
    │   ├── SignInRefused        the credentials, or a fresh token, are not accepted
    │   ├── SignInUnavailable    bol's login is out of order; the call itself was never sent
    │   ├── AddressBlocked       404 of the token address: bol blocks our IP address
    │   ├── Forbidden            403, such as an account that is not active
    │   ├── NotFound             404
    │   ├── Conflict             409
    │   ├── RateLimited          429
    │   ├── BudgetExhausted      our own budget had no room before the deadline
    │   └── StoreUnavailable     the storage of tokens or budgets (Redis) is away
    └── OutcomeUnknown         the first byte was sent; a write may or may not have been done
        ├── TimedOut             no complete answer before the deadline
        ├── ConnectionLost       the connection broke
        ├── ServerError          5xx, and every status that does not say "not done"
        └── MalformedAnswer      an answer that cannot be read

Reads raise the same errors; for them "unknown" has no weight. A wrong argument is a ValueError: it is ours. An id comes
from bol or from people, so that one is both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal


def N_(message: str) -> str:
    """Mark a text for operators that a program may translate: the texts here are English."""
    return message


SAID = N_("bol says: %(said)s")
#: Methods of calls that change nothing.
READING = ("GET", "HEAD")
#: What an operator's text ends with.
REFERENCE = N_("(bol's reference: %(reference)s)")


@dataclass(frozen=True)
class Violation:
    """One entry of bol's Problem.violations. `name` is "" where bol leaves it out (rules over several fields)."""

    name: str
    reason: str


class BolError(Exception):
    """Every failure of the connector.

    executed: "no" if bol certainly did not do the work, "unknown" if it may have.
    retry_after: seconds until a repeat of the same call may help; None if it cannot help.
    method, route: what was called, the route as a template ("/retailer/orders/{order-id}").
    status, request_id, violations: from bol's answer, where there was one.
    """

    executed: ClassVar[Literal["no", "unknown"]] = "unknown"
    advice: ClassVar[str] = N_("Something went wrong in talking to bol.")
    default_retry_after: ClassVar[float | None] = None

    def __init__(
        self,
        detail: str = "",
        *,
        method: str = "",
        route: str = "",
        status: int | None = None,
        request_id: str | None = None,
        violations: tuple[Violation, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.method = method
        self.route = route
        self.status = status
        self.request_id = request_id
        self.violations = violations
        self.retry_after = self.default_retry_after if retry_after is None else retry_after

    def __str__(self) -> str:
        call = f"{self.method} {self.route}".strip()
        status = f"status {self.status}" if self.status is not None else ""
        reasons = "; ".join(f"{v.name}: {v.reason}" if v.name else v.reason for v in self.violations)
        request = f"request {self.request_id}" if self.request_id else ""
        parts = [type(self).__name__, call, status, self.detail, reasons, request]
        return ", ".join(part for part in parts if part)

    def operator_text(self, translate: Callable[[str], str] = str) -> str:
        """What happened and what to do, for the person who runs the shop: no markup, no secrets. English, unless each
        text is translated; what bol says of it is as bol says it."""
        return self._told(self.advice, translate)

    def _told(self, advice: str, translate: Callable[[str], str]) -> str:
        parts = [translate(advice)]
        if said := "; ".join(violation.reason for violation in self.violations if violation.reason):
            parts.append(translate(SAID) % {"said": said})
        if self.request_id:
            parts.append(translate(REFERENCE) % {"reference": self.request_id})
        return " ".join(parts)


class NotExecuted(BolError):
    """bol did not do the work."""

    executed = "no"


class ConnectFailed(NotExecuted):
    advice = N_(
        "bol could not be reached. It is tried again by itself; if it lasts, check the internet connection."
    )
    default_retry_after = 5.0


class NoTimeLeft(NotExecuted):
    advice = N_("There was no time left to call bol. It is tried again by itself.")
    default_retry_after = 1.0


class BadRequest(NotExecuted):
    advice = N_(
        "bol does not accept this request; sending it again will not help. Correct what is named here."
    )


class UnusableId(BadRequest, ValueError):
    advice = N_("bol can't be asked for something with this id.")


class SignInRefused(NotExecuted):
    """`code` is the OAuth error code ("invalid_client", "invalid_grant") where the login gave one."""

    advice = N_(
        "bol does not accept the sign-in of this store. Check the API credentials, and sign in again."
    )
    code: str | None = None


class SignInUnavailable(NotExecuted):
    advice = N_("bol's sign-in does not work at the moment. It is tried again by itself.")
    default_retry_after = 10.0


class AddressBlocked(NotExecuted):
    """How long a block lasts is not published; a quarter of an hour of silence is our choice."""

    advice = N_(
        "bol blocks the internet address of this server. Stop other programs that sign in to bol from here, "
        "wait, and contact bol if it lasts."
    )
    default_retry_after = 900.0


class Forbidden(NotExecuted):
    advice = N_(
        "bol refuses access with this account. Check in the seller portal that the account is active."
    )


class NotFound(NotExecuted):
    advice = N_("bol does not know this item (any more).")


class Conflict(NotExecuted):
    advice = N_("bol reports a conflict with another change. It is tried again by itself.")
    default_retry_after = 10.0


class RateLimited(NotExecuted):
    advice = N_("bol asks us to slow down. It is tried again by itself.")
    default_retry_after = 5.0


class BudgetExhausted(NotExecuted):
    advice = N_("Too many calls to bol are waiting. It is tried again by itself.")
    default_retry_after = 1.0


class StoreUnavailable(NotExecuted):
    advice = N_(
        "Our own storage (Redis) does not answer, so bol was not called. Check that Redis is running."
    )
    default_retry_after = 5.0


class OutcomeUnknown(BolError):
    """bol may have done the work. `read_advice` is for calls that only read, where that leaves nothing in doubt."""

    read_advice: ClassVar[str] = N_("bol could not be read. It is tried again by itself.")

    def operator_text(self, translate: Callable[[str], str] = str) -> str:
        return self._told(self.read_advice if self.method in READING else self.advice, translate)


class TimedOut(OutcomeUnknown):
    advice = N_("bol did not answer in time, so it is not known if this was done.")
    read_advice = N_("bol did not answer in time. It is tried again by itself.")
    default_retry_after = 5.0


class ConnectionLost(OutcomeUnknown):
    advice = N_("The connection to bol broke, so it is not known if this was done.")
    read_advice = N_("The connection to bol broke. It is tried again by itself.")
    default_retry_after = 5.0


class ServerError(OutcomeUnknown):
    advice = N_("bol has a technical problem, so it is not known if this was done.")
    read_advice = N_("bol has a technical problem. It is tried again by itself.")
    default_retry_after = 30.0


class MalformedAnswer(OutcomeUnknown):
    advice = N_("bol's answer could not be read, so it is not known if this was done.")
    read_advice = N_("bol's answer could not be read. It is tried again by itself.")
    default_retry_after = 30.0
