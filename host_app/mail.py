"""Notifications by e-mail: one mail for all that are new, every five minutes at most, and each of them at most once.

A row is marked before the mail is handed over, and unmarked only where the server has certainly not taken it. Whoever dies
between the two has sent nothing or everything: the notification stands on its page all the same.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from email.message import EmailMessage

from flask import current_app
from sqlalchemy import Select, select, update

from host_app.db import reading, transaction, utcnow
from host_app.languages import kept_text
from host_app.mail_server import MailServer
from host_app.models import MailSetting, Notification
from host_app.plugin_api import HostPort, Lease, Wake
from host_app.plugins import HOST_QUEUE

#: What comes within a minute goes in one mail.
GATHER = timedelta(minutes=1)
EVERY = timedelta(minutes=5)
LONGEST_REST = timedelta(hours=1)
SECONDS = 15
MOST_SHOWN = 50
MAIL = Wake("host:mail", HOST_QUEUE, "host_app.mail:send")
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
        if setting is None or not setting.addresses or (setting.next_at and setting.next_at > now):
            return False
        return session.scalar(_new(setting, now - GATHER).limit(1)) is not None


def send(host: HostPort, lease: Lease) -> bool:
    """Job: send one mail with all that is new."""
    mail_server = server()
    # The time that the server may take, for each of its few answers.
    lease.ensure(SECONDS * 2)
    now = utcnow()
    with transaction() as session:
        setting = session.get(MailSetting, 1, with_for_update=True)
        if mail_server is None or setting is None or not setting.addresses:
            return False
        if setting.next_at and setting.next_at > now:
            return False
        ids = list(session.scalars(_new(setting, now)))
        if not ids:
            return False
        session.execute(
            update(Notification)
            .where(Notification.id.in_(ids), Notification.mailed_at.is_(None))
            .values(mailed_at=now)
        )
        rows = session.scalars(
            select(Notification).where(Notification.id.in_(ids), Notification.mailed_at == now)
            .order_by(Notification.id)
        ).all()  # fmt: skip
        addresses = setting.addresses.split()
        message = compose(mail_server, addresses, rows)
        setting.next_at = now + EVERY
    error, again = "", False
    try:
        hand_over(mail_server, message, addresses)
    except NotSent as failure:
        error, again = (
            kept_text("Nothing was sent, and it is tried again by itself: %(why)s", why=failure),
            True,
        )
    except NobodyKnows as failure:
        error = kept_text("The mail may have been sent or not, and is not sent again: %(why)s", why=failure)
    _record(ids, now, error, again=again)
    return False


def compose(mail_server: MailServer, addresses: Sequence[str], rows: Sequence[Notification]) -> EmailMessage:
    """Write one mail about all of these."""
    message = EmailMessage()
    message["From"], message["To"] = mail_server.sender, ", ".join(addresses)
    first = " ".join(rows[0].title.split()) if rows else ""
    message["Subject"] = (
        first if len(rows) == 1 else kept_text("Warehouse: %(count)s new notifications", count=len(rows))
    )
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


def hand_over(mail_server: MailServer, message: EmailMessage, addresses: Sequence[str]) -> None:
    """Give a mail to the server.

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


def _new(setting: MailSetting, until: datetime) -> Select[tuple[int]]:
    return select(Notification.id).where(
        Notification.mailed_at.is_(None),
        Notification.read_at.is_(None),
        Notification.at >= setting.since,
        Notification.at <= until,
        Notification.level.in_(setting.levels.split()),
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
    """Say what happened without the server's words, which may hold addresses."""
    code = getattr(error, "smtp_code", None)
    return f"{type(error).__name__}{f' {code}' if code else ''}"


def _record(ids: Sequence[int], marked: datetime, error: str, *, again: bool) -> None:
    with transaction() as session:
        setting = session.get(MailSetting, 1, with_for_update=True)
        if again:
            session.execute(
                update(Notification)
                .where(Notification.id.in_(ids), Notification.mailed_at == marked)
                .values(mailed_at=None)
            )
        if setting is None:
            return
        setting.attempts = setting.attempts + 1 if again else 0
        if again:
            setting.next_at = marked + min(EVERY * 2 ** min(setting.attempts - 1, 10), LONGEST_REST)
        setting.error = error
        if error:
            setting.failed_at = marked
            log.warning("notifications by e-mail: %s", error)
        else:
            setting.sent_at = marked
