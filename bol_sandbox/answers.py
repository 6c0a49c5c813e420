"""What the sandbox answers with, and the media types bol uses for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

V10 = "application/vnd.retailer.v10+json"
V10_PDF = "application/vnd.retailer.v10+pdf"
V11 = "application/vnd.retailer.v11+json"
JSON = "application/json"


@dataclass(slots=True)
class Answer:
    """One HTTP answer, complete before anything is written, so that a fault can still spoil it."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def reply(value: Any, media_type: str, status: int = 200) -> Answer:
    return Answer(status, dump(value), f"{media_type};charset=UTF-8")


def no_content() -> Answer:
    return Answer(204)
