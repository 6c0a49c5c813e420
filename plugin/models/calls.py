"""The log of calls to bol: what was asked when, how it ended, and bol's number of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.models.base import Base


class ApiCall(Base):
    """One HTTP attempt. No bodies, no tokens, no personal data, no query.

    route: the documented template. subject: the id in the path, in words such as ``order A000X``; "" where there is
    none. job: the kind of work it was for. status: None without an answer. error: the class of the error; "" on
    success. request_id: bol's. Rows are made in order of time, so ids tell which are older.
    """

    __tablename__ = "bol_api_call"
    __table_args__ = (
        Index("ix_bol_api_call_store", "store_id", "id"),
        Index("ix_bol_api_call_request", "request_id"),
        Index(
            "ix_bol_api_call_failed",
            "store_id",
            "id",
            sqlite_where=text("error <> ''"),
            postgresql_where=text("error <> ''"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"))
    at: Mapped[datetime]
    job: Mapped[str] = mapped_column(String(20))
    method: Mapped[str] = mapped_column(String(10))
    route: Mapped[str] = mapped_column(String(120))
    subject: Mapped[str] = mapped_column(String(160))
    status: Mapped[int | None]
    duration_ms: Mapped[int]
    request_id: Mapped[str] = mapped_column(String(100))
    error: Mapped[str] = mapped_column(String(40))
