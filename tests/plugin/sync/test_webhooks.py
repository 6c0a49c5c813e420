"""bol tells, and things are due at once: signed, once, for the right store, and nothing is believed but ids."""

from __future__ import annotations

import base64
import dataclasses
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import insert, update
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from bol_sandbox.testing import SandboxControls
from host_app import jobs
from host_app.db import db, transaction
from plugin.connector.models.subscriptions import SignatureKey as Key
from plugin.jobs.wakes import wake_for
from plugin.models import BolOrder, ProcessStatusRow, SignatureKey, Store, Webhook, WebhookEvent
from plugin.sync import statuses, upkeep
from plugin.sync.due import UPKEEP
from plugin.sync.subscriptions import keep_keys
from tests.conftest import AppFactory
from tests.plugin.conftest import KETTLE, Clock, Shop


class HookedShop(Shop):
    def all_webhooks(self) -> list[Webhook]:
        with self.host.reading() as session:
            return list(session.query(Webhook))

    def webhook(self) -> Webhook:
        (found,) = self.all_webhooks()
        return found

    def upkeep(self) -> None:
        """Have the subscription looked at now."""
        with transaction() as session:
            session.execute(update(Store).values(next_upkeep_at=self.host.now()))
        self.work()

    def at_bol(self) -> list[dict[str, Any]]:
        return list(self.sandbox.state("seller")["subscriptions"])


@dataclass
class Bol:
    """bol's own key, and what it sends with it."""

    shop: HookedShop
    key_id: str = "7"
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def signed(self, body: bytes, key_id: str | None = None) -> str:
        value = base64.b64encode(self.key.sign(body, PKCS1v15(), SHA256())).decode()
        return f'keyId={key_id or self.key_id}, algorithm="rsa-sha256", signature={value}'

    def body(self, resource: str, resource_id: str, kind: str = "SUCCESS", **more: Any) -> bytes:
        content = {
            "retailerId": self.shop.store().account,
            "timestamp": "2026-11-25T10:00:00+01:00",
            "event": {"resource": resource, "type": kind, "resourceId": resource_id},
        }
        return json.dumps(content | more).encode()

    def send(self, body: bytes, *, signature: str | None = None, path: str | None = None) -> TestResponse:
        headers = {"Signature": self.signed(body) if signature is None else signature}
        return self.shop.app.test_client().post(path or self.path, data=body, headers=headers)

    def tell(self, resource: str, resource_id: str, kind: str = "SUCCESS", **more: Any) -> int:
        return self.send(self.body(resource, resource_id, kind, **more)).status_code

    @property
    def path(self) -> str:
        (webhook,) = self.shop.all_webhooks()
        return f"/bol/webhooks/{webhook.key}"


@pytest.fixture
def hooked(
    make_app: AppFactory, bol_sandbox: SandboxControls, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HookedShop]:
    """A shop that the internet can reach, served for real."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = make_app(public_url=f"http://127.0.0.1:{port}")
    clock = Clock()
    monkeypatch.setattr("host_app.db.utcnow", clock.now)
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with app.app_context():
        yield HookedShop(app, bol_sandbox, clock)
        db.session.remove()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def bol(hooked: HookedShop) -> Bol:
    """An active store, subscribed; bol's keys are known here, and one that only this test can sign with."""
    hooked.connect(send_shipments=True)
    hooked.work()
    hooked.upkeep()
    bol = Bol(hooked)
    public = bol.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with transaction() as session:
        session.add(
            SignatureKey(
                environment="sandbox",
                key_id=bol.key_id,
                public_key=base64.b64encode(public).decode(),
                read_at=hooked.host.now(),
            )
        )
    return bol


def test_activating_subscribes_once_and_for_what_we_use(hooked: HookedShop) -> None:
    hooked.store_id = hooked.runtime.connect_store(
        name="Shop", environment="sandbox", client_id="seller", client_secret="secret"
    )
    hooked.work()
    assert hooked.at_bol() == [], "nothing is written to bol before the administrator says so"
    hooked.runtime.activate(hooked.store_id)
    hooked.work()
    hooked.pass_time(60)
    (subscription,) = hooked.at_bol()
    assert sorted(subscription["resources"]) == ["ORDER", "PROCESS_STATUS", "SHIPMENT"]
    assert subscription["url"].endswith(hooked.webhook().key)
    assert hooked.webhook().enabled
    for _ in range(3):
        hooked.upkeep()
    assert len(hooked.at_bol()) == 1


def test_without_a_public_address_nothing_is_asked_of_bol(shop: Shop) -> None:
    shop.connect()
    shop.work()
    assert shop.sandbox.state("seller")["subscriptions"] == []
    assert not any("subscriptions" in call["path"] for call in shop.sandbox.calls())


def test_the_doctor_looks_at_the_way_in(bol: Bol) -> None:
    def webhooks() -> list[tuple[bool, str]]:
        return [(one.ok, one.text) for one in bol.shop.runtime.examine() if one.check == "webhooks"]

    bol.shop.pass_time(60)
    assert webhooks() == [(True, "bol tells events, and the address answers.")]
    with transaction() as session:
        session.execute(update(Webhook).values(enabled=False))
    assert webhooks()[0][0] is False
    with transaction() as session:
        session.execute(update(Webhook).values(enabled=True))
    bol.shop.app.extensions["host_port"]._config = dataclasses.replace(
        bol.shop.app.extensions["host_config"], public_url="http://127.0.0.1:1"
    )
    (told,) = webhooks()
    assert told[0] is False and "http://127.0.0.1:1 can't be reached" in told[1]


def test_a_new_order_comes_in_at_once(bol: Bol) -> None:
    shop = bol.shop
    shop.clock.ahead += timedelta(seconds=12)
    count = shop.webhook().received
    order_id = shop.order((KETTLE, 1))
    _wait_for(lambda: shop.webhook().received > count)
    shop.work()
    assert [order.reference for order in shop.host_orders()] == [order_id]


def test_a_burst_of_orders_is_read_together(bol: Bol) -> None:
    shop = bol.shop
    shop.work()
    count = shop.webhook().received
    for _ in range(20):
        shop.order((KETTLE, 1), force=True)
    _wait_for(lambda: shop.webhook().received >= count + 20)
    before = sum(call["path"] == "/retailer/orders" for call in shop.sandbox.calls())
    shop.pass_time(22)
    assert len(shop.host_orders()) == 20
    assert sum(call["path"] == "/retailer/orders" for call in shop.sandbox.calls()) - before <= 8


def test_a_request_to_cancel_is_seen_at_once_whatever_id_it_comes_with(bol: Bol) -> None:
    shop = bol.shop
    for ids in ("orderId", "orderItemId"):
        shop.sandbox.settings(orderEventId=ids)
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        count = shop.webhook().received
        shop.sandbox.request_cancellation(order_id)
        _wait_for(lambda count=count: shop.webhook().received > count)
        shop.work()
        assert any(item.cancellation_request for item in shop.bol_order_items(order_id)), ids
    shop.sandbox.settings(orderEventId="byEvent")


def test_the_end_of_a_process_status_ends_the_wait(bol: Bol) -> None:
    shop = bol.shop
    shop.sandbox.settings(processStatusDelayMs=60_000)
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.close(order_id)
    shop.work()
    # Followed for a quarter of an hour already, and so asked for seldom.
    with transaction() as session:
        session.execute(update(ProcessStatusRow).values(next_poll_at=shop.host.now() + timedelta(minutes=5)))
    count = shop.webhook().received
    shop.sandbox.advance(61)
    _wait_for(lambda: shop.webhook().received > count)
    shop.work()
    assert [effect.state for effect in shop.effects()] == ["confirmed"]
    shop.sandbox.settings(processStatusDelayMs=0)


def test_an_answer_that_is_older_than_a_message_does_not_put_it_off(
    bol: Bol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bol is asked, and says "pending"; its message that it has ended overtakes that answer."""
    shop = bol.shop
    shop.sandbox.settings(processStatusDelayMs=600_000)
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.close(order_id)
    shop.pass_time(300, steps=10)
    (row,) = shop.all(ProcessStatusRow, ProcessStatusRow.next_poll_at.is_not(None))
    asked: list[object] = []
    ask = statuses._ask

    def overtaken(*args: Any) -> Any:
        answer = ask(*args)
        asked.append(answer)
        if len(asked) == 1:
            assert bol.tell("PROCESS_STATUS", row.process_status_id) == 204
        return answer

    monkeypatch.setattr(statuses, "_ask", overtaken)
    shop.clock.ahead += timedelta(seconds=30)
    shop.work()
    assert len(asked) == 2, "what bol told is asked for at once"
    shop.sandbox.settings(processStatusDelayMs=0)


def test_repeats_are_dropped(bol: Bol) -> None:
    shop = bol.shop
    count = shop.webhook().received
    order_id = shop.order((KETTLE, 1))
    _wait_for(lambda: shop.webhook().received > count)
    shop.import_orders()
    body = bol.body("ORDER", order_id, "ORDER_CREATED")
    before = shop.webhook()
    assert [bol.send(body).status_code for _ in range(4)] == [204] * 4
    after = shop.webhook()
    assert (after.received - before.received, after.repeated - before.repeated) == (1, 3)
    assert shop.due() and shop.bol_order(order_id).read_due_at is not None


@pytest.mark.parametrize(
    ("spoil", "status", "counted"),
    [
        (lambda bol, body: {"signature": bol.signed(body + b" ")}, 401, "unsigned"),
        (lambda bol, body: {"signature": ""}, 401, "unsigned"),
        (lambda bol, body: {"signature": "keyId=7"}, 401, "unsigned"),
        (lambda bol, body: {"signature": bol.signed(body).replace("rsa-sha256", "none")}, 401, "unsigned"),
        (lambda bol, body: {"signature": bol.signed(body, key_id="99")}, 503, "unsigned"),
        (lambda bol, body: {"path": "/bol/webhooks/" + "x" * 43}, 404, None),
    ],
)
def test_what_bol_did_not_sign_is_refused_counted_and_does_nothing(
    bol: Bol, spoil: Any, status: int, counted: str | None
) -> None:
    shop = bol.shop
    count = shop.webhook().received
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    _wait_for(lambda: shop.webhook().received > count)
    shop.work()
    before = shop.webhook()
    body = bol.body("ORDER", order_id, "ORDER_CREATED")
    assert bol.send(body, **spoil(bol, body)).status_code == status
    after = shop.webhook()
    assert after.received == before.received
    if counted:
        assert getattr(after, counted) == getattr(before, counted) + 1
    assert shop.bol_order(order_id).read_due_at is None


def test_a_huge_body_is_not_read(bol: Bol) -> None:
    before = bol.shop.webhook()
    body = b"x" * 1_000_000
    assert bol.send(body, signature="keyId=7, signature=eA==").status_code == 413
    assert bol.shop.webhook().strange == before.strange + 1


def test_a_message_for_another_account_is_refused(bol: Bol) -> None:
    shop = bol.shop
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    assert bol.tell("ORDER", order_id, "ORDER_CREATED", retailerId="999") == 403
    assert shop.webhook().strange == 1
    assert bol.tell("ORDER", order_id, "ORDER_CREATED", retailerId=int(shop.store().account)) == 204


def test_what_is_signed_but_says_nothing_is_taken_in_so_that_it_does_not_come_back(bol: Bol) -> None:
    for body in (b"", b"<html>", b"[]", b'{"retailerId": "1"}', bol.body("ORDER", "../../etc")):
        assert bol.send(body).status_code == 204
    assert bol.tell("SOMETHING_NEW", "1") == 204
    assert bol.tell("SHIPMENT", "123", "UPDATE_TRANSPORT_EVENT") == 204
    assert bol.tell("PROCESS_STATUS", "123456789") == 204
    assert bol.shop.webhook().strange == 5


def test_nothing_that_a_message_says_is_believed(bol: Bol) -> None:
    """It says that an order failed, or names one that is not there: bol itself is asked."""
    shop = bol.shop
    assert bol.tell("ORDER", "DOESNOTEXIST", "ORDER_CREATED") == 204
    shop.pass_time(120)
    assert shop.host_orders() == []
    assert shop.all(BolOrder) == []


def test_a_new_key_of_bol_is_read_and_its_message_taken_in_the_next_time(bol: Bol) -> None:
    shop = bol.shop
    shop.clock.ahead += timedelta(minutes=11)
    shop.sandbox._send("POST", "/sandbox/signature-keys/rotate", {"keepOld": False})
    shop.sandbox.settings(webhooks={"retrySeconds": 20})
    count = shop.webhook().received
    order_id = shop.order((KETTLE, 1))
    _wait_for(lambda: shop.webhook().keys_wanted_at is not None)
    shop.work()
    assert shop.webhook().keys_wanted_at is None
    for _ in range(10):
        shop.sandbox.advance(10)
        time.sleep(0.05)
        if shop.webhook().received > count:
            break
    shop.work()
    assert [order.reference for order in shop.host_orders()] == [order_id]


def test_keys_are_not_read_more_often_than_bol_allows(bol: Bol) -> None:
    shop = bol.shop
    body = bol.body("ORDER", "1")
    before = sum("signature-keys" in call["path"] for call in shop.sandbox.calls())
    for _ in range(30):
        bol.send(body, signature=bol.signed(body, key_id="unknown"))
        shop.pass_time(60, steps=1)
    assert sum("signature-keys" in call["path"] for call in shop.sandbox.calls()) - before <= 3


def test_a_subscription_that_bol_switched_off_is_switched_on_again(bol: Bol) -> None:
    shop = bol.shop
    (one,) = shop.at_bol()
    client_tokens = {
        "resources": one["resources"],
        "url": one["url"],
        "subscriptionType": "WEBHOOK",
        "enabled": False,
    }
    _as_seller(shop, "PUT", f"/retailer/subscriptions/{one['id']}", client_tokens)
    assert shop.at_bol()[0]["enabled"] is False
    shop.upkeep()
    shop.pass_time(600)
    assert shop.at_bol()[0]["enabled"] is True
    assert shop.webhook().enabled


def test_one_that_somebody_deleted_is_made_again_and_doubles_go(bol: Bol) -> None:
    shop = bol.shop
    (one,) = shop.at_bol()
    body = {"resources": one["resources"], "url": one["url"], "subscriptionType": "WEBHOOK"}
    other = {**body, "url": "https://another.example/program"}
    _as_seller(shop, "POST", "/retailer/subscriptions", body)
    _as_seller(shop, "POST", "/retailer/subscriptions", other)
    shop.upkeep()
    assert sorted(s["url"] for s in shop.at_bol()) == sorted([one["url"], other["url"]])
    for subscription in shop.at_bol():
        if subscription["url"] == one["url"]:
            _as_seller(shop, "DELETE", f"/retailer/subscriptions/{subscription['id']}", None)
    shop.upkeep()
    shop.pass_time(60)
    assert one["url"] in [s["url"] for s in shop.at_bol()]


def test_a_store_that_is_let_go_during_its_upkeep_is_looked_at_again(
    hooked: HookedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked.connect()
    hooked.work()

    def meanwhile(ctx: Any) -> None:
        with transaction() as session:
            session.execute(update(Store).values(next_upkeep_at=hooked.host.now()))
        monkeypatch.setattr(upkeep, "keep_subscription", keep)

    keep = upkeep.keep_subscription
    monkeypatch.setattr(upkeep, "keep_subscription", meanwhile)
    wake = wake_for(UPKEEP, hooked.store_id)
    jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
    next_at = hooked.store().next_upkeep_at
    assert next_at is not None and next_at <= hooked.host.now()


def test_an_answer_that_is_lost_makes_no_second_subscription(hooked: HookedShop) -> None:
    hooked.sandbox.settings(processStatusDelayMs=120_000)
    hooked.sandbox.faults(
        [{"method": "POST", "path": "/retailer/subscriptions", "when": "after", "drop": True, "times": 1}]
    )
    hooked.connect()
    hooked.work()
    hooked.sandbox.settings(processStatusDelayMs=0)
    hooked.pass_time(7200, steps=20)
    assert len(hooked.at_bol()) == 1
    assert hooked.webhook().enabled


def test_disconnecting_unsubscribes(bol: Bol) -> None:
    shop = bol.shop
    shop.runtime.disconnect(shop.store_id, at_once=True)
    path = bol.path
    shop.work()
    assert shop.at_bol() == []
    assert shop.store().state == "disconnected"
    assert bol.send(b"{}", path=path).status_code == 410


def test_messages_doubled_out_of_order_and_forged_change_nothing_in_the_end(bol: Bol) -> None:
    shop = bol.shop
    shop.sandbox.settings(webhooks={"duplicate": 0.5, "drop": 0.2, "forge": 0.5, "spreadMs": 200})
    ids = [shop.order((KETTLE, 1), force=True) for _ in range(12)]
    shop.pass_time(15, steps=3)
    time.sleep(0.5)
    shop.pass_time(600, steps=6)
    assert sorted(order.reference for order in shop.host_orders()) == sorted(ids)
    assert shop.webhook().unsigned > 0
    shop.sandbox.settings(webhooks={})


def test_old_messages_are_forgotten(bol: Bol) -> None:
    shop = bol.shop
    bol.tell("PROCESS_STATUS", "1")
    assert len(shop.all(WebhookEvent)) >= 1
    shop.clock.ahead += timedelta(days=3)
    shop.upkeep()
    assert shop.all(WebhookEvent) == []


def _wait_for(happened: Any) -> None:
    """Messages come from another thread."""
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline, "bol's message did not arrive"
        time.sleep(0.02)


def _as_seller(shop: Shop, method: str, path: str, body: Any) -> None:
    """Another program of the same seller changes its subscriptions."""
    token = requests.post(
        f"{shop.sandbox.url}/token",
        data={"grant_type": "client_credentials"},
        auth=("seller", "secret"),
        timeout=5,
    ).json()["access_token"]
    media = "application/vnd.retailer.v10+json"
    answer = requests.request(
        method,
        f"{shop.sandbox.url}{path}",
        json=body,
        headers={"Authorization": f"Bearer {token}", "Accept": media, "Content-Type": media},
        timeout=5,
    )
    assert answer.status_code == 202, answer.text


def test_keys_that_do_not_come_leave_those_that_are_known(bol: Bol) -> None:
    shop = bol.shop
    shop.pass_time(700)
    shop.sandbox.faults(
        [{"path": "/retailer/subscriptions/signature-keys", "status": 200, "body": {"signatureKeys": []}}]
    )
    body = bol.body("ORDER", "1")
    assert bol.send(body, signature=bol.signed(body, "99")).status_code == 503
    shop.work()
    assert bol.key_id in {row.key_id for row in shop.all(SignatureKey)}


def test_two_stores_that_read_the_keys_at_once_do_not_disturb_each_other(
    make_postgres_app: AppFactory, bol_sandbox: SandboxControls
) -> None:
    """The second one writes a key while the first one, which has found none either, has written it and not committed."""
    app = make_postgres_app()
    with app.app_context():
        shop = HookedShop(app, bol_sandbox, Clock())
        shop.connect()
        key = {"environment": "sandbox", "key_id": "7", "public_key": "a", "read_at": shop.host.now()}
        first = db.engine.connect()
        first.execute(insert(SignatureKey).values(**key))

        def second() -> None:
            ctx: Any = SimpleNamespace(host=shop.host, now=shop.host.now, store_id=shop.store_id)
            keep_keys(ctx, "sandbox", [Key("7", "b")])

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(second)
            time.sleep(0.3)
            first.commit()
            writing.result(timeout=10)
        first.close()
        assert [row.public_key for row in shop.all(SignatureKey)] == ["b"]
        db.session.remove()


def test_a_subscription_ends_although_bol_fails_at_first(bol: Bol) -> None:
    shop = bol.shop
    shop.settings(send_shipments=True)
    shop.order((KETTLE, 1))
    shop.import_orders()
    shop.sandbox.faults(
        [{"method": "DELETE", "path": "/retailer/subscriptions/*", "status": 503, "times": 1}]
    )
    shop.runtime.disconnect(shop.store_id, at_once=False)
    shop.work()
    shop.pass_time(300, steps=4)
    assert shop.store().state == "disconnecting"
    assert shop.at_bol() == []


def test_a_subscription_that_was_asked_for_and_not_seen_yet_is_ended_too(hooked: HookedShop) -> None:
    hooked.sandbox.settings(processStatusDelayMs=30_000)
    hooked.connect(send_shipments=True)
    hooked.work()
    hooked.order((KETTLE, 1))
    hooked.import_orders()
    assert hooked.webhook().subscription_id is None
    hooked.runtime.disconnect(hooked.store_id, at_once=False)
    hooked.pass_time(600, steps=6)
    assert hooked.store().state == "disconnecting"
    assert hooked.at_bol() == []
