"""What turning "Send stock updates" on would do: a dry stock check, added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, func, or_, select

from host_app.plugin_api import HostPort
from plugin.models import Discrepancy, Offer, OfferState, Run, RunState
from plugin.settings import StoreSettings
from plugin.sync.amounts import Making, makings
from plugin.sync.comparing import Subject
from plugin.sync.findings import KIND, Skipped
from plugin.sync.mapping import FBR
from plugin.sync.products import KIND as PRODUCTS
from plugin.sync.stock_check import rules_of

#: So many changes are shown; the report has all of them.
FIRST_ROWS = 20
#: Changes of stock do not overtake a plan that is younger: what changed since is counted in when it is sent.
NEW = timedelta(minutes=5)
#: What bol shows and what it would be sent differ.
CHANGES = and_(
    Discrepancy.our_amount.is_not(None),
    or_(Discrepancy.bol_amount != Discrepancy.our_amount, Discrepancy.bol_managed != Discrepancy.our_managed),
)
EMPTIES = and_(Discrepancy.our_amount == 0, Discrepancy.bol_amount > 0)
FILLS = and_(Discrepancy.our_amount > 0, Discrepancy.bol_amount == 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """The newest dry run of a store, and what it comes to once it is done.

    :param changes: offers whose amount or cut-off would change; ``empties`` of them go to 0, ``fills`` rise from it.
    :param rows: the first of them, those that go to 0 first.
    :param skipped: offers that would not be sent, by reason.
    :param active: offers of which the guard counts its share.
    :param guarded: the guard would stop the zeros.
    :param settings_changed: a setting that the amounts follow from was changed since.
    :param overtaken: products were imported or stock was compared since; or stock changed, and the plan is not new.
    """

    run: Run
    changes: int
    empties: int
    fills: int
    rows: Sequence[Discrepancy]
    skipped: Mapping[str, int]
    active: int
    guarded: bool
    settings_changed: bool
    overtaken: bool

    @property
    def outdated(self) -> bool:
        """Tell if it must be worked out again before it can be decided on."""
        return self.settings_changed or self.overtaken

    @property
    def is_ready(self) -> bool:
        """Tell if it can be decided on."""
        return self.run.state == RunState.DONE and not self.outdated


def newest_plan(host: HostPort, store_id: int, settings: StoreSettings) -> Plan | None:
    """Return the plan by the newest dry run, None where there was none. Opens a read transaction of its own."""
    with host.reading() as session:
        run = session.scalar(
            select(Run)
            .where(Run.store_id == store_id, Run.kind == KIND, Run.dry.is_(True))
            .order_by(Run.id.desc())
            .limit(1)
        )
        if run is None:
            return None
        mine = Discrepancy.run_id == run.id
        changes, empties, fills = (
            session.scalar(select(func.count()).where(mine, condition)) or 0
            for condition in (CHANGES, EMPTIES, FILLS)
        )
        rows = session.scalars(
            select(Discrepancy)
            .where(mine, CHANGES)
            .order_by(EMPTIES.desc(), FILLS.desc(), Discrepancy.id)
            .limit(FIRST_ROWS)
        ).all()
        active = session.scalar(
            select(func.count()).where(
                Offer.store_id == store_id,
                Offer.method == FBR,
                Offer.state == OfferState.LISTED,
                Offer.product_id.is_not(None),
                Offer.excluded.is_(False),
            )
        )
        overtaken = _is_overtaken(session, run, host.now())
    return Plan(
        run=run,
        changes=changes,
        empties=empties,
        fills=fills,
        rows=rows,
        skipped={reason: run.counts[reason] for reason in Skipped if run.counts.get(reason)},
        active=active,
        guarded=empties >= settings.guard_least and empties * 100 > settings.guard_share * active,
        settings_changed=run.counts.get("rules") != rules_of(settings),
        overtaken=overtaken,
    )


def made_of(
    host: HostPort, store_id: int, settings: StoreSettings, rows: Iterable[Discrepancy]
) -> dict[int, Making]:
    """Return what makes the new amount of these rows, by their ids. Not of one whose amount is another by now. In a transaction."""
    rows = [row for row in rows if row.our_amount is not None and row.product_id is not None]
    subjects = [Subject(row.id, row.offer_id, row.ean, FBR, row.product_id, excluded=False) for row in rows]
    found = makings(host, store_id, settings, subjects)
    return {
        row.id: found[row.id] for row in rows if row.id in found and found[row.id].amount == row.our_amount
    }


def _is_overtaken(session: Any, run: Run, now: datetime) -> bool:
    """Tell if what the plan was made from is not so any more. In a shop that is busy, some stock changes all the time."""
    newer = Run.started_at > run.started_at
    # An import that was under way meanwhile made products that the plan does not know.
    imported = and_(Run.kind == PRODUCTS, or_(newer, Run.finished_at > run.started_at))
    later = exists().where(Run.store_id == run.store_id, or_(and_(Run.kind == KIND, newer), imported))
    if session.scalar(select(later)):
        return True
    if run.finished_at is None or run.finished_at > now - NEW:
        return False
    changed = exists().where(Offer.store_id == run.store_id, Offer.changed_at > run.started_at)
    return bool(session.scalar(select(changed)))
