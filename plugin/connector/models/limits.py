"""Rules of bol's rate limits, as published at `GET /retailer/public/ratelimits`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LimitRule:
    """At most `capacity` calls in any `seconds`, counted over all paths that the rule covers.

    `path` may hold *: inside it stands for one part of a path, at the end for all the rest.
    """

    path: str
    methods: tuple[str, ...]
    capacity: int
    seconds: int

    @property
    def name(self) -> str:
        return f"{'+'.join(sorted(self.methods))} {self.path}"

    def covers(self, method: str, path: str) -> bool:
        if method.upper() not in self.methods:
            return False
        wanted, given = self.path.strip("/").split("/"), path.strip("/").split("/")
        if wanted[-1] == "*" and len(given) > len(wanted):
            given = given[: len(wanted)]
        return len(wanted) == len(given) and all(w in ("*", g) for w, g in zip(wanted, given, strict=True))

    @property
    def specificity(self) -> tuple[int, int]:
        """Larger for a more specific path: first the parts without *, then the length."""
        parts = self.path.strip("/").split("/")
        return sum(part != "*" for part in parts), len(parts)
