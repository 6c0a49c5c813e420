"""What another process has settled meanwhile is not settled again: no second line of the timeline, no wrong notification."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from host_app.db import reading, transaction
from plugin.models import BolOrderEvent, CancellationEffect, EffectState, HourlyCount, ShipmentEffect
from plugin.sync import cancelling, settling
from plugin.sync.counters import SHIPMENTS as SHIPMENTS_COUNT
from tests.plugin.conftest import KETTLE, Shop

SHIPMENTS, CANCELLATION = "/retailer/shipments", "/retailer/orders/cancellation"


class Another:
    """Another process, which settles an effect while this one looks at bol."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any, model: Any, state: EffectState) -> None:
        self.looks = 0
        real = module._look

        def look(*given: Any) -> Any:
            found = real(*given)
            self.looks += 1
            with transaction() as session:
                session.execute(update(model).values(state=state, due_at=None))
            return found

        monkeypatch.setattr(module, "_look", look)


def lines(shop: Shop) -> list[str]:
    """What the timeline says of bol's answers."""
    texts = [event.text for event in shop.all(BolOrderEvent)]
    return [text for text in texts if text.startswith(("bol ", "It is not known"))]


@pytest.mark.parametrize("bol", ["has it", "refuses it", "tells nothing"])
def test_a_shipment_that_another_process_settles_is_told_by_that_one_alone(
    shop: Shop, bol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect(send_shipments=True)
    shop.order_id = shop.order((KETTLE, 2))
    shop.work()
    if bol == "refuses it":
        shop.sandbox.settings(processStatusEnd={"CREATE_SHIPMENT": "FAILURE"})
    lost = {"drop": True, "when": "after"} if bol != "tells nothing" else {"status": 500, "when": "before"}
    shop.sandbox.faults([{"method": "POST", "path": SHIPMENTS, **lost}])
    shop.close(shop.order_id)
    shop.work()
    assert [effect.state for effect in shop.effects()] == [EffectState.UNKNOWN]
    if bol == "tells nothing":
        # So long ago that a person would have to decide, and not all that is open.
        with transaction() as session:
            since = shop.clock.now() - timedelta(hours=4)
            session.execute(update(ShipmentEffect).values(unknown_since=since, quantity=1))
    told, notices = lines(shop), shop.notices()
    another = Another(monkeypatch, settling, ShipmentEffect, EffectState.CLOSED)
    shop.pass_time(20)
    assert another.looks == 1
    assert [effect.state for effect in shop.effects()] == [EffectState.CLOSED]
    assert (lines(shop), shop.notices()) == (told, notices)
    with reading() as session:
        assert session.scalar(select(HourlyCount.count).where(HourlyCount.name == SHIPMENTS_COUNT)) is None


@pytest.mark.parametrize("bol", ["has done it", "refuses it", "does not show the order"])
def test_a_cancellation_that_another_process_settles_is_told_by_that_one_alone(
    shop: Shop, bol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect()
    shop.order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.sandbox.request_cancellation(shop.order_id)
    shop.import_orders()
    if bol == "refuses it":
        shop.sandbox.settings(processStatusEnd={"CANCEL_ORDER": "FAILURE"})
    faults: list[dict[str, Any]] = [
        {"method": "PUT", "path": CANCELLATION, "when": "after", "drop": True, "times": 1}
    ]
    if bol == "does not show the order":
        faults[0] = {"method": "PUT", "path": CANCELLATION, "when": "before", "status": 500, "times": 1}
        faults.append({"method": "GET", "path": "/retailer/orders/*", "when": "before", "status": 404})
    shop.sandbox.faults(faults)
    shop.runtime.accept_request(shop.store_id, shop.bol_order(shop.order_id).id, "ann")
    shop.work()
    assert [effect.state for effect in shop.all(CancellationEffect)] == [EffectState.UNKNOWN]
    with transaction() as session:
        session.execute(
            update(CancellationEffect).values(unknown_since=shop.clock.now() - timedelta(hours=4))
        )
    told, notices = lines(shop), shop.notices()
    another = Another(monkeypatch, cancelling, CancellationEffect, EffectState.CLOSED)
    shop.pass_time(20)
    assert another.looks == 1
    assert [effect.state for effect in shop.all(CancellationEffect)] == [EffectState.CLOSED]
    assert (lines(shop), shop.notices()) == (told, notices)
