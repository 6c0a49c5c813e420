"""Process statuses. Essential: the status, and for one that we are to follow its id."""

from __future__ import annotations

from functools import partial

from plugin.connector.models.statuses import ProcessStatus
from plugin.connector.parsing import Fields

#: SUCCESS, FAILURE, TIMEOUT, PENDING.
LONGEST_STATUS = 20


def read_status(fields: Fields, known_id: str | None = None) -> ProcessStatus:
    """`known_id` is the id that was asked for, for answers that leave it out."""
    status_id = fields.id("processStatusId") or known_id
    return ProcessStatus(
        id=fields.essential_id("processStatusId") if status_id is None else status_id,
        entity_id=fields.id("entityId", longest=60),
        event_type=fields.text("eventType", longest=40) or "",
        status=fields.essential_text("status")[:LONGEST_STATUS],
        error_message=fields.text("errorMessage"),
        created_at=fields.moment("createTimestamp"),
    )


def read_statuses(fields: Fields) -> tuple[ProcessStatus, ...]:
    return tuple(read_status(status, known_id="") for status in fields.parts("processStatuses"))


def read_bulk(fields: Fields) -> tuple[ProcessStatus, ...]:
    """Many that have nothing to do with each other: one that can't be read hides no other."""
    return fields.readable("processStatuses", partial(read_status, known_id=""))
