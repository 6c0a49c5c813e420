"""Where mail is handed over: part of the settings."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over.

    :param security: "tls" from the first byte, "starttls" after a greeting, "none" for a server on this machine.
    """

    host: str
    port: int
    security: str
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)
