"""Shipments: create, list, detail (v10).

Reference: https://api.bol.com/retailer/public/Retailer-API/v10/functional/retailer-api/orders-shipments.html
"""

from __future__ import annotations

from plugin.connector import routes
from plugin.connector.deadline import Deadline
from plugin.connector.models.shipments import Shipment, ShipmentPage, ShipmentRequest
from plugin.connector.models.statuses import ProcessStatus
from plugin.connector.parsers.shipments import read_shipment, read_shipment_page
from plugin.connector.parsers.statuses import read_status
from plugin.connector.resources.caller import Caller, page_number


class Shipments:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def create(self, request: ShipmentRequest, *, deadline: Deadline | None = None) -> ProcessStatus:
        """POST /retailer/shipments: tell bol that a parcel left.

        The answer is a promise: bol checks the items later, so follow the process status to its end. After an
        OutcomeUnknown look first (statuses.by_entity, shipments.page); sending twice may ship twice.
        """
        answer = self._caller.call(routes.CREATE_SHIPMENT, body=_body(request), deadline=deadline)
        return answer.read(read_status)

    def page(
        self,
        number: int = 1,
        *,
        order_id: str | None = None,
        fulfilment_method: str | None = None,
        deadline: Deadline | None = None,
    ) -> ShipmentPage:
        """GET /retailer/shipments: 50 shipments of the last 3 months, newest first.

        bol takes either `order_id` or `fulfilment_method` ("FBR", its default, or "FBB"); both is a ValueError.
        """
        if order_id is not None and fulfilment_method is not None:
            raise ValueError("ask by order or by fulfilment method, not both")
        query = [page_number(number)]
        if order_id is not None:
            query.append(("order-id", order_id))
        if fulfilment_method is not None:
            query.append(("fulfilment-method", fulfilment_method))
        return self._caller.call(routes.SHIPMENTS, query=query, deadline=deadline).read(read_shipment_page)

    def get(self, shipment_id: str, *, deadline: Deadline | None = None) -> Shipment:
        """GET /retailer/shipments/{shipment-id}. Raises NotFound."""
        answer = self._caller.call(routes.SHIPMENT, values={"shipment-id": shipment_id}, deadline=deadline)
        return answer.read(read_shipment)


def _body(request: ShipmentRequest) -> dict[str, object]:
    items = [{"orderItemId": item.order_item_id, "quantity": item.quantity} for item in request.items]
    body: dict[str, object] = {"orderItems": items}
    if request.reference is not None:
        body["shipmentReference"] = request.reference
    if request.shipping_label_id:
        body["shippingLabelId"] = request.shipping_label_id
    else:
        transport = {"transporterCode": request.transporter_code}
        if request.track_and_trace:
            transport["trackAndTrace"] = request.track_and_trace
        body["transport"] = transport
    return body
