"""What the platform keeps for plugins: event deliveries, leases and the schedule."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from host_app.db import Base, utcnow


class EventDelivery(Base):
    """An event that one plugin has still to be told; deleted by the transaction that tells it.

    parked: the delivery failed again and again, and waits for a person.
    """

    __tablename__ = "event_delivery"
    __table_args__ = (
        Index("ix_event_delivery_plugin", "plugin", "id"),
        Index("ix_event_delivery_subject", "plugin", "subject", "id"),
        Index("ix_event_delivery_failed", "plugin", "attempts"),
        # An id never comes back: notifications about a delivery are told once per id.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    plugin: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(80))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    attempts: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None]
    parked_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text, default="")


class LeaseRow(Base):
    """Who works on a subject, and until when. ``missed``: somebody came by meanwhile and left."""

    __tablename__ = "lease"

    subject: Mapped[str] = mapped_column(String(120), primary_key=True)
    token: Mapped[str] = mapped_column(String(40))
    holder: Mapped[str] = mapped_column(String(120))
    expires_at: Mapped[datetime]
    missed: Mapped[bool] = mapped_column(default=False)


class Schedule(Base):
    """When something recurring of the host is due next; claimed by a conditional update."""

    __tablename__ = "schedule"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    next_at: Mapped[datetime]
