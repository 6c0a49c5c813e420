"""A sandbox that keeps its world in a file, stopped and killed."""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bol_sandbox import document, generate, trade
from bol_sandbox.answers import dump
from bol_sandbox.demo import DEMO_OFFERS, seed_demo
from bol_sandbox.snapshot import state
from bol_sandbox.testing import SandboxControls
from bol_sandbox.world import World
from tests.bol_sandbox.conftest import Api, item_ids

MUG, LAMP = "8712345000011", "8712345000028"
OFFERS = (
    {"ean": MUG, "title": "Noordzij Koffiemok zwart", "price": 12.99, "stock": 10, "reference": "MUG"},
    {"ean": LAMP, "title": "Lumo Bureaulamp wit", "price": 44.5, "stock": 5},
)


@contextlib.contextmanager
def kept_in(file: Path, *arguments: str, end: int = signal.SIGTERM) -> Iterator[SandboxControls]:
    """Run a sandbox of its own process, and end it by a signal."""
    command = [sys.executable, "-m", "bol_sandbox", "--port", "0", "--keep", str(file), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = re.search(r"http://\S+?:\d+", process.stdout.readline())
            assert found
            controls = SandboxControls(found.group())
            yield controls
            controls.close()
        finally:
            process.send_signal(end)
            process.wait(timeout=10)


def wait_for(what: Callable[[], object], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)


def without_now(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name != "now"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.state"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_sandbox_goes_on_where_it_was(file: Path, end: int) -> None:
    with kept_in(file, "--seed-demo", end=end) as sandbox:
        sandbox.add_seller("third", "secret", OFFERS)
        first = sandbox.place_order("third", [{"ean": MUG, "quantity": 2}, {"ean": LAMP, "quantity": 1}])
        api = Api(sandbox.url, "third")
        assert api.ship((item_ids(first)[0], 2)).status_code == 202
        sandbox.advance(600)
        sandbox.settings(tokenSeconds=120)
        api.login()
        before = sandbox.state()
    with kept_in(file, "--seed-demo") as sandbox:
        after = sandbox.state()
        assert without_now(after) == without_now(before)
        assert after["now"] >= before["now"]
        assert sandbox.settings()["tokenSeconds"] == 120
        second = sandbox.place_order("third", [{"ean": MUG, "quantity": 1}])
        assert second["orderId"] != first["orderId"]
        assert not set(item_ids(first)) & set(item_ids(second))
        again = Api(sandbox.url, "third")
        again.token = api.token
        # The token is still good, and the lists show what they showed.
        assert again.order_ids(status="ALL") == [second["orderId"], first["orderId"]]
        assert again.order_ids(status="OPEN", change_interval_minute=5) == [second["orderId"]]
        assert [o["ean"] for o in again.get("/retailer/offers").json()["offers"]] == [MUG, LAMP]
        assert again.ship((item_ids(second)[0], 1)).status_code == 202
        (old, new) = sandbox.state("third")["shipments"]
        assert old["shipmentId"] != new["shipmentId"]


def test_a_killed_sandbox_loses_two_seconds_at_most(file: Path) -> None:
    with kept_in(file, "--seed-demo", end=signal.SIGKILL) as sandbox:
        ean = sandbox.state("second-seller")["offers"][0]["ean"]
        placed = sandbox.place_order("second-seller", [{"ean": ean}])
        begun = time.monotonic()
        wait_for(lambda: file.exists() and placed["orderId"] in file.read_text())
        assert time.monotonic() - begun < 2.5
    with kept_in(file, "--seed-demo") as sandbox:
        assert [order["orderId"] for order in sandbox.state()["orders"]] == [placed["orderId"]]
        api = Api(sandbox.url, "second-seller", "second-secret")
        assert api.order_ids() == [placed["orderId"]]
        assert len(sandbox.state()["offers"]) == 24


def test_what_bol_had_not_done_yet_is_done_after_the_restart(file: Path) -> None:
    with kept_in(file) as sandbox:
        sandbox.add_seller(offers=OFFERS)
        sandbox.settings(processStatusDelayMs=60_000)
        order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 3}, {"ean": LAMP}])
        api = Api(sandbox.url)
        mug, lamp = item_ids(order)
        shipping = api.ship((mug, 2), shipmentReference="parcel-1")
        cancelling = api.cancel(lamp)
    with kept_in(file) as sandbox:
        api = Api(sandbox.url)
        assert [api.status(s)["status"] for s in (shipping, cancelling)] == ["PENDING", "PENDING"]
        assert sandbox.state()["shipments"] == []
        sandbox.advance(60)
        assert [api.status(s)["status"] for s in (shipping, cancelling)] == ["SUCCESS", "SUCCESS"]
        (shipment,) = sandbox.state()["shipments"]
        assert shipment["shipmentReference"] == "parcel-1"
        assert shipment["transport"]["transporterCode"] == "TNT"
        items = api.get(f"/retailer/orders/{order['orderId']}").json()["orderItems"]
        assert [(i["quantityShipped"], i["quantityCancelled"]) for i in items] == [(2, 0), (0, 1)]
        found = api.get("/shared/process-status", entity_id=mug, event_type="CREATE_SHIPMENT").json()
        assert [status["status"] for status in found["processStatuses"]] == ["SUCCESS"]


def test_labels_are_kept_with_what_is_on_offer_and_what_is_being_bought(file: Path) -> None:
    labels = "/retailer/shipping-labels"
    with kept_in(file) as sandbox:
        sandbox.add_seller("third", "secret", OFFERS)
        order = sandbox.place_order("third", [{"ean": MUG, "quantity": 3}, {"ean": LAMP, "quantity": 1}])
        mug, lamp = item_ids(order)
        api = Api(sandbox.url, "third")
        lines = {"orderItems": [{"orderItemId": mug, "quantity": 2}, {"orderItemId": lamp}]}
        options = api.send("POST", f"{labels}/delivery-options", lines).json()["deliveryOptions"]
        purchase = lines | {"shippingLabelOfferId": options[0]["shippingLabelOfferId"]}
        first = api.status(api.send("POST", labels, purchase))["entityId"]
        api.ship((mug, 1))
        transport = sandbox.state()["transports"][0]["transportId"]
        sandbox.settings(processStatusDelayMs=60_000, processStatusEnd={"CANCEL_ORDER": "TIMEOUT"})
        second = api.send("POST", labels, purchase)
        change = api.send("PUT", f"/retailer/transports/{transport}", {"trackAndTrace": "3S2"})
        before = sandbox.state()
    with kept_in(file) as sandbox:
        assert without_now(sandbox.state()) == without_now(before)
        assert sandbox.settings()["processStatusEnd"] == {
            "CANCEL_ORDER": {"status": "TIMEOUT", "workDone": False, "times": None}
        }
        sandbox.advance(61)
        api = Api(sandbox.url, "third")
        assert [api.status(one)["status"] for one in (second, change)] == ["SUCCESS", "SUCCESS"]
        assert sandbox.state()["transports"][0]["trackAndTrace"] == "3S2"
        sandbox.settings(processStatusDelayMs=0)
        shipped = api.ship((mug, 2), (lamp, 1), transport=None, shippingLabelId=first)
        assert api.status(shipped)["status"] == "SUCCESS"


def test_a_file_from_before_there_were_labels_can_be_read() -> None:
    world, again = World(), World()
    seed_demo(world)
    described = document.write(world)
    del described["labels"], described["labelOffers"]
    for name in ("day_three_rule", "process_status_end", "no_label_options"):
        del described["settings"][name]
    document.read(again, json.loads(dump(described)))
    assert without_now(state(again)) == without_now(state(world))


def test_orders_of_a_kept_world_still_expire() -> None:
    world, again = World(), World()
    seed_demo(world)
    generate.orders(world, world.sellers["demo-seller"], 5, random.Random(1))
    document.read(again, json.loads(dump(document.write(world))))
    again.clock.advance(8 * 24 * 3600)
    again.settle()
    assert not any(item.open for item in again.items.values() if item.method == "FBR")


def test_an_offer_that_was_taken_off_stays_off_and_its_orders_stay(file: Path) -> None:
    with kept_in(file, "--seed-demo") as sandbox:
        offer = sandbox.state("demo-seller")["offers"][0]
        order = sandbox.place_order("demo-seller", [{"ean": offer["ean"]}])
        api = Api(sandbox.url, "demo-seller", "demo-secret")
        assert api.send("DELETE", f"/retailer/offers/{offer['offerId']}").status_code == 204
    with kept_in(file, "--seed-demo") as sandbox:
        state = sandbox.state("demo-seller")
        assert offer["offerId"] not in [o["offerId"] for o in state["offers"]]
        assert len(state["offers"]) == len(DEMO_OFFERS) - 1
        assert state["orders"][0]["orderItems"] == order["orderItems"]


def test_only_the_owner_may_read_the_file(file: Path) -> None:
    with kept_in(file, "--seed-demo"):
        wait_for(file.exists)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_an_idle_sandbox_leaves_its_file_alone(file: Path) -> None:
    with kept_in(file, "--seed-demo"):
        wait_for(file.exists)
        written = file.stat().st_mtime_ns
    assert file.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"format":99}', '{"format":1,"ahead":0}', "\0\0\0\0", "\ufffd"],
)
def test_a_damaged_file_is_named_and_left_alone(file: Path, content: str) -> None:
    file.write_text(content)
    command = [sys.executable, "-m", "bol_sandbox", "--port", "0", "--keep", str(file)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 1
    assert str(file) in ended.stderr
    assert "delete it" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert file.read_text() == content


def test_a_file_that_cannot_be_written_is_said_and_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "sandbox.state"
    command = [sys.executable, "-m", "bol_sandbox", "--port", "0", "--seed-demo", "--keep", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "http" in process.stdout.readline()
        assert "cannot be written" in process.stderr.readline()
        process.terminate()
        assert process.wait(timeout=10) == 0


def test_every_trait_of_a_busy_world_survives_the_document() -> None:
    world = World()
    seed_demo(world)
    for seed, seller in enumerate(world.sellers.values()):
        generate.offers(world, seller, 40, random.Random(seed))
        for number, order in enumerate(generate.orders(world, seller, 60, random.Random(seed))):
            now = world.now()
            if number % 3 == 0:
                trade.cancel_open(world, order.items[0], now, most=1)
            elif number % 3 == 1 and order.items[0].method == "FBR":
                trade.ship(world, [(order.items[0], order.items[0].open)], now, track_and_trace="3S")
            else:
                trade.request_cancellation(world, order.items[-1], now)
    again = World()
    described = dump(document.write(world))
    document.read(again, json.loads(described))
    assert dump(document.write(again)) == described
    assert without_now(state(again)) == without_now(state(world))
    assert again.random.random() == world.random.random()
    for client_id, seller in world.sellers.items():
        twin = again.sellers[client_id]
        assert [o.order_id for o in twin.orders.changed_since(0)][::-1] == sorted(
            seller.orders.visible, key=lambda i: (world.orders[i].changed_at, list(world.orders).index(i))
        )
        assert list(twin.orders.open) == list(seller.orders.open)
        assert [o.offer_id for o in twin.offers.modified_since(0, 0)] == [
            o.offer_id for o in seller.offers.modified_since(0, 0)
        ]


def test_a_demonstration_of_a_thousand_orders_is_described_in_a_moment() -> None:
    world = World()
    seed_demo(world)
    generate.orders(world, world.sellers["demo-seller"], 1000, random.Random(1))
    begun = time.process_time()
    text = json.dumps(document.write(world))
    assert time.process_time() - begun < 0.25
    assert len(text) < 3_000_000
