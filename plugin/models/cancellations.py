"""The ledger of cancellations: what bol should cancel, because a person or a setting said so."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from plugin.models.base import Base
from plugin.models.effects import EffectState
from plugin.models.orders import BolOrder


class CancellationEffect(Base):
    """One order item that bol is asked to cancel: the rest of it that is open. Columns as in ShipmentEffect.

    bol takes one item a call and no quantity (Retailer API v10, cancel-order-item), so there is one row per item.
    """

    __tablename__ = "bol_cancellation_effect"
    __table_args__ = (
        UniqueConstraint("store_id", "order_item_id"),
        Index("ix_bol_cancellation_effect_due", "store_id", "state", "due_at"),
        Index("ix_bol_cancellation_effect_status", "process_status_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"))
    order_id: Mapped[int] = mapped_column(ForeignKey("bol_order.id"), index=True)
    order_item_id: Mapped[str] = mapped_column(String(40))
    reason_code: Mapped[str] = mapped_column(String(40))
    who: Mapped[str] = mapped_column(String(80), default="")
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

    order: Mapped[BolOrder] = relationship()
