"""The ledger of corrections: the newest carrier and tracking code that bol should know of a confirmed parcel."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from plugin.models.base import Base
from plugin.models.effects import EffectState


class TransportEffect(Base):
    """One parcel whose transport was corrected. Level-based: a later correction replaces an earlier one."""

    __tablename__ = "bol_transport_effect"
    __table_args__ = (
        UniqueConstraint("store_id", "host_shipment_id"),
        Index("ix_bol_transport_effect_due", "store_id", "state", "due_at"),
        Index("ix_bol_transport_effect_status", "process_status_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"))
    order_id: Mapped[int] = mapped_column(ForeignKey("bol_order.id"), index=True)
    host_shipment_id: Mapped[int]
    reference: Mapped[str] = mapped_column(String(90))
    transporter_code: Mapped[str] = mapped_column(String(60))
    tracking_code: Mapped[str] = mapped_column(String(80))
    state: Mapped[str] = mapped_column(String(20), default=EffectState.WANTED)
    due_at: Mapped[datetime | None]
    token: Mapped[str] = mapped_column(String(40), default="")
    process_status_id: Mapped[str | None] = mapped_column(String(40))
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    unknown_since: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
