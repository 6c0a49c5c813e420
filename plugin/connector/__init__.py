"""bol's Retailer API as a typed client: knows HTTP and bol, and nothing of whoever uses it."""

from plugin.connector.budget import PUBLISHED_LIMITS, Budget, UnlimitedBudget
from plugin.connector.calls import CallRecord, OnCall
from plugin.connector.client import BolClient
from plugin.connector.deadline import Deadline
from plugin.connector.environment import DEMO, PRODUCTION, Credentials, Environment, sandbox_environment
from plugin.connector.errors import (
    AddressBlocked,
    BadRequest,
    BolError,
    BudgetExhausted,
    Conflict,
    ConnectFailed,
    ConnectionLost,
    Forbidden,
    MalformedAnswer,
    NotExecuted,
    NotFound,
    NoTimeLeft,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    SignInRefused,
    SignInUnavailable,
    StoreUnavailable,
    TimedOut,
    Violation,
)
from plugin.connector.models.address import Address
from plugin.connector.models.labels import Label, LabelOption
from plugin.connector.models.limits import LimitRule
from plugin.connector.models.offers import Offer, OfferPage
from plugin.connector.models.orders import (
    Discount,
    Order,
    OrderItem,
    OrderPage,
    OrderSummary,
    OrderSummaryItem,
)
from plugin.connector.models.retailers import Retailer
from plugin.connector.models.shipments import (
    Shipment,
    ShipmentItem,
    ShipmentPage,
    ShipmentRequest,
    ShipmentSummary,
    ShippedItem,
    Transport,
    TransportEvent,
)
from plugin.connector.models.statuses import ProcessStatus
from plugin.connector.models.subscriptions import WEBHOOK_RESOURCES, SignatureKey, Subscription
from plugin.connector.resources.orders import CANCEL_REASONS
from plugin.connector.sign_in import ClientCredentialsTokens, SignIn, TokenAnswer, Tokens, scopes_of
from plugin.connector.tokens import (
    Claim,
    MemoryLedger,
    MemoryTokenStore,
    SignInLedger,
    StoredToken,
    TokenSource,
    TokenStore,
)

__all__ = [
    "CANCEL_REASONS",
    "DEMO",
    "PRODUCTION",
    "PUBLISHED_LIMITS",
    "WEBHOOK_RESOURCES",
    "Address",
    "AddressBlocked",
    "BadRequest",
    "BolClient",
    "BolError",
    "Budget",
    "BudgetExhausted",
    "CallRecord",
    "Claim",
    "ClientCredentialsTokens",
    "Conflict",
    "ConnectFailed",
    "ConnectionLost",
    "Credentials",
    "Deadline",
    "Discount",
    "Environment",
    "Forbidden",
    "Label",
    "LabelOption",
    "LimitRule",
    "MalformedAnswer",
    "MemoryLedger",
    "MemoryTokenStore",
    "NoTimeLeft",
    "NotExecuted",
    "NotFound",
    "Offer",
    "OfferPage",
    "OnCall",
    "Order",
    "OrderItem",
    "OrderPage",
    "OrderSummary",
    "OrderSummaryItem",
    "OutcomeUnknown",
    "ProcessStatus",
    "RateLimited",
    "Retailer",
    "ServerError",
    "Shipment",
    "ShipmentItem",
    "ShipmentPage",
    "ShipmentRequest",
    "ShipmentSummary",
    "ShippedItem",
    "SignIn",
    "SignInLedger",
    "SignInRefused",
    "SignInUnavailable",
    "SignatureKey",
    "StoreUnavailable",
    "StoredToken",
    "Subscription",
    "TimedOut",
    "TokenAnswer",
    "TokenSource",
    "TokenStore",
    "Tokens",
    "Transport",
    "TransportEvent",
    "UnlimitedBudget",
    "Violation",
    "sandbox_environment",
    "scopes_of",
]
