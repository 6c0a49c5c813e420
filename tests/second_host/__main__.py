"""``python -m tests.second_host FOLDER REDIS_URL``: serves the second host, and prints where."""

from __future__ import annotations

import sys
from pathlib import Path

from waitress import create_server

from tests.second_host.app import House


def main(folder: str, redis_url: str) -> None:
    """Serve until the process is ended."""
    server = create_server(House(Path(folder), redis_url).app, host="127.0.0.1", port=0)
    print(f"http://127.0.0.1:{server.effective_port}", flush=True)
    server.run()


main(*sys.argv[1:])
