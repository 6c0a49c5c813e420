"""A parcel on a label of bol is withdrawn: its goods are packed anew on the label that is paid for, and no other is bought unknowingly."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from host_app.db import reading, transaction
from host_app.models import Label, Picklist, Shipment
from host_app.models.picking import PicklistState
from host_app.plugin_api import HostError
from host_app.services import labels as host_labels
from host_app.services import picking
from host_app.services.picking import NewParcel
from plugin.models import EffectState, LabelEffect
from plugin.sync import attention, bought_labels, label_options
from plugin.sync.closing import question_for
from plugin.sync.panels import picklist_panels
from tests.plugin.conftest import KETTLE, TOASTER, Shop


def picklists(shop: Shop) -> list[int]:
    """Return the open picklists of the order."""
    order_id = shop.host_order(shop.order_id).id
    with reading() as session:
        return list(
            session.scalars(
                select(Picklist.id)
                .where(Picklist.order_id == order_id, Picklist.state == PicklistState.NEW)
                .order_by(Picklist.id)
            )
        )


def close_on_label(shop: Shop, picklist_id: int) -> int:
    with transaction():
        picking.pick_all(picklist_id)
        lines = picking.lock_picklist(picklist_id).lines
        (label,) = host_labels.unused(picklist_id)
        covered = host_labels.pieces_by_picklist_line(label, lines)
        (shipment_id,) = picking.close_picklist(
            picklist_id, [NewParcel("", "", covered, label_id=label.id)], who="ann"
        )
    return shipment_id


def buy_for_a_kettle(shop: Shop) -> int:
    """Connect a store, and buy the label of an order of a kettle; return its picklist."""
    shop.connect(send_shipments=True)
    items = [{"ean": KETTLE, "quantity": 1, "distributionParty": "BOL"}]
    shop.order_id = shop.sandbox.place_order("seller", items)["orderId"]
    shop.work()
    (first,) = picklists(shop)
    buy(shop, first, pieces(shop, first))
    return first


@pytest.fixture
def withdrawn(shop: Shop) -> Shop:
    """A shop with a label for a kettle whose parcel was withdrawn before bol was told of it, and a picklist to pack it anew."""
    first = buy_for_a_kettle(shop)
    withdraw(shop, close_on_label(shop, first))
    return shop


def buy(shop: Shop, picklist_id: int, wanted: dict[int, int]) -> None:
    with transaction():
        label_options.request(shop.host, picklist_id, wanted, label_options.RECOMMENDED, "ann")
    shop.pass_time(20, steps=5)


def withdraw(shop: Shop, shipment_id: int) -> None:
    with transaction():
        picking.withdraw_shipment(shipment_id, who="ann")
    shop.pass_time(20, steps=5)


def pieces(shop: Shop, picklist_id: int) -> dict[int, int]:
    return {line.order_line_id: line.quantity for line in shop.picklist_lines(picklist_id)}


def code(shop: Shop) -> str:
    return str(shop.sandbox.state("seller")["labels"][0]["trackAndTrace"])


def use(shop: Shop, picklist_id: int, key: str) -> None:
    wanted = pieces(shop, picklist_id)
    with transaction():
        bought_labels.request(shop.host, picklist_id, wanted, key, "bob")


def offered(shop: Shop, picklist_id: int) -> str:
    """Return the key of the label that is bought already, as it is on offer."""
    found = shop.runtime.shipping_options(picklist_id, pieces(shop, picklist_id), 2.0)
    assert found is not None
    (option,) = (one for one in found.options if one.bought)
    return str(option.key)


def test_who_packs_anew_is_told_of_the_label_that_is_paid_before_another_is_bought(withdrawn: Shop) -> None:
    (again,) = picklists(withdrawn)
    with withdrawn.host.reading():
        panel = picklist_panels(withdrawn.host, again)[-1]
    question = question_for(withdrawn.host, again)
    told = {row.label: row.value for row in panel.rows}["Bought already"]
    assert code(withdrawn) in told and "1 × " in told and "buy no other" in told
    (line_id,) = pieces(withdrawn, again)
    link = panel.links[0]
    assert link.url.endswith(f"?labels=1&of-{line_id}=1#labels")
    assert question is not None and code(withdrawn) in question.label_missing
    found = withdrawn.runtime.shipping_options(again, pieces(withdrawn, again), 2.0)
    assert found is not None and code(withdrawn) in found.warning
    assert [option.bought for option in found.options[:2]] == [True, False]


def test_what_bol_can_not_be_asked_keeps_nobody_from_the_label_that_is_paid(withdrawn: Shop) -> None:
    withdrawn.sandbox.faults([{"path": "/retailer/shipping-labels/*", "when": "before", "status": 404}])
    (again,) = picklists(withdrawn)
    use(withdrawn, again, offered(withdrawn, again))


@pytest.mark.parametrize("automatic", [False, True])
def test_the_label_of_a_withdrawn_parcel_is_used_for_its_goods_and_none_is_bought(
    withdrawn: Shop, automatic: bool
) -> None:
    withdrawn.settings(send_shipments=True, label_automatic=automatic)
    (again,) = picklists(withdrawn)
    use(withdrawn, again, offered(withdrawn, again))
    withdrawn.pass_time(20, steps=5)
    (effect,) = withdrawn.all(LabelEffect)
    assert (effect.state, effect.host_picklist_id, effect.who) == (EffectState.CONFIRMED, again, "ann")
    (label,) = withdrawn.all(Label, Label.picklist_id == again)
    assert label.tracking_code == code(withdrawn)
    with reading() as session:
        assert bytes(session.get_one(Label, label.id).pdf).startswith(b"%PDF")
        # Nobody is told of it any more.
        assert not bought_labels.bought_before(withdrawn.host, again)
    close_on_label(withdrawn, again)
    withdrawn.pass_time(20, steps=5)
    (shipment,) = withdrawn.shipments_at_bol()
    assert shipment["transport"]["shippingLabelId"] == label.ref
    assert len(withdrawn.sandbox.state("seller")["labels"]) == 1


def test_pressing_twice_uses_the_label_once(withdrawn: Shop) -> None:
    (again,) = picklists(withdrawn)
    key = offered(withdrawn, again)
    use(withdrawn, again, key)
    with pytest.raises(HostError, match="can't be used"):
        use(withdrawn, again, key)
    withdrawn.pass_time(20, steps=5)
    with pytest.raises(HostError, match="can't be used"):
        use(withdrawn, again, key)
    assert len(withdrawn.all(Label, Label.picklist_id == again)) == 1


def test_of_one_who_buys_and_one_who_uses_the_paid_label_only_the_first_does(withdrawn: Shop) -> None:
    (again,) = picklists(withdrawn)
    key = offered(withdrawn, again)
    withdrawn.sandbox.faults([{"path": "/retailer/shipping-labels", "when": "before", "status": 429}])
    use(withdrawn, again, label_options.RECOMMENDED)
    with pytest.raises(HostError, match="can't be used"):
        use(withdrawn, again, key)
    with withdrawn.host.reading():
        assert not bought_labels.bought_before(withdrawn.host, again)


def test_two_packers_at_the_same_moment_use_it_once(withdrawn: Shop) -> None:
    (again,) = picklists(withdrawn)
    key, refused, done = offered(withdrawn, again), [], []

    def press() -> None:
        with withdrawn.app.app_context():
            try:
                use(withdrawn, again, key)
                done.append(1)
            except HostError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=press) for _packer in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(done), len(refused)) == (1, 1)


def test_a_worker_that_dies_while_it_fetches_the_label_anew_leaves_it_to_the_next(
    withdrawn: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (again,) = picklists(withdrawn)
    use(withdrawn, again, offered(withdrawn, again))
    with monkeypatch.context() as broken:

        def die(*_args: object) -> object:
            raise SystemExit

        broken.setattr(type(withdrawn.host), "attach_label", die)
        with pytest.raises(SystemExit):
            withdrawn.pass_time(20, steps=5)
    withdrawn.forget_leases()
    withdrawn.pass_time(300, steps=8)
    assert len(withdrawn.all(Label, Label.picklist_id == again)) == 1
    assert len(withdrawn.sandbox.state("seller")["labels"]) == 1


def test_a_label_that_bol_does_not_show_any_more_waits_for_a_person_as_any_other(withdrawn: Shop) -> None:
    (again,) = picklists(withdrawn)
    use(withdrawn, again, offered(withdrawn, again))
    withdrawn.sandbox.faults(
        [{"method": "GET", "path": "/retailer/shipping-labels/*", "when": "before", "status": 404}]
    )
    withdrawn.pass_time(1200, steps=20)
    (effect,) = withdrawn.all(LabelEffect)
    assert effect.state == EffectState.DECISION
    withdrawn.sandbox.faults([])
    withdrawn.runtime.buy_label_again(withdrawn.store_id, effect.id)
    withdrawn.pass_time(60, steps=6)
    assert [effect.state for effect in withdrawn.all(LabelEffect)] == [EffectState.CONFIRMED]
    assert len(withdrawn.sandbox.state("seller")["labels"]) == 2


def test_the_label_of_a_parcel_that_left_is_nobodys_to_use(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    items = [
        {"ean": KETTLE, "quantity": 1, "distributionParty": "BOL"},
        {"ean": TOASTER, "quantity": 1, "distributionParty": "BOL"},
    ]
    shop.order_id = shop.sandbox.place_order("seller", items)["orderId"]
    shop.work()
    (first,) = picklists(shop)
    line_id = min(pieces(shop, first))
    buy(shop, first, {line_id: 1})
    line = next(line for line in shop.picklist_lines(first) if line.order_line_id == line_id)
    with transaction():
        picking.pick_more(first, line.id, 1)
        (label,) = host_labels.unused(first)
        picking.close_picklist(first, [NewParcel("", "", None, label_id=label.id)], who="ann")
    shop.pass_time(20, steps=5)
    (again,) = picklists(shop)
    with shop.host.reading():
        assert not bought_labels.bought_before(shop.host, again)
    # It comes back after all; the goods that lie on the other picklist now have no label.
    withdraw(shop, shop.all(Shipment)[0].id)
    with shop.host.reading():
        found = {one: bought_labels.bought_before(shop.host, one) for one in picklists(shop)}
    assert [len(labels) for labels in found.values()] in ([0, 1], [1])


def test_a_parcel_that_bol_has_as_shipped_is_packed_anew_on_its_own_label(shop: Shop) -> None:
    first = buy_for_a_kettle(shop)
    shipment_id = close_on_label(shop, first)
    shop.pass_time(20, steps=5)
    assert [effect.state for effect in shop.effects()] == [EffectState.CONFIRMED]
    withdraw(shop, shipment_id)
    (again,) = picklists(shop)
    use(shop, again, offered(shop, again))
    shop.pass_time(20, steps=5)
    close_on_label(shop, again)
    shop.pass_time(600, steps=10)
    # bol has them, on this label: it takes no second shipment, and nobody has to do anything about it.
    assert [effect.state for effect in shop.effects()] == [EffectState.CONFIRMED, EffectState.CLOSED]
    assert "on this very label" in shop.effects()[-1].error and shop.writes("transports") == []
    with shop.host.reading():
        assert attention.tasks(shop.host) == []
    assert len(shop.shipments_at_bol()) == 1 and len(shop.sandbox.state("seller")["labels"]) == 1
