"""Process statuses: one, many, or by entity (v10, shared API).

Reference: https://api.bol.com/retailer/public/Retailer-API/v10/functional/shared-api/process-status.html
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from plugin.connector import routes
from plugin.connector.deadline import Deadline
from plugin.connector.models.statuses import ProcessStatus
from plugin.connector.parsers.statuses import read_bulk, read_status, read_statuses
from plugin.connector.resources.caller import Caller, page_number

MAX_BULK = 1000


class Statuses:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def get(self, status_id: str, *, deadline: Deadline | None = None) -> ProcessStatus:
        """GET /shared/process-status/{id}. Raises NotFound if it is unknown or, after about a day, forgotten."""
        answer = self._caller.call(routes.STATUS, values={"process-status-id": status_id}, deadline=deadline)
        return answer.read(partial(read_status, known_id=status_id))

    def bulk(self, ids: Iterable[str], *, deadline: Deadline | None = None) -> dict[str, ProcessStatus]:
        """POST /shared/process-status: 1 to 1000 at once, by id. An id that is missing in the result has expired,
        or its status could not be read.

        It reads, but it is a POST: it is not repeated by itself.
        """
        wanted = list(dict.fromkeys(ids))
        if not 1 <= len(wanted) <= MAX_BULK or not all(wanted):
            raise ValueError(f"ask for 1 to {MAX_BULK} process statuses")
        body = {"processStatusQueries": [{"processStatusId": status_id} for status_id in wanted]}
        answer = self._caller.call(routes.STATUSES_BULK, body=body, deadline=deadline)
        return {status.id: status for status in answer.read(read_bulk) if status.id}

    def by_entity(
        self, entity_id: str, event_type: str, page: int = 1, *, deadline: Deadline | None = None
    ) -> tuple[ProcessStatus, ...]:
        """GET /shared/process-status?entity-id=&event-type=: up to 50, newest first.

        `event_type` such as CREATE_SHIPMENT, whose entity is the order item. Finding nothing proves nothing.
        """
        if not entity_id or not event_type:
            raise ValueError("an entity id and an event type are needed")
        query = [("entity-id", entity_id), ("event-type", event_type), page_number(page)]
        answer = self._caller.call(routes.STATUSES_BY_ENTITY, query=query, deadline=deadline)
        return answer.read(read_statuses)
