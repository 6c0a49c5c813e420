"""Who looks at which picklist just now, so that two packers are not led to the same one.

It is a hint in Redis, which may be lost: nothing hangs on it. Two who work on one picklist all the same see each other's
pieces, and only the first can close it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import redis
from flask import session

from host_app.wakes import waker

#: Pages that are looked at ask for news every five seconds; so long after that nobody is taken to be there.
SECONDS = 60
#: Where the session keeps which browser this is: packers may share a login.
SEAT_KEY = "seat"


def take(picklist_id: int) -> None:
    """Note that somebody looks at a picklist, in this browser."""
    seat = _seat()
    waker().attempt(lambda client: client.set(_key(picklist_id), seat, ex=SECONDS))


def first_free(picklist_ids: Sequence[int]) -> int | None:
    """Take the first of these picklists that nobody looks at in another browser; None where there is none.

    The first one of all where Redis does not answer.
    """
    seat = _seat()

    def look(client: redis.Redis) -> int:
        for picklist_id in picklist_ids:
            key = _key(picklist_id)
            if client.set(key, seat, nx=True, ex=SECONDS) or client.get(key) == seat.encode():
                return picklist_id
        return 0

    found = waker().attempt(look)
    if found is None:
        return picklist_ids[0] if picklist_ids else None
    return found or None


def _seat() -> str:
    if SEAT_KEY not in session:
        session[SEAT_KEY] = secrets.token_hex(8)
    return str(session[SEAT_KEY])


def _key(picklist_id: int) -> str:
    return f"seat:{picklist_id}"
