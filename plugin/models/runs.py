"""Long work that can be watched and goes on after a crash: progress and result of an import."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.models.base import Base


class RunState(StrEnum):
    """A run is running until it is done or has failed for good."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Run(Base):
    """One walk over bol's offers. ``cursor`` is where it goes on; ``counts`` is what it found so far."""

    __tablename__ = "bol_run"
    __table_args__ = (Index("ix_bol_run_due", "store_id", "state", "due_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"))
    kind: Mapped[str] = mapped_column(String(30))
    state: Mapped[str] = mapped_column(String(10), default=RunState.RUNNING)
    cursor: Mapped[str] = mapped_column(Text, default="")
    counts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    started_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text, default="")
