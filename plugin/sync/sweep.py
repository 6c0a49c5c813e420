"""Once a day: the whole order list and the shipments list are walked, to report and repair what the reads missed."""

from __future__ import annotations

import logging
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import select, update

from host_app.plugin_api import Level
from plugin.connector import BolError, ShipmentSummary
from plugin.models import BolOrder, BolOrderState, Run, RunState, ShipmentEffect, Store
from plugin.sync.context import CALL_SECONDS, Context
from plugin.sync.failures import come_back, line_is_down
from plugin.sync.mapping import AMSTERDAM
from plugin.sync.order_list import note_page
from plugin.sync.timeline import note
from plugin.texts import gettext as _
from plugin.texts import ngettext

log = logging.getLogger(__name__)

KIND = "order sweep"
#: When shops are quiet; Europe/Amsterdam.
AT = time(4, 10)
#: A change this much older than the last complete read should have been told by it.
SLACK = timedelta(minutes=5)
#: How far back shipments are compared: handled orders leave bol's order list after 48 hours.
BACK = timedelta(days=3)
ORDERS, SHIPMENTS = "orders", "shipments"
#: A page that can't be read so often in a row, for some hours, won't be.
PATIENCE = 12


def sweep_if_due(ctx: Context) -> bool:
    """Begin a sweep when its time has come, and go on with the one that is under way. True when pages are left."""
    if not ctx.active or not ctx.settings.import_orders:
        return False
    _begin_if_due(ctx)
    run = _current(ctx)
    if run is None or run.due_at is None or run.due_at > ctx.now():
        return False
    while not ctx.lease.slice_over():
        try:
            done = _step(ctx, run)
        except BolError as error:
            _postpone(ctx, run, error)
            return False
        if done:
            return False
        run = _current(ctx)
        if run is None:
            return False
    return True


def next_sweep(now: datetime) -> datetime:
    """Return the next moment for a sweep, in UTC."""
    local = now.astimezone(AMSTERDAM)
    day = local.date() if local.time() < AT else local.date() + timedelta(days=1)
    return datetime.combine(day, AT, AMSTERDAM).astimezone(now.tzinfo)


def _current(ctx: Context) -> Run | None:
    with ctx.host.reading() as session:
        run: Run | None = session.scalar(
            select(Run).where(Run.store_id == ctx.store_id, Run.kind == KIND, Run.state == RunState.RUNNING)
        )
    return run


def _begin_if_due(ctx: Context) -> None:
    now = ctx.now()
    with ctx.host.transaction() as session:
        store = session.scalars(select(Store).where(Store.id == ctx.store_id).with_for_update()).one()
        if store.orders_read_at is None:
            return
        if store.next_sweep_at is None or store.next_sweep_at > now:
            # The first sweep comes with the first night.
            store.next_sweep_at = store.next_sweep_at or next_sweep(now)
            return
        store.next_sweep_at = next_sweep(now)
        _end_last(ctx)
        run = Run(
            store_id=ctx.store_id,
            kind=KIND,
            state=RunState.RUNNING,
            cursor=f"{ORDERS}:1",
            counts={
                "told before": (store.orders_read_at - SLACK).isoformat(),
                "orders": 0,
                "missed": 0,
                "shipments": 0,
                "shipped elsewhere": 0,
            },
            started_at=now,
            due_at=now,
            error="",
        )
        session.add(run)


def _end_last(ctx: Context) -> None:
    """End a sweep that is still under way when the next one begins, as where bol was away. In a transaction."""
    ctx.host.session.execute(
        update(Run)
        .where(Run.store_id == ctx.store_id, Run.kind == KIND, Run.state == RunState.RUNNING)
        .values(state=RunState.STOPPED, finished_at=ctx.now(), due_at=None)
    )


def _step(ctx: Context, run: Run) -> bool:
    """Walk one page; tell if it was the last one."""
    kind, _, number = run.cursor.partition(":")
    ctx.lease.ensure(CALL_SECONDS)
    counts = dict(run.counts)
    if kind == ORDERS:
        page = ctx.client.orders.page(int(number), urgent=False)
        with ctx.host.transaction():
            noted = note_page(ctx, page, datetime.fromisoformat(counts["told before"]))
            counts["orders"] += len(page.orders)
            counts["missed"] += noted.missed
            _move(ctx, run, f"{SHIPMENTS}:1" if page.last else f"{ORDERS}:{int(number) + 1}", counts)
        return False
    shipments = ctx.client.shipments.page(int(number), fulfilment_method="FBR")
    oldest = min((s.shipped_at for s in shipments.shipments if s.shipped_at is not None), default=None)
    done = shipments.last or (oldest is not None and oldest < run.started_at - BACK)
    with ctx.host.transaction():
        for shipment in shipments.shipments:
            counts["shipments"] += 1
            if shipment.order_id:
                counts["shipped elsewhere"] += _compare(ctx, shipment)
            else:
                log.warning("shipment %s in bol's list names no order", shipment.shipment_id)
        if done:
            _finish(ctx, run, counts)
        else:
            _move(ctx, run, f"{SHIPMENTS}:{int(number) + 1}", counts)
    return done


def _compare(ctx: Context, shipment: ShipmentSummary) -> bool:
    """Compare one shipment of bol with the ledger; tell if it was made by somebody else. In a transaction."""
    session = ctx.host.session
    row = session.scalar(
        select(BolOrder).where(BolOrder.store_id == ctx.store_id, BolOrder.order_id == shipment.order_id)
    )
    if row is None:
        row = BolOrder(
            store_id=ctx.store_id,
            order_id=shipment.order_id,
            state=BolOrderState.FOUND,
            found_at=ctx.now(),
            read_due_at=ctx.now(),
            attempts=0,
            error="",
            list_signature="",
        )
        session.add(row)
        session.flush()
        note(
            ctx.host,
            row.id,
            _("Found by the daily check among bol's shipments: this order had been missed"),
        )
        return True
    if row.state != BolOrderState.IMPORTED:
        return False
    ours = session.scalar(
        select(ShipmentEffect.id)
        .where(ShipmentEffect.order_id == row.id, ShipmentEffect.reference == (shipment.reference or ""))
        .limit(1)
    )
    if ours is not None:
        return False
    return _tell_shipped_elsewhere(ctx, row, shipment)


def _tell_shipped_elsewhere(ctx: Context, row: BolOrder, shipment: ShipmentSummary) -> bool:
    ctx.notify(
        f"shipped-elsewhere:{shipment.shipment_id}",
        "shipment",
        Level.WARNING,
        _("order %(order)s was shipped at bol, but not from here", order=row.order_id),
        _(
            "bol has shipment %(shipment)s, which no picklist of ours made. Check that it is not sent twice.",
            shipment=shipment.shipment_id,
        ),
        ctx.host.order_url(row.host_order_id) if row.host_order_id else None,
    )
    return True


def _move(ctx: Context, run: Run, cursor: str, counts: dict[str, Any]) -> None:
    counts.pop("failures", None)
    ctx.host.session.execute(
        update(Run)
        .where(Run.id == run.id, Run.cursor == run.cursor)
        .values(cursor=cursor, counts=counts, error="", due_at=ctx.now())
    )


def _finish(ctx: Context, run: Run, counts: dict[str, Any]) -> None:
    counts.pop("failures", None)
    ctx.host.session.execute(
        update(Run)
        .where(Run.id == run.id)
        .values(counts=counts, state=RunState.DONE, finished_at=ctx.now(), due_at=None, error="")
    )
    if counts["missed"]:
        ctx.notify(
            f"sweep:{run.id}",
            "order",
            Level.WARNING,
            ngettext(
                "the daily check found %(num)s order that had been missed",
                "the daily check found %(num)s orders that had been missed",
                counts["missed"],
            ),
            _("They come in now. If this happens again, ask for the log to be looked at."),
        )


def _postpone(ctx: Context, run: Run, error: BolError) -> None:
    """Leave the page for later. One that bol itself keeps from being read ends the sweep, which people are told."""
    failures = int(run.counts.get("failures", 0)) + (not line_is_down(error))
    values: dict[str, Any] = {
        "counts": {**run.counts, "failures": failures},
        "error": error.operator_text(_),
        "due_at": max(come_back(error, ctx.now(), failures), ctx.now() + timedelta(seconds=30)),
    }
    if failures >= PATIENCE:
        values |= {"state": RunState.FAILED, "finished_at": ctx.now(), "due_at": None}
    with ctx.host.transaction() as session:
        session.execute(update(Run).where(Run.id == run.id, Run.state == RunState.RUNNING).values(**values))
