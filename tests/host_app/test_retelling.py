"""What the host keeps is said anew in the language of whoever looks."""

from __future__ import annotations

import ast
import smtplib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

import host_app
from host_app import mail
from host_app.languages import in_language, kept_text
from host_app.retelling import KEPT, retold

SOURCES = Path(host_app.__file__).parent
#: Those are mailed only, or names that people give later.
NOT_SHOWN = {
    "Test e-mail from the warehouse",
    "Notifications by e-mail arrive at this address.",
    "And %(count)s more, on the page Notifications.",
    "%(name)s: %(count)s new notifications",
    "Warehouse: %(count)s new notifications",
    "Urgent: %(subject)s",
    "Main warehouse",
}


@pytest.fixture(autouse=True)
def asked_in_dutch(app: Flask) -> Iterator[None]:
    with app.test_request_context(), in_language("nl"):
        yield


def say(text: str) -> str:
    return retold(text, say)


def messages() -> set[str]:
    """Return the messages that the sources keep: those of ``kept_text``, and the reasons of mail servers."""
    trees = {path: ast.parse(path.read_text()) for path in SOURCES.rglob("*.py")}
    calls = [node for tree in trees.values() for node in called(tree, "kept_text")]
    reasons = next(
        node for node in ast.walk(trees[SOURCES / "mail.py"]) if getattr(node, "name", "") == "_in_words"
    )
    first = [node.args[0] for node in [*calls, *called(reasons, "_")]]
    return {ast.literal_eval(node) for node in first if isinstance(node, ast.Constant)}


def called(tree: ast.AST, name: str) -> list[ast.Call]:
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name
    ]


def test_all_that_is_kept_and_shown_can_be_said_anew() -> None:
    assert messages() - NOT_SHOWN == set(KEPT)


@pytest.mark.parametrize("message", KEPT)
def test_each_of_them_is_said_in_the_other_language_and_back(message: str) -> None:
    values = dict.fromkeys(
        ("addresses", "why", "told", "count", "error", "plugin", "subject", "name", "number", "reason"), "R-7"
    )
    english, dutch = message % values, kept_text_in("nl", message, values)

    assert say(english) == dutch
    with in_language("en"):
        assert say(dutch) == english


def kept_text_in(name: str, message: str, values: dict[str, str]) -> str:
    with in_language(name):
        return str(mail._(message, **values))


def test_a_reason_within_a_text_is_said_too() -> None:
    for error in (smtplib.SMTPAuthenticationError(535, b"no"), ConnectionRefusedError(), socket.gaierror()):
        kept = kept_text("It was not sent: %(why)s", why=mail._reason(error))
        with in_language("nl"):
            dutch = kept_text_in("nl", "It was not sent: %(why)s", {"why": reason_in_dutch(error)})
        assert say(kept) == dutch != kept


def reason_in_dutch(error: Exception) -> str:
    words, code = mail._reason(error).rsplit(" (", 1)
    return f"{say(words)} ({code}"


@pytest.mark.parametrize(
    "text",
    ["", "Picklist", "order from Jan, by hand", "Order 7", "new products", "(x)", "Kapot (ValueError 3)", "x" * 3000],
)  # fmt: skip
def test_what_is_not_ours_stays_as_it_is(text: str) -> None:
    assert say(text) == text
