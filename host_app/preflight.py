"""What must hold before `make run` starts anything; each refusal says what to change."""

from __future__ import annotations

import errno
import socket

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from host_app import redis_server
from host_app.config import Config, ConfigError

LOCAL = "127.0.0.1"
SECONDS = 5


def check(settings: Config) -> None:
    """Check ports, Redis and database.

    :raises ConfigError: something is not as it must be.
    """
    ports = {"HOST_PORT": (settings.host, settings.port), "SANDBOX_PORT": (LOCAL, settings.sandbox_port)}
    if settings.own_redis_port is not None:
        ports["REDIS_PORT"] = (LOCAL, settings.own_redis_port)
    _check_ports(ports)
    if settings.own_redis_port is None and (trouble := redis_server.answers(settings.redis_url)):
        raise ConfigError(
            f"The Redis of REDIS_URL does not answer: {trouble} "
            "Correct REDIS_URL, or unset it to have a Redis started here."
        )
    _check_database(settings.database_url)


def _check_ports(ports: dict[str, tuple[str, int]]) -> None:
    seen: dict[int, str] = {}
    for name, (address, port) in ports.items():
        if port in seen:
            raise ConfigError(f"{seen[port]} and {name} are both {port}: give each a port of its own.")
        seen[port] = name
        trouble = _port_trouble(address, port)
        if trouble == errno.EADDRINUSE:
            raise ConfigError(
                f"Port {port} is taken by another program: end that, or choose another port, "
                f"for example {name}={port + 1}."
            )
        if trouble:
            raise ConfigError(
                f"{name}: {address}:{port} can't be used: {errno.errorcode.get(trouble, trouble)}."
            )


def _port_trouble(address: str, port: int) -> int | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: a port that was in use a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            return error.errno or errno.EINVAL
    return None


def _check_database(url: str) -> None:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            "DATABASE_URL is not an address such as postgresql://user:secret@host/name."
        ) from error
    postgresql = parsed.get_backend_name() == "postgresql"
    if not postgresql and parsed.get_backend_name() != "sqlite":
        raise ConfigError(
            f"DATABASE_URL: {parsed.get_backend_name()} can't be used, only SQLite and PostgreSQL."
        )
    try:
        engine = create_engine(parsed, connect_args={"connect_timeout": SECONDS} if postgresql else {})
        with engine.connect():
            pass
        engine.dispose()
    except ModuleNotFoundError as error:
        raise ConfigError(
            "PostgreSQL needs its driver: pip install 'bol-retailer-connector[postgres]'."
        ) from error
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip()
        raise ConfigError(
            f"The database {parsed.render_as_string(hide_password=True)} can't be reached: {reason}\n"
            "Correct DATABASE_URL, or unset it to use a file in the instance folder."
        ) from error
