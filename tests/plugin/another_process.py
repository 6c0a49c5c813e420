"""Other processes of an installation, which ask for a token of bol when they are told.

Forked from one that has imported all, as the jobs of a worker are: eight that start by themselves take ten seconds.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from contextlib import closing
from multiprocessing.connection import Connection

from flask import Flask

from host_app.app import create_app
from host_app.port import host_port
from plugin.connector import Deadline
from plugin.line import Line
from plugin.models import Store

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["host_app.app", "plugin.hooks"])


class Asker:
    """A process that is ready to ask for the token of a store."""

    def __init__(self, app: Flask, store_id: int) -> None:
        config = app.extensions["host_config"]
        environment = os.environ | {
            "HOST_INSTANCE": str(config.instance),
            "DATABASE_URL": config.database_url,
            "REDIS_URL": config.redis_url,
            "SECRET_KEY": config.secret_key,
        }
        self._line, its_end = FORKS.Pipe()
        self._process = FORKS.Process(target=_ask, args=(environment, store_id, its_end), daemon=True)
        self._process.start()
        its_end.close()

    def ready(self) -> bool:
        """Wait until it needs nothing but the token."""
        return bool(self._line.recv() == "ready")

    def ask(self) -> None:
        self._line.send("ask")

    def token(self) -> str:
        return str(self._line.recv())

    def kill(self) -> None:
        """End it at once, as kill -9 does."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self._line.close()


def _ask(environment: Mapping[str, str], store_id: int, told: Connection) -> None:
    os.environ.update(environment)
    app = create_app()
    with app.app_context(), closing(Line(host_port())) as line:
        with host_port().reading() as session:
            store = session.get_one(Store, store_id)
        client = line.client(store)
        told.send("ready")
        told.recv()
        told.send(client._tokens.token(Deadline.after(20)))
