"""What a flow is given to work with: the host, the lease, one store and its line to bol."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import case, select, update

from host_app.plugin_api import HostPort, Lease, Level, Notice
from plugin.connector import BolClient, BolError
from plugin.models import Store, StoreState
from plugin.settings import StoreSettings
from plugin.sync.failures import problem_kind
from plugin.texts import gettext as _

#: A call may take 20 s in all (the connector's default); the lease must outlast it.
CALL_SECONDS = 25.0


@dataclass(frozen=True)
class Surroundings:
    """What work on a store is given that calls nobody. ``settings`` are as they were when it began its slice."""

    host: HostPort
    lease: Lease
    store_id: int
    store_name: str
    settings: StoreSettings

    @property
    def source(self) -> str:
        """The name of this store on the host's orders."""
        return f"bol:{self.store_id}"

    @property
    def delivers_from(self) -> int | None:
        """The warehouse that delivers, None for the host's first. In a transaction.

        Where none is chosen it is the first of those whose stock is offered: the host's first may become another one at any
        time, and what is sold would be taken from stock that is not offered, again and again.
        """
        chosen, offered = self.settings.warehouse_id, self.settings.stock_warehouses
        if chosen is not None or not offered:
            return chosen
        active = (int(choice.key) for choice in self.host.warehouses())
        return next((warehouse for warehouse in active if warehouse in offered), None)

    def now(self) -> datetime:
        return self.host.now()

    def notify(
        self, key: str, kind: str, level: Level, title: str, body: str, url: str | None = None
    ) -> None:
        """Tell people something about this store, once per key. In a transaction."""
        self.host.notify(
            Notice(
                key=f"bol:{self.store_id}:{key}",
                kind=f"bol.{kind}",
                level=level,
                title=f"{self.store_name}: {title}",
                body=body,
                url=url or store_url(self.store_id),
            )
        )

    def settle(self, key: str) -> None:
        """What was told about this store under this key, or ``key:...``, is over. In a transaction."""
        self.host.settle_notices(f"bol:{self.store_id}:{key}")


@dataclass(frozen=True)
class Context(Surroundings):
    """What a job is given beside that: the line to bol. ``active`` is as it was when it began its slice."""

    client: BolClient = field(repr=False)
    sandbox: bool
    active: bool

    def still_wanted(self, *, shipments: bool = False) -> bool:
        """Tell if people still want bol to be written to: who pauses a store need not wait for the end of a slice.

        Opens a read transaction.

        :param shipments: and "Send shipments and update status" is still on.
        """
        with self.host.reading() as session:
            mine = select(Store).where(Store.id == self.store_id).execution_options(populate_existing=True)
            store = session.scalars(mine).one()
        return is_active(store) and (not shipments or settings_of(store).send_shipments)

    def report_problem(self, error: BolError) -> None:
        """Show on the store's page why nothing can be done with bol now. Opens a transaction of its own."""
        with self.host.transaction() as session:
            note_problem(session, self.store_id, error.operator_text(_), problem_kind(error), self.now())

    def clear_problem(self) -> None:
        """bol answers again. Writes only where a problem stood. Opens a transaction of its own."""
        with self.host.reading() as session:
            problem = session.scalar(select(Store.problem).where(Store.id == self.store_id))
        if problem:
            with self.host.transaction() as session:
                session.execute(
                    update(Store)
                    .where(Store.id == self.store_id)
                    .values(problem="", problem_kind="", problem_at=None)
                )


def note_problem(session: Any, store_id: int, text: str, kind: str, now: datetime) -> None:
    """Note why nothing can be done with bol, and since when: the first one counts. In a transaction."""
    since = case((Store.problem == "", now), (Store.problem_kind != kind, now), else_=Store.problem_at)
    session.execute(
        update(Store)
        .where(Store.id == store_id)
        .values(problem=text, problem_kind=kind, problem_at=since)
        .execution_options(synchronize_session=False)
    )


def is_active(store: Store) -> bool:
    """Tell if the store's flows may run; those of a store that is being disconnected finish what was begun."""
    return store.state in (StoreState.ACTIVE, StoreState.DISCONNECTING)


def settings_of(store: Store) -> StoreSettings:
    """Return what a store's flows go by: its settings, without what would begin something new where it is leaving."""
    settings = StoreSettings.load(store.settings)
    if store.state != StoreState.DISCONNECTING:
        return settings
    return replace(settings, import_orders=False, import_products=False, send_stock=False)


def current_settings(ctx: Surroundings) -> StoreSettings:
    """Return the settings as they are now: people may have changed them since the slice began. In a transaction."""
    mine = select(Store).where(Store.id == ctx.store_id).execution_options(populate_existing=True)
    return settings_of(ctx.host.session.scalars(mine).one())


#: The page of what needs a person, over all stores.
ATTENTION_URL = "/admin/bol/attention"


def store_url(store_id: int) -> str:
    """Return the address of the store's page."""
    return f"/admin/bol/{store_id}/"


def connection_url(store_id: int) -> str:
    """Return the address of the page about the store's connection."""
    return f"{store_url(store_id)}connection"


#: The page with all that a person must do.
ATTENTION_URL = "/admin/bol/attention"


def decisions_url(store_id: int) -> str:
    """Return the address of the store's shipments that a person must decide about, with the buttons for it."""
    return f"{store_url(store_id)}shipments?state=needs+you"


def carriers_url(store_id: int) -> str:
    """Return the address of the settings that give carriers their codes."""
    return f"{store_url(store_id)}settings#carriers"


def order_url(store_id: int, order_row_id: int) -> str:
    """Return the address of the page of an order of bol."""
    return f"{store_url(store_id)}orders/{order_row_id}"
