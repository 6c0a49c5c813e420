"""An order whose answer is no use is set aside with its reason and tried again; the others come in, none is passed by."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from plugin.connector import (
    BolClient,
    ClientCredentialsTokens,
    Credentials,
    MemoryTokenStore,
    UnlimitedBudget,
    sandbox_environment,
)
from plugin.connector.routes import OFFERS, ORDER
from plugin.models import EffectState, ProcessStatusRow, Run, RunState
from tests.plugin.conftest import KETTLE, TOASTER, Shop

Body = dict[str, Any]


def true_answer(shop: Shop, order_id: str) -> Body:
    """Return what bol says of an order, unspoiled."""
    bol = sandbox_environment(shop.sandbox.url)
    tokens = ClientCredentialsTokens(bol, Credentials("seller", "secret"), MemoryTokenStore(), "test")
    client = BolClient(bol, tokens, UnlimitedBudget())
    try:
        answer: Body = json.loads(client.call(ORDER, values={"order-id": order_id}).body)
    finally:
        client.close()
    return answer


def true_list(shop: Shop) -> list[Body]:
    """Return bol's list of offers, unspoiled."""
    bol = sandbox_environment(shop.sandbox.url)
    tokens = ClientCredentialsTokens(bol, Credentials("seller", "secret"), MemoryTokenStore(), "test")
    client = BolClient(bol, tokens, UnlimitedBudget())
    try:
        offers: list[Body] = json.loads(client.call(OFFERS, query=[("page-size", "100")]).body)["offers"]
    finally:
        client.close()
    return offers


def without(*keys: str) -> Callable[[Body], Body]:
    return lambda body: {key: value for key, value in body.items() if key not in keys}


def item_with(**changes: Any) -> Callable[[Body], Body]:
    return lambda body: body | {"orderItems": [body["orderItems"][0] | changes]}


#: Answers that are no use: the order waits for a better one.
UNUSABLE: dict[str, dict[str, Any] | Callable[[Body], Body]] = {
    "not found": {"status": 404},
    "an error": {"status": 500},
    "HTML": {"status": 200, "body": "<html><h1>We are working on it</h1></html>"},
    "JSON that is cut short": {"when": "after", "truncate": True},
    "no connection": {"drop": True},
    "a list": {"status": 200, "body": []},
    "null": {"status": 200, "body": "null"},
    "no items": without("orderItems"),
    "items that are null": lambda body: body | {"orderItems": None},
    "an item without a number": item_with(orderItemId=None),
    "an item without a quantity": item_with(quantity=None),
    "a quantity that is none": item_with(quantity="two"),
    "another order": lambda body: body | {"orderId": "OTHER"},
}
#: Answers that lack or hold something unexpected, and are enough all the same.
USABLE: dict[str, Callable[[Body], Body]] = {
    "unknown words": item_with(fulfilmentStatus="TELEPORTED", news={"a": [1]}),
    "unknown fields": lambda body: body | {"gift": {"wrapped": True}},
    "nulls where something may be missing": lambda body: (
        body | {"billingDetails": None, "pickupPoint": None, "orderPlacedDateTime": None}
    ),
    "no address": without("shipmentDetails", "billingDetails"),
    "no discounts": item_with(discounts=None),
    "no counts of what is done": lambda body: (
        body
        | {
            "orderItems": [
                without("quantityShipped", "quantityCancelled", "additionalServices")(body["orderItems"][0])
            ]
        }
    ),
    "a fulfilment that is null": item_with(fulfilment=None),
}


def rule(order_id: str, what: Any, shop: Shop) -> dict[str, Any]:
    """Return the fault that gives this answer about an order."""
    spoiled = what if isinstance(what, dict) else {"status": 200, "body": what(true_answer(shop, order_id))}
    return {"method": "GET", "path": f"/retailer/orders/{order_id}", "when": "before", **spoiled}


@pytest.mark.parametrize("what", UNUSABLE)
def test_an_answer_that_is_no_use_sets_its_order_aside_and_no_other(shop: Shop, what: str) -> None:
    shop.connect()
    shop.work()
    first, bad, last = (shop.order((KETTLE, 1)), shop.order((TOASTER, 1)), shop.order((KETTLE, 1)))
    shop.sandbox.faults([rule(bad, UNUSABLE[what], shop)])
    shop.import_orders()
    assert {order.reference for order in shop.host_orders()} == {first, last}
    row = shop.bol_order(bad)
    assert row.error
    assert row.read_due_at is not None
    # The list was read in full: what is set aside is kept here, and needs no second look at the list.
    assert shop.store().orders_read_at is not None
    shop.pass_time(7200, steps=3)
    assert shop.bol_order(bad).error
    shop.sandbox.faults([])
    shop.pass_time(7200, steps=2)
    assert shop.host_order(bad).state == "processing"
    assert shop.bol_order(bad).error == ""


@pytest.mark.parametrize("what", USABLE)
def test_an_answer_with_something_unexpected_is_taken_for_what_it_says(shop: Shop, what: str) -> None:
    shop.connect()
    shop.work()
    order_id = shop.order((KETTLE, 1))
    shop.sandbox.faults([rule(order_id, USABLE[what], shop)])
    shop.import_orders()
    assert shop.host_order(order_id).state == "processing"


def test_texts_of_any_length_hold_up_nothing(postgres_shop: Shop) -> None:
    shop = postgres_shop
    shop.connect(send_stock=True)
    shop.work()
    good, long = shop.order((KETTLE, 1)), shop.order((TOASTER, 1))
    much = "9" * 600
    body = true_answer(shop, long)
    item = body["orderItems"][0]
    item["product"] |= {"title": much, "ean": much}
    item["offer"] |= {"offerId": much, "reference": much}
    item["fulfilment"] |= {"distributionParty": much}
    listed = {
        "orderId": long,
        "orderItems": [
            {"orderItemId": item["orderItemId"], "ean": much, "quantity": 1}
            | {"fulfilmentMethod": "FBR", "fulfilmentStatus": much}
        ],
    }
    nameless = {"orderId": much, "orderItems": []}
    of_another = {"orderItemId": "1", "ean": KETTLE, "quantity": 1, "fulfilmentMethod": much}
    elsewhere = {"orderId": "ELSEWHERE", "orderItems": [of_another]}
    known = {
        "orderId": good,
        "orderItems": [
            {
                "orderItemId": shop.items_at_bol(good)[0],
                "ean": KETTLE,
                "quantity": 1,
                "fulfilmentMethod": "FBR",
            }
        ],
    }
    shop.sandbox.faults(
        [
            {
                "method": "GET",
                "path": f"/retailer/orders/{long}",
                "when": "before",
                "status": 200,
                "body": body,
            },
            {
                "method": "GET",
                "path": "/retailer/orders",
                "when": "before",
                "status": 200,
                "body": {"orders": [listed, nameless, elsewhere, known]},
            },
        ]
    )
    shop.import_orders()
    assert [order.reference for order in shop.host_orders()] == [good]
    row = shop.bol_order(long)
    assert (row.state, row.error) == ("waiting for product", "")
    assert shop.bol_order("ELSEWHERE").state == "nothing to ship"
    assert not any("could not be taken over" in title for title in shop.notices())


@pytest.mark.parametrize("what", ["asked", "partly cancelled"])
def test_what_happens_to_an_order_of_many_items_is_told(postgres_shop: Shop, what: str) -> None:
    shop = postgres_shop
    shop.connect()
    order_id = shop.order(*[(KETTLE, 1)] * 16)
    shop.work()
    if what == "asked":
        shop.sandbox.request_cancellation(order_id)
    else:
        shop.sandbox.cancel(order_id, shop.items_at_bol(order_id)[:15])
    shop.import_orders()
    assert shop.marks()
    assert shop.bol_order(order_id).error == ""
    (told,) = shop.notices()
    assert "asks to cancel" in told if what == "asked" else "partly cancelled" in told


@pytest.mark.parametrize("what", ["cancelled", "asked to cancel"])
def test_an_order_that_shows_less_than_the_list_has_told_is_read_until_it_shows_as_much(
    shop: Shop, what: str
) -> None:
    """bol's list may be a moment ahead of the order. It tells a change once, and nothing would have it read again."""
    shop.connect()
    order_id = shop.order((KETTLE, 1))
    shop.work()
    late = rule(order_id, {"status": 200, "body": true_answer(shop, order_id)}, shop)
    if what == "cancelled":
        shop.sandbox.cancel(order_id)
    else:
        shop.sandbox.request_cancellation(order_id)
    shop.sandbox.faults([late | {"times": 3}])
    shop.import_orders()
    assert (shop.host_order(order_id).state, shop.marks()) == ("processing", [])
    shop.pass_time(300, steps=10)
    if what == "cancelled":
        assert shop.host_order(order_id).state == "cancelled"
    else:
        assert [mark.startswith("The customer asks bol to cancel") for mark in shop.marks()] == [True]
    assert (shop.bol_order(order_id).attempts, shop.bol_order(order_id).read_due_at) == (0, None)


def test_an_order_whose_number_nobody_foresaw_keeps_no_other_from_coming_in_and_no_stock_from_going_out(
    shop: Shop,
) -> None:
    shop.connect(send_stock=True)
    shop.work()
    odd: Body = {"orderId": "../C001", "orderPlacedDateTime": "2026-11-26T01:00:00+01:00"}
    odd["orderItems"] = [{"orderItemId": "1", "ean": TOASTER, "fulfilmentMethod": "FBR", "quantity": 1}]
    shop.sandbox.faults(
        [{"method": "GET", "path": "/retailer/orders", "status": 200, "body": {"orders": [odd]}, "times": 1}]
    )
    shop.import_orders()
    assert shop.bol_order("../C001").error == "bol can't be asked for something with this id."
    orders = {shop.order((KETTLE, 5)), shop.order((TOASTER, 2))}
    shop.pass_time(3600, steps=10)
    assert {order.reference for order in shop.host_orders()} == orders
    assert shop.amount_at_bol(KETTLE) == shop.free(KETTLE) == 15


@pytest.mark.parametrize(
    "odd",
    [
        {"processStatusId": "{id}", "eventType": "CREATE_SHIPMENT"},
        {"processStatusId": "{id}", "status": None},
        {"status": "PENDING", "processStatusId": None},
        "no object",
    ],
)
def test_a_process_status_that_can_not_be_read_keeps_no_other_from_being_known(shop: Shop, odd: Any) -> None:
    shop.connect(send_shipments=True)
    orders = [shop.order((KETTLE, 1)) for _ in range(2)]
    shop.work()
    shop.sandbox.settings(processStatusDelayMs=60_000)
    for order_id in orders:
        shop.close(order_id)
    shop.work()
    first, second = (row.process_status_id for row in shop.all(ProcessStatusRow))
    if isinstance(odd, dict):
        odd = {key: first if value == "{id}" else value for key, value in odd.items()}
    good = {"processStatusId": second, "eventType": "CREATE_SHIPMENT", "status": "SUCCESS"}
    body = {"processStatuses": [odd, good]}
    shop.sandbox.faults([{"method": "POST", "path": "/shared/process-status", "status": 200, "body": body}])
    shop.pass_time(10, steps=4)
    assert [effect.state for effect in shop.effects()] == [EffectState.SENT, EffectState.CONFIRMED]


def test_an_offer_without_a_number_keeps_no_other_from_being_read(shop: Shop) -> None:
    offers = true_list(shop)
    offers.insert(1, {"ean": KETTLE, "stock": {"amount": 3}})
    body = {"offers": offers, "page": {"pageSize": 100}}
    shop.sandbox.faults(
        [{"method": "GET", "path": "/retailer/offers", "when": "before", "status": 200, "body": body}]
    )
    shop.connect(send_stock=True)
    shop.work()
    assert shop.offer(TOASTER).product_id is not None
    run_id = shop.runtime.check_stock(shop.store_id, False, "ann")
    shop.pass_time(60)
    (run,) = shop.all(Run, Run.id == run_id)
    assert (run.state, run.counts["offers"]) == (RunState.DONE, len(offers) - 1)
    assert [title for title in shop.notices() if "without a number" in title] == [
        "Shop: bol lists 1 offer without a number that can be used"
    ]
