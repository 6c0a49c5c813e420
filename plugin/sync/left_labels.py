"""Labels that are paid and on which nothing travels: found when their goods go another way, told once, and settled by a person.

bol takes no label back by its API, so only a person can ask bol for the money. ``due_at`` of a bought label says since
when it waits for that; which of them are left over is known where the picklist is, and is looked at when that changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, select, update

from host_app.plugin_api import HostError, HostPort, Level, Notice, OrderState, OrderView, speaking
from plugin.models import BolOrder, EffectState, LabelEffect, ShipmentEffect, Store
from plugin.sync.context import store_url
from plugin.sync.order_waits import is_dead
from plugin.sync.timeline import note
from plugin.texts import gettext as _

#: The word for them in addresses and filters.
NOT_USED = "not used"


def left_over() -> ColumnElement[bool]:
    """Return the condition of labels that are paid, not used, and not settled."""
    return and_(LabelEffect.state == EffectState.CONFIRMED, LabelEffect.due_at.is_not(None))


def is_left_over(effect: LabelEffect) -> bool:
    """Tell if a label is paid, not used, and not settled."""
    return effect.state == EffectState.CONFIRMED and effect.due_at is not None


def look(host: HostPort, host_order_id: int) -> None:
    """Keep which labels of an order nothing travels on any more, and tell people of each once. In a transaction."""
    of_order = (BolOrder.host_order_id == host_order_id, LabelEffect.state == EffectState.CONFIRMED)
    known = select(LabelEffect.id).join(BolOrder).where(*of_order).limit(1)
    if host.session.scalar(known) is None:
        return
    # Locks the order: what is decided here stays true.
    view = host.order(host_order_id)
    effects = host.session.scalars(
        select(LabelEffect)
        .join(BolOrder)
        .where(*of_order)
        .order_by(LabelEffect.id)
        .execution_options(populate_existing=True)
    ).all()
    for effect in effects:
        waits = view is not None and _is_unused(host, effect, view)
        if waits == (effect.due_at is not None):
            continue
        changed = host.session.execute(
            update(LabelEffect)
            .where(LabelEffect.id == effect.id, LabelEffect.state == EffectState.CONFIRMED)
            .values(due_at=host.now() if waits else None)
        )
        if changed.rowcount and waits:
            _tell(host, effect)
        else:
            host.settle_notices(_key(effect))


def look_at_parcel(host: HostPort, shipment_id: int) -> None:
    """A parcel was corrected or withdrawn: look at the labels of its order. In a transaction."""
    order_id = host.session.scalar(
        select(BolOrder.host_order_id)
        .join(ShipmentEffect, ShipmentEffect.order_id == BolOrder.id)
        .where(ShipmentEffect.host_shipment_id == shipment_id)
        .limit(1)
    )
    if order_id is not None:
        look(host, order_id)


def settle(host: HostPort, store_id: int, effect_id: int, who: str) -> None:
    """A person has asked bol about a label that is left over, or lets it be. In a transaction.

    :raises HostError: it is none, or somebody else was first.
    """
    with speaking(host.language):
        told = _("Not used. Settled by %(who)s.", who=who)
    settled = host.session.execute(
        update(LabelEffect)
        .where(LabelEffect.id == effect_id, LabelEffect.store_id == store_id, left_over())
        .values(state=EffectState.CLOSED, due_at=None, settled_at=host.now(), error=told)
    )
    if not settled.rowcount:
        raise HostError(_("This label does not wait to be settled any more."))
    effect = host.session.get(LabelEffect, effect_id, populate_existing=True)
    host.settle_notices(_key(effect))
    with speaking(host.language):
        line = _(
            "Label %(label)s was paid and not used; settled by %(who)s", label=effect.label_id or "", who=who
        )
    note(host, effect.order_id, line)


def _is_unused(host: HostPort, effect: LabelEffect, view: OrderView) -> bool:
    """Tell if nothing travels on a bought label, and nothing will: its picklist is done, and its goods are not packed anew;
    or bol cancelled all of its order, also while goods are still to be put back."""
    picklist = host.picklist(effect.host_picklist_id)
    if picklist is None:
        return False
    parcels = [parcel for parcel in picklist.parcels if parcel.label_ref == effect.label_id]
    if any(not parcel.withdrawn for parcel in parcels):
        return False
    if is_dead(effect.order):
        return True
    if picklist.state in ("new", "paused"):
        return False
    # Those of a withdrawn parcel are offered for its goods, as long as these wait here again.
    return not parcels or not _wait_here(effect.lines, view)


def _wait_here(lines: Mapping[str, int], view: OrderView) -> bool:
    if view.state in (OrderState.CANCELLED, OrderState.COMPLETED):
        return False
    waiting = {line.order_line_id: line.quantity - line.shipped - line.cancelled for line in view.lines}
    return all(waiting.get(int(line_id), 0) >= count for line_id, count in lines.items())


def _tell(host: HostPort, effect: LabelEffect) -> None:
    order: Any = host.session.get(BolOrder, effect.order_id)
    store: Any = host.session.get(Store, effect.store_id)
    with speaking(host.language):
        title = _(
            "%(store)s: the label of order %(order)s is paid, and not used",
            store=store.name,
            order=order.order_id,
        )
        body = _(
            "bol takes no label back by itself. Do not stick it on another parcel. An administrator can ask bol's partner service for "
            "the money back, with the number of the label (%(label)s), and then press “Settled with bol”.",
            label=effect.label_id or "",
        )
    host.notify(
        Notice(
            key=_key(effect),
            kind="bol.label",
            level=Level.WARNING,
            title=title,
            body=body,
            url=f"{store_url(effect.store_id)}labels?state=not+used",
        )
    )


def _key(effect: LabelEffect) -> str:
    """The same label left over by another picklist is told again."""
    return f"bol:{effect.store_id}:label-not-used:{effect.id}:{effect.host_picklist_id}"
