"""What the host's pages of an order or a picklist show of bol."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from host_app.plugin_api import HostPort, Level, OrderState, Panel, PanelLink, PanelRow
from plugin.models import BolOrder, EffectState, LabelEffect, ShipmentEffect, Store
from plugin.sync.cancel_decisions import being_cancelled, in_the_way, is_open_here, requested
from plugin.sync.context import order_url, store_url
from plugin.sync.label_options import VIA_BOL
from plugin.sync.order_waits import is_dead
from plugin.texts import gettext as _
from plugin.texts import lazy as _l
from plugin.texts import minute

WORDS = {
    EffectState.WANTED: (_l("waiting to be sent to bol"), Level.INFO),
    EffectState.SENT: (_l("sent, bol is working on it"), Level.INFO),
    EffectState.UNKNOWN: (_l("being checked at bol"), Level.WARNING),
    EffectState.CONFIRMED: (_l("confirmed"), Level.SUCCESS),
    EffectState.REFUSED: (_l("refused by bol"), Level.DANGER),
    EffectState.DECISION: (_l("unknown: please decide"), Level.DANGER),
    EffectState.CLOSED: (_l("handled elsewhere"), Level.INFO),
}


LABEL_WORDS = {
    EffectState.WANTED: (_l("about to be bought"), Level.INFO),
    EffectState.SENT: (_l("being bought at bol"), Level.INFO),
    EffectState.UNKNOWN: (_l("being checked at bol"), Level.WARNING),
    EffectState.CONFIRMED: (_l("bought"), Level.SUCCESS),
    EffectState.REFUSED: (_l("not sold by bol"), Level.WARNING),
    EffectState.DECISION: (_l("bol may have charged this: please decide"), Level.DANGER),
    EffectState.CLOSED: (_l("handled elsewhere"), Level.INFO),
}


def order_panels(host: HostPort, order_id: int, *, may_decide: bool = True) -> list[Panel]:
    """Return the panels of a host order that came from bol. In a transaction.

    :param may_decide: who looks is an administrator.
    """
    row = host.session.scalar(select(BolOrder).where(BolOrder.host_order_id == order_id))
    if row is None:
        return []
    effects = host.session.scalars(
        select(ShipmentEffect).where(ShipmentEffect.order_id == row.id).order_by(ShipmentEffect.id)
    ).all()
    return [*_to_do(host, row, may_decide, on_order=True), _panel(host, row, effects, None)]


def picklist_panels(host: HostPort, picklist_id: int, *, may_decide: bool = True) -> list[Panel]:
    """Return the panels of a picklist of an order that came from bol. In a transaction.

    :param may_decide: who looks is an administrator.
    """
    picklist = host.picklist(picklist_id)
    if picklist is None:
        return []
    row = host.session.scalar(select(BolOrder).where(BolOrder.host_order_id == picklist.order_id))
    if row is None:
        return []
    effects = host.session.scalars(
        select(ShipmentEffect)
        .where(ShipmentEffect.host_picklist_id == picklist_id)
        .order_by(ShipmentEffect.id)
    ).all()
    return [*_to_do(host, row, may_decide, on_order=False), _panel(host, row, effects, picklist_id)]


def _to_do(host: HostPort, row: BolOrder, may_decide: bool, *, on_order: bool) -> list[Panel]:
    """Return the next step of an order that bol cancelled, or its customer asks to cancel, with the way there."""
    view = host.order_views([row.host_order_id]).get(row.host_order_id) if row.host_order_id else None
    if view is None or view.state in (OrderState.CANCELLED, OrderState.COMPLETED):
        return []
    steps, links = [], []
    if is_open_here(row, view):
        whole = is_dead(row) and not any(line.shipped for line in view.lines)
        steps.append(_put_back(whole, may_decide))
        if may_decide and not on_order:
            links.append(PanelLink(_("Go to the order here"), host.order_url(view.order_id)))
    if requested(row) and not being_cancelled(host, row):
        if may_decide:
            ask = _("The customer asks to cancel: accept it at bol, or keep the order and ship it.")
            steps.append(f"{ask} {in_the_way(view)}".strip())
            links.append(
                PanelLink(
                    _("Decide: accept at bol or keep the order"),
                    order_url(row.store_id, row.id),
                )
            )
        else:
            steps.append(
                _("The customer asks to cancel. Ask an administrator to decide; do not send it before.")
            )
    rows = tuple(PanelRow(_("Next step"), step, Level.DANGER) for step in steps)
    return [Panel(_("bol.com: what to do now"), rows, tuple(links))] if rows else []


def _put_back(whole: bool, may_decide: bool) -> str:
    if whole and may_decide:
        return _(
            "bol cancelled this order: put back what was picked (−1 on the picklist), then cancel the order here."
        )
    if whole:
        return _(
            "bol cancelled this order: put back what was picked (−1 on the picklist), then ask an administrator to "
            "cancel the order here."
        )
    if may_decide:
        return _(
            "bol cancelled a part of it: put those pieces back (−1 on the picklist), then take them off the order here."
        )
    return _(
        "bol cancelled a part of it: put those pieces back (−1 on the picklist), then ask an administrator to take "
        "them off the order here."
    )


def _labels(host: HostPort, row: BolOrder, picklist_id: int | None) -> Sequence[LabelEffect]:
    statement = select(LabelEffect).where(LabelEffect.order_id == row.id).order_by(LabelEffect.id)
    if picklist_id is not None:
        statement = statement.where(LabelEffect.host_picklist_id == picklist_id)
    found: Sequence[LabelEffect] = host.session.scalars(statement).all()
    return found


def _panel(
    host: HostPort, row: BolOrder, effects: Sequence[ShipmentEffect], picklist_id: int | None
) -> Panel:
    store = host.session.get(Store, row.store_id)
    rows = [PanelRow(_("bol order"), row.order_id), PanelRow(_("Store"), store.name if store else "")]
    labels = _labels(host, row, picklist_id)
    if any(item.distribution_party == VIA_BOL for item in row.items if item.imported):
        if any(label.state == EffectState.CONFIRMED for label in labels):
            rows.append(PanelRow(_("Shipping"), _("Shipping via bol")))
        else:
            rows.append(
                PanelRow(_("Shipping"), _("Shipping via bol: needs a label bought from bol"), Level.WARNING)
            )
    for bought in labels:
        word, tone = LABEL_WORDS[EffectState(bought.state)]
        pieces = ", ".join(
            _("%(count)s × item %(item)s", count=count, item=item_id)
            for item_id, count in sorted(bought.pieces.items())
        )
        told = f"{word}. {bought.error}" if bought.error else str(word)
        rows.append(PanelRow(_("Label for %(pieces)s", pieces=pieces), told, tone))
    for effect in effects:
        word, tone = WORDS[EffectState(effect.state)]
        if effect.state == EffectState.UNKNOWN and effect.unknown_since is not None:
            word = _("being checked at bol since %(moment)s", moment=minute(effect.unknown_since))
        label = _(
            "Shipment %(shipment)s, %(count)s × item %(item)s",
            shipment=effect.host_shipment_id,
            count=effect.quantity,
            item=effect.order_item_id,
        )
        rows.append(PanelRow(label, f"{word}. {effect.error}" if effect.error else str(word), tone))
    links = [
        PanelLink(_("This order at bol.com"), order_url(row.store_id, row.id)),
        PanelLink(_("Shipments of this store"), f"{store_url(row.store_id)}shipments"),
    ]
    if labels:
        links.append(PanelLink(_("Labels of this store"), f"{store_url(row.store_id)}labels"))
    return Panel("bol.com", tuple(rows), tuple(links))
