"""What a store keeps for a time only is deleted after it, in parts, and what is still needed stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from host_app.db import reading, transaction
from host_app.models import Label, Order
from plugin.models import BolOrderEvent, Discrepancy, ProcessStatusRow, Run, RunState, Store
from plugin.sync import retention, runs
from tests.plugin.conftest import KETTLE, Shop


def count(model: type) -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def passes(shop: Shop, days: float) -> None:
    """Let days pass here, in which bol is not asked anything, and erase what is due then."""
    shop.clock.ahead += timedelta(days=days)
    with transaction() as session:
        session.execute(update(Store).values(next_import_at=None, next_sweep_at=None, next_check_at=None))
    shop.sandbox.advance(days * 86_400)
    shop.work()


def test_process_statuses_that_have_ended_go_after_a_week(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    shop.connect(send_shipments=True)
    orders = [shop.order((KETTLE, 1)) for _ in range(3)]
    shop.work()
    for order in orders:
        shop.close(order)
    shop.pass_time(30)
    assert count(ProcessStatusRow) == 3
    passes(shop, 6)
    assert count(ProcessStatusRow) == 3
    passes(shop, 2)
    assert count(ProcessStatusRow) == 0
    assert {effect.state for effect in shop.effects()} == {"confirmed"}


def test_a_timeline_goes_when_its_order_is_long_done(shop: Shop) -> None:
    shop.sandbox.settings(dayThreeRule=False)
    shop.connect(send_shipments=True)
    done, waits = shop.order((KETTLE, 1)), shop.order((KETTLE, 1))
    shop.work()
    shop.close(done)
    shop.pass_time(30)
    passes(shop, 91)
    with reading() as session:
        left = set(session.scalars(select(BolOrderEvent.order_id)))
    assert left == {shop.bol_order(waits).id}


def test_old_runs_go_with_what_they_found(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEPT", 2)
    monkeypatch.setattr(runs, "PRUNED_AT_ONCE", 3)
    shop.connect()
    shop.work()
    now = shop.host.now()
    with transaction() as session:
        for _ in range(4):
            run = Run(
                store_id=shop.store_id, kind="sweep", state=RunState.DONE, started_at=now, finished_at=now
            )
            session.add(run)
            session.flush()
            session.add_all(
                Discrepancy(
                    run_id=run.id, offer_id=str(number), ean=KETTLE, cause="test", action="none", found_at=now
                )
                for number in range(7)
            )
    passes(shop, 0.1)
    with reading() as session:
        kept = session.scalars(select(Run.id).where(Run.kind == "sweep", Run.state == RunState.DONE)).all()
        left = set(session.scalars(select(Discrepancy.run_id)))
    assert len(kept) == 2
    assert left <= set(kept)


def test_labels_are_erased_with_the_addresses_that_they_show(shop: Shop) -> None:
    shop.connect(send_shipments=True, address_days=30)
    order = shop.order((KETTLE, 1))
    shop.work()
    picklist = shop.picklist_id(order)
    with transaction() as session:
        session.add(
            Label(
                picklist_id=picklist,
                ref="L",
                carrier="x",
                tracking_code="T",
                pieces={},
                pdf=b"%PDF",
            )
        )
    shop.close(order)
    shop.pass_time(30)
    passes(shop, 31)
    with reading() as session:
        assert session.scalar(select(Order.delivery)) is None
        assert session.scalar(select(Label.pdf)) == b""
