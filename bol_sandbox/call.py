"""One API request, read whole, as the handlers see it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from multidict import MultiMapping

from bol_sandbox.problems import EMPTY, Violation, bad_request, invalid

if TYPE_CHECKING:
    from bol_sandbox.world import Seller, World


@dataclass(slots=True)
class Call:
    """What came in, and whose it is once the token was checked."""

    world: World
    method: str
    path: str
    query: MultiMapping[str]
    headers: Mapping[str, str]
    body: bytes
    client_id: str = ""
    _seller: Seller | None = None
    values: dict[str, str] = field(default_factory=dict)

    @property
    def seller(self) -> Seller:
        assert self._seller is not None, "the gateway checks the token first"
        return self._seller

    @seller.setter
    def seller(self, seller: Seller) -> None:
        self._seller = seller
        self.client_id = seller.client_id

    @property
    def media_type(self) -> str:
        return self.header("Content-Type").split(";")[0].strip().lower()

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    def json_object(self) -> dict[str, Any]:
        """Read the body as a JSON object."""
        try:
            value = json.loads(self.body)
        except ValueError:
            raise bad_request([(None, "Request body is not valid JSON.")], body=True) from None
        if not isinstance(value, dict):
            raise bad_request([(None, "Request body must be a JSON object.")], body=True)
        return value

    def integer(self, name: str, default: int, *, least: int = 1, most: int = 2**31 - 1) -> int:
        text = self.query.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"-?\d{1,10}", text) or not least <= int(text) <= most:
            raise bad_request([(name, invalid(text))])
        return int(text)

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        text = self.query.get(name, default)
        if text not in allowed:
            raise bad_request([(name, invalid(text, allowed))])
        return text

    def flag(self, name: str) -> bool | None:
        text = self.query.get(name)
        if text is None:
            return None
        if text not in ("true", "false"):
            raise bad_request([(name, invalid(text, ("true", "false")))])
        return text == "true"

    def required(self, name: str) -> str:
        text = self.query.get(name, "")
        if not text:
            raise bad_request([(name, EMPTY)])
        return text


class BodyChecks:
    """Collects what is wrong with a body, so that one answer names it all."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []

    def refuse(self, name: str | None, reason: str) -> None:
        self.violations.append((name, reason))

    def text(self, holder: dict[str, Any], name: str, at: str, *, most: int | None = None) -> str:
        """Read a required, non-empty string."""
        value = holder.get(name)
        if value is None or value == "":
            self.refuse(at, EMPTY)
            return ""
        return self.optional_text(holder, name, at, most=most) or ""

    def optional_text(
        self, holder: dict[str, Any], name: str, at: str, *, most: int | None = None
    ) -> str | None:
        value = holder.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or (most is not None and len(value) > most):
            self.refuse(at, invalid(value))
            return None
        return value

    def finish(self) -> None:
        if self.violations:
            raise bad_request(self.violations, body=True)
