"""What is known of a store's line to bol without calling bol: its token, and how much of bol's limits is in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from plugin.connector.redis_budget import Use


@dataclass(frozen=True, slots=True)
class LineState:
    """A store's line at one moment.

    token_until: until when the access token is used that all processes share; None: the next call asks for one.
    trouble: why Redis could not be asked; "" where it could.
    """

    token_until: datetime | None
    uses: Sequence[Use]
    trouble: str = ""
