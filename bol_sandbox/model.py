"""What the sandbox remembers: sellers, offers, orders, shipments and process statuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bol_sandbox.clock import fine_stamp

if TYPE_CHECKING:
    from bol_sandbox.world import World


@dataclass(slots=True)
class Settings:
    """Switches of `PUT /sandbox/settings`; from `shipment_entity_id` on they decide what bol leaves open."""

    latency_ms: float = 0
    process_status_delay_ms: float = 0
    token_seconds: int = 299
    code_seconds: float = 60
    rotate_refresh_tokens: bool = False
    day_three_rule: bool = True
    # By event type: how its statuses end, whatever the work came to.
    process_status_end: dict[str, dict[str, Any]] = field(default_factory=dict)
    shipment_entity_id: str = "orderItemId"
    keep_cancellation_request: bool = True
    no_label_options: str = "404"
    refuse_unknown_label_offers: bool = False
    vvb_needs_label: bool = False
    # Of events about orders: which id they carry.
    order_event_id: str = "byEvent"
    webhooks: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intermediary:
    """Software that sellers let into their accounts at bol's login page; no redirect address allows any."""

    client_id: str
    client_secret: str
    name: str
    redirect_uris: tuple[str, ...] = ()
    # Whether each refresh gives a new refresh token; None leaves it to the settings.
    rotates: bool | None = None

    def redirects_to(self, address: str) -> bool:
        return not self.redirect_uris or address in self.redirect_uris


@dataclass(frozen=True, slots=True)
class LoginCode:
    """What the login page hands to an intermediary, to be exchanged once for tokens of this seller."""

    code: str
    intermediary: str
    client_id: str
    redirect_uri: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Consent:
    """A seller's permission for an intermediary, as long as it lasts; the refresh token stands for it."""

    refresh_token: str
    intermediary: str
    client_id: str
    expires_at: float


@dataclass(slots=True)
class Product:
    """One entry of bol's catalogue, shared by all sellers."""

    ean: str
    title: str
    description: str
    brand: str
    bol_product_id: str
    # An offer may be made for a product that the catalogue does not have (`unknownProductTitle`).
    listed: bool = True


@dataclass(slots=True, eq=False)
class Offer:
    """A seller's listing of one EAN (Offers API v11), with the counters that correctedStock needs."""

    offer_id: str
    ean: str
    condition: dict[str, Any]
    pricing: dict[str, Any]
    fulfilment: dict[str, Any]
    bol_product_id: str
    countries: tuple[str, ...] = ("NL", "BE")
    reference: str | None = None
    on_hold: bool = False
    economic_operator_id: str | None = None
    unknown_title: str | None = None
    amount: int = 0
    managed_by_retailer: bool = True
    bol_stock: int = 0
    modified_at: float = 0.0
    sequence: int = 0
    open_quantity: int = 0
    sold_since_update: int = 0

    @property
    def method(self) -> str:
        return str(self.fulfilment["method"])

    @property
    def price_cents(self) -> int:
        return round(float(self.pricing["bundlePrices"][0]["unitPrice"]) * 100)

    @property
    def corrected_stock(self) -> int:
        """What customers can still buy (Offers API v11, UpdateStock.managedByRetailer).

        True counts only what was ordered after the offer's last update, whether still open or already
        shipped ("open and processed orders"); false counts all that is open.
        """
        if self.method == "FBB":
            return max(0, self.bol_stock - self.open_quantity)
        taken = self.sold_since_update if self.managed_by_retailer else self.open_quantity
        return max(0, self.amount - taken)

    @property
    def for_sale(self) -> bool:
        return not self.on_hold and self.corrected_stock > 0

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "offerId": self.offer_id,
            "ean": self.ean,
            "lastModifiedDateTime": fine_stamp(self.modified_at),
            "onHoldByRetailer": self.on_hold,
            "stock": {"amount": self.amount, "managedByRetailer": self.managed_by_retailer},
            "countryAvailabilities": [
                {"countryCode": code, "forSale": self.for_sale} for code in self.countries
            ],
            "condition": self.condition,
            "product": {"bolProductId": self.bol_product_id},
            "pricing": self.pricing,
            "fulfilment": self.fulfilment,
        }
        # Logistics via bol: "Note that this should not be the FBB stock" (Offers API v11, Stock.amount).
        if self.method == "FBR":
            body["stock"]["correctedStock"] = self.corrected_stock
        if self.reference is not None:
            body["reference"] = self.reference
        if self.economic_operator_id is not None:
            body["economicOperatorId"] = self.economic_operator_id
        if self.unknown_title is not None:
            body["unknownProductTitle"] = self.unknown_title
        return body


@dataclass(slots=True, eq=False)
class OrderItem:
    """One line of an order; bol handles each on its own."""

    order_item_id: str
    order: Order
    ean: str
    title: str
    quantity: int
    method: str
    distribution_party: str
    unit_price_cents: int
    offer: Offer | None
    offer_sequence: int
    changed_at: float
    shipped: int = 0
    cancelled: int = 0
    cancellation_request: bool = False

    @property
    def open(self) -> int:
        return self.quantity - self.shipped - self.cancelled

    @property
    def commission_cents(self) -> int:
        return round(self.unit_price_cents * self.quantity * 0.124) + 85


@dataclass(slots=True, eq=False)
class Order:
    """A customer's order at one seller."""

    order_id: str
    client_id: str
    placed_at: float
    shipment_details: dict[str, Any]
    billing_details: dict[str, Any]
    pickup_point: bool
    latest_delivery_date: str
    expiry_date: str
    items: list[OrderItem] = field(default_factory=list)
    shipments: list[Shipment] = field(default_factory=list)

    @property
    def changed_at(self) -> float:
        return max(item.changed_at for item in self.items)

    @property
    def is_open(self) -> bool:
        return any(item.open for item in self.items)


@dataclass(slots=True, eq=False)
class Shipment:
    """A parcel that the seller confirmed."""

    shipment_id: str
    order: Order
    at: float
    reference: str | None
    items: list[tuple[OrderItem, int]]
    transport_id: str
    transporter_code: str | None
    track_and_trace: str | None
    shipping_label_id: str | None
    transport_events: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LabelOffer:
    """A label that may be bought for so many pieces of these order items; `kind` is its display name."""

    offer_id: str
    client_id: str
    quantities: dict[str, int]
    kind: str
    expires_at: float


@dataclass(slots=True, eq=False)
class Label:
    """A label that was bought: money, whether or not a parcel ever carries it."""

    label_id: str
    client_id: str
    order_id: str
    quantities: dict[str, int]
    kind: str
    price_cents: int
    transporter_code: str
    track_and_trace: str
    bought_at: float
    shipment_id: str | None = None


@dataclass(slots=True, eq=False)
class Subscription:
    """A seller's wish to be told what happens to these resources, at an address of its own."""

    subscription_id: str
    client_id: str
    resources: tuple[str, ...]
    url: str
    kind: str
    enabled: bool = True
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How asynchronous work ended; an error message makes it a failure."""

    entity_id: str | None = None
    error_message: str | None = None


class Work(Protocol):
    """What a write asks for: a dataclass of plain values, because it may outlive this process."""

    def do(self, world: World, client_id: str, at: float) -> Outcome: ...


@dataclass(slots=True, eq=False)
class ProcessStatus:
    """bol's asynchronous answer to a write."""

    process_status_id: str
    client_id: str
    event_type: str
    description: str
    created_at: float
    ends_at: float
    # None once it is done.
    work: Work | None
    # What the status can be found by while it is pending.
    known_as: str | None
    status: str = "PENDING"
    entity_id: str | None = None
    error_message: str | None = None
