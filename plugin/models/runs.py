"""Long work that can be watched and goes on after a crash: progress, result, and what a check found to differ."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from plugin.models.base import Base


class RunState(StrEnum):
    """A run is running until it is done, a person stopped it, or it has failed for good."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class Run(Base):
    """One long piece of work of a store, for example a walk over bol's offers.

    ``cursor`` is where it goes on; ``counts`` is what it found so far. expected: how much there is to do in all, as
    far as that is known, for the progress bar. dry: it only reports. asked_by: who started it, "" for the schedule.
    """

    __tablename__ = "bol_run"
    __table_args__ = (Index("ix_bol_run_due", "store_id", "state", "due_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"))
    kind: Mapped[str] = mapped_column(String(30))
    state: Mapped[str] = mapped_column(String(10), default=RunState.RUNNING)
    cursor: Mapped[str] = mapped_column(Text, default="")
    counts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    expected: Mapped[int | None]
    dry: Mapped[bool] = mapped_column(default=False)
    asked_by: Mapped[str] = mapped_column(String(120), default="")
    started_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text, default="")


class Discrepancy(Base):
    """One offer of which a stock check found that bol shows something else than it should.

    bol_*: as bol showed it, ``bol_amount`` None where the offer was not there at all. our_amount: by the rule of the
    store. cause and action: the words of ``plugin.sync.stock_check``.
    """

    __tablename__ = "bol_discrepancy"
    __table_args__ = (UniqueConstraint("run_id", "offer_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("bol_run.id"))
    offer_id: Mapped[str] = mapped_column(String(40))
    ean: Mapped[str] = mapped_column(String(20))
    product_id: Mapped[int | None]
    bol_amount: Mapped[int | None]
    bol_managed: Mapped[bool | None]
    our_amount: Mapped[int | None]
    our_managed: Mapped[bool | None]
    cause: Mapped[str] = mapped_column(String(30))
    action: Mapped[str] = mapped_column(String(30))
    found_at: Mapped[datetime]
