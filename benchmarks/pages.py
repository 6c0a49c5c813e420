"""How long pages take, over HTTP, with 100,000 offers and 50,000 orders, beside an empty page of the same application."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.full import OFFERS, ORDERS, fill
from benchmarks.host_overhead import Visitor, add_user, server
from benchmarks.result import Result, p95
from benchmarks.shop import redis_server
from host_app import config, create_app, migrate
from host_app.db import db

ROUNDS = 20
FIRST_ROUNDS = 2
#: p95, in milliseconds.
LIMIT = 200.0
#: A page without rows: what logging in, menu and templates take.
EMPTY = "/admin/products/new"
STORE = "/admin/bol/1/"
PAGES = {
    "home": "/admin/",
    "orders": "/admin/orders/",
    "orders-processing": "/admin/orders/?state=processing",
    "orders-search": "/admin/orders/?q=C00001234",
    "orders-search-customer": "/admin/orders/?q=bakker",
    "orders-last-page": f"/admin/orders/?page={ORDERS // 50}",
    "order": f"/admin/orders/{ORDERS // 2}",
    "picklists": "/admin/picklists/",
    "picklist": f"/admin/picklists/{ORDERS - 1000}",
    "products": "/admin/products/",
    "products-search": "/admin/products/?q=blue",
    "products-last-page": f"/admin/products/?page={OFFERS // 50}",
    "product": "/admin/products/500",
    "shipments": "/admin/shipments/",
    "notifications": "/admin/notifications/",
    "webshops": "/admin/webshops/",
    "stores": "/admin/bol/",
    "attention": "/admin/bol/attention",
    "store": STORE,
    "store-30-days": f"{STORE}?period=30d",
    "settings": f"{STORE}settings",
    "summary": f"{STORE}summary",
    "stock-plan": f"{STORE}stock-plan",
    "bol-orders": f"{STORE}orders",
    "bol-orders-failed": f"{STORE}orders?state=failed",
    "bol-orders-cancelled-soon": f"{STORE}orders?state=cancelled+soon",
    "bol-orders-last-page": f"{STORE}orders?page={ORDERS // 50}",
    "bol-order": f"{STORE}orders/{ORDERS // 2}",
    "offers": f"{STORE}offers",
    "offers-waiting": f"{STORE}offers?state=waiting",
    "offers-no-product": f"{STORE}offers?state=no+product",
    "offers-search": f"{STORE}offers?q=8710000050",
    "offers-search-reference": f"{STORE}offers?q=REF-70000",
    "offers-search-name": f"{STORE}offers?q=70000+in+blue",
    "offers-search-much": f"{STORE}offers?q=871",
    "offers-last-page": f"{STORE}offers?page={OFFERS // 50}",
    "offer": f"{STORE}offers/500",
    "eans": f"{STORE}eans",
    "eans-twice": f"{STORE}eans?state=twice",
    "bol-shipments": f"{STORE}shipments",
    "bol-shipments-needs-you": f"{STORE}shipments?state=needs+you",
    "labels": f"{STORE}labels",
    "checks": f"{STORE}checks",
    "check": f"{STORE}checks/89",
    "calls": f"{STORE}calls",
    "calls-failed": f"{STORE}calls?state=failed",
}


def measure() -> Iterator[Result]:
    """Ask for each page in turns, so that what slows the machine for a while slows all of them."""
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as redis_url:
        environment = {"HOST_INSTANCE": folder, "REDIS_URL": redis_url}
        prepare(environment)
        with server(environment) as url:
            visitor = Visitor(url)
            times: dict[str, list[float]] = {name: [] for name in ("empty", *PAGES)}
            for number in range(FIRST_ROUNDS + ROUNDS):
                for name, path in {"empty": EMPTY, **PAGES}.items():
                    taken = visitor.look(path)
                    if number >= FIRST_ROUNDS:
                        times[name].append(taken)
    floor = p95(times.pop("empty"))
    results = [
        Result(f"pages-{name}", p95(taken), "ms", floor, limit=LIMIT, higher_is_better=False)
        for name, taken in times.items()
    ]
    yield from results
    slowest = max(results, key=lambda result: result.value)
    yield replace(slowest, name="pages")


def prepare(environment: dict[str, str]) -> None:
    """Make the tables and fill them."""
    app = create_app(config.load(environment))
    with app.app_context():
        migrate.upgrade()
        fill()
        add_user()
        db.session.remove()
        db.engine.dispose()
