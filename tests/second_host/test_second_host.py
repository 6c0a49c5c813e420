"""A host that is not ours runs the connector: its store is connected, an order comes in and is shipped at bol."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from bol_sandbox.testing import SandboxControls, running_sandbox

EAN = "8712626055143"
ROOT = Path(__file__).parents[2]


@dataclass
class Person:
    """Somebody at a browser, who has logged in."""

    url: str
    name: str
    browser: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.browser.trust_env = False
        self.press("/login", page="/login", name=self.name)

    def get(self, path: str) -> requests.Response:
        return self.browser.get(self.url + path, timeout=60)

    def press(self, path: str, *, page: str, **form: str) -> str:
        """Send a form with the token that its page shows; return what is shown then."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.get(page).text)
        assert token is not None, page
        answer = self.browser.post(self.url + path, data={"csrf_token": token[1], **form}, timeout=60)
        assert answer.status_code == 200, answer.text
        return html.unescape(answer.text)

    def sales(self) -> str:
        return html.unescape(self.get("/admin/sales/").text)

    def import_orders(self) -> None:
        self.press("/admin/sales/fetch", page="/admin/sales/")
        self.work()

    def work(self) -> None:
        """Let the host do all that is due."""
        answer = self.browser.post(self.url + "/work", timeout=60)
        assert answer.text == "done", answer.text

    def connect(self) -> None:
        """Connect a store by the connector's pages, let it send stock and shipments, activate it."""
        page = "/admin/bol/connect"
        fields = {"name": "Shop", "environment": "sandbox", "client_id": "seller", "client_secret": "secret"}
        assert "bol accepts the credentials" in self.press(page, page=page, **fields)
        self.work()
        page = "/admin/bol/1/settings"
        on = dict.fromkeys(("import_products", "import_orders", "send_stock", "send_shipments"), "on")
        self.press(page, page=page, import_minutes="15", **on)
        self.work()
        # The connector shows first what it would change at bol.
        self.press("/admin/bol/1/stock-plan/send", page="/admin/bol/1/stock-plan")
        assert "The store is active" in self.press("/admin/bol/1/activate", page="/admin/bol/1/summary")
        self.work()


@pytest.fixture
def bol() -> Iterator[SandboxControls]:
    with running_sandbox() as controls:
        controls.limits([])
        controls.settings(latencyMs=0, processStatusDelayMs=0)
        controls.add_seller("seller", "secret", offers=[{"ean": EAN, "title": "Kettle", "stock": 20}])
        yield controls


@pytest.fixture
def address(tmp_path: Path, redis_url: str, bol: SandboxControls) -> Iterator[str]:
    """The second host, in a process of its own: nothing of ours is there but what it asks for."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.second_host", str(tmp_path), redis_url],
        env=os.environ | {"BOL_SANDBOX_URL": bol.url},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@pytest.fixture
def chief(address: str) -> Iterator[Person]:
    person = Person(address, "chief")
    yield person
    person.browser.close()


def test_an_order_is_imported_closed_and_shipped_at_bol(chief: Person, bol: SandboxControls) -> None:
    chief.connect()
    order = bol.place_order("seller", [{"ean": EAN, "quantity": 2}])["orderId"]
    chief.import_orders()
    assert f"{order} processing" in chief.sales()
    assert "bol.com" in chief.sales()
    assert bol.state("seller")["shipments"] == []

    chief.press("/admin/sales/1/close", page="/admin/sales/", tracking_code="3SSECOND")
    chief.work()
    (shipment,) = bol.state("seller")["shipments"]
    assert shipment["transport"]["trackAndTrace"] == "3SSECOND"
    assert f"{order} completed" in chief.sales()
    chief.import_orders()
    assert len(bol.state("seller")["shipments"]) == 1
    assert chief.sales().count(f"{order} ") == 1


def test_a_change_of_its_stock_reaches_bol(chief: Person, bol: SandboxControls) -> None:
    chief.connect()
    chief.press("/admin/sales/articles/1", page="/admin/sales/", pieces="-3")
    chief.work()
    assert bol.offer("seller", EAN)["stock"]["amount"] == 17


def test_an_order_that_bol_cancels_is_cancelled_here(chief: Person, bol: SandboxControls) -> None:
    chief.connect()
    order = bol.place_order("seller", [{"ean": EAN, "quantity": 2}])["orderId"]
    chief.import_orders()
    bol.cancel(order)
    chief.import_orders()
    assert f"{order} cancelled" in chief.sales()
    assert bol.state("seller")["shipments"] == []


def test_its_people_see_the_pages_of_the_connector(address: str, chief: Person) -> None:
    chief.connect()
    packer = Person(address, "packer")
    for person in (chief, packer):
        for page in ("", "attention", "1/", "1/orders", "1/offers", "1/eans", "1/checks", "1/shipments",
                     "1/labels", "1/calls"):  # fmt: skip
            answer = person.get(f"/admin/bol/{page}")
            assert answer.status_code == 200, page
            assert "<h1" in answer.text, page
    assert chief.get("/admin/bol/1/settings").status_code == 200
    assert packer.get("/admin/bol/1/settings").status_code == 403
    packer.browser.close()


def test_nobody_comes_in_without_login_or_token(address: str, chief: Person) -> None:
    assert requests.get(f"{address}/admin/bol/", timeout=60).url == f"{address}/login"
    assert chief.browser.post(f"{address}/admin/bol/1/pause", timeout=60).status_code == 400


def test_of_the_first_host_it_loads_the_contract_only() -> None:
    code = (
        "import sys, tests.second_host.app, plugin.hooks, plugin.jobs.tasks\n"
        "print(*sorted(name for name in sys.modules if name.partition('.')[0] == 'host_app'))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    assert told.stdout.split() == ["host_app", "host_app.plugin_api"]
