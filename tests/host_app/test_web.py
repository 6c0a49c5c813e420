"""Serving: what the world may send is bounded before it is kept."""

from __future__ import annotations

import socket
import threading

import waitress

from host_app import web
from tests.conftest import AppFactory


def test_a_huge_body_is_refused_before_it_comes_in(make_app: AppFactory) -> None:
    """waitress would write a gigabyte to disk first, whoever sends it, and to any address."""
    app = make_app()
    server = waitress.create_server(app, **web.options(app, "127.0.0.1", 0))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    head = "POST /bol/webhooks/x HTTP/1.1\r\nHost: here\r\nContent-Length: {}\r\n\r\n"
    try:
        for length, begins in ((900_000_000, b"HTTP/1.1 413"), (2, b"HTTP/1.1 404")):
            with socket.create_connection(("127.0.0.1", server.effective_port), timeout=10) as connection:
                connection.sendall(head.format(length).encode() + b"{}")
                assert connection.recv(100).startswith(begins)
    finally:
        server.task_dispatcher.shutdown()
        server.close()
        thread.join(5)
