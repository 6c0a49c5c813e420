"""Process statuses: how bol reports the end of an asynchronous write (shared API v10)."""

from __future__ import annotations

import uuid
from typing import Any

from bol_sandbox import push
from bol_sandbox.answers import V10, Answer, reply
from bol_sandbox.call import Call
from bol_sandbox.clock import stamp
from bol_sandbox.model import Outcome, ProcessStatus, Work
from bol_sandbox.problems import EMPTY, bad_request, invalid, not_found
from bol_sandbox.world import Seller, World

PAGE_SIZE = 50
BULK_MOST = 1000
ENDS = ("SUCCESS", "FAILURE", "TIMEOUT")
KEPT_SECONDS = 24 * 3600
EVENT_TYPES = (
    "CREATE_SHIPMENT", "CANCEL_ORDER", "CHANGE_TRANSPORT", "HANDLE_RETURN_ITEM", "CREATE_RETURN_ITEM",
    "CREATE_INBOUND", "DELETE_OFFER", "CREATE_OFFER", "UPDATE_OFFER", "UPDATE_OFFER_STOCK",
    "UPDATE_OFFER_PRICE", "CREATE_OFFER_EXPORT", "UNPUBLISHED_OFFER_REPORT", "CREATE_PRODUCT_CONTENT",
    "CREATE_SUBSCRIPTION", "UPDATE_SUBSCRIPTION", "DELETE_SUBSCRIPTION", "SEND_SUBSCRIPTION_TST_MSG",
    "CREATE_SHIPPING_LABEL", "CREATE_REPLENISHMENT", "UPDATE_REPLENISHMENT", "REQUEST_PRODUCT_DESTINATIONS",
    "CREATE_SOV_SEARCH_TERM_REPORT", "CREATE_SOV_CATEGORY_REPORT", "UPLOAD_INVOICE",
    "CREATE_CAMPAIGN_PERFORMANCE_REPORT",
)  # fmt: skip


def accept(
    world: World,
    seller: Seller,
    event_type: str,
    description: str,
    work: Work,
    *,
    entity_id: str | None = None,
) -> Answer:
    """Answer 202 with a pending status; the work is done when the configured delay is over."""
    now = world.now()
    ends_at = now + world.settings.process_status_delay_ms / 1000
    status = ProcessStatus(
        str(uuid.uuid4()), seller.client_id, event_type, description, now, ends_at, work, known_as=entity_id
    )
    remember(world, status)
    return reply(as_json(status), V10, 202)


def remember(world: World, status: ProcessStatus) -> None:
    """Take in a status, pending or not, with what is still to happen to it."""
    world.statuses[status.process_status_id] = status
    _index(world, status, _keys(status))
    if status.work is None:
        _forget_later(world, status)
    else:
        work = status.work
        world.timers.schedule(status.ends_at, lambda at: _finish(world, status, work, at))


def _finish(world: World, status: ProcessStatus, work: Work, at: float) -> None:
    forced = _forced_end(world, status.event_type)
    outcome = work.do(world, status.client_id, at) if forced is None or forced["workDone"] else Outcome()
    known = _keys(status)
    status.work = None
    status.status = "FAILURE" if outcome.error_message else "SUCCESS"
    status.error_message = outcome.error_message
    if forced is not None:
        status.status = forced["status"]
        status.error_message = "It went wrong at bol." if status.status == "FAILURE" else None
    made = outcome.entity_id if status.status == "SUCCESS" else None
    status.entity_id = status.known_as or made
    _index(world, status, _keys(status) - known)
    _forget_later(world, status)
    push.tell(world, status.client_id, "PROCESS_STATUS", status.status, status.process_status_id)


def _forced_end(world: World, event_type: str) -> dict[str, Any] | None:
    """Look up how this status must end, and count it."""
    ends = world.settings.process_status_end
    end = ends.get(event_type)
    if end is None or end["times"] == 0:
        return None
    if end["times"] is not None:
        world.settings.process_status_end = ends | {event_type: end | {"times": end["times"] - 1}}
    return end


def forced_ends_from_json(value: dict[str, Any]) -> dict[str, Any]:
    """Read the setting `processStatusEnd`: by event type a status, or {status, workDone?, times?}."""
    return {event_type: _forced_end_from_json(event_type, end) for event_type, end in value.items()}


def _forced_end_from_json(event_type: str, value: Any) -> dict[str, Any]:
    given = {"status": value} if isinstance(value, str) else dict(value)
    end = {"workDone": given.get("status") == "SUCCESS", "times": None, **given}
    if event_type not in EVENT_TYPES:
        raise ValueError(f"processStatusEnd: there is no event type {event_type}")
    if set(end) != {"status", "workDone", "times"} or end["status"] not in ENDS:
        raise ValueError(f"processStatusEnd: a status of {', '.join(ENDS)}, and if wanted workDone and times")
    return end | {
        "workDone": bool(end["workDone"]),
        "times": None if end["times"] is None else int(end["times"]),
    }


def _index(world: World, status: ProcessStatus, keys: set[tuple[str, str]]) -> None:
    for key in keys:
        world.sellers[status.client_id].statuses.setdefault(key, []).append(status)


def _forget_later(world: World, status: ProcessStatus) -> None:
    world.timers.schedule(status.ends_at + KEPT_SECONDS, lambda _: _forget(world, status))


def _forget(world: World, status: ProcessStatus) -> None:
    world.statuses.pop(status.process_status_id, None)
    for key in _keys(status):
        world.sellers[status.client_id].statuses[key].remove(status)


def _keys(status: ProcessStatus) -> set[tuple[str, str]]:
    return {(name, status.event_type) for name in (status.known_as, status.entity_id) if name is not None}


def as_json(status: ProcessStatus) -> dict[str, Any]:
    body: dict[str, Any] = {"processStatusId": status.process_status_id}
    if status.entity_id is not None:
        body["entityId"] = status.entity_id
    body |= {
        "eventType": status.event_type,
        "description": status.description,
        "status": status.status,
        "createTimestamp": stamp(status.created_at),
        # `method` is not in the description's Link, and is in bol's answers all the same.
        "links": [
            {
                "rel": "self",
                "href": f"https://api.bol.com/shared/process-status/{status.process_status_id}",
                "method": "GET",
            }
        ],
    }
    if status.error_message is not None:
        body["errorMessage"] = status.error_message
    return body


def get_status(call: Call) -> Answer:
    """bol shared API v10, get-process-status: 404 once it is older than about a day."""
    status = call.world.statuses.get(call.values["process-status-id"])
    if status is None or status.client_id != call.client_id:
        raise not_found()
    return reply(as_json(status), V10)


def find_statuses(call: Call) -> Answer:
    """bol shared API v10, get-process-status-entity-id: newest first, 50 a page, both parameters required."""
    key = (call.required("entity-id"), call.required("event-type"))
    if key[1] not in EVENT_TYPES:
        raise bad_request([("event-type", invalid(key[1], EVENT_TYPES))])
    start = (call.integer("page", 1) - 1) * PAGE_SIZE
    found = call.seller.statuses.get(key, [])[::-1][start : start + PAGE_SIZE]
    return _listed(found)


def get_statuses(call: Call) -> Answer:
    """bol shared API v10, get-process-status-bulk: unknown and expired ids are left out of the answer."""
    queries = call.json_object().get("processStatusQueries")
    if not isinstance(queries, list) or not 1 <= len(queries) <= BULK_MOST:
        raise bad_request([("processStatusQueries", f"size must be between 1 and {BULK_MOST}")], body=True)
    found = []
    for index, query in enumerate(queries):
        wanted = query.get("processStatusId") if isinstance(query, dict) else None
        if not isinstance(wanted, str):
            raise bad_request([(f"processStatusQueries[{index}].processStatusId", EMPTY)], body=True)
        status = call.world.statuses.get(wanted)
        if status is not None and status.client_id == call.client_id:
            found.append(status)
    return _listed(found)


def _listed(statuses: list[ProcessStatus]) -> Answer:
    # Empty arrays are omitted: `{}`.
    return reply({"processStatuses": [as_json(s) for s in statuses]} if statuses else {}, V10)
