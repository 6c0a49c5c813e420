"""The passwords of the demonstration's people, kept in files that only their owner reads.

Apart from the demonstration itself, so that the supervisor, which shows them, loads no more than it needs.
"""

from __future__ import annotations

from pathlib import Path

NAMES = ("admin", "packer")


def password_file(instance: Path, username: str) -> Path:
    """Return the file that has the password of a user of the demonstration."""
    return instance / f"demo_password_{username}"


def logins(instance: Path) -> dict[str, str]:
    """Return the passwords that were given to users of the demonstration in this instance folder."""
    files = {username: password_file(instance, username) for username in NAMES}
    return {username: file.read_text().strip() for username, file in files.items() if file.exists()}
