"""Notifications by e-mail: one mail for all that are new and for the same people, every five minutes at most, and each of
them at most once.

A row is marked before the mail is handed over, and unmarked only where the server has certainly not taken it. Whoever dies
between the two has sent nothing or everything: the notification stands on its page all the same.

A test e-mail is a notification, too, that is read already and in no list: what became of it is told beside its button.
"""

from __future__ import annotations

import logging
import smtplib
import socket
import ssl
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from email.message import EmailMessage

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import Select, and_, or_, select, update

from host_app.db import current_session, reading, transaction, utcnow
from host_app.languages import kept, kept_text
from host_app.mail_server import MailServer
from host_app.models import MailSetting, Notification
from host_app.plugin_api import HostError, HostPort, Lease, Level, Wake
from host_app.plugins import HOST_QUEUE
from host_app.wakes import wake

#: What comes within a minute goes in one mail.
GATHER = timedelta(minutes=1)
EVERY = timedelta(minutes=5)
LONGEST_REST = timedelta(hours=1)
#: What a plugin wants mailed is no news any more after this time, as where the mail server was set up later.
NEWS = timedelta(days=1)
SECONDS = 15
MOST_SHOWN = 50
MAIL = Wake("host:mail", HOST_QUEUE, "host_app.mail:send")
TEST = Wake("host:test-mail", HOST_QUEUE, "host_app.mail:send_test")
#: Of notifications that tell what became of a test e-mail. Nobody waits longer for one.
TEST_KIND = "host.test-mail"
TEST_WAITS = timedelta(minutes=10)
log = logging.getLogger(__name__)


class NotSent(Exception):
    """The server has certainly not taken the mail."""


class NobodyKnows(Exception):
    """The connection was lost where the server may have taken it."""


def server() -> MailServer | None:
    """Return the mail server of this installation; None where mail is off."""
    found: MailServer | None = current_app.extensions["host_config"].mail_server
    return found


def due(now: datetime) -> bool:
    """Tell if there is something to send now."""
    if server() is None:
        return False
    with reading() as session:
        setting = session.get(MailSetting, 1)
        if _rests(setting, now):
            return False
        return session.scalar(_new(setting, now - GATHER, now).limit(1)) is not None


def send(host: HostPort, lease: Lease) -> bool:
    """Job: send all that is new, one mail to each group of people."""
    mail_server, now = server(), utcnow()
    if mail_server is None:
        return False
    with transaction() as session:
        setting = session.get(MailSetting, 1, with_for_update=True)
        if _rests(setting, now):
            return False
        if setting is None:
            # A plugin may name addresses where the host has none of its own.
            setting = MailSetting(id=1, addresses="", levels="", since=now, attempts=0, error="")
            session.add(setting)
        rows = session.scalars(select(Notification).where(Notification.id.in_(_new(setting, now, now)))).all()
        groups: dict[tuple[str, ...], list[int]] = {}
        for row in sorted(rows, key=lambda row: row.id):
            groups.setdefault(_people(setting, row), []).append(row.id)
        if groups:
            setting.next_at = now + EVERY
    failures = []
    for addresses, ids in groups.items():
        # The time that the server may take, for each of its few answers.
        lease.ensure(SECONDS * 2)
        failures += _send_one(mail_server, addresses, ids, now)
        if lease.slice_over():
            # A job that is ended while the server is slow has marked what it did not send: the rest goes next time.
            break
    if groups:
        _record(now, failures)
    return False


def ask_for_test(who: str) -> None:
    """Have a test e-mail sent to the addresses that are chosen. In a transaction.

    :raises HostError: there are none, or no mail server.
    """
    session, now = current_session(), utcnow()
    setting = session.get(MailSetting, 1)
    if server() is None or setting is None or not setting.addresses:
        raise HostError(_("Fill in an address and save it first."))
    if session.scalar(_waiting_tests(now).limit(1)) is None:
        session.add(
            Notification(
                key=f"{TEST_KIND}:{uuid.uuid4().hex}",
                kind=TEST_KIND,
                level=Level.INFO,
                title=kept_text("Test e-mail"),
                body=kept_text("It is being sent to %(addresses)s.", addresses=setting.addresses),
                url=None,
                at=now,
                read_at=now,
                read_by=who,
                mail_to=setting.addresses,
            )
        )
        session.flush()
    wake(TEST)


def newest_test() -> Notification | None:
    """Return what is told of the newest test e-mail; None where nobody asked for one lately. In a transaction."""
    lately = Notification.at >= utcnow() - NEWS
    return current_session().scalars(
        select(Notification).where(Notification.kind == TEST_KIND, lately).order_by(Notification.id.desc()).limit(1)
    ).first()  # fmt: skip


def test_due(now: datetime) -> bool:
    """Tell if a test e-mail is to be sent."""
    if server() is None:
        return False
    with reading() as session:
        return session.scalar(_waiting_tests(now).limit(1)) is not None


def send_test(host: HostPort, lease: Lease) -> bool:
    """Job: send the test e-mail that somebody waits for, once, and tell what the server said."""
    mail_server, now = server(), utcnow()
    if mail_server is None:
        return False
    lease.ensure(SECONDS * 2)
    with transaction() as session:
        row = session.scalar(_waiting_tests(now).limit(1).with_for_update())
        if row is None:
            return False
        number, addresses, row.mailed_at = row.id, (row.mail_to or "").split(), now
        text = Notification(
            title=kept_text("Test e-mail from the warehouse"),
            body=kept_text("Notifications by e-mail arrive at this address."),
            level=Level.INFO,
            url="/admin/notifications/",
        )
        message = compose(mail_server, addresses, [text])
    level = Level.DANGER
    try:
        refused = hand_over(mail_server, message, addresses)
    except NotSent as failure:
        told = kept_text("It was not sent: %(why)s", why=failure)
    except NobodyKnows as failure:
        told = kept_text("It may have been sent or not: %(why)s", why=failure)
    else:
        taken = ", ".join(address for address in addresses if address not in refused)
        told = kept_text(
            "The mail server has taken it for %(addresses)s. Not there within some minutes? Look among unwanted mail (spam).",
            addresses=taken,
        )
        level = Level.WARNING if refused else Level.SUCCESS
        if refused:
            told = kept_text("%(told)s It refused %(addresses)s.", told=told, addresses=", ".join(refused))
    with transaction() as session:
        session.execute(update(Notification).where(Notification.id == number).values(level=level, body=told))
        if level != Level.DANGER:
            # What could not be sent before need not wait for its next try.
            session.execute(
                update(MailSetting)
                .where(MailSetting.id == 1, MailSetting.error != "")
                .values(error="", attempts=0, next_at=None)
            )
    return False


def _waiting_tests(now: datetime) -> Select[tuple[Notification]]:
    return select(Notification).where(
        Notification.at >= now - TEST_WAITS,
        Notification.kind == TEST_KIND,
        Notification.mailed_at.is_(None),
    )


def _rests(setting: MailSetting | None, now: datetime) -> bool:
    """Tell if nothing is sent yet. A moment further away than any rest was noted by a clock that was ahead."""
    next_at = setting.next_at if setting is not None else None
    return next_at is not None and now < next_at <= now + LONGEST_REST


def _people(setting: MailSetting, row: Notification) -> tuple[str, ...]:
    """Return whom a notification is mailed to."""
    own = setting.addresses.split()
    chosen = own if row.level in setting.levels.split() and row.at >= setting.since else []
    if row.mail_to is not None:
        chosen = chosen + (row.mail_to.split() or own)
    return tuple(dict.fromkeys(chosen))


def _send_one(
    mail_server: MailServer, addresses: Sequence[str], ids: Sequence[int], now: datetime
) -> list[NotSent | NobodyKnows]:
    """Mark these notifications and mail them; return what went wrong. What was certainly not sent is unmarked."""
    with transaction() as session:
        session.execute(
            update(Notification)
            .where(Notification.id.in_(ids), Notification.mailed_at.is_(None))
            .values(mailed_at=now)
        )
        rows = session.scalars(
            select(Notification).where(Notification.id.in_(ids), Notification.mailed_at == now)
            .order_by(Notification.id)
        ).all()  # fmt: skip
        if not rows:
            return []
        message = compose(mail_server, addresses, rows)
    try:
        hand_over(mail_server, message, addresses)
    except NotSent as failure:
        with transaction() as session:
            session.execute(
                update(Notification)
                .where(Notification.id.in_(ids), Notification.mailed_at == now)
                .values(mailed_at=None)
            )
        return [failure]
    except NobodyKnows as failure:
        return [failure]
    return []


def compose(mail_server: MailServer, addresses: Sequence[str], rows: Sequence[Notification]) -> EmailMessage:
    """Write one mail about all of these."""
    message = EmailMessage()
    message["From"], message["To"] = mail_server.sender, ", ".join(addresses)
    message["Subject"] = _subject(rows)
    # So that holiday replies stay away.
    message["Auto-Submitted"] = "auto-generated"
    base = current_app.extensions["host_config"].public_url
    parts = []
    for row in rows[:MOST_SHOWN]:
        link = f"{base}{row.url}" if base and row.url and row.url.startswith("/") else ""
        parts.append("\n".join(filter(None, (row.title, row.body, link))))
    if len(rows) > MOST_SHOWN:
        parts.append(
            kept_text("And %(count)s more, on the page Notifications.", count=len(rows) - MOST_SHOWN)
        )
    message.set_content("\n\n".join(parts) + "\n")
    return message


def _subject(rows: Sequence[Notification]) -> str:
    """Say what a mail is about: of several that begin with the same name, such as a store's, with it; and their urgency."""
    titles = [" ".join(row.title.split()) for row in rows]
    if len(rows) == 1:
        subject = titles[0]
    else:
        names = {title.partition(": ")[0] if ": " in title else "" for title in titles}
        name = names.pop() if len(names) == 1 else ""
        subject = (
            kept_text("%(name)s: %(count)s new notifications", name=name, count=len(rows))
            if name
            else kept_text("Warehouse: %(count)s new notifications", count=len(rows))
        )
    urgent = bool(rows) and all(row.level == Level.DANGER for row in rows)
    return kept_text("Urgent: %(subject)s", subject=subject) if urgent else subject


def hand_over(mail_server: MailServer, message: EmailMessage, addresses: Sequence[str]) -> Sequence[str]:
    """Give a mail to the server; return the addresses that it refused, while it took others.

    :raises NotSent: it has not taken it.
    :raises NobodyKnows: it may have.
    """
    try:
        connection = _connect(mail_server)
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(_reason(error)) from error
    try:
        refused = connection.send_message(message, mail_server.sender, list(addresses))
    except (
        smtplib.SMTPSenderRefused,
        smtplib.SMTPRecipientsRefused,
        smtplib.SMTPDataError,
        smtplib.SMTPNotSupportedError,
    ) as error:
        raise NotSent(_reason(error)) from error
    except (OSError, smtplib.SMTPException) as error:
        raise NobodyKnows(_reason(error)) from error
    finally:
        with suppress(OSError, smtplib.SMTPException):
            connection.quit()
        connection.close()
    if refused:
        log.warning("the mail server refused %s of %s addresses", len(refused), len(addresses))
    return list(refused)


def _new(setting: MailSetting | None, until: datetime, now: datetime) -> Select[tuple[int]]:
    addressed = and_(Notification.mail_to.is_not(None), Notification.at >= now - NEWS)
    if setting is None or not setting.addresses:
        chosen = and_(addressed, Notification.mail_to != "")
    else:
        urgent = and_(Notification.at >= setting.since, Notification.level.in_(setting.levels.split()))
        chosen = or_(addressed, urgent)
    return select(Notification.id).where(
        Notification.mailed_at.is_(None), Notification.read_at.is_(None), Notification.at <= until, chosen
    )


def _connect(mail_server: MailServer) -> smtplib.SMTP:
    context = ssl.create_default_context()
    connection: smtplib.SMTP
    if mail_server.security == "tls":
        connection = smtplib.SMTP_SSL(mail_server.host, mail_server.port, timeout=SECONDS, context=context)
    else:
        connection = smtplib.SMTP(mail_server.host, mail_server.port, timeout=SECONDS)
    try:
        if mail_server.security == "starttls":
            connection.starttls(context=context)
        if mail_server.user:
            connection.login(mail_server.user, mail_server.password)
    except BaseException:
        connection.close()
        raise
    return connection


def _reason(error: Exception) -> str:
    """Say what happened, and what to do, without the server's words, which may hold addresses."""
    code = getattr(error, "smtp_code", None)
    return f"{_in_words(error)} ({type(error).__name__}{f' {code}' if code else ''})"


def _in_words(error: Exception) -> str:
    with kept():
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return _("the mail server does not accept the user and password of HOST_SMTP_URL.")
        if isinstance(error, smtplib.SMTPSenderRefused):
            return _("the mail server does not let HOST_MAIL_FROM send.")
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            return _("the mail server accepts none of the addresses.")
        if isinstance(error, smtplib.SMTPNotSupportedError | ssl.SSLError):
            return _("there is no trusted TLS connection with the mail server: is HOST_SMTP_URL right?")
        if isinstance(error, socket.gaierror):
            return _("there is no mail server of that name: is HOST_SMTP_URL right?")
        if isinstance(error, smtplib.SMTPServerDisconnected):
            return _("the connection with the mail server broke off.")
        if isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException):
            return _("the mail server can't be reached: is HOST_SMTP_URL right, and does the server run?")
        return _("the mail server does not take the mail.")


def _record(now: datetime, failures: Sequence[NotSent | NobodyKnows]) -> None:
    """Keep how it went: what is tried again counts most, as people can mend its cause."""
    again = next((failure for failure in failures if isinstance(failure, NotSent)), None)
    error = ""
    if again is not None:
        error = kept_text("Nothing was sent, and it is tried again by itself: %(why)s", why=again)
    elif failures:
        error = kept_text(
            "The mail may have been sent or not, and is not sent again: %(why)s", why=failures[0]
        )
    with transaction() as session:
        setting = session.get(MailSetting, 1, with_for_update=True)
        if setting is None:
            return
        setting.attempts = setting.attempts + 1 if again else 0
        if again:
            setting.next_at = now + min(EVERY * 2 ** min(setting.attempts - 1, 10), LONGEST_REST)
        setting.error = error
        if error:
            setting.failed_at = now
            log.warning("notifications by e-mail: %s", error)
        else:
            setting.sent_at = now
