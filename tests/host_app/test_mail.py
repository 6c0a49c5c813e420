"""Notifications by e-mail, with a real mail server: gathered, each at most once, and failures are seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from flask import Flask
from sqlalchemy import select

from host_app import jobs, leases, mail, schedule
from host_app.db import reading, transaction, utcnow
from host_app.mail_server import MailServer
from host_app.models import MailSetting, Notification
from tests.conftest import AppFactory
from tests.e2e.house import free_ports


class Postbox:
    """Takes mails, or answers each with ``answer``."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.answer = "250 taken"
        self.hang_up = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.mails.append(envelope.content.decode())
        if self.hang_up:
            # It was taken, and the answer is lost.
            server.transport.close()
        return self.answer


@pytest.fixture
def postbox() -> Iterator[tuple[Postbox, int]]:
    box = Postbox()
    (port,) = free_ports(1)
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.stop()


@pytest.fixture
def house(make_any_app: AppFactory, postbox: tuple[Postbox, int]) -> Callable[..., Flask]:
    def make(security: str = "none") -> Flask:
        return make_any_app(
            public_url="https://wms.example.com",
            mail_server=MailServer("127.0.0.1", postbox[1], security, "wms@example.com"),
        )

    return make


def choose(levels: str = "danger warning") -> None:
    with transaction() as session:
        since = utcnow() - timedelta(minutes=30)
        session.add(
            MailSetting(id=1, addresses="chief@example.com", levels=levels, since=since, attempts=0, error="")
        )


def tell(key: str, level: str = "danger", ago: float = 2, mail_to: str | None = None) -> None:
    at = utcnow() - timedelta(minutes=ago)
    with transaction() as session:
        session.add(
            Notification(
                key=key, kind="test", level=level, title=f"Title {key}", body="Body", url="/admin/x", at=at, read_by="",
                mail_to=mail_to,
            )
        )  # fmt: skip


def work(now: datetime, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Do as scheduler and worker do at that time: tell if a mail was due."""
    monkeypatch.setattr(mail, "utcnow", lambda: now)
    wakes = [wake for wake in schedule.tick(now) if wake.name == mail.MAIL.name]
    for wake in wakes:
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
    return bool(wakes)


def setting() -> MailSetting:
    with reading() as session:
        found = session.get(MailSetting, 1)
        assert found
        session.expunge(found)
        return found


def test_what_is_new_goes_in_one_mail_and_once(
    house: Callable[..., Flask], postbox: tuple[Postbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, _ = postbox
    with house().app_context():
        choose()
        for number in range(60):
            tell(f"n{number:02}")
        tell("info", "info")
        tell("old", ago=60)
        now = utcnow()
        assert work(now, monkeypatch)
        assert not work(now, monkeypatch)
        tell("later")
        assert not work(now + timedelta(minutes=4), monkeypatch)
        assert work(now + timedelta(minutes=6), monkeypatch)
    first, second = box.mails
    assert "Subject: Urgent: Warehouse: 60 new notifications" in first and "And 10 more" in first
    assert "Title n00" in first and "https://wms.example.com/admin/x" in first
    assert "Title info" not in first and "Title old" not in first
    assert "Subject: Urgent: Title later" in second and "Title n00" not in second


@pytest.mark.parametrize(
    ("rows", "subject"),
    [
        ([("Shop: a", "danger"), ("Shop: b", "danger")], "Urgent: Shop: 2 new notifications"),
        ([("Shop: a", "danger"), ("Shop: b", "info")], "Shop: 2 new notifications"),
        ([("Shop: a", "danger"), ("Other: b", "danger")], "Urgent: Warehouse: 2 new notifications"),
        ([("Shop: a", "info"), ("alone", "info")], "Warehouse: 2 new notifications"),
        ([("Shop: a", "warning")], "Shop: a"),
    ],
)
def test_the_subject_names_what_all_of_a_mail_share(
    house: Callable[..., Flask], rows: list[tuple[str, str]], subject: str
) -> None:
    told = [Notification(title=title, body="", level=level, url="") for title, level in rows]
    with house().app_context():
        server = MailServer("127.0.0.1", 25, "none", "wms@example.com")
        assert mail.compose(server, ["a@example.com"], told)["Subject"] == subject


def test_what_the_server_refuses_is_told_and_tried_again_ever_later(
    house: Callable[..., Flask], postbox: tuple[Postbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, _ = postbox
    box.answer = "451 later"
    with house().app_context():
        choose()
        tell("a")
        now = utcnow()
        assert work(now, monkeypatch)
        assert setting().error.startswith("Nothing was sent") and "451" in setting().error
        assert not work(now + timedelta(minutes=4), monkeypatch)
        assert work(now + timedelta(minutes=6), monkeypatch)
        assert not work(now + timedelta(minutes=15), monkeypatch)
        box.answer = "250 taken"
        assert work(now + timedelta(minutes=17), monkeypatch)
        assert not setting().error and setting().sent_at == now + timedelta(minutes=17)
        assert not work(now + timedelta(hours=2), monkeypatch)
    assert len(box.mails) == 1


def test_a_mail_whose_answer_is_lost_is_never_sent_again(
    house: Callable[..., Flask], postbox: tuple[Postbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, _ = postbox
    box.hang_up = True
    with house().app_context():
        choose()
        tell("a")
        now = utcnow()
        assert work(now, monkeypatch)
        assert setting().error.startswith("The mail may have been sent or not")
        assert not work(now + timedelta(hours=2), monkeypatch)
    assert len(box.mails) == 1


def test_a_worker_that_dies_before_it_hands_over_sends_nothing_twice(
    house: Callable[..., Flask], postbox: tuple[Postbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, _ = postbox
    with house().app_context():
        choose()
        tell("a")
        now = utcnow()
        with monkeypatch.context() as dying:
            dying.setattr(mail, "hand_over", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                work(now, monkeypatch)
        assert not work(now + timedelta(hours=2), monkeypatch)
        with reading() as session:
            assert session.scalar(select(Notification.mailed_at)) == now
    assert box.mails == []


def test_a_server_without_encryption_is_told_nothing_where_encryption_is_asked(
    house: Callable[..., Flask], postbox: tuple[Postbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, _ = postbox
    with house("starttls").app_context():
        choose()
        tell("a")
        assert work(utcnow(), monkeypatch)
        assert "Nothing was sent" in setting().error
    assert box.mails == []


def test_nothing_is_due_where_no_server_or_no_address_is_set(
    make_app: AppFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_app().app_context():
        choose()
        tell("a")
        assert not work(utcnow(), monkeypatch)


def recipients(box: Postbox) -> list[str]:
    return [
        line.removeprefix("To: ")
        for mail_ in box.mails
        for line in mail_.splitlines()
        if line.startswith("To: ")
    ]


def test_what_plugins_want_mailed_goes_to_whom_they_name_one_mail_each(
    house: Callable[..., Flask], postbox: tuple[Postbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, _ = postbox
    with house().app_context():
        choose("danger")
        tell("urgent")
        for number in range(3):
            tell(f"named{number}", "info", mail_to="ann@example.com bob@example.com")
        tell("ours", "info", mail_to="")
        tell("both", "danger", mail_to="ann@example.com")
        tell("neither", "info")
        tell("no news", "info", ago=60 * 25, mail_to="ann@example.com")
        work(utcnow(), monkeypatch)
        assert sorted(recipients(box)) == [
            "ann@example.com, bob@example.com",
            "chief@example.com",
            "chief@example.com, ann@example.com",
        ]
        named = next(mail_ for mail_ in box.mails if "bob@" in mail_)
        assert named.count("Title named") == 3
        assert not any("Title neither" in mail_ or "Title no news" in mail_ for mail_ in box.mails)
        work(utcnow() + timedelta(minutes=10), monkeypatch)
        assert len(box.mails) == 3


def test_a_plugins_addresses_are_mailed_where_the_host_has_none(
    house: Callable[..., Flask], postbox: tuple[Postbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, _ = postbox
    with house().app_context():
        tell("ours", "info", mail_to="")
        assert not work(utcnow(), monkeypatch)
        tell("named", "info", mail_to="ann@example.com")
        assert work(utcnow(), monkeypatch)
        assert recipients(box) == ["ann@example.com"]


def test_one_address_that_fails_keeps_no_other_from_its_mail(
    house: Callable[..., Flask], postbox: tuple[Postbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, _ = postbox
    real = mail.hand_over

    def fail_for_ann(server: MailServer, message: Any, addresses: Any) -> None:
        if "ann@example.com" in addresses:
            raise mail.NotSent("refused")
        real(server, message, addresses)

    with house().app_context():
        choose()
        tell("named", mail_to="ann@example.com")
        tell("urgent")
        now = utcnow()
        monkeypatch.setattr(mail, "hand_over", fail_for_ann)
        work(now, monkeypatch)
        assert recipients(box) == ["chief@example.com"]
        assert "tried again" in setting().error
        monkeypatch.setattr(mail, "hand_over", real)
        work(now + timedelta(minutes=6), monkeypatch)
        assert recipients(box) == ["chief@example.com", "chief@example.com, ann@example.com"]
        assert setting().error == ""


def test_where_the_server_is_slow_what_is_for_others_goes_next_time(
    house: Callable[..., Flask], postbox: tuple[Postbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, _ = postbox
    monkeypatch.setattr(leases, "SLICE_SECONDS", 0)
    with house().app_context():
        choose()
        tell("first", "info", mail_to="ann@example.com")
        tell("second", "info", mail_to="bob@example.com")
        now = utcnow()
        assert work(now, monkeypatch)
        assert [title in sent for sent in box.mails for title in ("first", "second")] == [True, False]
        assert work(now + timedelta(minutes=6), monkeypatch)
        assert not work(now + timedelta(minutes=12), monkeypatch)
    assert "Title second" in box.mails[1] and len(box.mails) == 2


def test_a_test_mail_is_sent_at_once_and_told_in_words(
    house: Callable[..., Flask], postbox: tuple[Postbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, _ = postbox
    with house().app_context():
        choose()
        assert ask_and_send() == ("success", "The mail server has taken it for chief@example.com.")
        assert recipients(box) == ["chief@example.com"] and "Test e-mail" in box.mails[0]
        # It is neither news that is mailed once more, nor sent twice.
        assert not work(utcnow() + timedelta(minutes=10), monkeypatch)
        assert [wake.name for wake in schedule.tick(utcnow())].count(mail.TEST.name) == 0
        box.answer = "550 no"
        level, told = ask_and_send()
        assert level == "danger" and "the mail server does not take the mail. (SMTPDataError 550)" in told
        box.hang_up, box.answer = True, "250 taken"
        level, told = ask_and_send()
        assert level == "danger" and told.startswith("It may have been sent or not: the connection")
    assert len(box.mails) == 2


def test_after_a_test_mail_that_arrives_what_failed_before_is_sent_at_once(
    house: Callable[..., Flask], postbox: tuple[Postbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, _ = postbox
    box.answer = "451 later"
    with house().app_context():
        choose()
        tell("a")
        now = utcnow()
        assert work(now, monkeypatch) and not work(now, monkeypatch)
        box.answer = "250 taken"
        ask_and_send()
        assert setting().error == ""
        assert work(now + timedelta(seconds=5), monkeypatch)
    assert ["Title a" in sent for sent in box.mails] == [False, True]


@pytest.mark.parametrize(
    ("security", "port", "told"),
    [
        ("tls", None, "no trusted TLS connection"),
        ("starttls", None, "no trusted TLS connection"),
        ("none", 0, "can't be reached"),
    ],
)
def test_why_a_test_mail_was_not_sent_is_told(
    make_app: AppFactory, postbox: tuple[Postbox, int], security: str, port: int | None, told: str
) -> None:
    closed = free_ports(1)[0] if port is not None else postbox[1]
    server = MailServer("127.0.0.1", closed, security, "wms@example.com")
    with make_app(mail_server=server).app_context():
        choose()
        level, text = ask_and_send()
        assert level == "danger" and text.startswith("It was not sent: ") and told in text


def ask_and_send() -> tuple[str, str]:
    """Ask for a test e-mail, do as scheduler and worker do, and return what is told of it."""
    with transaction():
        mail.ask_for_test("chief")
    for wake in [wake for wake in schedule.tick(utcnow()) if wake.name == mail.TEST.name]:
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
    with reading():
        found = mail.newest_test()
        assert found is not None and found.read_at is not None
        return found.level, found.body.partition(" Not there")[0]
