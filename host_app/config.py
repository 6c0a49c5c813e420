"""The platform's settings, read from the environment once, when the application is built."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_REDIS_PORT = 6390


class ConfigError(Exception):
    """A setting is wrong; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of one installation.

    :param instance: folder of everything the installation keeps: SQLite file, Redis data, secrets.
    """

    instance: Path
    database_url: str
    redis_url: str
    secret_key: str
    host: str
    port: int
    sandbox_port: int
    blocked_plugins: tuple[str, ...]
    secure_cookies: bool


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """Read the settings; missing ones get the defaults of a single machine.

    :raises ConfigError: a value can't be used.
    """
    instance = Path(environ.get("HOST_INSTANCE", "instance")).resolve()
    instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Config(
        instance=instance,
        database_url=_database_url(environ.get("DATABASE_URL"), instance),
        redis_url=environ.get("REDIS_URL") or f"redis://127.0.0.1:{DEFAULT_REDIS_PORT}/0",
        secret_key=environ.get("SECRET_KEY") or owner_only_secret(instance / "secret_key"),
        host=environ.get("HOST_ADDRESS", "127.0.0.1"),
        port=_port(environ, "HOST_PORT", 5000),
        sandbox_port=_port(environ, "SANDBOX_PORT", 5050),
        blocked_plugins=tuple(environ.get("HOST_BLOCKED_PLUGINS", "").replace(",", " ").split()),
        secure_cookies=environ.get("HOST_HTTPS", "") == "1",
    )


def owner_only_secret(path: Path) -> str:
    """Return the secret kept in a file; make the file, readable by its owner only, where it is missing."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        value = secrets.token_urlsafe(48)
        file.write(value)
    return value


def _database_url(url: str | None, instance: Path) -> str:
    if not url:
        return f"sqlite:///{instance / 'warehouse.sqlite'}"
    for short in ("postgres://", "postgresql://"):
        if url.startswith(short):
            return "postgresql+psycopg://" + url.removeprefix(short)
    return url


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigError(f"{name} must be a port number from 1 to 65535, not {text!r}.")
    return int(text)
