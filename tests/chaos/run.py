"""One run: a script is carried out, the house is healed, time passes until nothing is owed, and the judge looks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import requests
from sqlalchemy import func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from host_app.db import db, reading
from host_app.models import EventDelivery
from plugin.models import (
    BolOrder,
    CancellationEffect,
    EffectState,
    LabelEffect,
    Offer,
    ProcessStatusRow,
    Run,
    RunState,
    ShipmentEffect,
    Store,
    TransportEffect,
)
from plugin.sync.correcting import next_correction
from plugin.sync.dirty import in_need
from plugin.sync.shipments import next_parcel
from tests.chaos.harm import Harm
from tests.chaos.house import House
from tests.chaos.judge import judge
from tests.chaos.people import Refused, Shop
from tests.chaos.script import FIRST_ORDERS, Script

HARMS = (
    "kill",
    "freeze",
    "empty-redis",
    "lose-redis",
    "database",
    "time",
    "bol-clock",
    "tokens",
    "forged",
    "bol",
)
#: A lease of a killed job, on PostgreSQL, and a machine with other things to do.
PATIENCE = 300
#: Work that is due and that nobody does for so long waits for something.
STUCK = 4
#: Times that the house is moved to the next moment at which something is due.
MOST_JUMPS = 150


@dataclass(slots=True)
class Result:
    """What came of a run."""

    script: Script
    problems: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    harms: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    seconds: float = 0
    truth: dict[str, Any] = field(default_factory=dict)


class Chaos:
    """Carries out one script in a house."""

    def __init__(self, house: House, script: Script) -> None:
        self.house, self.script = house, script
        self.shop = Shop(house, script)
        self.harm = Harm(house, self.shop.client_id)
        self.result = Result(script, harms=self.harm.done)
        self._began = 0.0

    def run(self) -> Result:
        self._began = time.monotonic()
        self.shop.open()
        try:
            for number, step in enumerate(self.script.steps):
                if number == FIRST_ORDERS and not self.script.early:
                    placed = self.house.clock.now()
                    self.shop.import_now()
                    self._until_quiet(placed)
                    self._tell("the first orders are here")
                time.sleep(step.wait)
                self._step(step.kind, step.what, str(step))
        finally:
            self.house.mender.finish()
        self.house.heal()
        self._tell("healed")
        since = self.house.clock.now()
        # One read of bol's list that began after everything was well again.
        for wanted in (False, True):
            if wanted:
                self.shop.import_now()
            trouble = self._until_quiet(since if wanted else None)
            if trouble:
                self.result.problems.append(f"it does not come to rest: {trouble}")
                break
        self._tell("at rest")
        self.result.truth = self.house.sandbox.state(self.shop.client_id)
        with self.house.app.app_context():
            self.result.problems += judge(self.shop, self.result.truth)
            db.session.remove()
        self.shop.close()
        self.result.seconds = time.monotonic() - self._began
        return self.result

    def _step(self, kind: str, what: Any, told: str) -> None:
        if kind in HARMS:
            with suppress(requests.RequestException):
                seconds, undo = self.harm.do(kind, what)
                self.house.mender.later(seconds, _undaunted(undo))
                self._tell(told)
            return
        try:
            came = self.shop.do(kind, what)
        except Refused as refused:
            came = f"refused: {refused}"
        except SQLAlchemyError as error:
            # The test's own connection was cut, or found the database locked.
            came = f"refused: {type(error).__name__}"
        else:
            self.result.done[kind] += 1
        self._tell(f"{told} -> {came}")

    def _tell(self, text: str) -> None:
        self.result.told.append(f"{time.monotonic() - self._began:6.1f} {text}")

    # coming to rest

    def _until_quiet(self, read_since: datetime | None) -> str:
        """Let time pass until nothing is owed; return what is where that does not come about."""
        end = time.monotonic() + PATIENCE
        shorten = time.monotonic() + STUCK
        owed: dict[str, datetime] = {}
        for _ in range(MOST_JUMPS):
            while True:
                owed = self._owed(read_since)
                now = self.house.clock.now()
                due = {what: moment for what, moment in owed.items() if moment <= now}
                if not due:
                    break
                if time.monotonic() > end:
                    return ", ".join(f"{what} since {moment:%H:%M:%S}" for what, moment in due.items())
                time.sleep(0.3)
                if time.monotonic() > shorten:
                    # A lease of a killed job is waited for with the house's time.
                    self.house.pass_time(15, patience=1)
                    shorten = time.monotonic() + STUCK
            if not owed:
                return ""
            until = min(owed.values()) - now + timedelta(seconds=1)
            if not self.house.pass_time(until.total_seconds()):
                return "somebody is always at work"
            end, shorten = time.monotonic() + PATIENCE, time.monotonic() + STUCK
        return f"there is always something: {owed}"

    def _owed(self, read_since: datetime | None) -> dict[str, datetime]:
        with self.house.app.app_context():
            try:
                with reading() as session:
                    if session.get_bind().dialect.name == "postgresql":
                        # One moment for all: what goes from one table to another between two looks is owed all the same.
                        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                    return dict(self._find_owed(session, read_since))
            except SQLAlchemyError as error:
                return {type(error).__name__: datetime.min.replace(tzinfo=self.house.clock.now().tzinfo)}
            finally:
                db.session.remove()

    def _find_owed(self, session: Any, read_since: datetime | None) -> Iterator[tuple[str, datetime]]:
        """Yield what is owed to bol or to the warehouse, with when it is due."""
        now = self.house.clock.now()
        store_id = self.shop.store_id
        for row in session.scalars(select(EventDelivery).where(EventDelivery.parked_at.is_(None))):
            if row.kind != "order_import":
                yield f"event {row.kind} {row.subject}", row.next_try_at or now
        for model in (ShipmentEffect, CancellationEffect, TransportEffect, LabelEffect):
            for state in (EffectState.WANTED, EffectState.UNKNOWN):
                conditions = [model.store_id == store_id, model.state == state]
                behind = (model is ShipmentEffect and session.scalar(next_parcel(store_id, now)) is None) or (
                    model is TransportEffect and session.scalar(next_correction(store_id, now)) is None
                )
                if behind:
                    # Those that are due wait behind another one of their order item, or for their shipment, which is
                    # owed itself.
                    conditions.append(or_(model.state != EffectState.WANTED, model.due_at > now))
                moment = session.scalar(select(func.min(model.due_at)).where(*conditions))
                if moment:
                    yield f"{model.__tablename__} {state}", moment
            sent = session.scalar(
                select(func.min(model.sent_at)).where(
                    model.store_id == store_id,
                    model.state == EffectState.SENT,
                    model.process_status_id.is_(None),
                )
            )
            if sent:
                yield f"{model.__tablename__} abandoned", sent + timedelta(seconds=60)
        mine: list[tuple[str, Any, tuple[Any, ...]]] = [
            ("status", ProcessStatusRow.next_poll_at, (ProcessStatusRow.store_id == store_id,)),
            ("order", BolOrder.read_due_at, (BolOrder.store_id == store_id,)),
            ("run", Run.due_at, (Run.store_id == store_id, Run.state == RunState.RUNNING)),
            ("rest", Store.rests_until, (Store.id == store_id, Store.rests_until > now)),
            ("import", Store.import_wanted_at, (Store.id == store_id,)),
            ("read back", Offer.read_back_at, (Offer.store_id == store_id,)),
        ]
        for what, column, conditions in mine:
            moment = session.scalar(select(func.min(column)).where(*conditions))
            if moment:
                yield what, moment
        for offer in session.scalars(select(Offer).where(Offer.store_id == store_id, in_need(Offer))):
            yield f"stock of {offer.ean}", offer.next_try_at or now
        if read_since is not None:
            store = session.get(Store, store_id)
            if store.orders_read_at is None or store.orders_read_at < read_since:
                yield "reading orders", now


def _undaunted(mend: Callable[[], None]) -> Callable[[], None]:
    """What can't be mended now is mended when the house is healed."""

    def safely() -> None:
        with suppress(requests.RequestException):
            mend()

    return safely
