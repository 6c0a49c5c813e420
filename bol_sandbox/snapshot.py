"""The state of the sandbox as one JSON document, for tests and the page."""

from __future__ import annotations

from itertools import islice
from typing import Any

from bol_sandbox import labels, orders, shipments, statuses, subscriptions
from bol_sandbox.clock import stamp
from bol_sandbox.model import Offer
from bol_sandbox.world import Seller, World


def state(world: World, client_id: str | None = None, latest: int | None = None) -> dict[str, Any]:
    """All there is, or one seller's part, or only the newest so many of each kind."""
    sellers = [s for s in world.sellers.values() if client_id in (None, s.client_id)]
    mine = {s.client_id for s in sellers}
    return {
        "now": stamp(world.now()),
        "sellers": [_seller(world, s) for s in sellers],
        "offers": [_offer(world, s, o) for s in sellers for o in islice(s.offers.by_id.values(), latest)],
        "orders": [
            {"clientId": s.client_id, "open": o.is_open, **orders.as_json(o)}
            for s in sellers
            for o in _tail(s.all_orders, latest)
        ],
        "shipments": [
            {"clientId": s.client_id, **shipments.as_json(parcel)}
            for s in sellers
            for parcel in _tail([*s.shipments["FBR"], *s.shipments["FBB"]], latest)
        ],
        "transports": [
            {
                "clientId": s.client_id,
                "shipmentId": parcel.shipment_id,
                "orderId": parcel.order.order_id,
                **shipments.transport_json(parcel),
            }
            for s in sellers
            for parcel in _tail([*s.shipments["FBR"], *s.shipments["FBB"]], latest)
        ],
        "labels": [
            {"clientId": label.client_id, **labels.as_json(label)}
            for label in _tail([one for one in world.labels.values() if one.client_id in mine], latest)
        ],
        "processStatuses": [
            {"clientId": status.client_id, **statuses.as_json(status)}
            for status in _tail([s for s in world.statuses.values() if s.client_id in mine], latest)
        ],
        "intermediaries": [
            {"clientId": one.client_id, "name": one.name, "redirectUris": list(one.redirect_uris)}
            for one in world.intermediaries.values()
        ],
        "consents": [
            {
                "clientId": consent.client_id,
                "intermediary": consent.intermediary,
                "expires": stamp(consent.expires_at),
            }
            for consent in world.consents.values()
            if consent.client_id in mine
        ],
        "subscriptions": [
            {"clientId": one.client_id, **subscriptions.as_json(one)}
            for one in world.subscriptions.values()
            if one.client_id in mine
        ],
        "deliveries": [
            delivery.as_json()
            for delivery in _tail(
                [one for one in world.outbox.log if one.subscription.client_id in mine], latest
            )
        ],
    }


def _tail(rows: list[Any], latest: int | None) -> list[Any]:
    return rows if latest is None else rows[-latest:] if latest else []


def _seller(world: World, seller: Seller) -> dict[str, Any]:
    bought = [label for label in world.labels.values() if label.client_id == seller.client_id]
    return {
        "clientId": seller.client_id,
        "sellerId": seller.seller_id,
        "name": seller.name,
        "offerCount": len(seller.offers),
        "orderCount": len(seller.all_orders),
        "openOrderCount": len(seller.orders.open),
        "shipmentCount": sum(map(len, seller.shipments.values())),
        "labelCount": len(bought),
        "labelCost": sum(label.price_cents for label in bought) / 100,
    }


def _offer(world: World, seller: Seller, offer: Offer) -> dict[str, Any]:
    return {
        "clientId": seller.client_id,
        "title": world.products[offer.ean].title,
        "price": offer.price_cents / 100,
        "method": offer.method,
        "amount": offer.amount,
        "bolStock": offer.bol_stock,
        "managedByRetailer": offer.managed_by_retailer,
        "correctedStock": offer.corrected_stock,
        "openQuantity": offer.open_quantity,
        **offer.as_json(),
    }
