"""A clock that was ahead and is set right: what it put off for hours, untold, is done now."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update

from plugin.models import EffectState, Offer, ProcessStatusRow, Store
from plugin.settings import StoreSettings
from plugin.sync.catch_up import catch_up
from plugin.sync.context import Surroundings, current_settings
from plugin.sync.owed import EFFECTS

#: Clocks of machines that work together differ by less.
AHEAD = timedelta(minutes=5)
#: A change interval of bol has no more: what was read before is read whole.
READ_WHOLE = timedelta(minutes=61)
#: What is noted when it has happened, and so is never still to come.
HAPPENED = ("orders_read_at", "orders_known_at", "orders_imported_at", "stock_sent_at", "problem_at")
#: When something is to be done next, and the beginning of a read that is under way: anew from now on.
TO_COME = (
    "next_import_at",
    "next_sweep_at",
    "next_check_at",
    "next_upkeep_at",
    "next_erase_at",
    "orders_look_after",
    "orders_known_at",
    "list_began_at",
)


def was_ahead(store: Store, now: datetime) -> bool:
    """Tell if something happened at a moment that is still to come: the clock by which it was noted was wrong."""
    return any(
        moment is not None and moment > now + AHEAD for name in HAPPENED for moment in [getattr(store, name)]
    )


def happened_ahead(ahead: Any) -> list[Any]:
    """Return the conditions of which one holds for stores as in :func:`was_ahead`; ``ahead``: :data:`AHEAD` from now."""
    return [getattr(Store, name) > ahead for name in HAPPENED]


def set_right(ctx: Surroundings) -> None:
    """Where a clock was ahead, forget the moments that it made, and do at once what waits for one. Once: then none is left."""
    now = ctx.now()
    with ctx.host.reading() as session:
        store = session.get(Store, ctx.store_id)
    if store is None or not was_ahead(store, now):
        return
    with ctx.host.transaction() as session:
        store = session.get_one(Store, ctx.store_id, with_for_update={"key_share": True})
        for name in TO_COME:
            moment = getattr(store, name)
            if moment is not None and moment > now:
                setattr(store, name, None)
        if store.orders_read_at is not None:
            store.orders_read_at = min(store.orders_read_at, now - READ_WHOLE)
        for name in HAPPENED:
            moment = getattr(store, name)
            if moment is not None and moment > now:
                setattr(store, name, now)
        session.flush()
        catch_up(ctx.host, ctx.store_id)
        _bring_nearer(ctx, session, now, current_settings(ctx))


def _bring_nearer(ctx: Surroundings, session: Any, now: datetime, settings: StoreSettings) -> None:
    """Bring nearer what waits although nothing failed, and what is looked at some time after it was sent. In a transaction.

    What a setting puts off waits from now on.
    """
    longest = timedelta(minutes=max(settings.confirm_after_minutes, settings.tracking_wait_minutes))
    for model in EFFECTS.values():
        mine = model.store_id == ctx.store_id
        for state, waits, until in (
            (EffectState.UNKNOWN, timedelta(0), now),
            (EffectState.WANTED, longest, now + longest),
            (EffectState.SENT, timedelta(0), now),
        ):
            session.execute(
                update(model)
                .where(mine, model.state == state, model.due_at > now + waits)
                .values(due_at=until)
            )
        for column in (model.sent_at, model.unknown_since):
            unsettled = model.state.in_((EffectState.SENT, EffectState.UNKNOWN))
            session.execute(update(model).where(mine, unsettled, column > now).values({column: now}))
    for column in (ProcessStatusRow.created_at, Offer.read_back_at, Offer.title_due_at):
        model = column.class_
        session.execute(
            update(model).where(model.store_id == ctx.store_id, column > now).values({column: now})
        )
