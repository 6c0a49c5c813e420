"""What the plugin adds to the warehouse's own work: the logged-in request that adjusts stock, over HTTP.

Two web servers answer in turns, one with the plugin and one without it; no worker runs.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy

import requests

from benchmarks.result import Result
from benchmarks.shop import START_SECONDS, WAREHOUSE, Shop, free_port, shop, stock, wait_until
from host_app import config, create_app, migrate
from host_app.db import db, transaction
from host_app.models import User
from host_app.models.people import Role

OFFERS = 50
REQUESTS = 1000
FIRST_REQUESTS = 50
GOAL = 1.15
MOST_MORE_MS = 0.7
LOGIN = ("bench", "bench-password")


def measure() -> Iterator[Result]:
    """Send the same request to both servers in turns, and compare the medians."""
    with shop(offers=OFFERS) as running, tempfile.TemporaryDirectory() as folder:
        running.connect(send_stock=True)
        running.work_all()
        add_user()
        bare = {**running.environment, "HOST_INSTANCE": folder, "HOST_BLOCKED_PLUGINS": "bol"}
        prepare(running, bare)
        with server(running.environment) as with_plugin, server(bare) as without:
            visitors = [Visitor(with_plugin), Visitor(without)]
            times: list[list[float]] = [[], []]
            for number in range(FIRST_REQUESTS + REQUESTS):
                for visitor, taken in zip(visitors, times, strict=True):
                    taken.append(visitor.adjust(number))
    median, floor = (statistics.median(taken[FIRST_REQUESTS:]) for taken in times)
    yield Result("host-overhead", median, "ms", floor, GOAL, floor + MOST_MORE_MS, higher_is_better=False)


def add_user() -> None:
    with transaction() as session:
        user = User(username=LOGIN[0], role=Role.ADMINISTRATOR, active=True)
        user.set_password(LOGIN[1])
        session.add(user)


def prepare(running: Shop, environment: Mapping[str, str]) -> None:
    """Make the warehouse without the plugin, with the same products and user."""
    app = create_app(config.load(environment))
    with app.app_context():
        migrate.upgrade()
        stock(running.eans)
        add_user()
        db.session.remove()
        db.engine.dispose()


@contextmanager
def server(environment: Mapping[str, str]) -> Iterator[str]:
    """Serve the pages from a process of its own; yield the address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "host_app", "serve"],
        env={**os.environ, **environment, "HOST_PORT": str(port)},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(url), START_SECONDS)
        yield url
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/login", timeout=5).ok
    except requests.ConnectionError:
        return False


class Visitor:
    """Somebody who is logged in, with the session of that moment: messages do not pile up in it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        token = self._token("/login")
        self._post("/login", {"username": LOGIN[0], "password": LOGIN[1], "csrf_token": token})
        self._csrf = self._token("/admin/products/1")
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._session.cookies)
        self._session.cookies.clear()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers["Cookie"] = cookies

    def adjust(self, number: int) -> float:
        """Put a piece of one of the products on the shelf; return the milliseconds it took."""
        form = {
            "csrf_token": self._csrf,
            "warehouse": WAREHOUSE,
            "how": "change",
            "amount": 1,
            "reason": "found",
        }
        began = time.perf_counter()
        self._post(f"/admin/products/{number % OFFERS + 1}/adjust", form)
        return (time.perf_counter() - began) * 1000

    def look(self, path: str) -> float:
        """Open a page; return the milliseconds it took."""
        began = time.perf_counter()
        answer = self._session.get(self._url + path, allow_redirects=False, timeout=30)
        taken = (time.perf_counter() - began) * 1000
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}")
        return taken

    def _post(self, path: str, form: Mapping[str, object]) -> None:
        answer = self._session.post(self._url + path, data=form, allow_redirects=False, timeout=30)
        if answer.status_code != 302:
            raise RuntimeError(f"{path} answered {answer.status_code}")

    def _token(self, path: str) -> str:
        page = self._session.get(self._url + path, timeout=30).text
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        if found is None:
            raise RuntimeError(f"{path} has no form")
        return found[1]
