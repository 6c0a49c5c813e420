"""The ledger of labels: each is money, so each purchase is a row before bol is asked."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import JSON, ForeignKey, Index, Numeric, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from plugin.models.base import Base
from plugin.models.effects import EffectState
from plugin.models.orders import BolOrder


class LabelEffect(Base):
    """One label to buy for goods on a picklist.

    pieces: bol's order item id -> pieces. lines: the host's order line id -> pieces, the same goods.
    option_id: bol's shippingLabelOfferId; "" takes what bol recommends when it is bought.
    option and price: what it is called at bol and costs without VAT, as bol offered it.
    hand_over_by: until when bol takes the parcel, as the option said.
    label_id: bol's number of the label, once it is known; confirmed: the label lies with the picklist.
    due_at of a bought one: since when nothing travels on it any more, and nobody has settled that with bol.
    unknown_since: since when a label that is bought can't be fetched.
    A purchase whose number is not known is never repeated by itself: it waits in ``decision`` for a person.
    """

    __tablename__ = "bol_label_effect"
    __table_args__ = (
        Index("ix_bol_label_effect_due", "store_id", "state", "due_at"),
        Index("ix_bol_label_effect_status", "process_status_id"),
        Index("ix_bol_label_effect_picklist", "host_picklist_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"))
    order_id: Mapped[int] = mapped_column(ForeignKey("bol_order.id"), index=True)
    host_picklist_id: Mapped[int]
    pieces: Mapped[dict[str, int]] = mapped_column(JSON)
    lines: Mapped[dict[str, int]] = mapped_column(JSON)
    option_id: Mapped[str] = mapped_column(String(60))
    option: Mapped[str] = mapped_column(String(200), default="", server_default="")
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    hand_over_by: Mapped[datetime | None]
    who: Mapped[str] = mapped_column(String(80), default="")
    label_id: Mapped[str | None] = mapped_column(String(60))
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
