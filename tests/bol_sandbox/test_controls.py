"""Faults, limits, settings, the clock and the records."""

from __future__ import annotations

import threading
import time

import pytest
import requests

from bol_sandbox.limits import PUBLISHED, Limits, Rule
from bol_sandbox.testing import SandboxControls, SandboxRefused
from tests.bol_sandbox.conftest import MUG, Api, item_ids

ORDERS = "/retailer/orders"


def test_a_fault_before_answers_instead_of_doing_the_work(sandbox: SandboxControls, api: Api) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    sandbox.faults([{"method": "POST", "path": "/retailer/shipments", "when": "before", "status": 503}])
    answer = api.ship((item_ids(order)[0], None))
    assert (answer.status_code, answer.json()["title"]) == (503, "Service Unavailable")
    sandbox.faults([])
    assert api.order_ids() == [order["orderId"]]


def test_a_fault_after_does_the_work_and_spoils_the_answer(sandbox: SandboxControls, api: Api) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    sandbox.faults([{"path": "/retailer/shipments", "when": "after", "status": 500}])
    assert api.ship((item_ids(order)[0], None)).status_code == 500
    sandbox.faults([])
    assert api.order_ids() == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_dropped_connection_gives_no_answer(sandbox: SandboxControls, api: Api, when: str) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    api.login()
    sandbox.faults([{"path": "/retailer/shipments", "when": when, "drop": True}])
    with pytest.raises(requests.ConnectionError):
        api.ship((item_ids(order)[0], None))
    assert sandbox.calls()[-1]["status"] == 0
    sandbox.faults([])
    assert bool(api.order_ids()) is (when == "before")


def test_a_truncated_answer_promises_more_than_comes(sandbox: SandboxControls, api: Api) -> None:
    sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    whole = api.get(ORDERS)
    sandbox.faults([{"path": ORDERS, "when": "after", "truncate": True}])
    answer = api.send("GET", ORDERS, stream=True)
    assert answer.headers["Content-Length"] == str(len(whole.content))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _ = answer.content


def test_a_body_can_be_replaced(sandbox: SandboxControls, api: Api) -> None:
    sandbox.faults([{"path": ORDERS, "when": "after", "body": "<html>Internal Server Error</html>"}])
    answer = api.get(ORDERS)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain;charset=UTF-8")
    sandbox.faults([{"path": ORDERS, "status": 418, "body": {"a": 1}}])
    answer = api.get(ORDERS)
    assert (answer.status_code, answer.json()) == (418, {"a": 1})


def test_a_fault_happens_so_many_times(sandbox: SandboxControls, api: Api) -> None:
    sandbox.faults([{"path": "/retailer/*", "status": 500, "times": 2}])
    assert [api.get(ORDERS).status_code for _ in range(3)] == [500, 500, 200]


def test_faults_of_a_seed_fall_the_same_way(sandbox: SandboxControls, api: Api) -> None:
    def run(seed: int) -> list[int]:
        sandbox.faults([{"path": "/retailer/*", "status": 500, "probability": 0.5}], seed=seed)
        return [api.get(ORDERS).status_code for _ in range(20)]

    assert run(7) == run(7)
    assert set(run(7)) == {200, 500}


def test_a_fault_may_hit_the_login_but_never_the_controls(sandbox: SandboxControls, api: Api) -> None:
    sandbox.faults([{"path": "*", "status": 502}])
    assert api.login().status_code == 502
    assert sandbox.state()["sellers"]


def test_a_late_answer_does_not_hold_up_others(sandbox: SandboxControls, api: Api) -> None:
    api.login()
    late_api = Api(sandbox.url)
    late_api.token = api.token
    sandbox.faults([{"path": "/retailer/shipments", "delayMs": 600}])
    late = threading.Thread(target=late_api.get, args=("/retailer/shipments",))
    begun = time.monotonic()
    late.start()
    assert api.get(ORDERS).status_code == 200
    assert time.monotonic() - begun < 0.5
    late.join()
    assert time.monotonic() - begun >= 0.6


def test_latency_applies_to_the_api_only(sandbox: SandboxControls, api: Api) -> None:
    api.login()
    sandbox.settings(latencyMs=200)
    begun = time.monotonic()
    sandbox.state()
    assert time.monotonic() - begun < 0.15
    api.get(ORDERS)
    assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize("rule", [{"stauts": 500}, {"when": "later"}])
def test_a_misspelt_fault_is_refused(sandbox: SandboxControls, rule: dict[str, object]) -> None:
    with pytest.raises(SandboxRefused):
        sandbox.faults([rule])


def test_the_limit_refuses_with_the_seconds_to_wait(sandbox: SandboxControls, api: Api) -> None:
    sandbox.limits([{"method": "GET", "path": ORDERS, "capacity": 2, "seconds": 60}])
    first = api.get(ORDERS)
    assert first.headers["X-RateLimit-Limit"] == "2"
    assert first.headers["X-RateLimit-Remaining"] == "1"
    api.get(ORDERS)
    refused = api.get(ORDERS)
    assert refused.status_code == 429
    assert 58 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert refused.json()["title"] == "Too Many Requests"
    sandbox.advance(61)
    assert api.get(ORDERS).status_code == 200


def test_each_client_has_its_own_allowance(sandbox: SandboxControls, api: Api) -> None:
    sandbox.add_seller("other", "other")
    other = Api(sandbox.url, "other", "other")
    sandbox.limits([{"method": "GET", "path": ORDERS, "capacity": 1, "seconds": 60}])
    assert [api.get(ORDERS).status_code, api.get(ORDERS).status_code] == [200, 429]
    assert other.get(ORDERS).status_code == 200


def test_without_rules_the_published_limits_return(sandbox: SandboxControls, api: Api) -> None:
    sandbox.limits()
    assert api.get(ORDERS).headers["X-RateLimit-Limit"] == "25"
    published = requests.get(sandbox.url + "/retailer/public/ratelimits", timeout=10).json()
    orders = next(rule for rule in published if rule["path"] == ORDERS)
    assert (orders["maxCapacity"], orders["timeToLive"], orders["timeUnit"]) == (25, 1, "MINUTES")


def test_the_most_specific_path_wins() -> None:
    limits = Limits()
    limits.replace([Rule("GET", "/retailer/*", 1, 1), *PUBLISHED])
    found = [limits.find("GET", path) for path in (ORDERS, ORDERS + "/1", "/retailer/other")]
    assert [rule.path if rule else None for rule in found] == [ORDERS, ORDERS + "/*", "/retailer/*"]


def test_a_window_slides() -> None:
    limits = Limits()
    limits.replace([Rule("GET", "/x", 2, 10)])

    def allowed(now: float) -> bool:
        return limits.take("GET", "/x", "one", now)[1] is None

    assert [allowed(at) for at in (0.0, 6.0, 9.9, 10.1, 11.0, 16.1)] == [True, True, False, True, False, True]


def test_calls_are_recorded_with_a_growing_index(sandbox: SandboxControls, api: Api) -> None:
    api.get(ORDERS, status="ALL")
    calls = sandbox.calls()
    assert [(call["method"], call["path"], call["status"], call["clientId"]) for call in calls] == [
        ("POST", "/token", 200, "seller"),
        ("GET", ORDERS, 200, "seller"),
    ]
    assert calls[-1]["query"] == "status=ALL"
    last = calls[-1]["index"]
    assert sandbox.calls(since=last) == []
    api.get(ORDERS)
    assert [call["index"] for call in sandbox.calls(since=last)] == [last + 1]


def test_every_answer_has_a_request_id(sandbox: SandboxControls, api: Api) -> None:
    seen = {api.get(path).headers["X-Request-ID"] for path in (ORDERS, "/retailer/nothing", ORDERS + "/1")}
    assert len(seen) == 3


def test_unknown_addresses_and_methods_are_refused(api: Api) -> None:
    assert api.get("/retailer/nothing").status_code == 404
    assert api.send("DELETE", ORDERS).status_code == 405


def test_a_reset_forgets_everything(sandbox: SandboxControls, api: Api) -> None:
    sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    sandbox.advance(3600)
    sandbox.reset()
    state = sandbox.state()
    assert [state[name] for name in ("sellers", "offers", "orders", "shipments", "processStatuses")] == [
        []
    ] * 5
    assert sandbox.calls() == []


def test_state_can_be_narrowed(sandbox: SandboxControls, api: Api) -> None:
    sandbox.add_seller("other", "other", offers=[{"ean": MUG, "title": "Mok", "price": 3, "stock": 1}])
    orders = sandbox.generate_orders("seller", 5)
    state = sandbox.state("seller", latest=2)
    assert [order["orderId"] for order in state["orders"]] == orders[-2:]
    assert {offer["clientId"] for offer in state["offers"]} == {"seller"}


def test_a_wrong_use_of_a_control_is_explained(sandbox: SandboxControls) -> None:
    with pytest.raises(SandboxRefused, match="there is no seller"):
        sandbox.place_order("nobody", [{"ean": MUG, "quantity": 1}])
    with pytest.raises(SandboxRefused, match="unknown setting"):
        sandbox.settings(latency=3)
    sandbox.add_seller()
    with pytest.raises(SandboxRefused, match="already a seller"):
        sandbox.add_seller()


def test_an_amount_is_changed_as_in_the_seller_portal(sandbox: SandboxControls, api: Api) -> None:
    sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    (changed,) = sandbox.change_amount("seller", MUG, 7)
    assert changed["stock"]["amount"] == 7
    assert changed["stock"]["correctedStock"] == 7
    assert sandbox.offer("seller", MUG)["amount"] == 7
    for ean, amount in (("8700000000000", 1), (MUG, 1000), (MUG, -1)):
        with pytest.raises(SandboxRefused):
            sandbox.change_amount("seller", ean, amount)
