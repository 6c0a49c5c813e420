"""Refused shipments: another try is offered only where bol could take it."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from host_app.db import transaction
from plugin.models import BolOrderItem, EffectState, ShipmentEffect
from plugin.sync import attention
from plugin.sync.refused import hopeless
from tests.plugin.conftest import KETTLE, Shop


@pytest.fixture
def refused(shop: Shop) -> Shop:
    """A shop whose parcel of two kettles bol refused, with all four of the order still open."""
    shop.connect(send_shipments=False)
    shop.order_id = shop.order((KETTLE, 4))
    shop.import_orders()
    shop.close(shop.order_id)
    shop.work()
    with transaction() as session:
        session.execute(
            update(ShipmentEffect).values(state=EffectState.REFUSED, due_at=None, error="No.", quantity=2)
        )
    return shop


def given(shop: Shop, **values: int) -> bool:
    """Tell if the refused shipment is hopeless with an item as bol shows it now; and so is its task."""
    with transaction() as session:
        session.execute(update(BolOrderItem).values(**values))
    rows = shop.effects()
    with shop.host.reading() as session:
        told = hopeless(session, rows)
        (task,) = [one for one in attention.tasks(shop.host) if one.kind == attention.REFUSED]
        assert (task in attention.hopeless_of(shop.host, [task])) == bool(told)
    return bool(told)


def test_bol_may_take_what_is_open_and_not_what_is_shipped_or_cancelled(refused: Shop) -> None:
    assert not given(refused, shipped=0, cancelled=0)
    assert not given(refused, shipped=2, cancelled=0)
    assert given(refused, shipped=3, cancelled=0)
    assert given(refused, shipped=0, cancelled=3)
    assert not given(refused, shipped=0, cancelled=0)


def test_what_bol_has_confirmed_counts_before_the_order_is_read_again(refused: Shop) -> None:
    (row,) = refused.effects()
    for pieces, expected in ((2, False), (1, True)):
        with transaction() as session:
            session.add(
                ShipmentEffect(
                    store_id=row.store_id,
                    order_id=row.order_id,
                    order_item_id=row.order_item_id,
                    quantity=pieces,
                    host_shipment_id=90 + pieces,
                    host_picklist_id=row.host_picklist_id,
                    reference="other",
                    state=EffectState.CONFIRMED,
                    created_at=refused.host.now(),
                )
            )
        assert given(refused, shipped=0, cancelled=0) is expected
