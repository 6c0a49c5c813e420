"""A connected store: who it is at bol, its settings, and when its flows are due."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.models.base import Base


class StoreState(StrEnum):
    """A store is connected first, and does nothing by itself until an administrator activates it."""

    CONNECTED = "connected"
    ACTIVE = "active"
    PAUSED = "paused"


class Store(Base):
    """One bol account. ``client_secret`` is encrypted; only ``plugin.secrets`` can read it.

    Due columns: next_import_at, import_wanted_at where somebody asked for an import at once, next_sweep_at,
    next_erase_at, next_check_at (stock check). rests_until: its line to bol can't be built (a key is missing), so nothing is tried before then.
    orders_read_at: the beginning of the last complete read of the order list, from which the next one's
    interval is counted. list_*: where a read of the list that takes several slices goes on. stock_sent_at: the newest
    stock update; the list is read once more after it. guard_stopped_at: since when the guard keeps zeros back;
    problem_kind: who can end the problem, a word of ``plugin.sync.failures``.
    guard_counts_from: zeros sent before this moment were allowed by a person and don't count.
    """

    __tablename__ = "bol_store"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    environment: Mapped[str] = mapped_column(String(20))
    client_id: Mapped[str] = mapped_column(String(200))
    client_secret: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(20), default=StoreState.CONNECTED, index=True)
    settings: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    next_import_at: Mapped[datetime | None]
    import_wanted_at: Mapped[datetime | None]
    orders_read_at: Mapped[datetime | None]
    orders_imported_at: Mapped[datetime | None]
    list_began_at: Mapped[datetime | None]
    list_full: Mapped[bool] = mapped_column(default=False)
    list_page: Mapped[int] = mapped_column(default=1)
    list_pass: Mapped[int] = mapped_column(default=1)
    list_changes: Mapped[int] = mapped_column(default=0)
    next_sweep_at: Mapped[datetime | None]
    next_erase_at: Mapped[datetime | None]
    next_check_at: Mapped[datetime | None]
    stock_sent_at: Mapped[datetime | None]
    guard_stopped_at: Mapped[datetime | None]
    guard_counts_from: Mapped[datetime | None]
    rests_until: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(Text, default="")
    problem_kind: Mapped[str] = mapped_column(String(20), default="")
    problem_at: Mapped[datetime | None]

    @property
    def source(self) -> str:
        """The name of this store on the host's orders."""
        return f"bol:{self.id}"
