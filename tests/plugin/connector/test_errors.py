"""Errors say what is known, when a repeat may help, and what a person can do."""

from __future__ import annotations

import inspect

import pytest

from plugin.connector import BolError, NotExecuted, OutcomeUnknown, errors, routes
from plugin.connector.answers import Answer, retry_after

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BolError)]
CANNOT_BE_REPEATED = {"BadRequest", "UnusableId", "SignInRefused", "Forbidden", "NotFound"}
LEAVES = [kind for kind in KINDS if kind not in (BolError, NotExecuted, OutcomeUnknown)]


@pytest.mark.parametrize("kind", LEAVES)
def test_each_error_is_drawn_in_the_tree_and_has_advice_of_its_own(kind: type[BolError]) -> None:
    assert f"── {kind.__name__} " in (errors.__doc__ or "")
    assert kind.advice != BolError.advice
    assert kind.executed == ("no" if issubclass(kind, NotExecuted) else "unknown")


@pytest.mark.parametrize("kind", LEAVES)
def test_each_error_says_if_a_repeat_may_help(kind: type[BolError]) -> None:
    assert (kind().retry_after is None) == (kind.__name__ in CANNOT_BE_REPEATED)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "BadRequest"),
        (401, "SignInRefused"),
        (403, "Forbidden"),
        (404, "NotFound"),
        (405, "BadRequest"),
        (406, "BadRequest"),
        (409, "Conflict"),
        (415, "BadRequest"),
        (429, "RateLimited"),
        *(
            (status, "ServerError")
            for status in (300, 302, 402, 408, 410, 418, 422, 500, 502, 503, 504, 507, 599)
        ),
    ],
)
def test_a_status_decides_the_error(status: int, kind: str) -> None:
    assert type(Answer(routes.ORDERS, status, {}, b"").error()).__name__ == kind


def test_an_error_carries_what_bol_said() -> None:
    body = b'{"violations": [{"name": "orderItems[0].quantity", "reason": "Too many."}, {"reason": "No name."}, 3]}'
    plain = Answer(routes.ORDERS, 400, {"x-request-id": "abc\x07-1"}, body).error()
    assert plain.violations == ()
    error = Answer(routes.ORDERS, 400, {"x-request-id": "abc\x07-1"}, body.replace(b", 3]", b"]")).error()
    assert [violation.name for violation in error.violations] == ["orderItems[0].quantity", ""]
    assert error.operator_text().endswith("bol says: Too many.; No name. (bol's reference: abc-1)")
    assert str(error) == (
        "BadRequest, GET /retailer/orders, status 400, orderItems[0].quantity: Too many.; No name., request abc-1"
    )


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("4", 4.0), (" 7 ", 7.0), ("", None), ("soon", None), ("-1", None), ("9" * 50, 86_400.0), ("²", None)],
)
def test_retry_after_is_read_where_it_makes_sense(given: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": given}) == seconds


def test_retry_after_may_be_a_date() -> None:
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert retry_after({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}) == 86_400.0


@pytest.mark.parametrize("kind", [kind for kind in LEAVES if issubclass(kind, OutcomeUnknown)])
def test_only_of_a_call_that_writes_it_is_said_that_nobody_knows_if_it_was_done(
    kind: type[OutcomeUnknown],
) -> None:
    assert "not known if this was done" in kind(method="POST").operator_text()
    assert "not known" not in kind(method="GET").operator_text()
