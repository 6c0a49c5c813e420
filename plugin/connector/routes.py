"""Every call that the connector makes, with its path and API version, in one table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from plugin.connector.errors import UnusableId

V10 = "application/vnd.retailer.v10+json"
V10_PDF = "application/vnd.retailer.v10+pdf"
V11 = "application/vnd.retailer.v11+json"
PLAIN = "application/json"

#: Any characters but slashes and controls, and not dots alone.
_ID = re.compile(r"(?!\.+$)[^/\\\x00-\x1f\x7f]{1,100}")


@dataclass(frozen=True)
class Route:
    """`template` is the documented path; `media` goes into Accept, and into Content-Type of a body.

    The media type chooses the API version: the same URL serves v10 and v11 offers.
    """

    method: str
    template: str
    media: str
    signed: bool = True

    def path(self, values: Mapping[str, str]) -> str:
        """The template with its ids filled in, encoded where they are not plain letters and digits.

        Raises UnusableId where one would lead elsewhere: it is empty, too long, nothing but dots, or has a slash.
        """
        path = self.template
        for name, value in values.items():
            if not _ID.fullmatch(value):
                raise UnusableId(f"{name} is not an id: {value!r}", method=self.method, route=self.template)
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        return path

    @property
    def reads(self) -> bool:
        """GET and HEAD, the only calls that are repeated by themselves."""
        return self.method in ("GET", "HEAD")


ORDERS = Route("GET", "/retailer/orders", V10)
ORDER = Route("GET", "/retailer/orders/{order-id}", V10)
CANCEL = Route("PUT", "/retailer/orders/cancellation", V10)
CREATE_SHIPMENT = Route("POST", "/retailer/shipments", V10)
SHIPMENTS = Route("GET", "/retailer/shipments", V10)
SHIPMENT = Route("GET", "/retailer/shipments/{shipment-id}", V10)
CHANGE_TRANSPORT = Route("PUT", "/retailer/transports/{transport-id}", V10)
LABEL_OPTIONS = Route("POST", "/retailer/shipping-labels/delivery-options", V10)
CREATE_LABEL = Route("POST", "/retailer/shipping-labels", V10)
LABEL = Route("GET", "/retailer/shipping-labels/{shipping-label-id}", V10_PDF)
STATUS = Route("GET", "/shared/process-status/{process-status-id}", V10)
STATUSES_BULK = Route("POST", "/shared/process-status", V10)
STATUSES_BY_ENTITY = Route("GET", "/shared/process-status", V10)
OFFERS = Route("GET", "/retailer/offers", V11)
OFFER = Route("GET", "/retailer/offers/{offer-id}", V11)
PATCH_OFFER = Route("PATCH", "/retailer/offers/{offer-id}", V11)
CATALOG_PRODUCT = Route("GET", "/retailer/content/catalog-products/{ean}", V10)
SUBSCRIPTIONS = Route("GET", "/retailer/subscriptions", V10)
SUBSCRIPTION = Route("GET", "/retailer/subscriptions/{subscription-id}", V10)
CREATE_SUBSCRIPTION = Route("POST", "/retailer/subscriptions", V10)
UPDATE_SUBSCRIPTION = Route("PUT", "/retailer/subscriptions/{subscription-id}", V10)
DELETE_SUBSCRIPTION = Route("DELETE", "/retailer/subscriptions/{subscription-id}", V10)
TEST_SUBSCRIPTION = Route("POST", "/retailer/subscriptions/test/{subscription-id}", V10)
SIGNATURE_KEYS = Route("GET", "/retailer/subscriptions/signature-keys", V10)
RETAILER = Route("GET", "/retailer/retailers/{retailer-id}", V10)
RATE_LIMITS = Route("GET", "/retailer/public/ratelimits", PLAIN, signed=False)
TOKEN = Route("POST", "/token", PLAIN)
ALL: tuple[Route, ...] = tuple(route for route in vars().values() if isinstance(route, Route))
