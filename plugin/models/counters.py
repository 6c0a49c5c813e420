"""What happened in each hour, counted: what the charts of a store show. Kept some weeks."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from plugin.models.base import Base


class HourlyCount(Base):
    """How often something happened in one hour (UTC), with the sum and the highest of what it took, in seconds.

    name: a word of ``plugin.sync.counters``. Rows are for people: nothing is decided by them.
    """

    __tablename__ = "bol_hourly_count"

    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    count: Mapped[int]
    total: Mapped[float] = mapped_column(default=0.0)
    most: Mapped[float] = mapped_column(default=0.0)
