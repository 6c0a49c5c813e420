"""The log of every API request that the sandbox received."""

from __future__ import annotations

from typing import Any, NamedTuple

KEPT = 200_000


class LoggedCall(NamedTuple):
    """One request; a status of 0 says that the connection was closed without an answer."""

    at: float
    method: str
    path: str
    query: str
    status: int
    client_id: str
    size: int


class CallLog:
    """The last 200,000 calls, each with an index that only grows."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._calls: list[LoggedCall] = []
        self._dropped = 0

    @property
    def last_index(self) -> int:
        return self._dropped + len(self._calls)

    def add(self, call: LoggedCall) -> None:
        self._calls.append(call)
        # Cut in large pieces: removing from the front of a list moves all the rest.
        if len(self._calls) > KEPT * 5 // 4:
            excess = len(self._calls) - KEPT
            del self._calls[:excess]
            self._dropped += excess

    def since(self, index: int) -> list[dict[str, Any]]:
        start = max(index, self.last_index - KEPT, self._dropped)
        return [
            {
                "index": number,
                "at": call.at,
                "method": call.method,
                "path": call.path,
                "query": call.query,
                "status": call.status,
                "clientId": call.client_id,
                "bytes": call.size,
            }
            for number, call in enumerate(self._calls[start - self._dropped :], start + 1)
        ]
