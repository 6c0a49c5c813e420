"""Which handler answers which operation of bol, and in which media type."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bol_sandbox import (
    catalog,
    labels,
    offers,
    orders,
    retailers,
    shipments,
    statuses,
    subscriptions,
    tokens,
    transports,
)
from bol_sandbox.answers import JSON, V10, V10_PDF, V11, Answer, reply
from bol_sandbox.call import Call

Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: v10 and v11 share addresses, so the media type is part of it."""

    method: str
    template: str
    handler: Handler
    media_type: str
    needs_token: bool = True


def rate_limits(call: Call) -> Answer:
    """Answer `GET /retailer/public/ratelimits`, which needs no token."""
    return reply(call.world.limits.as_json(), JSON)


ROUTES = (
    Route("POST", "/token", tokens.token, JSON, needs_token=False),
    Route("GET", "/retailer/public/ratelimits", rate_limits, JSON, needs_token=False),
    Route("GET", "/retailer/orders", orders.list_orders, V10),
    Route("PUT", "/retailer/orders/cancellation", orders.cancel_item, V10),
    Route("GET", "/retailer/orders/{order-id}", orders.get_order, V10),
    Route("GET", "/retailer/shipments", shipments.list_shipments, V10),
    Route("POST", "/retailer/shipments", shipments.create_shipment, V10),
    Route("GET", "/retailer/shipments/{shipment-id}", shipments.get_shipment, V10),
    Route("PUT", "/retailer/transports/{transport-id}", transports.change_transport, V10),
    Route("POST", "/retailer/shipping-labels/delivery-options", labels.delivery_options, V10),
    Route("POST", "/retailer/shipping-labels", labels.create_label, V10),
    Route("GET", "/retailer/shipping-labels/{shipping-label-id}", labels.get_label, V10_PDF),
    Route("HEAD", "/retailer/shipping-labels/{shipping-label-id}", labels.get_label, V10_PDF),
    Route("GET", "/retailer/offers", offers.list_offers, V11),
    Route("POST", "/retailer/offers", offers.create_offer, V11),
    Route("GET", "/retailer/offers/{offer-id}", offers.get_offer, V11),
    Route("PATCH", "/retailer/offers/{offer-id}", offers.patch_offer, V11),
    Route("DELETE", "/retailer/offers/{offer-id}", offers.delete_offer, V11),
    Route("GET", "/retailer/offers/{offer-id}/not-for-sale-reasons", offers.not_for_sale_reasons, V11),
    Route("GET", "/retailer/content/catalog-products/{ean}", catalog.get_product, V10),
    Route("GET", "/retailer/retailers/{retailer-id}", retailers.get_retailer, V10),
    Route("GET", "/retailer/subscriptions", subscriptions.list_subscriptions, V10),
    Route("POST", "/retailer/subscriptions", subscriptions.create_subscription, V10),
    Route("GET", "/retailer/subscriptions/signature-keys", subscriptions.signature_keys, V10),
    Route("POST", "/retailer/subscriptions/test/{subscription-id}", subscriptions.send_test, V10),
    Route("GET", "/retailer/subscriptions/{subscription-id}", subscriptions.get_subscription, V10),
    Route("PUT", "/retailer/subscriptions/{subscription-id}", subscriptions.update_subscription, V10),
    Route("DELETE", "/retailer/subscriptions/{subscription-id}", subscriptions.delete_subscription, V10),
    Route("GET", "/shared/process-status", statuses.find_statuses, V10),
    Route("POST", "/shared/process-status", statuses.get_statuses, V10),
    Route("GET", "/shared/process-status/{process-status-id}", statuses.get_status, V10),
)


class Router:
    """Finds routes: literal addresses by a dictionary, the rest by pattern."""

    def __init__(self, routes: tuple[Route, ...] = ROUTES) -> None:
        self._literal = {(r.method, r.template): r for r in routes if "{" not in r.template}
        self._patterns = [(_names(r), _pattern(r), r) for r in routes if "{" in r.template]

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str]]:
        route = self._literal.get((method, path))
        if route is not None:
            return route, {}
        for names, pattern, candidate in self._patterns:
            if candidate.method == method:
                found = pattern.fullmatch(path)
                if found:
                    return candidate, dict(zip(names, found.groups(), strict=True))
        return None, {}

    def knows(self, path: str) -> bool:
        """Whether any method is answered here: 405 and not 404."""
        literal = any(template == path for _, template in self._literal)
        return literal or any(pattern.fullmatch(path) for _, pattern, _ in self._patterns)


def _names(route: Route) -> list[str]:
    return re.findall(r"\{([^}]+)\}", route.template)


def _pattern(route: Route) -> re.Pattern[str]:
    parts = re.split(r"\{[^}]+\}", route.template)
    return re.compile("([^/]+)".join(map(re.escape, parts)))
