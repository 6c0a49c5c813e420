"""Who changed which setting of a store, and when."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.models.base import Base


class SettingChange(Base):
    """One setting that got another value, as JSON. name: of the setting, or ``state`` where the store was (de)activated."""

    __tablename__ = "bol_setting_change"
    __table_args__ = (Index("ix_bol_setting_change_store", "store_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"))
    at: Mapped[datetime]
    who: Mapped[str] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(60))
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
