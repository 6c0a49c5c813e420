"""Rate budgets: bol's limits are kept over all processes, used nearly to the full, and learned from answers."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bol_sandbox.testing import SandboxControls
from plugin.connector import (
    PUBLISHED_LIMITS,
    BolClient,
    BudgetExhausted,
    CallRecord,
    ClientCredentialsTokens,
    Deadline,
    LimitRule,
    MemoryTokenStore,
    RateLimited,
    StoreUnavailable,
    sandbox_environment,
)
from plugin.connector.budget import NO_ANSWER, rule_for
from plugin.connector.redis_budget import RedisBudget
from tests.plugin.connector.conftest import CREDENTIALS

PROJECT = Path(__file__).parents[3]

ORDERS, ORDER, OFFER = "/retailer/orders", "/retailer/orders/1", "/retailer/offers/1"
SOON = 0.05


@pytest.fixture
def budget(redis_client: redis.Redis) -> RedisBudget:
    return RedisBudget(redis_client)


def room(budget: RedisBudget, method: str, path: str, *, account: str = "a", urgent: bool = True) -> int:
    """How many calls pass at once."""
    for count in range(1000):
        try:
            budget.acquire(account, method, path, Deadline.after(SOON), urgent)
        except BudgetExhausted:
            return count
        budget.learn(account, method, path, {}, 200)
    raise AssertionError("no limit")


def call(budget: RedisBudget, method: str, path: str, headers: dict[str, str], status: int = 200) -> None:
    budget.acquire("a", method, path, Deadline.after(10))
    budget.learn("a", method, path, headers, status)


@pytest.mark.parametrize(
    ("method", "path", "rule"),
    [
        ("GET", "/retailer/orders", "GET /retailer/orders"),
        ("GET", "/retailer/orders/A2K8290LP8", "GET /retailer/orders/*"),
        ("PATCH", "/retailer/offers/13722de8", "DELETE+PATCH+PUT /retailer/offers/*"),
        ("GET", "/retailer/content/catalog-products/123", "GET /retailer/content/*"),
        ("PUT", "/retailer/orders/cancellation", "PUT /retailer/orders/cancellation"),
        ("GET", "/retailer/shipping-labels/6ff736b5", "GET /retailer/shipping-labels/*"),
        (
            "POST",
            "/retailer/shipping-labels/delivery-options",
            "POST /retailer/shipping-labels/delivery-options",
        ),
        ("PUT", "/retailer/transports/312778947", "PUT /retailer/transports/*"),
        ("POST", "/shared/process-status", "POST /shared/process-status"),
    ],
)
def test_the_most_specific_rule_counts(method: str, path: str, rule: str) -> None:
    assert rule_for(PUBLISHED_LIMITS, method, path).name == rule


def test_a_star_inside_a_path_is_one_part_and_beats_a_shorter_rule() -> None:
    broad = LimitRule("/retailer/products/*", ("GET",), 50, 60)
    narrow = LimitRule("/retailer/products/*/offers", ("GET",), 900, 60)
    assert rule_for((broad, narrow), "GET", "/retailer/products/123/offers") == narrow
    assert rule_for((broad, narrow), "GET", "/retailer/products/123/ratings") == broad


def test_a_minute_rule_allows_a_burst_with_one_call_of_reserve(budget: RedisBudget) -> None:
    assert room(budget, "GET", ORDERS) == 24
    with pytest.raises(BudgetExhausted) as caught:
        budget.acquire("a", "GET", ORDERS, Deadline.after(SOON))
    assert 55 < (caught.value.retry_after or 0) < 61
    assert caught.value.executed == "no"


def test_bulk_work_uses_two_fifths_of_a_limit_while_urgent_calls_wait(redis_client: redis.Redis) -> None:
    rule = LimitRule(OFFER, ("GET",), 50, 1)
    budgets = [RedisBudget(redis_client, (rule,)) for _ in range(4)]
    ends = time.monotonic() + 2.5
    counts = {True: 0, False: 0}

    def work(number: int) -> None:
        budget, urgent = budgets[number % 4], number >= 12
        while time.monotonic() < ends:
            try:
                budget.acquire("a", "GET", OFFER, Deadline.after(5), urgent)
            except BudgetExhausted:
                continue
            budget.learn("a", "GET", OFFER, {}, 200)
            counts[urgent] += 1

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(work, range(24)))
    total = sum(counts.values())
    # The first moments, before anybody waits, are everybody's.
    assert counts[False] <= 0.4 * total + 10, counts
    assert total >= 0.8 * 2.5 * 50, counts


def test_bulk_work_has_the_whole_limit_to_itself_where_nobody_waits(redis_client: redis.Redis) -> None:
    budget = RedisBudget(redis_client, (LimitRule(OFFER, ("GET",), 100, 1),))
    began = time.monotonic()
    for _ in range(60):
        budget.acquire("a", "GET", OFFER, Deadline.after(5), urgent=False)
        budget.learn("a", "GET", OFFER, {}, 200)
    # Two fifths would take a second and a half.
    assert time.monotonic() - began < 1.2


def test_the_use_of_each_limit_can_be_seen(budget: RedisBudget) -> None:
    for _ in range(3):
        call(budget, "GET", ORDERS, {"X-RateLimit-Limit": "30"})
    call(budget, "GET", "/retailer/shipments", {"Retry-After": "9"}, 429)
    uses = {use.rule.name: use for use in budget.use("a")}
    assert (uses[f"GET {ORDERS}"].used, uses[f"GET {ORDERS}"].limit) == (3, 30)
    assert 7 < uses["GET /retailer/shipments"].blocked_seconds <= 9
    assert all(use.used == 0 for use in budget.use("b"))


def test_calls_that_are_not_urgent_leave_room(budget: RedisBudget) -> None:
    assert room(budget, "GET", ORDERS, urgent=False) == 12
    assert room(budget, "GET", ORDERS) == 12


def test_however_many_urgent_calls_there_are_a_third_is_left_to_others(budget: RedisBudget) -> None:
    for _ in range(15):
        budget.acquire("a", "GET", ORDERS, Deadline.after(SOON))
    assert room(budget, "GET", ORDERS, urgent=False) == 25 // 3
    assert room(budget, "GET", ORDERS) == 1


def test_accounts_and_rules_have_budgets_of_their_own(budget: RedisBudget) -> None:
    assert room(budget, "GET", ORDERS, account="a") == 24
    assert room(budget, "GET", ORDERS, account="b") == 24
    budget.acquire("a", "GET", ORDER, Deadline.after(SOON))


def test_processes_share_one_budget(redis_client: redis.Redis) -> None:
    first, second = RedisBudget(redis_client), RedisBudget(redis_client)
    for _ in range(12):
        call(first, "GET", ORDERS, {})
    assert room(second, "GET", ORDERS) == 12


def test_a_second_rule_paces_evenly(budget: RedisBudget) -> None:
    moments = []
    for _ in range(12):
        budget.acquire("a", "GET", ORDER, Deadline.after(2))
        moments.append(time.monotonic())
    gaps = [b - a for a, b in itertools.pairwise(moments)]
    assert 0.035 < sorted(gaps)[len(gaps) // 2] < 0.047
    assert moments[-1] - moments[0] > 0.4


def test_a_window_lets_calls_pass_again_when_it_moves_on(redis_client: redis.Redis) -> None:
    budget = RedisBudget(redis_client, (LimitRule("/retailer/orders", ("GET",), 4, 2),))
    moments: list[float] = []
    for _ in range(8):
        budget.acquire("a", "GET", ORDERS, Deadline.after(10))
        moments.append(time.monotonic())
        budget.learn("a", "GET", ORDERS, {}, 200)
    assert all(later - earlier > 2 for earlier, later in zip(moments, moments[3:], strict=False))
    assert moments[-1] - moments[0] < 5.5


def test_waiting_longer_than_the_deadline_is_refused_at_once(budget: RedisBudget) -> None:
    budget.learn("a", "PATCH", OFFER, {"Retry-After": "30"}, 429)
    started = time.monotonic()
    with pytest.raises(BudgetExhausted) as caught:
        budget.acquire("a", "PATCH", OFFER, Deadline.after(5))
    assert time.monotonic() - started < 0.5
    assert 28 < (caught.value.retry_after or 0) <= 30


def test_a_lower_limit_is_learned_whatever_its_capitals(budget: RedisBudget) -> None:
    call(budget, "GET", ORDERS, {"x-RateLimit-LIMIT": "10", "X-ratelimit-remaining": "9"})
    assert room(budget, "GET", ORDERS) == 8


def test_a_higher_limit_is_learned_too(budget: RedisBudget) -> None:
    call(budget, "GET", ORDERS, {"X-RateLimit-Limit": "40"})
    assert room(budget, "GET", ORDERS) == 38


def test_calls_that_others_made_are_counted(budget: RedisBudget) -> None:
    call(budget, "GET", ORDERS, {"X-RateLimit-Limit": "25", "X-RateLimit-Remaining": "5"})
    assert room(budget, "GET", ORDERS) == 4


def test_remaining_never_raises_what_is_left(budget: RedisBudget) -> None:
    for _ in range(23):
        call(budget, "GET", ORDERS, {})
    call(budget, "GET", ORDERS, {"X-RateLimit-Limit": "25", "X-RateLimit-Remaining": "20"})
    assert room(budget, "GET", ORDERS) == 0


@pytest.mark.parametrize("epoch", [False, True])
def test_reset_is_a_hint_in_seconds_or_as_a_moment(budget: RedisBudget, epoch: bool) -> None:
    reset = round(time.time()) + 10 if epoch else 10
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    call(budget, "GET", ORDERS, headers)
    with pytest.raises(BudgetExhausted) as caught:
        budget.acquire("a", "GET", ORDERS, Deadline.after(SOON))
    assert 8 <= (caught.value.retry_after or 0) <= 11


def test_a_429_without_retry_after_backs_off_with_growth(budget: RedisBudget) -> None:
    waits = []
    for _ in range(3):
        budget.learn("a", "PATCH", OFFER, {}, 429)
        budget.learn("a", "PATCH", OFFER, {}, 429)
        started = time.monotonic()
        with pytest.raises(BudgetExhausted) as caught:
            budget.acquire("a", "PATCH", OFFER, Deadline.after(0.001))
        waits.append(caught.value.retry_after or 0)
        if len(waits) < 3:
            time.sleep(max(0.0, 2 ** (len(waits) - 1) + 0.05 - (time.monotonic() - started)))
    assert [round(wait) for wait in waits] == [1, 2, 4]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "", "X-RateLimit-Reset": "-1"},
        {"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "9" * 40, "X-RateLimit-Reset": "9" * 40},
        {"X-RateLimit-Limit": "²", "Retry-After": "soon"},
    ],
)
def test_headers_that_make_no_sense_change_nothing(budget: RedisBudget, headers: dict[str, str]) -> None:
    call(budget, "GET", ORDERS, headers)
    assert room(budget, "GET", ORDERS) == 23


def test_an_emptied_redis_is_a_fresh_start(budget: RedisBudget, redis_client: redis.Redis) -> None:
    assert room(budget, "GET", ORDERS) == 24
    redis_client.flushall()
    redis_client.script_flush()
    assert room(budget, "GET", ORDERS) == 24


def test_a_call_in_flight_takes_room_until_it_landed_and_a_window_after(redis_client: redis.Redis) -> None:
    """Who is held up on the way to bol and arrives late must not meet a window that others have filled."""
    budget = RedisBudget(redis_client, (LimitRule("/x", ("GET",), 10, 1),))
    for _ in range(10):
        budget.acquire("a", "GET", "/x", Deadline.after(3))
    with pytest.raises(BudgetExhausted):
        budget.acquire("a", "GET", "/x", Deadline.after(0.5))
    budget.learn("a", "GET", "/x", {}, NO_ANSWER)
    landed = time.monotonic()
    budget.acquire("a", "GET", "/x", Deadline.after(3))
    assert 0.9 < time.monotonic() - landed < 1.3


def test_a_call_that_is_never_heard_of_again_gives_its_room_back(redis_client: redis.Redis) -> None:
    budget = RedisBudget(redis_client, (LimitRule("/x", ("GET",), 1, 1),))
    budget.acquire("a", "GET", "/x", Deadline.after(0.5))
    budget.acquire("a", "GET", "/x", Deadline.after(3))


def test_keys_in_redis_expire(budget: RedisBudget, redis_client: redis.Redis) -> None:
    budget.acquire("a", "GET", ORDERS, Deadline.after(1))
    budget.acquire("a", "GET", ORDER, Deadline.after(1))
    budget.learn("a", "GET", ORDERS, {"X-RateLimit-Limit": "25", "X-RateLimit-Remaining": "0"}, 200)
    budget.learn("a", "PATCH", OFFER, {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0"}, 200)
    assert all(redis_client.ttl(key) > 0 for key in redis_client.keys("*"))


def test_without_redis_no_call_is_made_and_learning_is_silent() -> None:
    away = redis.Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))
    budget = RedisBudget(away)
    with pytest.raises(StoreUnavailable):
        budget.acquire("a", "GET", ORDERS, Deadline.after(1))
    budget.learn("a", "GET", ORDERS, {"X-RateLimit-Remaining": "0"}, 429)


def client_with_budget(
    sandbox: SandboxControls, redis_client: redis.Redis, calls: list[CallRecord]
) -> BolClient:
    environment = sandbox_environment(sandbox.url)
    tokens = ClientCredentialsTokens(environment, CREDENTIALS, MemoryTokenStore(), "k")
    return BolClient(environment, tokens, RedisBudget(redis_client), on_call=calls.append)


def test_pushing_from_many_threads_comes_near_the_limit_and_never_over_it(
    sandbox: SandboxControls, redis_client: redis.Redis
) -> None:
    offers = [{"ean": "8712626055143", "title": "A kettle", "price": 12.99, "stock": 20}]
    made = sandbox.add_seller(CREDENTIALS.client_id, CREDENTIALS.client_secret, offers)
    sandbox.limits()
    offer_id = made["offers"][0]["offerId"]
    calls: list[CallRecord] = []
    clients = [client_with_budget(sandbox, redis_client, calls) for _ in range(2)]
    end = time.monotonic() + 5

    def push(n: int) -> None:
        while time.monotonic() < end:
            clients[n % 2].offers.set_stock(offer_id, n, False)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(push, range(16)))
    assert {call.status for call in calls} == {204}
    seen = [call["at"] for call in sandbox.calls() if call["method"] == "PATCH"]
    assert len(seen) > 200


def test_three_machines_share_one_budget(sandbox: SandboxControls, redis_url: str, tmp_path: Path) -> None:
    """Processes that share nothing but Redis, each with a home of its own."""
    offers = [{"ean": "8712626055143", "title": "A kettle", "price": 12.99, "stock": 20}]
    made = sandbox.add_seller(CREDENTIALS.client_id, CREDENTIALS.client_secret, offers)
    sandbox.limits()
    seconds = 3
    arguments = [sandbox.url, redis_url, made["offers"][0]["offerId"], str(seconds)]
    machines = []
    for name in ("one", "two", "three"):
        home = tmp_path / name
        home.mkdir()
        machines.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.plugin.connector.machine", *arguments],
                cwd=home,
                env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(PROJECT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    assert {machine.stdout.readline() for machine in machines if machine.stdout} == {"ready\n"}
    for machine in machines:
        assert machine.stdin is not None
        machine.stdin.write("\n")
        machine.stdin.flush()
    told = [machine.communicate(timeout=60)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0, 0], told
    seen = [call for call in sandbox.calls() if call["method"] == "PATCH"]
    assert {call["status"] for call in seen} == {204}
    moments = sorted(call["at"] for call in seen)
    assert all(later - first > 1 for first, later in zip(moments, moments[50:], strict=False))
    # Most of what bol allows was used, and by all of them.
    assert len(seen) > 25 * seconds
    assert all("204" in statuses for statuses in told)


def test_a_429_of_bol_is_told_and_then_respected(sandbox: SandboxControls, redis_client: redis.Redis) -> None:
    sandbox.add_seller(CREDENTIALS.client_id, CREDENTIALS.client_secret)
    sandbox.limits([{"method": "GET", "path": "/retailer/orders", "capacity": 2, "seconds": 60}])
    calls: list[CallRecord] = []
    other = client_with_budget(sandbox, redis_client, [])
    client = client_with_budget(sandbox, redis_client, calls)
    other.orders.page()
    redis_client.flushall()
    client.orders.page()
    redis_client.flushall()
    with pytest.raises(RateLimited) as caught:
        client.orders.page()
    assert (caught.value.executed, caught.value.status) == ("no", 429)
    assert (caught.value.retry_after or 0) > 50
    with pytest.raises(BudgetExhausted):
        client.orders.page(deadline=Deadline.after(1))
    assert [call.status for call in calls] == [200, 429]


def test_no_window_ever_holds_more_than_the_limit(redis_client: redis.Redis) -> None:
    budget = RedisBudget(redis_client, (LimitRule("/x", ("GET",), 30, 1),))
    granted: deque[float] = deque()
    end = time.monotonic() + 3

    def work(_: int) -> None:
        while time.monotonic() < end:
            budget.acquire("a", "GET", "/x", Deadline.after(5))
            granted.append(time.monotonic())
            budget.learn("a", "GET", "/x", {}, 200)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    moments = sorted(granted)
    assert len(moments) > 75
    assert all(b - a > 1 for a, b in zip(moments, moments[30:], strict=False))
