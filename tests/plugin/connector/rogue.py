"""A server that does as it is told, line by line: late, broken, endless or plain wrong."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Script = Callable[[socket.socket], None]


@dataclass
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Rogue:
    """`scripts` are played one per request, the last one again and again; `token_script` for the login."""

    url: str
    scripts: list[Script] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    token_script: Script = field(
        default_factory=lambda: answers(200, {"access_token": "rogue-token", "expires_in": 299})
    )

    def plays(self, *scripts: Script) -> None:
        self.scripts = list(scripts)

    def next_script(self) -> Script:
        return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]


def answers(
    status: int = 200, body: object = None, media: str = "application/json", **headers: str
) -> Script:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {media}\r\nContent-Length: {len(raw)}\r\n{extra}\r\n"
    return lambda sock: sock.sendall(head.encode() + raw)


def drips_headers(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    for i in range(1000):
        sock.sendall(f"X-{i}: y\r\n".encode())
        time.sleep(0.05)


def drips_body(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(1000):
        sock.sendall(b" ")
        time.sleep(0.05)


def drips_until_closed(sock: socket.socket) -> None:
    """Without a length: being cut off looks like the end."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}")
    for _ in range(1000):
        sock.sendall(b" ")
        time.sleep(0.05)


def hangs(sock: socket.socket) -> None:
    time.sleep(3)


def drops(sock: socket.socket) -> None:
    raise ConnectionAbortedError


def truncates(sock: socket.socket) -> None:
    sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{"orders":')
    raise ConnectionAbortedError


def floods(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(40):
        sock.sendall(b" " * 1024 * 1024)


@contextmanager
def running_rogue(tls: ssl.SSLContext | None = None) -> Iterator[Rogue]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    scheme = "https" if tls else "http"
    rogue = Rogue(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
    threading.Thread(target=_accept, args=(listener, rogue, tls), daemon=True).start()
    try:
        yield rogue
    finally:
        listener.close()


def _accept(listener: socket.socket, rogue: Rogue, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        rogue.connections += 1
        threading.Thread(target=_serve, args=(sock, rogue, tls), daemon=True).start()


def _serve(sock: socket.socket, rogue: Rogue, tls: ssl.SSLContext | None) -> None:
    try:
        connection = tls.wrap_socket(sock, server_side=True) if tls else sock
        with connection, connection.makefile("rb") as reader:
            while (received := _read(reader)) is not None:
                if received.target == "/token":
                    rogue.token_script(connection)
                    continue
                rogue.received.append(received)
                rogue.next_script()(connection)
    except OSError:
        return


def _read(reader: object) -> Received | None:
    first = reader.readline().decode().split()  # type: ignore[attr-defined]
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    while line := reader.readline().decode().strip():  # type: ignore[attr-defined]
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", "0")))  # type: ignore[attr-defined]
    return Received(first[0], first[1], headers, body)
