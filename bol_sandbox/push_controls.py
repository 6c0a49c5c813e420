"""The JSON controls of push messages: what happened to them, messages by hand, new keys, parcels on their way."""

from __future__ import annotations

from aiohttp import web

from bol_sandbox import push, shipments
from bol_sandbox.clock import stamp
from bol_sandbox.controls import ControlError, answer, read_json
from bol_sandbox.world import World


class PushControls:
    """The handlers of deliveries, events, keys and transport events."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sandbox/deliveries", self.deliveries),
            web.post("/sandbox/events", self.send_event),
            web.post("/sandbox/signature-keys/rotate", self.rotate),
            web.post("/sandbox/shipments/{shipment_id}/transport-event", self.transport_event),
        ]

    async def deliveries(self, request: web.Request) -> web.Response:
        """The deliveries after the index `since`, and how many are not over."""
        since, outbox = int(request.query.get("since", 0)), self.world.outbox
        rows = [delivery.as_json() for delivery in outbox.log if delivery.index > since]
        return answer({"deliveries": rows, "last": outbox.last_index, "waiting": outbox.waiting})

    async def send_event(self, request: web.Request) -> web.Response:
        """Send any message to a seller's webhooks, whatever they subscribed to; `forged` has a wrong signature."""
        body = await read_json(request)
        if body["clientId"] not in self.world.sellers:
            raise ControlError(f"there is no seller {body['clientId']}", 404)
        what = tuple(str(body[name]) for name in ("resource", "type", "resourceId"))
        before = self.world.outbox.last_index
        for subscription in list(self.world.subscriptions.values()):
            if subscription.client_id == body["clientId"]:
                push.send(self.world, subscription, *what, forged=bool(body.get("forged")))
        return answer({"sent": self.world.outbox.last_index - before})

    async def rotate(self, request: web.Request) -> web.Response:
        """Sign with a new key; the old ones stay published unless `keepOld` is false."""
        keep = (await read_json(request)).get("keepOld", True)
        return answer({"keyId": self.world.keys.rotate(keep_old=bool(keep)).key_id})

    async def transport_event(self, request: web.Request) -> web.Response:
        """Let the carrier say where a parcel is."""
        shipment = self.world.shipments.get(request.match_info["shipment_id"])
        if shipment is None:
            raise ControlError(f"there is no shipment {request.match_info['shipment_id']}", 404)
        code = (await read_json(request)).get("eventCode", shipments.EVENT_CODES[0])
        if code not in shipments.EVENT_CODES:
            raise ControlError(f"eventCode is one of {', '.join(shipments.EVENT_CODES)}")
        shipment.transport_events.append({"eventCode": code, "eventDateTime": stamp(self.world.now())})
        push.tell(
            self.world, shipment.order.client_id, "SHIPMENT", "UPDATE_TRANSPORT_EVENT", shipment.shipment_id
        )
        return answer({"shipmentId": shipment.shipment_id})
