"""Process statuses: bol's asynchronous answer to a write (v10, `/shared/process-status`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

END_STATES = frozenset({"SUCCESS", "FAILURE", "TIMEOUT"})


@dataclass(frozen=True)
class ProcessStatus:
    """`status` is PENDING, SUCCESS, FAILURE or TIMEOUT, open text: an unknown one counts as pending.

    TIMEOUT says that bol was too slow, not that the work was left undone. bol forgets a status after a day.
    `error_message` is for a person to read; decide from the re-read order, never from its text.
    `id` is "" only in answers of `statuses.by_entity` that leave it out.
    """

    id: str
    entity_id: str | None
    event_type: str
    status: str
    error_message: str | None
    created_at: datetime | None

    @property
    def pending(self) -> bool:
        return not self.ended

    @property
    def ended(self) -> bool:
        return self.status in END_STATES

    @property
    def succeeded(self) -> bool:
        return self.status == "SUCCESS"
