"""Transports: correct the carrier or the tracking code of a parcel (v10).

Reference: https://api.bol.com/retailer/public/Retailer-API/v10/functional/retailer-api/orders-shipments.html
"""

from __future__ import annotations

from plugin.connector import routes
from plugin.connector.deadline import Deadline
from plugin.connector.models.statuses import ProcessStatus
from plugin.connector.parsers.statuses import read_status
from plugin.connector.resources.caller import Caller


class Transports:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def change(
        self,
        transport_id: str,
        transporter_code: str | None,
        track_and_trace: str,
        *,
        deadline: Deadline | None = None,
    ) -> ProcessStatus:
        """PUT /retailer/transports/{transport-id}: new tracking code, and new carrier if one is given.

        `transport_id` comes from shipments.page. The answer is a promise: follow the process status to its end.
        The values are absolute: sending them again after an OutcomeUnknown does no harm.
        """
        if not track_and_trace:
            raise ValueError("a change of transport needs a tracking code")
        body = {"trackAndTrace": track_and_trace}
        if transporter_code:
            body["transporterCode"] = transporter_code
        answer = self._caller.call(
            routes.CHANGE_TRANSPORT, values={"transport-id": transport_id}, body=body, deadline=deadline
        )
        return answer.read(read_status)
