"""The ledger of shipments: what bol should know was shipped, and what it has said about it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from plugin.models.base import Base
from plugin.models.effects import EffectState
from plugin.models.orders import BolOrder


class ShipmentEffect(Base):
    """One order item in one parcel of the host, to be confirmed to bol once.

    token: the lease under which it was claimed; its outcome is recorded only while both stand.
    due_at: when to send (wanted) or to check (unknown); None where something must change first (see ``error``).
    """

    __tablename__ = "bol_shipment_effect"
    __table_args__ = (
        UniqueConstraint("host_shipment_id", "order_item_id"),
        Index("ix_bol_shipment_effect_due", "store_id", "state", "due_at"),
        # Pages list them by id: without it all of a store would be sorted for fifty. The condition is always true, and
        # named by those lists only: else SQLite takes this index for better than those of the few rows that are due.
        Index(
            "ix_bol_shipment_effect_store",
            "store_id",
            "id",
            sqlite_where=text("id > 0"),
            postgresql_where=text("id > 0"),
        ),
        Index("ix_bol_shipment_effect_settled", "store_id", "settled_at"),
        Index("ix_bol_shipment_effect_item", "order_item_id"),
        Index("ix_bol_shipment_effect_status", "process_status_id"),
        Index("ix_bol_shipment_effect_picklist", "host_picklist_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"))
    order_id: Mapped[int] = mapped_column(ForeignKey("bol_order.id"), index=True)
    order_item_id: Mapped[str] = mapped_column(String(40))
    quantity: Mapped[int]
    host_shipment_id: Mapped[int]
    host_picklist_id: Mapped[int]
    reference: Mapped[str] = mapped_column(String(90))
    state: Mapped[str] = mapped_column(String(20), default=EffectState.WANTED)
    due_at: Mapped[datetime | None]
    token: Mapped[str] = mapped_column(String(40), default="")
    transporter_code: Mapped[str] = mapped_column(String(60), default="")
    tracking_code: Mapped[str] = mapped_column(String(80), default="")
    process_status_id: Mapped[str | None] = mapped_column(String(40))
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    unknown_since: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]

    order: Mapped[BolOrder] = relationship()
