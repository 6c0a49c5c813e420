"""Questions take two seconds at most, and a plugin that fails is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from host_app.db import transaction
from host_app.plugin_api import ClosingAnswer
from host_app.questions import FAILURES, REST_SECONDS, SECONDS, Answer, Questions
from tests.conftest import AppFactory
from tests.host_app.probe import Probe, running

FINE = Answer("probe", ClosingAnswer(warnings=("asked",)))
FAILED = Answer("probe", failed=True)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def probe(make_app: AppFactory) -> Iterator[Probe]:
    with running(make_app) as probe:
        yield probe


def fail(_hook: str, _what: Any) -> None:
    raise ValueError("no")


def ask(questions: Questions) -> list[Answer]:
    return questions.ask("picklist_closing", picklist_id=1)


def test_a_question_is_answered_by_the_plugins_that_know_it(probe: Probe) -> None:
    assert ask(Questions()) == [FINE]
    assert SECONDS == 2


def test_nobody_is_asked_where_no_plugin_knows_the_question(app: Flask) -> None:
    assert ask(Questions()) == []


def test_a_plugin_that_raises_does_not_stop_the_work(probe: Probe) -> None:
    probe.on = fail
    assert ask(Questions()) == [FAILED]


def test_who_is_late_is_not_waited_for(probe: Probe) -> None:
    go_on = threading.Event()
    probe.on = lambda *_: go_on.wait(10) and None
    began = time.monotonic()
    try:
        assert ask(Questions(seconds=0.1)) == [FAILED]
        assert time.monotonic() - began < 1
    finally:
        go_on.set()


def test_after_three_failures_in_a_row_a_question_rests_for_thirty_seconds(probe: Probe) -> None:
    clock = Clock()
    questions = Questions(clock=clock)
    probe.on = fail
    for _ in range(FAILURES + 2):
        assert ask(questions) == [FAILED]
    assert len(probe.told) == FAILURES
    clock.now = REST_SECONDS - 1
    ask(questions)
    assert len(probe.told) == FAILURES
    clock.now = REST_SECONDS
    ask(questions)
    assert len(probe.told) == FAILURES + 1
    ask(questions)
    assert len(probe.told) == FAILURES + 1, "it failed again, so it rests again"
    clock.now = REST_SECONDS * 2
    probe.on = None
    assert ask(questions) == [FINE]
    assert ask(questions) == [FINE]


def test_after_a_rest_one_asker_tries_while_the_others_are_not_kept_waiting(probe: Probe) -> None:
    clock = Clock()
    questions = Questions(clock=clock)
    probe.on = fail
    for _ in range(FAILURES):
        ask(questions)
    clock.now = REST_SECONDS
    others: list[Answer] = []
    probe.on = lambda *_: others.extend(
        [Answer("probe", failed=questions._rests("probe", "picklist_closing"))]
    )
    assert ask(questions) == [FINE]
    assert others == [FAILED]


def test_a_success_forgets_earlier_failures(probe: Probe) -> None:
    questions = Questions()
    for _ in range(2):
        probe.on = fail
        for _ in range(FAILURES - 1):
            ask(questions)
        probe.on = None
        assert ask(questions) == [FINE]


def test_a_question_inside_a_transaction_is_refused(probe: Probe) -> None:
    with pytest.raises(RuntimeError, match="outside of transactions"), transaction():
        ask(Questions())
