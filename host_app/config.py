"""The platform's settings, read from the environment once, when the application is built."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from host_app.languages import LANGUAGES
from host_app.mail_server import MailServer

DEFAULT_REDIS_PORT = 6390


class ConfigError(Exception):
    """A setting is wrong; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of one installation.

    :param instance: folder of everything the installation keeps: SQLite file, Redis data, secrets.
    :param public_url: under which the internet reaches the pages, without a slash at its end; "" where it does not.
    :param own_redis_port: where the Redis of ``make run`` listens; None where ``REDIS_URL`` names another one.
    :param redis_password: its password.
    :param metrics_token: who reads ``/metrics`` from elsewhere must send it; "" lets this machine read only.
    :param json_logs: log lines are JSON objects.
    :param language: what is kept or mailed is written in it, and pages are for people who did not choose another one.
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
    public_url: str = ""
    own_redis_port: int | None = None
    redis_password: str = ""
    metrics_token: str = field(default="", repr=False)
    json_logs: bool = False
    language: str = "en"
    mail_server: MailServer | None = None


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """Read the settings; missing ones get the defaults of a single machine.

    :raises ConfigError: a value can't be used.
    """
    instance = Path(environ.get("HOST_INSTANCE", "instance")).resolve()
    try:
        instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The folder {instance} can't be made: {error.strerror}. Set HOST_INSTANCE."
        ) from error
    redis_url = environ.get("REDIS_URL")
    redis_port = None if redis_url else _port(environ, "REDIS_PORT", DEFAULT_REDIS_PORT)
    redis_password = "" if redis_url else owner_only_secret(instance / "redis_password")
    return Config(
        instance=instance,
        database_url=_database_url(environ.get("DATABASE_URL"), instance),
        redis_url=redis_url or f"redis://:{redis_password}@127.0.0.1:{redis_port}/0",
        secret_key=environ.get("SECRET_KEY") or owner_only_secret(instance / "secret_key"),
        host=environ.get("HOST_ADDRESS", "127.0.0.1"),
        port=_port(environ, "HOST_PORT", 5000),
        sandbox_port=_port(environ, "SANDBOX_PORT", 5050),
        blocked_plugins=tuple(environ.get("HOST_BLOCKED_PLUGINS", "").replace(",", " ").split()),
        secure_cookies=environ.get("HOST_HTTPS", "") == "1",
        public_url=_public_url(environ.get("HOST_PUBLIC_URL", "")),
        own_redis_port=redis_port,
        redis_password=redis_password,
        metrics_token=environ.get("METRICS_TOKEN", ""),
        language=_language(environ),
        json_logs=_log_format(environ) == "json",
        mail_server=_mail_server(environ.get("HOST_SMTP_URL", ""), environ.get("HOST_MAIL_FROM", "")),
    )


def owner_only_secret(path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(48)) -> str:
    """Return the secret kept in a file; make the file, readable by its owner only, where it is missing.

    It appears complete or not at all: of several processes that start together, all read the same secret.
    """
    if path.exists():
        return path.read_text().strip()
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(make())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)
    return path.read_text().strip()


def _database_url(url: str | None, instance: Path) -> str:
    if not url:
        return f"sqlite:///{instance / 'warehouse.sqlite'}"
    for short in ("postgres://", "postgresql://"):
        if url.startswith(short):
            return "postgresql+psycopg://" + url.removeprefix(short)
    return url


def _log_format(environ: Mapping[str, str]) -> str:
    text = environ.get("HOST_LOG", "text")
    if text not in ("text", "json"):
        raise ConfigError(f"HOST_LOG must be text or json, not {text!r}.")
    return text


def _language(environ: Mapping[str, str]) -> str:
    text = environ.get("HOST_LANGUAGE", "en")
    if text not in LANGUAGES:
        raise ConfigError(f"HOST_LANGUAGE must be {' or '.join(LANGUAGES)}, not {text!r}.")
    return text


def _mail_server(url: str, sender: str) -> MailServer | None:
    """Read the mail server; the address is not repeated in errors, because it holds a password."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        given_port = parts.port
    except ValueError:
        raise ConfigError("HOST_SMTP_URL names no port from 1 to 65535.") from None
    kinds = {"smtps": ("tls", 465), "smtp": ("starttls", 587), "smtp+plain": ("none", 25)}
    if parts.scheme not in kinds or not parts.hostname:
        raise ConfigError(
            "HOST_SMTP_URL must be like smtps://user:password@mail.example.com (TLS), smtp:// (STARTTLS) or "
            "smtp+plain:// (neither)."
        )
    if "@" not in sender or any(sign.isspace() for sign in sender):
        raise ConfigError(
            "HOST_MAIL_FROM must be the address that mails come from, where HOST_SMTP_URL is set."
        )
    security, port = kinds[parts.scheme]
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if user and security == "none":
        raise ConfigError("HOST_SMTP_URL sends a password in the open: use smtps:// or smtp://.")
    return MailServer(parts.hostname, given_port or port, security, sender, user, password)


def _public_url(text: str) -> str:
    url = text.strip().rstrip("/")
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query):
        raise ConfigError(
            f"HOST_PUBLIC_URL must be an address without a path, such as https://wms.example.com, not {text!r}."
        )
    return url


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigError(f"{name} must be a port number from 1 to 65535, not {text!r}.")
    return int(text)
