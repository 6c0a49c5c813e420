"""bol's webhooks: the subscription of a store, the keys that bol signs with, and which events were taken in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from plugin.models.base import Base


class Webhook(Base):
    """Where bol tells a store's events, and how that goes.

    key: the part of the address that only bol is told. subscription_id: bol's number, once it was seen there.
    asked_at: when bol was asked to subscribe and has not shown it since. checked_at: when bol's list was read last;
    enabled: what it said then. keys_wanted_at: an event was signed with a key that is not known here. error: why it
    does not work, in words.

    Counts: received (taken in), repeated (known already), unsigned (no or a wrong signature), strange (of another
    account, or not readable).
    """

    __tablename__ = "bol_webhook"

    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    subscription_id: Mapped[str | None] = mapped_column(String(40))
    enabled: Mapped[bool] = mapped_column(default=False)
    asked_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    keys_wanted_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text, default="")
    received: Mapped[int] = mapped_column(default=0)
    repeated: Mapped[int] = mapped_column(default=0)
    unsigned: Mapped[int] = mapped_column(default=0)
    strange: Mapped[int] = mapped_column(default=0)
    received_at: Mapped[datetime | None]


class WebhookEvent(Base):
    """An event that was taken in, so that a repeat of it is known. Kept for some days."""

    __tablename__ = "bol_webhook_event"
    __table_args__ = (
        UniqueConstraint("store_id", "digest"),
        Index("ix_bol_webhook_event_at", "store_id", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"))
    digest: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


class SignatureKey(Base):
    """A public key of bol, by its id; each environment has its own."""

    __tablename__ = "bol_signature_key"
    __table_args__ = (UniqueConstraint("environment", "key_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    environment: Mapped[str] = mapped_column(String(20))
    key_id: Mapped[str] = mapped_column(String(40))
    public_key: Mapped[str] = mapped_column(Text)
    read_at: Mapped[datetime]
