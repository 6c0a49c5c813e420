"""The people who work here, and what they are told."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from flask_login import UserMixin
from sqlalchemy import Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.security import check_password_hash, generate_password_hash

from host_app.db import Base, utcnow


class Role(StrEnum):
    """What a user may do: warehouse users pick, close and see; administrators also configure."""

    ADMINISTRATOR = "administrator"
    WAREHOUSE = "warehouse"


class User(UserMixin, Base):
    """Somebody who can log in."""

    __tablename__ = "user_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(20), default=Role.WAREHOUSE)
    active: Mapped[bool] = mapped_column(default=True)
    #: The language of the pages they see; "" where they did not choose one.
    language: Mapped[str] = mapped_column(String(8), default="", server_default="")

    @property
    def is_active(self) -> bool:
        return self.active

    @property
    def is_administrator(self) -> bool:
        return self.role == Role.ADMINISTRATOR

    def set_password(self, password: str) -> None:
        """Keep a salted hash (scrypt) of the password."""
        self.password_hash = generate_password_hash(password)

    def check_password(self, password: str) -> bool:
        return check_password_hash(self.password_hash, password)

    def __str__(self) -> str:
        return self.username


UNMAILED = "mailed_at IS NULL AND read_at IS NULL"


class Notification(Base):
    """Something that people must know. ``key`` names the fact, so that it is told once."""

    __tablename__ = "notification"
    __table_args__ = (
        # The scheduler asks each second what is still to be mailed.
        Index("ix_notification_unmailed", "at", sqlite_where=text(UNMAILED), postgresql_where=text(UNMAILED)),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    kind: Mapped[str] = mapped_column(String(80))
    level: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(String(300))
    at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    read_at: Mapped[datetime | None] = mapped_column(index=True)
    read_by: Mapped[str] = mapped_column(String(80), default="")
    #: Addresses that a plugin wants told by e-mail, "" for those of the host; None: only by the host's own choice.
    mail_to: Mapped[str | None] = mapped_column(Text)
    #: Marked before the mail is handed over.
    mailed_at: Mapped[datetime | None]


class MailSetting(Base):
    """What is told by e-mail, to whom, and how that goes; one row."""

    __tablename__ = "mail_setting"

    id: Mapped[int] = mapped_column(primary_key=True)
    addresses: Mapped[str] = mapped_column(Text, default="")
    levels: Mapped[str] = mapped_column(String(60), default="")
    #: Older notifications are not mailed.
    since: Mapped[datetime]
    next_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(Text, default="")
    failed_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
