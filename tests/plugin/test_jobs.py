"""Jobs: what nobody foresaw in one flow is told, and stops no other flow."""

from __future__ import annotations

import pytest

from host_app import jobs
from plugin.jobs import tasks
from plugin.jobs.wakes import wake_for
from plugin.models import EffectState
from plugin.sync.context import Context
from plugin.sync.due import SHIPMENTS
from tests.plugin.conftest import KETTLE, Shop


def test_a_flow_that_fails_stops_no_other_one_and_the_job_is_told_as_failed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 1))
    shop.work()

    def broken(ctx: Context) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(tasks, "buy_due", broken)
    shop.close(order_id)
    for wake in shop.due():
        if wake.name != wake_for(SHIPMENTS, shop.store_id).name:
            jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
    wake = wake_for(SHIPMENTS, shop.store_id)
    with pytest.raises(ZeroDivisionError):
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
    assert [effect.state for effect in shop.effects()] == [EffectState.SENT]
    assert any("failed" in title for title in shop.notices())
