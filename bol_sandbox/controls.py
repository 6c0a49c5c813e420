"""The JSON controls under `/sandbox`: sellers, customers, bol's own acts, faults, limits and time."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from bol_sandbox import faults, generate, limits, orders, push, snapshot, statuses, trade
from bol_sandbox.answers import dump
from bol_sandbox.model import Order, OrderItem
from bol_sandbox.world import Seller, World

SETTINGS = {
    "latencyMs": ("latency_ms", (int, float)),
    "processStatusDelayMs": ("process_status_delay_ms", (int, float)),
    "tokenSeconds": ("token_seconds", (int,)),
    "codeSeconds": ("code_seconds", (int, float)),
    "rotateRefreshTokens": ("rotate_refresh_tokens", (bool,)),
    "shipmentEntityId": ("shipment_entity_id", (str,)),
    "keepCancellationRequest": ("keep_cancellation_request", (bool,)),
    "dayThreeRule": ("day_three_rule", (bool,)),
    "processStatusEnd": ("process_status_end", (dict,)),
    "noLabelOptions": ("no_label_options", (str,)),
    "refuseUnknownLabelOffers": ("refuse_unknown_label_offers", (bool,)),
    "vvbNeedsLabel": ("vvb_needs_label", (bool,)),
    "orderEventId": ("order_event_id", (str,)),
    "webhooks": ("webhooks", (dict,)),
}
CHOICES = {
    "shipmentEntityId": ("orderItemId", "shipmentId"),
    "noLabelOptions": ("404", "empty"),
    "orderEventId": ("byEvent", "orderId", "orderItemId"),
}
READERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "processStatusEnd": statuses.forced_ends_from_json,
    "webhooks": push.options_from_json,
}

#: The most that an offer's amount may be (Offers API v11, Stock.amount).
MOST_PIECES = 999

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ControlError(Exception):
    """A control was used in a way that cannot be followed."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@web.middleware
async def explain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a wrong use of a control with a sentence; the API's own errors are made in the gateway."""
    if not request.path.startswith("/sandbox/"):
        return await handler(request)
    try:
        return await handler(request)
    except ControlError as error:
        return answer({"error": str(error)}, error.status)
    except trade.Refused as refusal:
        return answer({"error": str(refusal)}, 409)
    except KeyError as error:
        return answer({"error": f"missing: {error.args[0]}"}, 400)
    except (TypeError, ValueError) as error:
        return answer({"error": str(error)}, 400)


def answer(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=dump(value), content_type="application/json")


async def read_json(request: web.Request) -> dict[str, Any]:
    text = await request.text()
    value = json.loads(text) if text.strip() else {}
    if not isinstance(value, dict):
        raise ControlError("the body must be a JSON object")
    return value


class Controls:
    """The handlers of section 7 of the design."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/sandbox/reset", self.reset),
            web.post("/sandbox/sellers", self.add_seller),
            web.post("/sandbox/offers/generate", self.generate_offers),
            web.post("/sandbox/offers/amount", self.change_amount),
            web.post("/sandbox/orders", self.place_order),
            web.post("/sandbox/orders/generate", self.generate_orders),
            web.post("/sandbox/orders/{order_id}/cancel", self.cancel),
            web.post("/sandbox/orders/{order_id}/request-cancellation", self.request_cancellation),
            web.post("/sandbox/orders/{order_id}/withdraw-cancellation-request", self.withdraw_request),
            web.put("/sandbox/faults", self.set_faults),
            web.put("/sandbox/limits", self.set_limits),
            web.put("/sandbox/settings", self.set_settings),
            web.post("/sandbox/clock", self.advance),
            web.get("/sandbox/state", self.state),
            web.get("/sandbox/calls", self.calls),
        ]

    async def reset(self, request: web.Request) -> web.Response:
        self.world.reset()
        return answer({})

    async def add_seller(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        if body["clientId"] in self.world.sellers:
            raise ControlError(f"there is already a seller {body['clientId']}", 409)
        seller = self.world.add_seller(body["clientId"], body["clientSecret"], body.get("name", ""))
        made = [generate.add_offer(self.world, seller, entry) for entry in body.get("offers", [])]
        return answer(
            {
                "sellerId": seller.seller_id,
                "offers": [{"offerId": offer.offer_id, "ean": offer.ean} for offer in made],
            }
        )

    async def generate_offers(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        dice = random.Random(body.get("seed", 0))
        stock = None if body.get("stock") is None else int(body["stock"])
        made = generate.offers(self.world, self._seller(body), int(body["count"]), dice, stock)
        return answer({"offers": [{"offerId": offer.offer_id, "ean": offer.ean} for offer in made]})

    async def change_amount(self, request: web.Request) -> web.Response:
        """Change what offers of an EAN have, as somebody in the seller portal would, or in bol's own warehouse."""
        body = await read_json(request)
        seller, ean, amount = self._seller(body), str(body["ean"]), int(body["amount"])
        if not 0 <= amount <= MOST_PIECES:
            raise ControlError(f"an amount is 0 to {MOST_PIECES}")
        listed = seller.offers.with_ean(ean)
        if not listed:
            raise ControlError(f"the seller offers nothing with EAN {ean}", 404)
        for offer in listed:
            if offer.method == "FBB":
                offer.bol_stock = amount
                continue
            offer.amount = amount
            seller.offers.touch(
                offer,
                at=self.world.now(),
                sequence=self.world.number("modification"),
                reference=offer.reference,
            )
        return answer({"offers": [offer.as_json() for offer in listed]})

    async def place_order(self, request: web.Request) -> web.Response:
        """Place an order; asking for more than correctedStock is refused unless the body has `force: true`."""
        body = await read_json(request)
        wishes = [
            trade.Wish(
                item["ean"], int(item.get("quantity", 1)), item.get("method"), item.get("distributionParty")
            )
            for item in body["items"]
        ]
        for wish in wishes:
            if wish.quantity < 1 or wish.method not in (None, "FBR", "FBB"):
                raise ControlError(
                    "an item needs a quantity of at least 1, and FBR or FBB if it names a method"
                )
        order = trade.place_order(
            self.world,
            self._seller(body),
            wishes,
            pickup_point=bool(body.get("pickupPoint")),
            country=body.get("country") or "NL",
            force=bool(body.get("force")),
        )
        return answer(orders.as_json(order))

    async def generate_orders(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        dice = random.Random(body.get("seed", 0))
        made = generate.orders(self.world, self._seller(body), int(body["count"]), dice)
        return answer({"orders": [order.order_id for order in made]})

    async def cancel(self, request: web.Request) -> web.Response:
        """Let bol cancel what is open of an order, or of some of its items; `quantity`: only so many of each."""
        self.world.settle()
        body = await read_json(request)
        order, items = self._items(request, body)
        now, most = self.world.now(), body.get("quantity")
        if not sum(trade.cancel_open(self.world, item, now, most) for item in items):
            raise trade.Refused("Nothing of this is open any more")
        return answer(orders.as_json(order))

    async def request_cancellation(self, request: web.Request) -> web.Response:
        """Let the customer ask for cancellation of an order, or of some of its items."""
        self.world.settle()
        order, items = self._items(request, await read_json(request))
        now = self.world.now()
        asked = [trade.request_cancellation(self.world, item, now) for item in items]
        if not any(asked):
            raise trade.Refused("Nothing of this is open any more")
        return answer(orders.as_json(order))

    async def withdraw_request(self, request: web.Request) -> web.Response:
        """Let the customer want an order after all, or some of its items."""
        self.world.settle()
        order, items = self._items(request, await read_json(request))
        now = self.world.now()
        wanted = [trade.withdraw_cancellation_request(self.world, item, now) for item in items]
        if not any(wanted):
            raise trade.Refused("Nobody asks to cancel any of this")
        return answer(orders.as_json(order))

    async def set_faults(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        rules = [faults.rule_from_json(rule) for rule in body.get("rules", [])]
        self.world.faults.replace(rules, body.get("seed"))
        return answer({"rules": len(rules)})

    async def set_limits(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        if "rules" in body:
            self.world.limits.replace([limits.rule_from_json(rule) for rule in body["rules"]])
        else:
            self.world.limits.restore()
        return answer({"rules": self.world.limits.as_json()})

    async def set_settings(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        for name, value in body.items():
            if name not in SETTINGS:
                raise ControlError(f"unknown setting {name}; there are {', '.join(SETTINGS)}")
            attribute, kinds = SETTINGS[name]
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise ControlError(f"{name} cannot be {value!r}")
            if name in CHOICES and value not in CHOICES[name]:
                raise ControlError(f"{name} is one of {', '.join(CHOICES[name])}")
            read = READERS.get(name)
            setattr(self.world.settings, attribute, read(value) if read else value)
        now = {name: getattr(self.world.settings, attribute) for name, (attribute, _) in SETTINGS.items()}
        return answer(now)

    async def advance(self, request: web.Request) -> web.Response:
        self.world.clock.advance(float((await read_json(request))["advanceSeconds"]))
        self.world.settle()
        self.world.outbox.stirred.set()
        return answer({"now": self.world.now()})

    async def state(self, request: web.Request) -> web.Response:
        """Everything; `?clientId=` keeps to one seller and `?latest=` to the newest so many of each kind."""
        self.world.settle()
        latest = request.query.get("latest")
        shown = snapshot.state(
            self.world, request.query.get("clientId"), None if latest is None else int(latest)
        )
        return answer(shown)

    async def calls(self, request: web.Request) -> web.Response:
        """The calls after the index `since`; `last` is where to go on from."""
        since = int(request.query.get("since", 0))
        return answer({"calls": self.world.calls.since(since), "last": self.world.calls.last_index})

    def _seller(self, body: dict[str, Any]) -> Seller:
        seller = self.world.sellers.get(body["clientId"])
        if seller is None:
            raise ControlError(f"there is no seller {body['clientId']}", 404)
        return seller

    def _items(self, request: web.Request, body: dict[str, Any]) -> tuple[Order, list[OrderItem]]:
        order = self.world.orders.get(request.match_info["order_id"])
        if order is None:
            raise ControlError(f"there is no order {request.match_info['order_id']}", 404)
        chosen = body.get("orderItemIds")
        if chosen is None:
            return order, order.items
        unknown = set(chosen) - {item.order_item_id for item in order.items}
        if unknown:
            raise ControlError(f"not in this order: {', '.join(sorted(unknown))}", 404)
        return order, [item for item in order.items if item.order_item_id in chosen]
