"""A label of bol is bought once: what crashes or gets lost never buys a second one without a person."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from host_app.db import reading, transaction
from host_app.models import Label, Notification, OrderLine
from host_app.plugin_api import HostError, Level
from host_app.services import labels as host_labels
from host_app.services import orders, picking
from host_app.services.picking import NewParcel
from plugin.connector import BolClient
from plugin.models import EffectState, LabelEffect
from plugin.sync import attention, label_options
from plugin.sync.mapping import AMSTERDAM
from plugin.sync.panels import order_notes, picklist_panels
from tests.plugin.conftest import KETTLE, TOASTER, Shop

PURCHASE = "/retailer/shipping-labels"


@pytest.fixture
def via_bol(shop: Shop) -> Shop:
    """A shop with an order of one kettle, sold with Shipping via bol."""
    shop.connect(send_shipments=True)
    order = shop.sandbox.place_order("seller", [{"ean": KETTLE, "quantity": 1, "distributionParty": "BOL"}])
    shop.order_id = order["orderId"]
    shop.work()
    return shop


def pieces(shop: Shop) -> dict[int, int]:
    return {
        line.order_line_id: line.quantity for line in shop.picklist_lines(shop.picklist_id(shop.order_id))
    }


def ask(shop: Shop) -> Any:
    return shop.runtime.shipping_options(shop.picklist_id(shop.order_id), pieces(shop), 2.0)


def buy(shop: Shop, key: str = label_options.RECOMMENDED) -> None:
    picklist_id, wanted = shop.picklist_id(shop.order_id), pieces(shop)
    with transaction():
        label_options.request(shop.host, picklist_id, wanted, key, "ann")


def states(shop: Shop) -> list[str]:
    return [effect.state for effect in shop.all(LabelEffect)]


def sold(shop: Shop) -> int:
    return len(shop.sandbox.state("seller")["labels"])


def test_the_options_are_shown_with_the_recommended_one_first(via_bol: Shop) -> None:
    found = ask(via_bol)
    assert found.options[0].recommended
    assert all(option.price is not None and option.title for option in found.options)


@pytest.mark.parametrize("away", [{"drop": True}, {"status": 500}])
def test_while_bol_does_not_answer_asking_for_options_says_that_nothing_was_bought(
    via_bol: Shop, away: dict[str, Any]
) -> None:
    options = f"{PURCHASE}/delivery-options"
    via_bol.sandbox.faults([{"method": "POST", "path": options, "when": "before", **away}])
    told = ask(via_bol)
    assert (told.options, told.reason) == ((), "bol does not answer now. Nothing was bought. Ask again.")


def test_labels_of_one_name_differ_in_their_details_and_those_that_do_not_are_one(via_bol: Shop) -> None:
    def option(number: int, **handover: Any) -> dict[str, Any]:
        return {
            "shippingLabelOfferId": f"offer-{number}",
            "recommended": number == 2,
            "transporterCode": "TNT",
            "labelType": "PARCEL",
            "labelDisplayName": "PostNL & bol - Pakket",
            "labelPrice": {"totalPrice": 4.41},
            "packageRestrictions": {"maxWeight": "23 kg", "maxDimensions": "100 x 50 x 50 cm"},
            "handoverDetails": {"latestHandoverDateTime": "2026-11-27T19:00:00+01:00"} | handover,
        }

    body = {
        "deliveryOptions": [
            option(1, collectionMethod="DROP_OFF"),
            option(2, collectionMethod="DROP_OFF"),
            option(3, collectionMethod="PICK_UP", meetsCustomerExpectation=False),
            option(4, collectionMethod="BY_DRONE"),
        ]
    }
    via_bol.sandbox.faults([{"path": "/retailer/shipping-labels/delivery-options", "body": body}])
    brought, fetched, other = ask(via_bol).options
    assert brought.key.startswith("offer-2@") and brought.recommended
    assert [set(one.details) - set(other.details) for one in (brought, fetched)] == [
        {"you bring it to the carrier"},
        {"the carrier collects it"},
    ]
    assert "as promised" in fetched.warning and not brought.warning
    assert all("27 Nov 2026 19:00" in one.details[0] for one in (brought, fetched, other))


def test_the_label_that_is_mostly_bought_is_marked(via_bol: Shop) -> None:
    assert not any(option.usual for option in ask(via_bol).options)
    mostly = ask(via_bol).options[-1]
    for number in range(label_options.OFTEN):
        buy(via_bol, mostly.key)
        effect = via_bol.all(LabelEffect)[-1]
        # Of parcels that left before.
        with transaction() as session:
            session.execute(
                update(LabelEffect)
                .where(LabelEffect.id == effect.id)
                .values(state=EffectState.CONFIRMED, due_at=None, host_picklist_id=1000 + number)
            )
    assert [option.title for option in ask(via_bol).options if option.usual] == [mostly.title]


def test_options_that_can_not_be_had_come_with_a_reason(via_bol: Shop) -> None:
    via_bol.sandbox.faults([{"path": "/retailer/shipping-labels/*", "when": "before", "status": 404}])
    found = ask(via_bol)
    assert found.options == ()
    assert "no label" in found.reason


def test_goods_that_need_no_label_of_bol_get_none_unless_the_store_says_so(shop: Shop) -> None:
    shop.connect()
    shop.order_id = shop.order((TOASTER, 1))
    shop.work()
    assert ask(shop).options == () and "only for orders that travel on bol's own labels" in ask(shop).reason
    shop.settings(labels_for_all=True)
    assert ask(shop).options


def test_a_label_is_bought_kept_and_sent_with_the_shipment(via_bol: Shop) -> None:
    buy(via_bol, ask(via_bol).options[0].key)
    via_bol.pass_time(20, steps=5)
    assert states(via_bol) == [EffectState.CONFIRMED]
    (label,) = via_bol.all(Label)
    assert label.tracking_code
    with reading() as session:
        assert bytes(session.get(Label, label.id).pdf).startswith(b"%PDF")  # type: ignore[union-attr]
    picklist_id = via_bol.picklist_id(via_bol.order_id)

    def hand_over() -> list[str]:
        with via_bol.host.reading():
            told = [row for panel in picklist_panels(via_bol.host, picklist_id) for row in panel.rows]
        return [row.value for row in told if row.label == "Hand the parcel over"]

    assert len(hand_over()) == 1 and "as the label says" in hand_over()[0]
    with transaction():
        picking.pick_all(picklist_id)
        lines = picking.lock_picklist(picklist_id).lines
        covered = host_labels.pieces_by_picklist_line(label, lines)
        picking.close_picklist(picklist_id, [NewParcel("", "", covered, label_id=label.id)], who="ann")
    via_bol.pass_time(20, steps=5)
    (shipment,) = via_bol.shipments_at_bol()
    assert shipment["transport"]["shippingLabelId"] == label.ref
    assert shipment["transport"]["trackAndTrace"] == label.tracking_code
    assert sold(via_bol) == 1
    # Handed over: nothing is due any more. And what can't be corrected is not told to be.
    assert hand_over() == []
    with via_bol.host.reading():
        number = via_bol.host_order(via_bol.order_id).id
    with via_bol.host.reading():
        (hint,) = order_notes(via_bol.host, [number])[number].withdrawing.values()
    assert "the new parcel travels on the same label" in hint and "Correct" not in hint


@pytest.mark.parametrize("automatic", [False, True])
def test_a_label_tells_until_when_its_parcel_must_be_handed_over(via_bol: Shop, automatic: bool) -> None:
    via_bol.settings(send_shipments=True, label_automatic=automatic)
    before = via_bol.host_order(via_bol.order_id).deadline
    (option, *_more) = ask(via_bol).options
    assert ("hand over by" in " ".join(option.details)) != automatic
    buy(via_bol, option.key)
    via_bol.pass_time(20, steps=5)
    assert states(via_bol) == [EffectState.CONFIRMED]
    after = via_bol.host_order(via_bol.order_id).deadline
    assert before is not None and after is not None
    assert after < before
    # Until seven in the evening in Amsterdam, says the sandbox.
    assert after.astimezone(AMSTERDAM).hour == 19

    # It is exact: what carriers take on average changes nothing in it.
    via_bol.settings(send_shipments=True, label_automatic=automatic, carrier_days=0)
    assert via_bol.host_order(via_bol.order_id).deadline == after


@pytest.mark.parametrize("automatic", [False, True])
def test_a_label_keeps_what_it_is_called_and_costs(via_bol: Shop, automatic: bool) -> None:
    via_bol.settings(send_shipments=True, label_automatic=False)
    shown = ask(via_bol).options[0]
    via_bol.settings(send_shipments=True, label_automatic=automatic)
    buy(via_bol, ask(via_bol).options[0].key)
    via_bol.pass_time(20, steps=5)
    (effect,) = via_bol.all(LabelEffect)
    assert (effect.option, effect.price) == (shown.title, shown.price)
    assert effect.price > 0


@pytest.mark.parametrize(
    "key",
    [
        *("offer", "offer@soon@cheap@Nice", "offer@@NaN", "offer@@Infinity@x", "@@@@"),
        *("offer@@1E+30@x", "offer@@-1@x", "offer@0001-01-01T00:00:00+14:00@@x"),
    ],
)
def test_a_key_that_can_not_be_read_in_full_is_read_as_far_as_it_can(via_bol: Shop, key: str) -> None:
    via_bol.sandbox.faults([{"path": "/retailer/shipping-labels", "status": 503}])
    buy(via_bol, key)
    (effect,) = via_bol.all(LabelEffect)
    assert (effect.option_id, effect.price) == (key.partition("@")[0], None)


def test_what_does_not_fit_one_label_goes_with_two(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    items = [{"ean": ean, "quantity": 1, "distributionParty": "BOL"} for ean in (KETTLE, TOASTER)]
    shop.order_id = shop.sandbox.place_order("seller", items)["orderId"]
    shop.work()
    picklist_id = shop.picklist_id(shop.order_id)
    for line in shop.picklist_lines(picklist_id):
        with transaction():
            label_options.request(
                shop.host, picklist_id, {line.order_line_id: 1}, label_options.RECOMMENDED, "ann"
            )
    shop.pass_time(20, steps=5)
    assert states(shop) == [EffectState.CONFIRMED] * 2
    with transaction():
        picking.pick_all(picklist_id)
        lines = picking.lock_picklist(picklist_id).lines
        parcels = [
            NewParcel("", "", host_labels.pieces_by_picklist_line(label, lines), label_id=label.id)
            for label in host_labels.unused(picklist_id)
        ]
        picking.close_picklist(picklist_id, parcels, who="ann")
    shop.pass_time(20, steps=5)
    at_bol = shop.shipments_at_bol()
    assert {one["transport"]["shippingLabelId"] for one in at_bol} == {label.ref for label in shop.all(Label)}
    assert [len(one["shipmentItems"]) for one in at_bol] == [1, 1]


def test_a_double_click_buys_one_label(via_bol: Shop) -> None:
    buy(via_bol)
    with pytest.raises(HostError, match="bought already"):
        buy(via_bol)
    via_bol.pass_time(20, steps=5)
    with pytest.raises(HostError, match="bought already"):
        buy(via_bol)
    assert sold(via_bol) == 1


def test_a_purchase_whose_answer_was_lost_waits_for_a_person_and_is_never_repeated(via_bol: Shop) -> None:
    via_bol.sandbox.faults([{"method": "POST", "path": PURCHASE, "when": "after", "drop": True, "times": 1}])
    buy(via_bol)
    via_bol.pass_time(4 * 3600, steps=10)
    assert states(via_bol) == [EffectState.DECISION]
    assert any("not known if bol sold a label" in title for title in via_bol.notices())
    assert sold(via_bol) == 1
    assert ask(via_bol).options == () and "Nobody knows if bol sold a label" in ask(via_bol).reason
    with pytest.raises(HostError, match="Nobody knows if bol sold a label"):
        buy(via_bol)
    number = via_bol.sandbox.state("seller")["labels"][0]["shippingLabelId"]
    via_bol.runtime.enter_label_number(via_bol.store_id, via_bol.all(LabelEffect)[0].id, number)
    via_bol.pass_time(20, steps=5)
    assert states(via_bol) == [EffectState.CONFIRMED]
    assert sold(via_bol) == 1


def test_the_number_of_a_label_is_taken_for_one_purchase_only(via_bol: Shop) -> None:
    first_order = via_bol.order_id
    buy(via_bol)
    via_bol.pass_time(20, steps=5)
    number = via_bol.all(LabelEffect)[0].label_id
    items = [{"ean": KETTLE, "quantity": 1, "distributionParty": "BOL"}]
    via_bol.order_id = via_bol.sandbox.place_order("seller", items)["orderId"]
    via_bol.import_orders()
    via_bol.sandbox.faults([{"method": "POST", "path": PURCHASE, "when": "after", "drop": True, "times": 1}])
    buy(via_bol)
    via_bol.pass_time(20, steps=5)
    effect = via_bol.all(LabelEffect)[-1]
    assert effect.state == EffectState.DECISION
    with pytest.raises(HostError, match=f"the label of order {first_order} already"):
        via_bol.runtime.enter_label_number(via_bol.store_id, effect.id, f" {number} ")


def test_a_person_may_buy_again_what_bol_never_sold(via_bol: Shop) -> None:
    via_bol.sandbox.faults(
        [{"method": "POST", "path": PURCHASE, "when": "before", "status": 500, "times": 1}]
    )
    buy(via_bol)
    via_bol.pass_time(60, steps=5)
    assert states(via_bol) == [EffectState.DECISION]
    via_bol.runtime.buy_label_again(via_bol.store_id, via_bol.all(LabelEffect)[0].id)
    via_bol.pass_time(20, steps=5)
    assert states(via_bol) == [EffectState.CONFIRMED]
    assert sold(via_bol) == 1


class Died(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize("when", ["before the call", "after the call"])
def test_a_worker_that_dies_around_the_purchase_buys_at_most_one(
    via_bol: Shop, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = BolClient.call

    def dying(client: BolClient, route: Any, **more: Any) -> Any:
        if route.method == "POST" and route.template == PURCHASE:
            if when == "after the call":
                real(client, route, **more)
            raise Died
        return real(client, route, **more)

    buy(via_bol)
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(BolClient, "call", dying)
        via_bol.work()
    via_bol.forget_leases()
    via_bol.pass_time(3600, steps=10)
    assert states(via_bol) == [EffectState.DECISION]
    assert sold(via_bol) == (1 if when == "after the call" else 0)


def test_too_many_requests_or_no_connection_is_tried_again_by_itself(via_bol: Shop) -> None:
    via_bol.sandbox.faults(
        [{"method": "POST", "path": PURCHASE, "when": "before", "status": 429, "times": 1}]
    )
    buy(via_bol)
    via_bol.pass_time(120, steps=10)
    assert states(via_bol) == [EffectState.CONFIRMED]
    assert sold(via_bol) == 1


def test_a_label_that_can_not_be_fetched_yet_is_fetched_later_and_not_bought_anew(via_bol: Shop) -> None:
    via_bol.sandbox.faults(
        [{"method": "GET", "path": f"{PURCHASE}/*", "when": "before", "status": 500, "times": 6}]
    )
    buy(via_bol)
    via_bol.pass_time(900, steps=20)
    assert states(via_bol) == [EffectState.CONFIRMED]
    assert sold(via_bol) == 1


def test_an_expired_option_is_refused_and_a_new_one_can_be_bought(via_bol: Shop) -> None:
    key = ask(via_bol).options[0].key
    via_bol.clock.ahead += via_bol.hours(24 * 3)
    via_bol.sandbox.advance(3 * 24 * 3600)
    buy(via_bol, key)
    via_bol.pass_time(60, steps=6)
    assert states(via_bol) == [EffectState.REFUSED]
    assert sold(via_bol) == 0
    assert [told.read_at is not None for told in via_bol.all(Notification)] == [False]
    buy(via_bol)
    via_bol.pass_time(60, steps=6)
    assert states(via_bol)[-1] == EffectState.CONFIRMED, via_bol.all(LabelEffect)[-1].error
    assert [told.read_at is not None for told in via_bol.all(Notification)] == [True]


def test_the_packer_is_told_where_the_label_is_missing(via_bol: Shop) -> None:
    answer = via_bol.runtime.closing_answer(via_bol.picklist_id(via_bol.order_id), 2.0)
    assert answer is not None
    assert "no label of bol" in answer.objections[0]
    assert answer.may_overrule
    buy(via_bol)
    via_bol.pass_time(20, steps=5)
    assert via_bol.runtime.closing_answer(via_bol.picklist_id(via_bol.order_id), 2.0).objections == ()  # type: ignore[union-attr]


def test_a_packer_is_not_told_to_buy_what_is_bought_and_not_here_yet(via_bol: Shop) -> None:
    def objection() -> str:
        answer = via_bol.runtime.closing_answer(via_bol.picklist_id(via_bol.order_id), 2.0)
        assert answer is not None
        (told,) = answer.objections
        return told

    can_not_fetch(via_bol, 500)
    buy(via_bol)
    via_bol.pass_time(60, steps=4)
    assert "Wait for it" in objection() and "Buy one" not in objection()
    via_bol.sandbox.faults([{"method": "GET", "path": f"{PURCHASE}/*", "when": "before", "status": 404}])
    via_bol.pass_time(1200, steps=20)
    assert states(via_bol) == [EffectState.DECISION]
    assert "Do not buy another one" in objection()


def test_goods_that_bol_has_no_label_for_are_told_and_nothing_is_bought(via_bol: Shop) -> None:
    none = {"status": 200, "body": {"deliveryOptions": []}}
    via_bol.sandbox.faults([{"method": "POST", "path": f"{PURCHASE}/delivery-options", **none}])
    buy(via_bol)
    via_bol.work()
    (effect,) = via_bol.all(LabelEffect)
    assert (effect.state, sold(via_bol)) == (EffectState.REFUSED, 0)
    assert effect.error.startswith("bol offers no label for these goods together.")
    assert any("bol did not sell a label for order" in title for title in via_bol.notices())


# a label that is bought and can't be had


def can_not_fetch(shop: Shop, status: int, **more: Any) -> None:
    shop.sandbox.faults(
        [{"method": "GET", "path": f"{PURCHASE}/*", "when": "before", "status": status, **more}]
    )


def panel(shop: Shop) -> tuple[str, Level | None]:
    """What the packer's page says of the label."""
    with reading():
        rows = [
            row for one in picklist_panels(shop.host, shop.picklist_id(shop.order_id)) for row in one.rows
        ]
    (row,) = [row for row in rows if row.label.startswith("Label for")]
    return row.value, row.tone


def waiting_for_people(shop: Shop) -> list[str]:
    with reading():
        return [task.kind for task in attention.tasks(shop.host)]


def test_a_bought_label_that_can_not_be_fetched_is_told_where_people_look(via_bol: Shop) -> None:
    can_not_fetch(via_bol, 500)
    buy(via_bol)
    via_bol.pass_time(60, steps=6)
    assert panel(via_bol)[0].startswith("bought, can't be fetched from bol yet")
    assert waiting_for_people(via_bol) == [] and via_bol.notices() == []
    via_bol.pass_time(600, steps=10)
    told, tone = panel(via_bol)
    assert "do not buy another one" in told and tone == Level.DANGER
    assert waiting_for_people(via_bol) == [attention.TO_BE_FETCHED]
    (notice,) = via_bol.all(Notification)
    assert "is bought, but can't be fetched from bol" in notice.title
    assert str(via_bol.all(LabelEffect)[0].label_id) in notice.body
    assert via_bol.writes(PURCHASE)[-1]["method"] == "POST" and sold(via_bol) == 1
    with pytest.raises(HostError, match="bought already"):
        buy(via_bol)
    via_bol.sandbox.faults([])
    via_bol.runtime.fetch_label(via_bol.store_id, via_bol.all(LabelEffect)[0].id)
    via_bol.work()
    assert states(via_bol) == [EffectState.CONFIRMED] and len(via_bol.all(Label)) == 1
    assert panel(via_bol)[0] == "bought"
    assert waiting_for_people(via_bol) == []
    assert [one.read_at is not None for one in via_bol.all(Notification)] == [True]
    with pytest.raises(HostError, match="does not wait to be fetched"):
        via_bol.runtime.fetch_label(via_bol.store_id, via_bol.all(LabelEffect)[0].id)
    assert sold(via_bol) == 1


def test_while_a_label_is_being_bought_closing_is_refused_whether_bol_answers_or_not(shop: Shop) -> None:
    """Found by a packer: bol hung, the picklist was closed by another carrier, and the label was paid for nothing."""
    shop.connect(labels_for_all=True, check_at_closing=False)
    shop.order_id = shop.order((TOASTER, 1))
    shop.work()
    picklist = shop.picklist_id(shop.order_id)
    assert shop.runtime.closing_answer(picklist, 2.0) is None
    # Before any worker has asked bol for it.
    buy(shop, ask(shop).options[0].key)
    shop.sandbox.faults([{"path": "/retailer/*", "delayMs": 20_000}])
    answer = shop.runtime.closing_answer(picklist, 2.0)
    assert answer is not None and answer.may_overrule and answer.warnings == ()
    assert "is being bought or fetched" in answer.objections[0]
    shop.sandbox.faults([])
    shop.pass_time(20, steps=5)
    assert states(shop) == [EffectState.CONFIRMED]
    assert shop.runtime.closing_answer(picklist, 2.0) is None


def test_a_bought_label_that_bol_shows_late_is_waited_for(via_bol: Shop) -> None:
    can_not_fetch(via_bol, 404, times=3)
    buy(via_bol)
    via_bol.pass_time(120, steps=8)
    assert states(via_bol) == [EffectState.CONFIRMED]
    assert via_bol.notices() == []


def test_a_bought_label_that_bol_never_shows_waits_for_a_person_with_its_number(via_bol: Shop) -> None:
    can_not_fetch(via_bol, 404)
    buy(via_bol)
    via_bol.pass_time(300, steps=6)
    assert states(via_bol) == [EffectState.SENT]
    via_bol.pass_time(900, steps=15)
    assert states(via_bol) == [EffectState.DECISION]
    (effect,) = via_bol.all(LabelEffect)
    assert effect.label_id in effect.error
    assert waiting_for_people(via_bol) == [attention.LABEL]
    unread = [one.title for one in via_bol.all(Notification, Notification.read_at.is_(None))]
    assert len(unread) == 1 and "not known if bol sold a label" in unread[0]
    via_bol.sandbox.faults([])
    via_bol.runtime.enter_label_number(via_bol.store_id, effect.id, effect.label_id)
    via_bol.work()
    assert states(via_bol) == [EffectState.CONFIRMED]
    assert sold(via_bol) == 1


def test_a_bought_label_comes_in_a_paused_store_too(via_bol: Shop) -> None:
    can_not_fetch(via_bol, 500, times=2)
    buy(via_bol)
    via_bol.work()
    via_bol.runtime.pause(via_bol.store_id)
    via_bol.pass_time(120, steps=4)
    assert states(via_bol) == [EffectState.CONFIRMED]


def test_in_a_paused_store_no_label_is_bought(via_bol: Shop) -> None:
    buy(via_bol)
    via_bol.runtime.pause(via_bol.store_id)
    via_bol.pass_time(120, steps=4)
    assert states(via_bol) == [EffectState.WANTED] and sold(via_bol) == 0


def test_a_label_is_fetched_as_late_as_bol_asks(via_bol: Shop) -> None:
    can_not_fetch(via_bol, 429, retryAfter=300, times=1)
    buy(via_bol)
    via_bol.pass_time(100, steps=10)
    assert states(via_bol) == [EffectState.SENT]
    via_bol.pass_time(400, steps=4)
    assert states(via_bol) == [EffectState.CONFIRMED]


def take_off(shop: Shop, count: int) -> None:
    order_id, (line,) = shop.host_order(shop.order_id).id, shop.all(OrderLine)
    with transaction():
        orders.take_off(order_id, line.id, count, who="ann")


def test_no_label_is_bought_for_pieces_that_were_taken_off_meanwhile(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    items = [{"ean": KETTLE, "quantity": 3, "distributionParty": "BOL"}]
    shop.order_id = shop.sandbox.place_order("seller", items)["orderId"]
    shop.work()
    shop.sandbox.faults([{"method": "POST", "path": PURCHASE, "when": "before", "status": 429, "times": 1}])
    buy(shop)
    shop.work()
    assert states(shop) == [EffectState.WANTED]
    take_off(shop, 1)
    shop.pass_time(300, steps=6)
    assert (sold(shop), states(shop)) == (0, [EffectState.CLOSED])
    (effect,) = shop.all(LabelEffect)
    with reading():
        (panel, *_more) = picklist_panels(shop.host, shop.picklist_id(shop.order_id))
    assert any("not on the picklist any more" in row.value for row in panel.rows), effect.error
    # One for what is left can be bought.
    buy(shop)
    shop.pass_time(60, steps=4)
    assert (sold(shop), states(shop)[-1]) == (1, EffectState.CONFIRMED)


def lose_number(shop: Shop) -> LabelEffect:
    """Buy a label whose number is lost."""
    shop.sandbox.faults([{"method": "POST", "path": PURCHASE, "when": "after", "drop": True, "times": 1}])
    buy(shop)
    shop.pass_time(60, steps=3)
    (effect,) = shop.all(LabelEffect)
    assert effect.state == EffectState.DECISION
    return effect  # type: ignore[no-any-return]


@pytest.mark.parametrize("number", ["PLR/1", "P" * 61])
def test_what_can_be_no_number_of_a_label_is_refused(via_bol: Shop, number: str) -> None:
    effect = lose_number(via_bol)
    with pytest.raises(HostError, match="letters and digits"):
        via_bol.runtime.enter_label_number(via_bol.store_id, effect.id, number)
    assert states(via_bol) == [EffectState.DECISION]


def test_a_number_is_taken_without_the_blanks_of_the_page_that_it_was_read_from(via_bol: Shop) -> None:
    effect = lose_number(via_bol)
    (label,) = via_bol.sandbox.state("seller")["labels"]
    number = label["shippingLabelId"]
    via_bol.runtime.enter_label_number(via_bol.store_id, effect.id, f" {number[:3]} {number[3:]}\n")
    via_bol.pass_time(60, steps=3)
    assert states(via_bol) == [EffectState.CONFIRMED]


def test_a_number_that_bol_can_not_be_asked_for_holds_up_no_other_parcel(via_bol: Shop) -> None:
    """As it was entered before such numbers were refused."""
    effect = lose_number(via_bol)
    other = via_bol.order((TOASTER, 1))
    via_bol.import_orders()
    with transaction() as session:
        session.execute(
            update(LabelEffect)
            .where(LabelEffect.id == effect.id)
            .values(
                state=EffectState.SENT,
                label_id="PLR 00000014",
                process_status_id=None,
                due_at=via_bol.host.now(),
            )
        )
    via_bol.close(other)
    via_bol.pass_time(60, steps=3)
    assert [shipment.state for shipment in via_bol.effects()] == [EffectState.CONFIRMED]
    assert states(via_bol) == [EffectState.DECISION]
    (effect,) = via_bol.all(LabelEffect)
    assert "PLR 00000014" in effect.error


@pytest.mark.parametrize("option", ["", "any"])
def test_goods_that_bol_can_not_be_asked_about_hold_up_no_other_label(via_bol: Shop, option: str) -> None:
    """More items than a request may name."""
    buy(via_bol)
    with transaction() as session:
        (effect,) = session.scalars(select(LabelEffect))
        effect.option_id = option
        effect.pieces = {str(number): 1 for number in range(101)}
    via_bol.pass_time(60, steps=3)
    assert (states(via_bol), sold(via_bol)) == ([EffectState.REFUSED], 0)
    assert sum("did not sell a label" in title for title in via_bol.notices()) == 1


def test_a_label_for_which_bol_names_an_odd_number_waits_for_a_person(via_bol: Shop) -> None:
    via_bol.sandbox.settings(processStatusDelayMs=5000)
    buy(via_bol)
    via_bol.work()
    (effect,) = via_bol.all(LabelEffect)
    odd = {"processStatusId": effect.process_status_id, "entityId": "a" * 61, "status": "SUCCESS"}
    answer = {"processStatuses": [odd | {"eventType": "CREATE_SHIPPING_LABEL"}]}
    via_bol.sandbox.faults(
        [
            {
                "method": "POST",
                "path": "/shared/process-status",
                "when": "before",
                "status": 200,
                "body": answer,
            }
        ]
    )
    via_bol.pass_time(20, steps=2)
    assert states(via_bol) == [EffectState.DECISION]
