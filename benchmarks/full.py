"""A warehouse after a busy quarter: 100,000 offers and 50,000 orders in the tables of host and connector, for pages to show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from host_app.db import transaction, utcnow
from host_app.models import (
    Barcode,
    Notification,
    Order,
    OrderLine,
    Picklist,
    PicklistLine,
    Product,
    Shipment,
    ShipmentLine,
    Stock,
    StockHistory,
    Warehouse,
)
from plugin.models import (
    ApiCall,
    BolOrder,
    BolOrderEvent,
    BolOrderItem,
    Discrepancy,
    Offer,
    Run,
    ShipmentEffect,
    Store,
)
from plugin.settings import StoreSettings

OFFERS, ORDERS, DAYS = 100_000, 50_000, 90
#: Orders of the last days are still open, and so many of the others have some trouble.
OPEN, TROUBLED = 1_500, 60
CALLS, FAILED_CALLS = 200_000, 500
CHUNK = 5_000
WAREHOUSE = 1
ADDRESS = {"name": "Ann Example", "street": "Main street", "house_number": "1", "postal_code": "1011AA",
           "city": "Amsterdam", "country": "NL"}  # fmt: skip


def ean(number: int) -> str:
    """Return a number of 13 digits with the right check digit."""
    digits = f"{871_000_000_000 + number:012d}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-total % 10}"


def fill(*, offers: int = OFFERS, orders: int = ORDERS, store_id: int | None = None) -> int:
    """Write so many offers and orders into empty tables, of this store or of one that is made; return its id."""
    now = utcnow()
    with transaction() as session:
        session.add(Warehouse(id=WAREHOUSE, name="Main", active=True))
        store = (session.get(Store, store_id) if store_id else None) or Store(
            name="Full store",
            environment="sandbox",
            client_id="full-seller",
            secret="not encrypted: nothing is called",
            state="active",
            settings=StoreSettings(send_stock=True, send_shipments=True).dump(),
            created_at=now - timedelta(days=DAYS),
            activated_at=now - timedelta(days=DAYS),
            orders_read_at=now,
            orders_imported_at=now,
            next_import_at=now + timedelta(days=1),
        )
        session.add(store)
        session.flush()
        store_id = store.id
        _products(session, offers, now)
        _offers(session, store_id, offers, now)
        _orders(session, store_id, orders, offers, now)
        _calls(session, store_id, now)
        _runs(session, store_id, now)
        return store_id


def _products(session: Session, count: int, now: datetime) -> None:
    _insert(session, Product, ({"id": n, "code": ean(n), "name": f"Product {n} in blue", "stock_known": True,
                                "created_at": now} for n in range(1, count + 1)))  # fmt: skip
    _insert(session, Barcode, ({"product_id": n, "code": ean(n)} for n in range(1, count + 1)))
    amounts = {"warehouse_id": WAREHOUSE, "physical": 200, "reserved": 1}
    _insert(session, Stock, ({"product_id": n, "allocated": 0, **amounts} for n in range(1, count + 1)))
    first = {"physical_change": 200, "reserved_change": 1, "reason": "new product", "who": "", "at": now}
    _insert(session, StockHistory, ({"product_id": n, **amounts, **first} for n in range(1, count + 1)))


def _offers(session: Session, store_id: int, count: int, now: datetime) -> None:
    """One in fifty is bol's to ship, in a hundred without a product, in two hundred about to be sent."""

    def row(n: int) -> dict[str, Any]:
        lost, due = n % 100 == 7, n % 200 == 11
        return {
            "store_id": store_id,
            "offer_id": f"00000000-0000-0000-0000-{n:012d}",
            "ean": ean(n),
            "title": f"Product {n} in blue",
            "reference": f"REF-{n}",
            "method": "FBB" if n % 50 == 3 else "FBR",
            "price": 10,
            "state": "listed",
            "seen_at": now,
            "product_id": None if lost else n,
            "product_history_id": n,
            "link": "created" if n % 3 else "auto",
            "candidates": 0 if lost else 1,
            "ean_problem": "check digit" if n % 1000 == 7 else "",
            "wanted_amount": 199,
            "confirmed_amount": 199,
            "confirmed_managed": True,
            "confirmed_at": now,
            "dirty_version": 3 if due else 2,
            "done_version": 2,
            "attempts": 6 if n % 10_000 == 11 else 0,
            "error": "bol is away." if n % 10_000 == 11 else "",
            "next_try_at": now + timedelta(days=1) if due else None,
            "held_at": now if n % 5_000 == 17 else None,
        }

    _insert(session, Offer, (row(n) for n in range(1, count + 1)))


def _orders(session: Session, store_id: int, count: int, offers: int, now: datetime) -> None:
    source, step = f"bol:{store_id}", timedelta(days=DAYS) / count
    last_days, trouble = min(OPEN, count // 2), min(TROUBLED, count // 20)

    def placed(n: int) -> datetime:
        return now - step * (count - n)

    def is_open(n: int) -> bool:
        return n > count - last_days

    def troubled(n: int) -> bool:
        return n > count - trouble

    ids = range(1, count + 1)
    _insert(session, Order, (
        {"id": n, "source": source, "reference": f"C{n:09d}", "shop_name": "Full store", "warehouse_id": WAREHOUSE,
         "state": "processing" if is_open(n) else "completed", "placed_at": placed(n), "created_at": placed(n),
         "completed_at": None if is_open(n) else placed(n), "deadline": placed(n) + timedelta(days=1),
         "delivery": ADDRESS, "notes": ""} for n in ids if not troubled(n)))  # fmt: skip
    _insert(session, OrderLine, (
        {"id": n, "order_id": n, "product_id": n % offers + 1, "name": "Product in blue", "external_ref": f"I{n}",
         "quantity": 1, "allocated": int(is_open(n)), "shipped": int(not is_open(n)), "cancelled": 0,
         "unit_price": 10, "discount": 0, "note": ""} for n in ids if not troubled(n)))  # fmt: skip
    _insert(session, Picklist, (
        {"id": n, "order_id": n, "warehouse_id": WAREHOUSE, "state": "new" if is_open(n) else "closed",
         "created_at": placed(n), "closed_at": None if is_open(n) else placed(n), "closed_by": "ann"}
        for n in ids if not troubled(n)))  # fmt: skip
    _insert(session, PicklistLine, (
        {"picklist_id": n, "order_line_id": n, "product_id": n % offers + 1, "quantity": 1, "picked": 0}
        for n in ids if not troubled(n)))  # fmt: skip
    _insert(session, Shipment, (
        {"id": n, "picklist_id": n, "order_id": n, "carrier": "postnl", "tracking_code": f"3S{n}",
         "created_at": placed(n)} for n in ids if not is_open(n)))  # fmt: skip
    _insert(session, ShipmentLine, (
        {"shipment_id": n, "order_line_id": n, "quantity": 1} for n in ids if not is_open(n)))  # fmt: skip

    def state(n: int) -> str:
        return "waiting for product" if troubled(n) and n % 2 else "found" if troubled(n) else "imported"

    _insert(session, BolOrder, (
        {"id": n, "store_id": store_id, "order_id": f"C{n:09d}", "placed_at": placed(n), "state": state(n),
         "host_order_id": None if troubled(n) else n, "found_at": placed(n), "read_at": placed(n),
         "read_due_at": now + timedelta(days=1) if troubled(n) else None, "attempts": 5 if troubled(n) else 0,
         "error": "bol's answer could not be read." if troubled(n) and not n % 2 else "", "list_signature": "",
         "latest_delivery": placed(n).date(), "cancels_on": placed(n).date() + timedelta(days=4)}
        for n in ids))  # fmt: skip
    _insert(session, BolOrderItem, (
        {"order_id": n, "order_item_id": f"I{n}", "ean": ean(n % offers + 1), "method": "FBR", "quantity": 1,
         "shipped": int(not is_open(n)), "cancelled": 0, "cancelled_before_import": 0, "imported": 1,
         "cancellation_request": is_open(n) and n % 300 == 0, "request_kept": False, "title": "Product in blue",
         "distribution_party": "RETAILER", "offer_id": "", "product_id": None if troubled(n) else n % offers + 1}
        for n in ids))  # fmt: skip
    _insert(
        session,
        BolOrderEvent,
        (
            {"order_id": n, "at": placed(n), "text": text}
            for n in ids
            for text in ("Found at bol", "Taken over")
        ),
    )

    def effect(n: int) -> dict[str, Any]:
        left = count - last_days - n
        waits, refused, undecided = left < 300, 300 <= left < 320, 320 <= left < 325
        return {
            "store_id": store_id, "order_id": n, "order_item_id": f"I{n}", "quantity": 1, "host_shipment_id": n,
            "host_picklist_id": n, "reference": f"wms-{store_id}-{n}", "token": "", "transporter_code": "TNT",
            "state": "wanted" if waits else "refused" if refused else "decision" if undecided else "confirmed",
            "due_at": None, "tracking_code": f"3S{n}", "attempts": 1, "created_at": placed(n), "sent_at": placed(n),
            "error": "The carrier has no transporter code." if waits else "bol said no." if refused else "",
            "settled_at": None if waits or undecided else placed(n),
        }  # fmt: skip

    _insert(session, ShipmentEffect, (effect(n) for n in ids if not is_open(n)))
    _insert(session, Notification, (
        {"key": f"bench:{n}", "kind": "bol.order", "level": "warning", "title": f"Notice {n}", "body": "Look at it.",
         "at": placed(n), "read_at": None if n > count - 100 else placed(n), "read_by": "ann"}
        for n in islice(ids, 0, None, 10)))  # fmt: skip


def _calls(session: Session, store_id: int, now: datetime) -> None:
    route = "/retailer/offers/{offer-id}"
    _insert(session, ApiCall, (
        {"store_id": store_id, "at": now - timedelta(seconds=6 * (CALLS - n)), "job": "stock", "method": "PATCH",
         "route": route, "subject": f"offer {n}", "status": 204, "duration_ms": 90, "request_id": f"r{n}",
         "error": "ConnectFailed" if n % (CALLS // FAILED_CALLS) == 0 else ""} for n in range(CALLS)))  # fmt: skip


def _runs(session: Session, store_id: int, now: datetime) -> None:
    for n in range(30):
        at = now - timedelta(days=30 - n)
        for kind in ("product import", "stock check", "order sweep"):
            session.add(Run(store_id=store_id, kind=kind, state="done", counts={"offers": OFFERS},
                            expected=OFFERS, started_at=at, finished_at=at))  # fmt: skip
    session.flush()
    check = session.query(Run).filter_by(kind="stock check").order_by(Run.id.desc()).first()
    assert check is not None
    _insert(session, Discrepancy, (
        {"run_id": check.id, "offer_id": f"00000000-0000-0000-0000-{n:012d}", "ean": ean(n), "product_id": n,
         "bol_amount": 1, "bol_managed": True, "our_amount": 2, "our_managed": True, "cause": "lost",
         "action": "marked", "found_at": now} for n in range(1, 2001)))  # fmt: skip


def _insert(session: Session, model: Any, rows: Iterable[dict[str, Any]]) -> None:
    waiting: Iterator[dict[str, Any]] = iter(rows)
    while chunk := list(islice(waiting, CHUNK)):
        session.execute(insert(model), chunk)
