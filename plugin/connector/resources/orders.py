"""Orders: list, detail, cancellation (v10).

Reference: https://api.bol.com/retailer/public/Retailer-API/v10/functional/retailer-api/orders-shipments.html
"""

from __future__ import annotations

from plugin.connector import routes
from plugin.connector.deadline import Deadline
from plugin.connector.models.orders import Order, OrderPage
from plugin.connector.models.statuses import ProcessStatus
from plugin.connector.parsers.orders import read_order, read_order_page
from plugin.connector.parsers.statuses import read_status
from plugin.connector.resources.caller import Caller, page_number

MAX_CHANGE_INTERVAL = 60

CANCEL_REASONS = (
    "OUT_OF_STOCK",
    "REQUESTED_BY_CUSTOMER",
    "BAD_CONDITION",
    "HIGHER_SHIPCOST",
    "INCORRECT_PRICE",
    "NOT_AVAIL_IN_TIME",
    "NO_BOL_GUARANTEE",
    "ORDERED_TWICE",
    "RETAIN_ITEM",
    "TECH_ISSUE",
    "UNFINDABLE_ITEM",
    "OTHER",
)


class Orders:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def page(
        self,
        number: int = 1,
        *,
        status: str = "ALL",
        fulfilment_method: str = "FBR",
        change_interval_minutes: int | None = None,
        deadline: Deadline | None = None,
        urgent: bool = True,
    ) -> OrderPage:
        """GET /retailer/orders: 50 orders, newest first; handled ones stay listed for 48 hours.

        `status` OPEN, SHIPPED or ALL; `fulfilment_method` FBR, FBB or ALL; `change_interval_minutes` 1 to 60
        keeps items changed in that time. The page after the last one is empty. Without `urgent` the call leaves
        room in the budget, of which this route has 25 a minute.
        """
        query = [page_number(number), ("status", status), ("fulfilment-method", fulfilment_method)]
        if change_interval_minutes is not None:
            if not 1 <= change_interval_minutes <= MAX_CHANGE_INTERVAL:
                raise ValueError(f"the change interval is 1 to {MAX_CHANGE_INTERVAL} minutes")
            query.append(("change-interval-minute", str(change_interval_minutes)))
        return self._caller.call(routes.ORDERS, query=query, deadline=deadline, urgent=urgent).read(
            read_order_page
        )

    def get(self, order_id: str, *, deadline: Deadline | None = None) -> Order:
        """GET /retailer/orders/{order-id}. Raises NotFound for an order that bol does not (any more) show."""
        answer = self._caller.call(routes.ORDER, values={"order-id": order_id}, deadline=deadline)
        return answer.read(read_order)

    def cancel(
        self, order_item_id: str, reason_code: str, *, deadline: Deadline | None = None
    ) -> ProcessStatus:
        """PUT /retailer/orders/cancellation: cancel what is open of one item.

        `reason_code` is one of CANCEL_REASONS; REQUESTED_BY_CUSTOMER without a request counts against the seller.
        The answer is a promise: follow the process status to its end.
        """
        if not order_item_id or reason_code not in CANCEL_REASONS:
            raise ValueError("a cancellation needs an order item id and one of bol's reason codes")
        body = {"orderItems": [{"orderItemId": order_item_id, "reasonCode": reason_code}]}
        return self._caller.call(routes.CANCEL, body=body, deadline=deadline).read(read_status)
