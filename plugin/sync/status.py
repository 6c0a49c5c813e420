"""How each store is, for the status command: state, problem, what is owed, and when its flows last went well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from host_app.plugin_api import HostPort
from plugin.models import EffectState, Offer, Store
from plugin.sync.dirty import in_need
from plugin.sync.flows import last_good_runs
from plugin.sync.owed import EFFECTS, Owed, find_owed


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """One store. decisions: effects that wait for a person, by kind."""

    store_id: int
    name: str
    state: str
    problem: str
    owed: tuple[Owed, ...]
    stock_to_send: int
    decisions: dict[str, int]
    last_good_runs: dict[str, datetime | None]


def status(host: HostPort) -> list[StoreStatus]:
    """Look at every store; bol is not asked. Opens a read transaction."""
    with host.reading() as session:
        return [_status(host, store) for store in session.scalars(select(Store).order_by(Store.id))]


def _status(host: HostPort, store: Store) -> StoreStatus:
    session = host.session
    decisions = {
        kind: session.scalar(
            select(func.count()).where(
                model.store_id == store.id, model.state.in_((EffectState.DECISION, EffectState.REFUSED))
            )
        )
        for kind, model in EFFECTS.items()
    }
    return StoreStatus(
        store_id=store.id,
        name=store.name,
        state=store.state,
        problem=store.problem,
        owed=tuple(find_owed(host, store)),
        stock_to_send=session.scalar(select(func.count()).where(Offer.store_id == store.id, in_need(Offer))),
        decisions={kind: count for kind, count in decisions.items() if count},
        last_good_runs=dict(last_good_runs(session, store)),
    )
