"""What an order of bol waits for, in words, and what happened to it last."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from host_app.plugin_api import Level, OrderState, OrderView
from plugin.models import BolOrder, BolOrderEvent, CancellationEffect, EffectState, ShipmentEffect
from plugin.sync.cancel_decisions import ACTIVE, cancelled_here, requested, still_here
from plugin.sync.overview import AT_WORK, FOR_A_PERSON
from plugin.texts import gettext as _
from plugin.texts import lazy as _l
from plugin.texts import ngettext

#: State of a shipment -> what the order waits for, the most pressing first.
SHIPMENT_WAITS: Mapping[EffectState, str] = {
    EffectState.DECISION: _l("Waits for you: it is not known if bol has the shipment"),
    EffectState.REFUSED: _l("Waits for you: bol refused the shipment"),
    EffectState.UNKNOWN: _l("The shipment is being checked at bol"),
    EffectState.SENT: _l("Waits for bol to confirm the shipment"),
    EffectState.WANTED: _l("The shipment waits to be sent to bol"),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an order that came in stands now, in few words; the newest line of its timeline; what it waits for ("":
    nothing)."""

    now: tuple[str, Level]
    last: BolOrderEvent | None
    waits: str


def standings(session: Any, rows: Sequence[BolOrder], views: Mapping[int, OrderView]) -> dict[int, Standing]:
    """Return where these orders stand, by row id; ``views`` are the host's orders, by their id. In a transaction."""
    ids = [row.id for row in rows]
    newest = (
        select(func.max(BolOrderEvent.id))
        .where(BolOrderEvent.order_id.in_(ids))
        .group_by(BolOrderEvent.order_id)
    )
    last = {
        event.order_id: event
        for event in session.scalars(select(BolOrderEvent).where(BolOrderEvent.id.in_(newest)))
    }
    shipping: dict[int, set[str]] = {}
    for order_id, state in session.execute(
        select(ShipmentEffect.order_id, ShipmentEffect.state)
        .where(ShipmentEffect.order_id.in_(ids))
        .distinct()
    ):
        shipping.setdefault(order_id, set()).add(state)
    cancelling = set(
        session.scalars(
            select(CancellationEffect.order_id).where(
                CancellationEffect.order_id.in_(ids), CancellationEffect.state.in_(ACTIVE)
            )
        )
    )
    found = {}
    for row in rows:
        view = views.get(row.host_order_id) if row.host_order_id is not None else None
        states, asked = shipping.get(row.id, set()), row.id in cancelling
        found[row.id] = Standing(
            _now(row, view, states, asked), last.get(row.id), _waits(row, view, states, asked)
        )
    return found


def is_dead(row: BolOrder) -> bool:
    """Tell if bol has cancelled everything that came in of an order."""
    imported = [item for item in row.items if item.imported]
    return bool(imported) and all(
        item.cancelled - item.cancelled_before_import >= item.imported for item in imported
    )


def to_put_back(row: BolOrder, view: OrderView) -> int:
    """Return how many picked pieces must be put back before those that bol cancelled can be taken off the order."""
    lines = {line.external_ref: line for line in view.lines}
    number = 0
    for item, count in still_here(row, view):
        line = lines[item.order_item_id]
        unpicked = line.quantity - line.shipped - line.cancelled - line.picked
        number += max(0, count - max(0, unpicked))
    return number


def next_step(row: BolOrder, view: OrderView, *, may_decide: bool) -> str:
    """Tell what is to be done about what bol cancelled and is still open here; "" where nothing is.

    :param may_decide: who looks is an administrator.
    """
    pieces = still_here(row, view)
    if not pieces:
        return ""
    if is_dead(row) and not any(line.shipped for line in view.lines):
        if view.picked:
            return _(
                "bol cancelled this order: put back what was picked, and press “Everything is back on the shelf” on its "
                "picklist. Then it is cancelled here, too."
            )
        return _(
            "bol cancelled this order, and nothing of it is picked any more: as soon as that was compared with bol, it is cancelled here, too."
        )
    goods = ", ".join(f"{count} × {item.title or item.ean}" for item, count in pieces)
    number, back = sum(count for _item, count in pieces), to_put_back(row, view)
    steps = [_("bol cancelled %(goods)s of it.", goods=goods)]
    if back:
        steps.append(
            ngettext(
                "Put %(num)s picked piece back first (−1 on the picklist).",
                "Put %(num)s picked pieces back first (−1 on the picklist).",
                back,
            )
        )
    steps.append(
        ngettext(
            "Take this %(num)s piece off the order here: “Take off”, beside the article.",
            "Take these %(num)s pieces off the order here: “Take off”, beside the article.",
            number,
        )
        if may_decide
        else ngettext(
            "Ask an administrator to take this %(num)s piece off the order here.",
            "Ask an administrator to take these %(num)s pieces off the order here.",
            number,
        )
    )
    return " ".join(steps)


def _now(
    row: BolOrder, view: OrderView | None, shipping: Collection[str], cancelling: bool
) -> tuple[str, Level]:
    """Tell where an order stands by what bol and the warehouse did with it last; green is only what bol has confirmed."""
    if view is None:
        return _("imported"), Level.INFO
    if cancelling:
        return _("being cancelled at bol"), Level.INFO
    if is_dead(row):
        undone = view.state not in (OrderState.CANCELLED, OrderState.COMPLETED)
        return _("cancelled at bol"), Level.WARNING if undone else Level.INFO
    if view.state == OrderState.CANCELLED:
        return _("cancelled here"), Level.WARNING if cancelled_here(row, view) else Level.INFO
    if any(state in shipping for state in FOR_A_PERSON):
        return _("shipped, not settled with bol"), Level.DANGER
    if view.state == OrderState.COMPLETED:
        if any(state in shipping for state in AT_WORK):
            return _("shipped, bol is being told"), Level.INFO
        if EffectState.CONFIRMED in shipping:
            return _("shipped and confirmed by bol"), Level.SUCCESS
        return _("shipped"), Level.INFO
    if any(line.shipped for line in view.lines):
        return _("partly shipped"), Level.INFO
    if view.state == OrderState.PAUSED:
        return _("paused here"), Level.WARNING
    if view.state == OrderState.CONCEPT:
        return _("not processed yet"), Level.INFO
    return (_("being picked") if view.picked else _("to be picked")), Level.INFO


def _waits(row: BolOrder, view: OrderView | None, shipping: Collection[str], cancelling: bool) -> str:
    if view is None:
        return ""
    if cancelling:
        return _("Waits for bol to cancel it")
    if is_dead(row) and view.state not in (OrderState.CANCELLED, OrderState.COMPLETED):
        return _("Waits for you: it is still open here. Put the goods back, then cancel it")
    for state, words in SHIPMENT_WAITS.items():
        if state in shipping:
            return words
    if view.state == OrderState.CANCELLED or cancelled_here(row, view):
        if not cancelled_here(row, view):
            return ""
        return _("Waits for you: cancelled here, but bol still counts on it")
    if requested(row) and view.state != OrderState.COMPLETED:
        return _("Waits for your answer: the customer asks to cancel")
    return ""
