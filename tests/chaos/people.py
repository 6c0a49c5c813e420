"""The people of a run: customers at bol, packers and administrators at the warehouse's pages, all of them undaunted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import requests
from sqlalchemy import select

from bol_sandbox.ean import make_ean13
from bol_sandbox.testing import SandboxRefused
from host_app.db import db, reading, transaction
from host_app.models import Order, Picklist, Shipment
from host_app.models.picking import PicklistState
from host_app.plugin_api import HostError, NewProduct, OrderState
from host_app.port import host_port
from host_app.services import catalog
from plugin.models import BolOrder, Store, StoreState
from plugin.runtime import SANDBOX, Runtime
from plugin.settings import StoreSettings
from plugin.sync.stores import with_everything_on
from tests.chaos.house import LOGIN, House
from tests.chaos.script import PRODUCTS, Script
from tests.e2e.visitor import Page, Visitor

Chosen = TypeVar("Chosen")
SECRET = "for-tests-only"


class Refused(Exception):
    """What somebody wanted to do could not be done, or nobody knows if it was."""


class Person(Visitor):
    """Somebody at the pages; remembers the errors that the pages gave away."""

    def __init__(self, url: str, failed: list[str]) -> None:
        super().__init__(url)
        self.failed = failed

    def open(self, path: str, **query: str) -> Page:
        return self._undaunted(lambda: super(Person, self).open(path, **query))

    def submit(self, page: Page, action: str, **changes: str) -> Page:
        return self._undaunted(lambda: super(Person, self).submit(page, action, **changes))

    def _undaunted(self, act: Callable[[], Page]) -> Page:
        try:
            return act()
        except requests.RequestException as error:
            raise Refused(f"no answer: {type(error).__name__}") from error
        except AssertionError as error:
            raise Refused(str(error)[:200]) from error

    def _page(self, answer: requests.Response) -> Page:
        if answer.status_code >= 500:
            self.failed.append(f"{answer.request.method} {answer.url}: {answer.status_code}")
        return super()._page(answer)


class Shop:
    """One store of a house, with products of its own, and what people do with it."""

    def __init__(self, house: House, script: Script) -> None:
        self.house, self.script = house, script
        self.client_id = f"chaos-{script.seed}"
        self.eans = [
            make_ean13(20 * 10**10 + script.seed % 10**7 * 1000 + number) for number in range(PRODUCTS + 2)
        ]
        self.failed: list[str] = []
        self.person = Person(house.url, self.failed)
        self.store_id = 0
        self.products: list[int] = []

    # setting up

    def open(self) -> None:
        """Connect and activate a store with everything on, whose products the warehouse has, but for one."""
        house, script = self.house, self.script
        house.sandbox.settings(**script.sandbox)
        offers = [
            {"ean": ean, "title": f"Article {ean}", "price": 9.95, "stock": stock}
            for ean, stock in zip(self.eans, [*script.stocks, 7], strict=False)
        ]
        offers.append({"ean": self.eans[-1], "title": "At bol", "price": 5, "stock": 9, "method": "FBB"})
        house.sandbox.add_seller(self.client_id, SECRET, offers=offers)
        with house.app.app_context():
            with transaction():
                for number, stock in enumerate(script.stocks):
                    code = f"P{script.seed}-{number}"
                    self.products.append(
                        catalog.create_product(
                            NewProduct(code, f"Article {code}", None, (self.eans[number],), stock)
                        )
                    )
            runtime = Runtime(host_port())
            self.store_id = runtime.connect_store(
                name=self.client_id, environment=SANDBOX, client_id=self.client_id, client_secret=SECRET
            )
            chosen = with_everything_on(StoreSettings()).dump() | dict(script.settings)
            runtime.save_settings(self.store_id, StoreSettings.load(chosen))
            runtime.activate(self.store_id)
            runtime.close()
            db.session.remove()
        self.person.log_in(LOGIN, house.password)

    def close(self) -> None:
        """Leave the store alone from now on."""
        self.person.close()
        with self.house.app.app_context():
            with transaction() as session:
                store = session.get(Store, self.store_id)
                if store is not None:
                    store.state = StoreState.PAUSED
            db.session.remove()

    @property
    def source(self) -> str:
        return f"bol:{self.store_id}"

    # what people do: each takes what the script says

    def do(self, kind: str, what: Mapping[str, Any]) -> str:
        """Do it; return in words what came of it.

        :raises Refused: it could not be done, or nobody knows.
        """
        act: Callable[[Mapping[str, Any]], str] = getattr(self, f"_{kind.replace('-', '_')}")
        try:
            return act(what)
        except SandboxRefused as error:
            raise Refused(str(error)) from error
        except requests.RequestException as error:
            raise Refused(f"no answer of the sandbox: {type(error).__name__}") from error

    def _order(self, what: Mapping[str, Any]) -> str:
        items = [
            {
                "ean": self.eans[item["product"]],
                "quantity": item["quantity"],
                "distributionParty": item["party"],
            }
            for item in what["items"]
        ]
        if what["logistics"]:
            items.append({"ean": self.eans[-1], "quantity": 1, "method": "FBB"})
        placed = self.house.sandbox.place_order(self.client_id, items, force=what["force"])
        return str(placed["orderId"])

    def _cancel_at_bol(self, what: Mapping[str, Any]) -> str:
        order = self._one(self._open_orders(), what)
        first = [item["orderItemId"] for item in order["orderItems"]][:1]
        if what["part"] == "all":
            self.house.sandbox.cancel(order["orderId"])
        elif what["part"] == "item":
            self.house.sandbox.cancel(order["orderId"], first)
        else:
            self.house.sandbox.cancel(order["orderId"], first, 1)
        return str(order["orderId"])

    def _request(self, what: Mapping[str, Any]) -> str:
        order = self._one(self._open_orders(), what)
        self.house.sandbox.request_cancellation(order["orderId"])
        return str(order["orderId"])

    def _open_orders(self) -> list[Any]:
        return [order for order in self.house.sandbox.state(self.client_id)["orders"] if order["open"]]

    def _stock(self, what: Mapping[str, Any]) -> str:
        page = self.person.open(f"/admin/products/{self.products[what['product']]}")
        self.person.submit(page, "/adjust$", how=what["how"], amount=str(what["amount"]), reason="Chaos")
        return f"product {self.products[what['product']]}"

    def _pick(self, what: Mapping[str, Any]) -> str:
        picklist = self._one(self._open_picklists(), what)
        self.person.submit(self.person.open(f"/admin/picklists/{picklist}"), "/pick-all$")
        return f"picklist {picklist}"

    def _close(self, what: Mapping[str, Any]) -> str:
        picklist = self._one(self._open_picklists(), what)
        page = self.person.open(f"/admin/picklists/{picklist}")
        if not any(re.search("/close(#|$)", form.action) for form in page.forms):
            if what["part"]:
                # The first line's "+1".
                page = self.person.submit(page, "/pick$", pieces="1")
            else:
                page = self.person.submit(page, "/pick-all$")
        values = {"carrier-0": what["carrier"], "tracking-0": what["tracking"]}
        if what["parcels"] == 2:
            page = self.person.submit(page, "/close(#|$)", add_parcel="1", **values)
            values |= {
                "carrier-1": what["carrier"],
                "tracking-1": what["tracking"] and what["tracking"] + "2",
            }
            values |= self._split(page)
        closed = self.person.submit(page, "/close(#|$)", **values)
        if "Not closed yet" in closed.text:
            values["short"] = closed.form("/close(#|$)").fields["seen"]
            closed = self.person.submit(closed, "/close(#|$)", **values)
        if what["impatient"] and "Closed by" not in closed.text:
            closed = self.person.submit(page, "/close(#|$)", **values)
        overruling = [form for form in closed.forms if "overruled" in form.fields]
        if overruling and what["determined"]:
            closed.forms = overruling
            closed = self.person.submit(closed, "/close(#|$)")
        if "Closed by" not in closed.text:
            why = re.search("Not closed.{0,120}|What is picked.{0,40}|can't be .{0,60}", closed.text)
            raise Refused(f"picklist {picklist} was not closed: {why[0] if why else closed.text[200:400]}")
        return f"picklist {picklist}"

    def _split(self, page: Page) -> dict[str, str]:
        """Move one piece of the first line into the second parcel."""
        fields = page.form("/close(#|$)").fields
        first = next((name for name in fields if name.startswith("pieces-0-")), "")
        pieces = int(fields.get(first) or 0)
        if pieces < 2:
            return {}
        second = first.replace("pieces-0-", "pieces-1-")
        return {first: str(pieces - 1), second: str(int(fields.get(second) or 0) + 1)}

    def _label(self, what: Mapping[str, Any]) -> str:
        picklist = self._one(self._open_picklists(), what)
        page = self.person.open(f"/admin/picklists/{picklist}", labels="1")
        self.person.submit(page, "/label$")
        return f"picklist {picklist}"

    def _correct(self, what: Mapping[str, Any]) -> str:
        shipment = self._one(self._shipments(), what)
        page = self.person.open(f"/admin/shipments/{shipment}")
        self.person.submit(page, "/correct$", tracking_code=what["tracking"])
        return f"shipment {shipment}"

    def _withdraw(self, what: Mapping[str, Any]) -> str:
        shipment = self._one(self._shipments(), what)
        self.person.submit(self.person.open(f"/admin/shipments/{shipment}"), "/withdraw$")
        return f"shipment {shipment}"

    def _decide(self, what: Mapping[str, Any]) -> str:
        how = what["how"]
        if how == "cancel here":
            order = self._one(self._ids(select(Order.id).where(Order.state == OrderState.PROCESSING)), what)
            page = self.person.open(f"/admin/orders/{order}")
            self.person.submit(page, "/cancel$", reason="Chaos")
            return f"order {order} cancelled here"
        with self.house.app.app_context():
            with reading() as session:
                rows = session.scalars(
                    select(BolOrder.id).where(BolOrder.store_id == self.store_id).order_by(BolOrder.id)
                ).all()
            row = self._one(rows, what)
            runtime = Runtime(host_port())
            try:
                if how == "accept":
                    runtime.accept_request(self.store_id, row, "chaos")
                elif how == "keep":
                    runtime.keep_order(self.store_id, row, "chaos")
                else:
                    runtime.cancel_at_bol(self.store_id, row, "OUT_OF_STOCK", "chaos")
            except HostError as error:
                raise Refused(str(error)) from error
            finally:
                runtime.close()
                db.session.remove()
        return f"bol order {row}: {how}"

    def _import(self, _what: Mapping[str, Any]) -> str:
        self.import_now()
        return ""

    def import_now(self) -> None:
        """Press "Import orders now"."""
        with self.house.app.app_context():
            runtime = Runtime(host_port())
            try:
                runtime.import_orders(self.store_id)
            finally:
                runtime.close()
                db.session.remove()

    def _open_picklists(self) -> Sequence[int]:
        return self._ids(
            select(Picklist.id)
            .join(Picklist.order)
            .where(Picklist.state == PicklistState.NEW)
            .order_by(Picklist.id)
        )

    def _shipments(self) -> Sequence[int]:
        return self._ids(
            select(Shipment.id)
            .join(Shipment.order)
            .where(Shipment.withdrawn_at.is_(None))
            .order_by(Shipment.id)
        )

    def _ids(self, statement: Any) -> Sequence[int]:
        with self.house.app.app_context():
            with reading() as session:
                found = session.scalars(statement.where(Order.source == self.source)).all()
            db.session.remove()
        return list(found)

    @staticmethod
    def _one(among: Sequence[Chosen], what: Mapping[str, Any]) -> Chosen:
        if not among:
            raise Refused("there is none")
        # A share of all; the dice may have been rounded up to 1.
        return among[min(int(what["which"] * len(among)), len(among) - 1)]
