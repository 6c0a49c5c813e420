"""The published contract between the warehouse platform and its plugins: hooks, events, values and the host port.

A plugin is a module (or object) found through the entry-point group ``host_app.plugins``. Of the host it imports
this module only. Facts travel as frozen dataclasses of ids and values, never as rows of the host's database.

Three kinds of hooks:

- *events* (``stock_changed``, ``picklist_closed``, ...) are delivered at least once, by a job, inside a transaction
  of the dispatcher. An implementation marks in its own tables what is now owed and returns the wakes to send after
  the commit. It never calls the network and never commits.
- *questions* (``picklist_closing``) are asked while a person waits, outside of any transaction, and are given a
  deadline of two seconds at most. No answer in time means that the work goes on with a warning.
- *platform* hooks tell the host what the plugin brings: tables, pages, commands, due work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol

import pluggy

PROJECT = "host_app"
ENTRY_POINT_GROUP = "host_app.plugins"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


# --- errors -----------------------------------------------------------------------------------------------------


class HostError(Exception):
    """The host refuses, for the reason given in words that an operator can read."""


class OrderPicked(HostError):
    """The order can't be cancelled any more: something of it was picked or shipped."""


class LeaseLost(Exception):
    """Another process holds the lease now; nothing more may be done or recorded under it."""


# --- logs -------------------------------------------------------------------------------------------------------

#: What the lines that are logged now are about, for example a store and an order: ids only, never personal data.
log_context: ContextVar[Mapping[str, int | str]] = ContextVar("log_context", default=MappingProxyType({}))


@contextmanager
def logging_about(**ids: int | str) -> Iterator[None]:
    """Have every line that is logged inside say what it is about: ``logging_about(store=7, order="A000X")``."""
    token = log_context.set({**log_context.get(), **ids})
    try:
        yield
    finally:
        log_context.reset(token)


# --- language ---------------------------------------------------------------------------------------------------

#: The language that :func:`language` returns; None where nobody said one. Hosts set it, plugins use ``speaking``.
language_context: ContextVar[str | None] = ContextVar("language", default=None)


def language() -> str:
    """Return the language to write for people in now, such as ``nl``.

    While a page is made, and while a question is asked for it, that is the language of whoever looks at it; in jobs
    and everywhere else it is that of the installation, see :attr:`HostPort.language`. A thread that a plugin starts
    for itself is told by ``speaking``, or it speaks English.
    """
    return language_context.get() or "en"


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Have :func:`language` return this one inside: ``with speaking(host.language):`` around texts that are kept."""
    token = language_context.set(language)
    try:
        yield
    finally:
        language_context.reset(token)


# --- wakes and leases -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wake:
    """A call to start a job soon. Wakes may get lost or come twice: what is owed stands in the database.

    :param name: names the work, for example ``bol:stock:7``; it folds repeats, and is the lease the job runs under.
    :param queue: one of the plugin's :attr:`PluginInfo.queues`.
    :param job: ``package.module:function``, inside the plugin's own package. It is called as
        ``function(host, lease, *args)`` and returns True when work is left, to be woken again.
    :param args: plain integers and strings; never secrets.
    """

    name: str
    queue: str
    job: str
    args: tuple[int | str, ...] = ()


class Lease(Protocol):
    """The right to work on one subject, held by one process at a time. It lasts 45 s and is renewed every 15 s."""

    @property
    def token(self) -> str:
        """Names this holding; rows claimed under it carry it, and their outcome is recorded only while it stands."""

    def ensure(self, seconds: float) -> None:
        """Renew where less than ``seconds`` (or the usual 30 s) are left. Call it before each call to the network.

        :raises LeaseLost: another process has it; stop at once.
        """

    def slice_over(self) -> bool:
        """Tell if the job has worked for its 60 s and should stop at the next safe place, returning True."""


# --- events -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StockChange:
    """The free stock of a product changed. Level-based: only the newest change of a product is delivered.

    :param history_id: the row in the host's stock history; the higher, the later was the product modified.
    :param free_stock: physical minus open order lines over all warehouses, in pieces; may be negative.
    :param at: when it changed; None where the host does not say.
    """

    product_id: int
    history_id: int
    free_stock: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ParcelLine:
    """What one parcel holds of one order line. Lines without ``external_ref`` did not come from the plugin."""

    order_line_id: int
    product_id: int
    quantity: int
    external_ref: str | None = None


@dataclass(frozen=True, slots=True)
class Parcel:
    """One shipment of the host: a box with its own carrier (a code of :meth:`HostPort.carriers`) and tracking code."""

    shipment_id: int
    carrier: str
    tracking_code: str | None
    label_ref: str | None
    lines: tuple[ParcelLine, ...]
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class PicklistClosed:
    """A picklist was closed: these parcels left the packing table."""

    picklist_id: int
    order_id: int
    source: str
    reference: str
    closed_at: datetime
    parcels: tuple[Parcel, ...]


@dataclass(frozen=True, slots=True)
class OrderImport:
    """It is time to import orders: each minute by the host's schedule, or at once by the button.

    :param source: the store to import from, as in :attr:`NewOrder.source`; None means every store that is due.
    """

    source: str | None = None
    forced: bool = False


@dataclass(frozen=True, slots=True)
class ProductChanged:
    """A product was created, or its code, name, price or barcodes changed.

    :param lost: what it had as code or barcode before, and has as neither any more.
    """

    product_id: int
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShipmentChanged:
    """Carrier, tracking code or withdrawal of a parcel changed after the picklist was closed."""

    shipment_id: int
    carrier: str
    tracking_code: str | None
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class OrderCancelled:
    """An order was cancelled in the host, by a person or through :meth:`HostPort.cancel_order`."""

    order_id: int
    source: str
    reference: str
    reason: str


@dataclass(frozen=True, slots=True)
class OrderReduced:
    """A person took pieces off an order in the host; the rest of it goes on. What is left: :meth:`HostPort.order`."""

    order_id: int
    source: str
    reference: str


@dataclass(frozen=True, slots=True)
class OrderPutBack:
    """Of an order that a mark keeps from being picked, nothing lies picked any more: it is back on the shelf."""

    order_id: int
    source: str
    reference: str


Event = (
    StockChange
    | PicklistClosed
    | OrderImport
    | ProductChanged
    | ShipmentChanged
    | OrderCancelled
    | OrderReduced
    | OrderPutBack
)


# --- values that cross the port ---------------------------------------------------------------------------------


class OrderState(StrEnum):
    """States of a host order."""

    CONCEPT = "concept"
    PROCESSING = "processing"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Level(StrEnum):
    """How urgent a notification or a line on a panel is."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    DANGER = "danger"


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address; every field may be empty. ``country`` is an ISO 3166 two-letter code."""

    name: str = ""
    company: str = ""
    street: str = ""
    house_number: str = ""
    house_number_extension: str = ""
    extra: str = ""
    postal_code: str = ""
    city: str = ""
    country: str = ""
    email: str = ""
    phone: str = ""
    language: str = ""
    pickup_point: str = ""
    vat_number: str = ""
    chamber_of_commerce: str = ""
    order_reference: str = ""


@dataclass(frozen=True, slots=True)
class NewOrderLine:
    """One line of an order to accept.

    :param quantity: pieces to deliver, at least 1.
    :param unit_price: price of one piece including VAT, in euro.
    :param external_ref: the shop's own id of the line (bol: orderItemId), unique in the order.
    """

    product_id: int
    quantity: int
    name: str
    unit_price: Decimal
    external_ref: str
    discount: Decimal = Decimal(0)
    note: str = ""


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order from a shop. ``source`` and ``reference`` together are its identity: accepting it twice is harmless.

    :param source: names plugin and store, for example ``bol:3``.
    :param reference: the shop's order id.
    :param process: make picklists at once; otherwise the order stays a concept.
    :param warehouse_id: the warehouse that delivers it; None is the host's first.
    """

    source: str
    reference: str
    placed_at: datetime
    delivery: Address
    billing: Address | None
    lines: tuple[NewOrderLine, ...]
    process: bool = True
    warehouse_id: int | None = None
    deadline: datetime | None = None
    notes: tuple[str, ...] = ()
    shop_name: str = ""


@dataclass(frozen=True, slots=True)
class AcceptedOrder:
    """The host's answer to :meth:`HostPort.accept_order`; ``created`` is False where the order was there before."""

    order_id: int
    number: str
    created: bool


@dataclass(frozen=True, slots=True)
class OrderLineView:
    """One line of a host order, with what happened to it so far, in pieces."""

    order_line_id: int
    product_id: int
    external_ref: str | None
    quantity: int
    picked: int
    shipped: int
    cancelled: int


@dataclass(frozen=True, slots=True)
class OrderView:
    """A host order as plugins see it. ``picked`` tells if anything was picked or shipped."""

    order_id: int
    number: str
    source: str
    reference: str
    state: OrderState
    lines: tuple[OrderLineView, ...]

    @property
    def picked(self) -> bool:
        return any(line.picked or line.shipped for line in self.lines)


@dataclass(frozen=True, slots=True)
class PicklistView:
    """A picklist as plugins see it: state, the pieces on it by order line id, and the parcels of a closed one."""

    picklist_id: int
    order_id: int
    source: str
    reference: str
    state: str
    closed_at: datetime | None
    parcels: tuple[Parcel, ...]
    pieces: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FreeStock:
    """Free stock of a product in pieces (may be negative), and the newest stock-history id behind it (0: none).

    ``known`` is False for a product whose stock nobody has set yet: it must not be offered for sale. ``reserved`` tells
    what is ordered of it and was taken off: so much more is there.
    """

    free: int
    history_id: int
    known: bool = True
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class NewProduct:
    """A product to create. ``code`` must be unused; ``stock`` None means that the stock is not known yet."""

    code: str
    name: str
    price: Decimal | None
    barcodes: tuple[str, ...]
    stock: int | None
    warehouse_id: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ProductView:
    """A product: its code and barcodes are what shops' article numbers are compared with."""

    product_id: int
    code: str
    name: str
    barcodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Something to choose from: a warehouse or a carrier."""

    key: str
    title: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification for people.

    :param key: the fact it tells, of any length; the same key never notifies twice.
    :param kind: what sort of fact, for example ``bol.cancellation``.
    :param url: where to act on it.
    """

    key: str
    kind: str
    level: Level
    title: str
    body: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class ClosingAnswer:
    """A plugin's answer to ``picklist_closing``: objections stop the closing, warnings are shown and let it go on.

    ``may_overrule`` tells if the packer may close all the same. ``marked`` are those of the objections that a mark on the
    order tells, too, now or within seconds: they are said once, and are over when that mark goes.
    """

    objections: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    may_overrule: bool = False
    marked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShippingOption:
    """A label that can be bought for goods on a picklist.

    :param key: names the option to ``request_label``.
    :param price: in euro without VAT; None where the shop does not say.
    :param details: sizes, hand-over time and the like, in words. Of options with the same title, what others have
        otherwise stands out.
    :param bought: it is paid for already, and only to be used: it stands first.
    :param usual: it is the one that is mostly bought.
    :param warning: what speaks against it.
    """

    key: str
    title: str
    carrier: str
    price: Decimal | None
    details: tuple[str, ...] = ()
    recommended: bool = False
    bought: bool = False
    usual: bool = False
    warning: str = ""


@dataclass(frozen=True, slots=True)
class ShippingOptions:
    """What labels are on offer; ``reason`` says in plain words why there are none.

    :param warning: what the packer must know before one is bought.
    """

    options: tuple[ShippingOption, ...] = ()
    reason: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A label that was bought. ``ref`` is the shop's number of it; attaching the same one twice is harmless.

    :param pieces: order line id -> pieces that the label covers.
    """

    picklist_id: int
    ref: str
    carrier: str
    tracking_code: str
    pdf: bytes = field(repr=False)
    pieces: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class LabelView:
    """A label that lies with a picklist: ``url`` prints it, ``used`` tells if a parcel travels on it."""

    ref: str
    carrier: str
    tracking_code: str
    url: str
    used: bool


@dataclass(frozen=True, slots=True)
class LabelledPicklist:
    """A picklist as people know it, and the labels that lie with it."""

    number: str
    url: str
    labels: tuple[LabelView, ...]


@dataclass(frozen=True, slots=True)
class PanelRow:
    """One line on a panel; ``tone`` colours it."""

    label: str
    value: str
    tone: Level | None = None


@dataclass(frozen=True, slots=True)
class PanelLink:
    """A link below a panel."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Panel:
    """What a plugin shows on the host's page of an order, a picklist or a product. Plain text: the host escapes it."""

    title: str
    rows: tuple[PanelRow, ...]
    links: tuple[PanelLink, ...] = ()


class LabelSale(StrEnum):
    """Whether a plugin sells shipping labels for an order. NEEDED: its parcels must travel on one."""

    NONE = "none"
    OFFERED = "offered"
    NEEDED = "needed"


@dataclass(frozen=True, slots=True)
class OrderBadge:
    """A word or two about an order, shown beside its state in lists and at the top of its pages. Plain text."""

    text: str
    tone: Level | None = None


@dataclass(frozen=True, slots=True)
class OrderNote:
    """What a plugin tells of an order of its own.

    :param badges: shown wherever the order, a picklist or a parcel of it stands.
    :param order_badges: shown beside them where the whole order is meant.
    :param picklist_badges: picklist id -> what is shown beside them at that picklist.
    :param parcel_badges: shipment id -> what is shown beside them at that parcel: what the shop knows of it.
    :param withdrawing: shipment id -> what withdrawing this parcel means at the shop, and what may be better: told
        before it is withdrawn.
    :param may_close_stopped: packers are offered to close its picklists although a mark keeps it from being picked.
    :param labels_title: what its sale of labels is called everywhere, such as "Shipping via bol".
    :param labels_hint: what packers must know before they buy a label, which is one press: it stands above what is on
        offer, and where one would be left over.
    :param waiting_carriers: the carriers whose parcels the shop can't be told of yet; the packer sees it at the choice.
    :param waiting_hint: why they wait, and who ends that; shown while one of them is chosen.
    :param waiting_url: where who looks can end it; "" where they can't.
    :param cancelling: what cancelling the order here leaves to be done at the shop: told beside the button, and asked before.
    """

    badges: tuple[OrderBadge, ...] = ()
    labels: LabelSale = LabelSale.NONE
    may_close_stopped: bool = True
    labels_title: str = ""
    labels_hint: str = ""
    waiting_carriers: frozenset[str] = frozenset()
    waiting_hint: str = ""
    order_badges: tuple[OrderBadge, ...] = ()
    picklist_badges: Mapping[int, tuple[OrderBadge, ...]] = field(default_factory=dict)
    parcel_badges: Mapping[int, tuple[OrderBadge, ...]] = field(default_factory=dict)
    withdrawing: Mapping[int, str] = field(default_factory=dict)
    waiting_url: str = ""
    cancelling: str = ""


@dataclass(frozen=True, slots=True)
class StoreSummary:
    """A connected store, as listed under Settings > Integrations > Webshops, and on the home page.

    :param doing: one sentence on how it is doing, for the home page; "" for no more than its state.
    """

    name: str
    state: str
    tone: Level
    url: str
    doing: str = ""


@dataclass(frozen=True, slots=True)
class Integration:
    """A kind of webshop that can be connected, and the stores that are."""

    key: str
    title: str
    description: str
    connect_url: str
    stores: tuple[StoreSummary, ...] = ()


@dataclass(frozen=True, slots=True)
class Attention:
    """How much a plugin has for people to do: shown on the home page, and in the menu bar while ``number`` is not 0.

    :param title: what it is called there, in a few words.
    :param url: the page where it is done, without host name.
    """

    title: str
    number: int
    url: str


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """Who the plugin is, and what it keeps in the host's database.

    :param name: short name; the same as its entry point.
    :param package: the import package its jobs live in.
    :param table_prefix: every table of ``metadata`` must begin with it, or the host refuses to start.
    :param metadata: a ``sqlalchemy.MetaData``.
    :param queues: names of the plugin's job queues, most urgent first; workers serve them after the host's own.
    :param migrations: path of an Alembic folder, run by the host's ``upgrade`` command; its version table is
        ``<table_prefix>alembic_version``.
    """

    name: str
    title: str
    version: str
    package: str
    table_prefix: str
    metadata: Any = field(repr=False)
    migrations: str
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlatformHealth:
    """The platform's signs of life.

    :param database: what is wrong with the database, in words; "" where it answers and is up to date.
    :param redis: the same of Redis.
    :param workers: how many are alive; None where Redis is away. ``schedulers`` likewise.
    :param queued: queue -> jobs that wait in it.
    :param oldest_event_at: when the oldest event happened that a plugin is still to be told.
    """

    database: str
    redis: str
    workers: int | None
    schedulers: int | None
    queued: Mapping[str, int]
    oldest_event_at: datetime | None


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured value that monitoring reads, with a sample for each combination of label values.

    :param name: begins with the plugin's table prefix and ends with its unit, as Prometheus has it.
    :param labels: names of labels; never personal data.
    :param samples: label values, in the order of ``labels`` -> value.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    samples: Mapping[tuple[str, ...], float]


# --- the port ---------------------------------------------------------------------------------------------------


class HostPort(Protocol):
    """What a plugin may ask of the host.

    Unless said otherwise, methods work in the caller's transaction, never commit, and raise RuntimeError outside of
    one. Lists of ids may be of any length; unknown ids are left out of the answer.
    """

    @property
    def redis_url(self) -> str:
        """Where Redis is: for caches and budgets that may be lost, never for what is owed."""

    @property
    def secret_folder(self) -> str:
        """The instance folder, readable by its owner only."""

    @property
    def public_url(self) -> str:
        """The address under which the internet reaches the host, without a slash at its end; "" where it does not."""

    @property
    def language(self) -> str:
        """The language of the installation. What is kept is written in it, whoever caused it: notifications, marks,
        reasons, histories."""

    @property
    def session(self) -> Any:
        """The ``sqlalchemy.orm.Session`` of the transaction that is open."""

    @property
    def in_transaction(self) -> bool:
        """Tell if a transaction is open in this thread: no call to the network may be made then."""

    def transaction(self) -> AbstractContextManager[Any]:
        """Open the one transaction in which rows may change; commits at its end, rolls back where it raises.

        It begins with the write lock on SQLite. It can't be nested. Wakes asked for inside are sent after the commit.
        It may be opened in any thread, like ``reading``: each thread has a session of its own.
        """

    def reading(self) -> AbstractContextManager[Any]:
        """Open a transaction for reading only, rolled back at its end; objects read in it stay readable after it."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""

    def health(self) -> PlatformHealth:
        """Return how the platform is. Outside of any transaction; may take seconds where something is away."""

    def wake(self, *wakes: Wake) -> None:
        """Start jobs: after the commit inside a transaction, at once outside. Never raises where Redis is away."""

    # products and stock

    def products(self, product_ids: Iterable[int]) -> Mapping[int, ProductView]:
        """Return products by id."""

    def products_by_code(self, codes: Iterable[str]) -> Mapping[str, int]:
        """Return product ids by product code."""

    def products_by_barcode(self, barcodes: Iterable[str]) -> Mapping[str, tuple[int, ...]]:
        """Return product ids by barcode, the first found first."""

    def create_product(self, product: NewProduct) -> int:
        """Create a product and return its id.

        :raises HostError: the code is in use.
        """

    def name_product(self, product_id: int, name: str, instead_of: str) -> bool:
        """Give a product a better name where it still has the one it was created with; tell if it got it."""

    def free_stock(
        self, product_ids: Iterable[int], warehouse_ids: Sequence[int] | None = None
    ) -> Mapping[int, FreeStock]:
        """Return the free stock in these warehouses (None: all)."""

    def warehouses(self) -> Sequence[Choice]:
        """Return the active warehouses, the first is the default. The key is the id in digits."""

    def carriers(self) -> Sequence[Choice]:
        """Return the carriers a packer can choose."""

    # orders

    def accept_order(self, order: NewOrder) -> AcceptedOrder:
        """Take an order in, reserve its stock, and process it if asked. Idempotent on source and reference."""

    def order(self, order_id: int) -> OrderView | None:
        """Return an order, locked until the transaction ends, so that what is decided on it stays true."""

    def order_views(self, order_ids: Iterable[int]) -> Mapping[int, OrderView]:
        """Return orders without locking them: for pages and reports."""

    def mark_order(self, order_id: int, key: str, text: str | None, *, stops_picking: bool = False) -> None:
        """Show ``text`` on the order and its picklists; None takes the mark away.

        :param stops_picking: nothing of the order may be picked any more, only put back. Without it packers are only kept
            from picking all of it at one press, so that they look at each line.
        """

    def set_deadline(self, order_id: int, deadline: datetime) -> None:
        """Set by when the order must have been handed over; picklists are sorted by it."""

    def cancel_order(self, order_id: int, reason: str) -> None:
        """Cancel an order, withdraw its picklists and free its stock. Cancelled already: nothing happens.

        :raises OrderPicked: something was picked or shipped; nothing was changed.
        :raises HostError: it can't be cancelled in its state; nothing was changed.
        """

    def take_off(self, order_id: int, order_line_id: int, pieces: int, who: str) -> None:
        """Take pieces that nobody has picked off an open order, and free their stock; the rest goes on. Where nothing is left
        of it, it is cancelled, or completed if something was shipped.

        :raises HostError: so many are not open and unpicked, or the order is not open; nothing was changed.
        """

    def hold_order(self, order_id: int, key: str, text: str) -> bool:
        """Keep an order and its picklists from being picked while something is decided, and show ``text`` on it.

        Nobody can resume it meanwhile, also where a person had paused it before.

        Returns False, and changes nothing, where something was picked or shipped, or the order is done with.
        """

    def release_order(self, order_id: int, key: str) -> None:
        """End a hold and take its mark away. An order that a person paused stays paused."""

    def erase_addresses(self, source: str, done_before: datetime, most: int = 1000) -> int:
        """Blank names and addresses of a source's orders completed or cancelled before a moment, and labels with them.

        So many orders at most in one transaction; returns how many, and fewer than ``most`` are the last.
        """

    def picklist(self, picklist_id: int) -> PicklistView | None:
        """Return a picklist with its parcels as they are now."""

    def parcel(self, shipment_id: int) -> Parcel | None:
        """Return one parcel as it is now."""

    def withdrawn(self, shipment_ids: Iterable[int]) -> frozenset[int]:
        """Return which of these parcels were withdrawn: one look for a whole list."""

    def attach_label(self, label: NewLabel) -> None:
        """Keep a bought label with its picklist, to be printed and to make a parcel of."""

    def labelled_picklists(self, picklist_ids: Iterable[int]) -> Mapping[int, LabelledPicklist]:
        """Return these picklists with their labels, by id; those that are not there are left out."""

    # people

    def notify(self, notice: Notice) -> bool:
        """Tell people something, once per key. Returns False where the key was told before."""

    def settle_notices(self, key: str) -> None:
        """Mark the unread notification with this key, and those with ``key:...``, as read: what it told is over."""

    def order_url(self, order_id: int) -> str:
        """Return the address of the order's page, without host name."""

    def picked_url(self, order_id: int) -> str:
        """Return the address of the first picklist of the order on which something lies picked; "" where none does."""

    def tell_again(self, plugin: str, since: datetime | None) -> Mapping[str, int]:
        """Free the events that the plugin of this name failed at, and write those since a moment anew, as things are now.

        Returns how many by hook, those freed as ``parked``. Outside of any transaction.
        """


# --- hooks ------------------------------------------------------------------------------------------------------


class HookSpecs:
    """Every hook of the platform. Implement those you need, with these names, as functions of your plugin module."""

    # platform

    @hookspec(firstresult=True)
    def plugin_info(self) -> PluginInfo | None:
        """Tell who the plugin is. Required; asked of each plugin by itself."""

    @hookspec
    def plugin_loaded(self, host: HostPort) -> None:
        """The application is built. Called once in each process, before any other hook but ``plugin_info``."""

    @hookspec
    def admin_views(self, host: HostPort) -> list[Any]:
        """Return ``flask_admin.BaseView`` objects to add to the admin; give each an ``endpoint`` of your own.

        The host lets nobody in without login, and no request that changes something without a CSRF token: a form
        field or header made with ``csrf_token()`` in templates. Reading (GET) is for everyone logged in, all other
        methods are for administrators. An attribute ``roles`` of the view, or of one of its handlers, a set of
        ``"administrator"`` and ``"warehouse"``, says otherwise for all methods. Views in the menu may have a method
        ``badge() -> int``, the number shown beside their name.

        Templates extend ``admin/master.html`` to look like the host's pages, and may import ``host/ui.html``. They
        hold no inline scripts, handlers or styles: the content security policy forbids them, unless the response
        brings a ``Content-Security-Policy`` of its own. A read transaction is open while a view runs.
        """
        return []

    @hookspec
    def blueprints(self, host: HostPort) -> list[Any]:
        """Return ``flask.Blueprint`` objects to register.

        Their routes under ``/admin`` are guarded as views are. All others are open to the world, without login and
        CSRF token: they must prove by themselves who calls, for example by a signature.
        """
        return []

    @hookspec
    def commands(self, host: HostPort) -> list[Any]:
        """Return ``click.Command`` objects for ``flask --app host_app ...``."""
        return []

    @hookspec
    def due(self, host: HostPort, now: datetime) -> list[Wake]:
        """Return wakes for all work that is due at ``now``. Asked about once a second; use indexed reads only."""
        return []

    @hookspec
    def metrics(self, host: HostPort) -> list[Metric]:
        """Return what monitoring should know. Asked for each reading of ``/metrics``, within a read transaction;
        use indexed reads only, and never the network."""
        return []

    @hookspec
    def mail_addresses(self, host: HostPort, notice: Notice) -> list[str] | None:
        """Return whom to tell of a new notification by e-mail, beside those that the host's own choice of urgency names:
        addresses, or none for those of the host; None where it is not mailed for this. Called once, in the transaction
        that writes the notification. The host gathers what is for the same people into one mail.
        """

    @hookspec
    def demo(self, host: HostPort) -> None:
        """Set up what a demonstration needs; repeating it changes nothing. Called by ``make run`` outside of any
        transaction, after the migrations and with the demonstration shop of ``BOL_SANDBOX_URL`` running."""

    @hookspec
    def integrations(self, host: HostPort) -> list[Integration]:
        """Return the kinds of webshops this plugin can connect, with the stores that are connected.

        Asked for the home page, too: look at few rows.
        """
        return []

    @hookspec
    def attention(self, host: HostPort) -> Attention | None:
        """Tell how much waits for a person, or None where the plugin has no page for that.

        Asked at each view of each page, in the read transaction of the page: use ``host.session`` and indexed reads
        of few rows. What it raises is logged, and the page is shown without the number.
        """
        return None

    @hookspec
    def order_panels(self, host: HostPort, order_id: int) -> list[Panel]:
        """Return what to show on the page of an order."""
        return []

    @hookspec
    def picklist_panels(self, host: HostPort, picklist_id: int) -> list[Panel]:
        """Return what to show on the page of a picklist."""
        return []

    @hookspec
    def product_panels(self, host: HostPort, product_id: int) -> list[Panel]:
        """Return what to show on the page of a product."""
        return []

    @hookspec
    def order_notes(self, host: HostPort, order_ids: Sequence[int]) -> Mapping[int, OrderNote]:
        """Tell of these orders, as many as a page of a list has, what people must see at a glance; those of others are left out.

        Asked in the read transaction of the page: use ``host.session`` and indexed reads. What it raises is logged, and the
        page is shown without. A plugin that sells labels (``shipping_options``) and implements this is asked for
        them only for orders of which it says so here.
        """
        return {}

    @hookspec
    def retell(self, texts: Sequence[str]) -> Mapping[str, str]:
        """Say in ``language()`` what the host keeps of this plugin in the installation's language: marks, reasons, notes.

        Returns what is known by the text that was kept. Asked as pages are made, for people with another language
        than the installation's: answer from memory.
        """
        return {}

    # events

    @hookspec
    def stock_changed(self, host: HostPort, changes: Sequence[StockChange]) -> list[Wake]:
        """Free stock changed for these products, each named once."""
        return []

    @hookspec
    def picklist_closed(self, host: HostPort, event: PicklistClosed) -> list[Wake]:
        """A picklist was closed."""
        return []

    @hookspec
    def order_import(self, host: HostPort, event: OrderImport) -> list[Wake]:
        """Orders should be imported: each minute, or by the button."""
        return []

    @hookspec
    def product_changed(self, host: HostPort, event: ProductChanged) -> list[Wake]:
        """A product was created or changed."""
        return []

    @hookspec
    def shipment_changed(self, host: HostPort, event: ShipmentChanged) -> list[Wake]:
        """A parcel's carrier, tracking code or withdrawal changed."""
        return []

    @hookspec
    def order_cancelled(self, host: HostPort, event: OrderCancelled) -> list[Wake]:
        """An order was cancelled in the host."""
        return []

    @hookspec
    def order_reduced(self, host: HostPort, event: OrderReduced) -> list[Wake]:
        """A person took pieces off an order, not all of them."""
        return []

    @hookspec
    def order_put_back(self, host: HostPort, event: OrderPutBack) -> list[Wake]:
        """Nothing is picked any more of an order that the plugin, or another one, had stopped."""
        return []

    # questions

    @hookspec
    def picklist_closing(self, host: HostPort, picklist_id: int, seconds: float) -> ClosingAnswer | None:
        """May this picklist be closed? Answer within ``seconds``; None means that the plugin has no say in it."""

    @hookspec
    def shipping_options(
        self, host: HostPort, picklist_id: int, pieces: Mapping[int, int], seconds: float
    ) -> ShippingOptions | None:
        """What labels can be bought for these pieces (by order line id)? None: the plugin sells none for them."""

    # work for a person at the packing table

    @hookspec
    def request_label(
        self, host: HostPort, picklist_id: int, pieces: Mapping[int, int], option_key: str, who: str
    ) -> list[Wake]:
        """Buy a label: write down that it is wanted, in the open transaction, and return the wakes of the purchase.

        It is work, not a question: the label comes by :meth:`HostPort.attach_label`, and the plugin's picklist panel
        tells how far it is. Raises HostError where it can't be bought, for example because it is being bought already.
        """
        return []


#: Event class -> name of the hook that delivers it.
EVENT_HOOKS: Mapping[type, str] = {
    StockChange: "stock_changed",
    PicklistClosed: "picklist_closed",
    OrderImport: "order_import",
    ProductChanged: "product_changed",
    ShipmentChanged: "shipment_changed",
    OrderCancelled: "order_cancelled",
    OrderReduced: "order_reduced",
    OrderPutBack: "order_put_back",
}
