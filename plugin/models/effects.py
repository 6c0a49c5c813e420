"""What all effects on bol share: their states, and the process statuses that tell how they ended."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from plugin.models.base import Base


class EffectState(StrEnum):
    """Life of an effect on bol: wanted -> sent -> confirmed | refused | unknown -> decision.

    sent: claimed for a call, or accepted by bol and followed. unknown: nobody can tell yet if bol did it; it is being
    checked. decision: it could not be found out; a person decides. closed: a person has dealt with it at bol.
    """

    WANTED = "wanted"
    SENT = "sent"
    UNKNOWN = "unknown"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    DECISION = "decision"
    CLOSED = "closed"


#: At most one effect of an order item may be in one of these; later ones wait.
UNSETTLED = (EffectState.SENT, EffectState.UNKNOWN, EffectState.DECISION)


class ProcessStatusRow(Base):
    """A process status of bol that is followed until its end state, or for 24 hours."""

    __tablename__ = "bol_process_status"
    __table_args__ = (
        UniqueConstraint("store_id", "process_status_id"),
        Index("ix_bol_process_status_due", "store_id", "next_poll_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"))
    process_status_id: Mapped[str] = mapped_column(String(40))
    event_type: Mapped[str] = mapped_column(String(40))
    status: Mapped[str] = mapped_column(String(20), default="PENDING")
    error_message: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    polls: Mapped[int] = mapped_column(default=0)
    next_poll_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
