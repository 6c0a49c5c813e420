"""Labels of Shipping via bol ("Verzenden via bol"): options, purchase, PDF (v10).

Reference: https://api.bol.com/retailer/public/Retailer-API/v10/functional/retailer-api/shipping-labels.html
"""

from __future__ import annotations

from collections.abc import Sequence

from plugin.connector import routes
from plugin.connector.deadline import Deadline
from plugin.connector.errors import NotFound
from plugin.connector.models.labels import Label, LabelOption
from plugin.connector.models.shipments import ShipmentItem, check_items
from plugin.connector.models.statuses import ProcessStatus
from plugin.connector.parsers.labels import read_label, read_options
from plugin.connector.parsers.statuses import read_status
from plugin.connector.resources.caller import Caller


class Labels:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def options(
        self, items: Sequence[ShipmentItem], *, deadline: Deadline | None = None
    ) -> tuple[LabelOption, ...]:
        """POST /retailer/shipping-labels/delivery-options: what labels there are for these items in one parcel.

        () if there are none, also where bol answers 404: items of several orders, items that bol ships itself, or
        more than one label can carry. It reads, but it is a POST: it is not repeated by itself.
        """
        try:
            answer = self._caller.call(routes.LABEL_OPTIONS, body=_body(items), deadline=deadline)
        except NotFound:
            return ()
        return answer.read(read_options)

    def create(
        self, items: Sequence[ShipmentItem], option_offer_id: str, *, deadline: Deadline | None = None
    ) -> ProcessStatus:
        """POST /retailer/shipping-labels: buy the label of a LabelOption for the items it was asked for.

        Each call that bol carries out costs money. The answer is a promise: the status ends with the label's id as
        `entity_id`. bol has no list of labels, so after an OutcomeUnknown nothing tells if one was bought.
        """
        if not option_offer_id:
            raise ValueError("a label is bought by the offer id of an option")
        body = _body(items) | {"shippingLabelOfferId": option_offer_id}
        return self._caller.call(routes.CREATE_LABEL, body=body, deadline=deadline).read(read_status)

    def get(self, label_id: str, *, deadline: Deadline | None = None) -> Label:
        """GET /retailer/shipping-labels/{shipping-label-id}: the PDF, and from the headers carrier and code.

        Raises NotFound.
        """
        answer = self._caller.call(routes.LABEL, values={"shipping-label-id": label_id}, deadline=deadline)
        return read_label(label_id, answer)


def _body(items: Sequence[ShipmentItem]) -> dict[str, object]:
    check_items(items)
    return {"orderItems": [{"orderItemId": item.order_item_id, "quantity": item.quantity} for item in items]}
