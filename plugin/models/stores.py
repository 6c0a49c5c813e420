"""A connected store: who it is at bol, its settings, and when its flows are due."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.models.base import Base


class StoreState(StrEnum):
    """A store is connected first, and does nothing by itself until an administrator activates it.

    One that is being disconnected finishes what was begun, and nothing else; one that is has no secret any more.
    """

    CONNECTED = "connected"
    ACTIVE = "active"
    PAUSED = "paused"
    DISCONNECTING = "disconnecting"
    DISCONNECTED = "disconnected"


class SignInWay(StrEnum):
    """How a store signs in: with the seller's own client id and secret, or by the seller's "Allow" at bol's login."""

    CREDENTIALS = "credentials"
    LOGIN = "login"


class Store(Base):
    """One bol account.

    Signing in: sign_in is a :class:`SignInWay`; secret is the client secret or the newest refresh token, encrypted, so
    that only ``plugin.secrets`` can read it; "" once the store is disconnected. client_id: the seller's, or at the time
    of the sign-in the installation's. secret_version counts new secrets. claim: who asks bol for a token now, and
    until when that is believed. account: bol's number of the seller (retailerId), "" where bol did not tell, and
    account_name what customers see. consent_until: the end of what was allowed at the login page; consent_told: the fewest
    days before it that people were warned of. refused_at: since when bol does not accept the sign-in; refused_code:
    what it said.

    Due columns: next_import_at, import_wanted_at where somebody asked for an import at once, next_sweep_at,
    next_erase_at, next_check_at (stock check), next_upkeep_at (limits, webhooks, consent, leaving). rests_until: its
    line to bol can't be built (a key is missing), or bol blocks our address, so nothing is tried before then.
    orders_read_at: the beginning of the last complete read of the order list, from which the next one's
    interval is counted. orders_known_at: every order that bol had listed then is known; orders_known_pages: what the last
    look for new ones took, of which orders_look_after is the earliest next one where bol could not be asked. list_*: where
    a read of the list that takes several slices goes on. stock_sent_at: the newest
    stock update; the list is read once more after it. guard_stopped_at: since when the guard keeps zeros back;
    problem_kind: who can end the problem, a word of ``plugin.sync.failures``.
    guard_counts_from: zeros sent before this moment were allowed by a person and don't count. limits: bol's published
    limits as they were read last. leaves_at: when a store that is being disconnected goes, whatever is unfinished then.
    """

    __tablename__ = "bol_store"
    __table_args__ = (
        # An account is connected once; what account it is may be unknown.
        Index(
            "uq_bol_store_account",
            "environment",
            "account",
            unique=True,
            sqlite_where=text("account <> ''"),
            postgresql_where=text("account <> ''"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    environment: Mapped[str] = mapped_column(String(20))
    client_id: Mapped[str] = mapped_column(String(200))
    sign_in: Mapped[str] = mapped_column(String(20), default=SignInWay.CREDENTIALS)
    secret: Mapped[str] = mapped_column(Text)
    secret_version: Mapped[int] = mapped_column(default=0)
    claim: Mapped[str | None] = mapped_column(String(40))
    claim_until: Mapped[datetime | None]
    account: Mapped[str] = mapped_column(String(100), default="")
    account_name: Mapped[str] = mapped_column(String(200), default="")
    scopes: Mapped[str] = mapped_column(String(200), default="")
    signed_in_at: Mapped[datetime | None]
    consent_until: Mapped[datetime | None]
    consent_told: Mapped[int | None]
    refused_at: Mapped[datetime | None]
    refused_code: Mapped[str] = mapped_column(String(50), default="")
    state: Mapped[str] = mapped_column(String(20), default=StoreState.CONNECTED, index=True)
    settings: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    next_import_at: Mapped[datetime | None]
    import_wanted_at: Mapped[datetime | None]
    orders_read_at: Mapped[datetime | None]
    orders_imported_at: Mapped[datetime | None]
    orders_known_at: Mapped[datetime | None]
    orders_known_pages: Mapped[int] = mapped_column(default=1, server_default="1")
    orders_look_after: Mapped[datetime | None]
    list_began_at: Mapped[datetime | None]
    list_full: Mapped[bool] = mapped_column(default=False)
    list_page: Mapped[int] = mapped_column(default=1)
    list_pass: Mapped[int] = mapped_column(default=1)
    list_changes: Mapped[int] = mapped_column(default=0)
    list_moved_at: Mapped[datetime | None]
    next_sweep_at: Mapped[datetime | None]
    next_erase_at: Mapped[datetime | None]
    next_check_at: Mapped[datetime | None]
    next_upkeep_at: Mapped[datetime | None]
    leaves_at: Mapped[datetime | None]
    limits: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)
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
