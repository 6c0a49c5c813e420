"""What turning "Send shipments and update status" on would do: the parcels that wait, and what keeps some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from host_app.plugin_api import HostPort
from plugin.models import BolOrder, EffectState, ShipmentEffect
from plugin.settings import StoreSettings
from plugin.sync.mapping import clean_tracking_code
from plugin.sync.shipments import due_at

#: So many parcels are shown; the list of shipments has all of them.
FIRST_PARCELS = 20
#: What becomes of a parcel when sending is turned on.
SENT, LATER, NO_CODE, WITHDRAWN = "sent", "later", "no code", "withdrawn"


@dataclass(frozen=True, slots=True)
class PlannedParcel:
    """A parcel that waits. ``fate`` is one of the words above; ``code`` is bol's for its carrier, "" for a label of bol."""

    order: BolOrder
    shipment_id: int
    closed_at: datetime
    carrier: str
    code: str
    tracking_code: str
    fate: str


@dataclass(frozen=True, slots=True)
class ShipmentPlan:
    """What would be sent: how many parcels wait, the oldest of them, and carriers that have no code of bol."""

    parcels: int
    rows: Sequence[PlannedParcel]
    unmapped: Sequence[str]


def shipment_plan(host: HostPort, store_id: int, settings: StoreSettings) -> ShipmentPlan:
    """Return what waits to be sent by these settings. Opens a read transaction of its own."""
    waiting = (ShipmentEffect.store_id == store_id, ShipmentEffect.state == EffectState.WANTED)
    with host.reading() as session:
        titles = {choice.key: choice.title for choice in host.carriers()}
        total = session.scalar(select(func.count(ShipmentEffect.host_shipment_id.distinct())).where(*waiting))
        oldest = session.execute(
            select(
                ShipmentEffect.host_shipment_id,
                func.min(ShipmentEffect.order_id),
                func.min(ShipmentEffect.created_at),
            )
            .where(*waiting)
            .group_by(ShipmentEffect.host_shipment_id)
            .order_by(ShipmentEffect.host_shipment_id)
            .limit(FIRST_PARCELS)
        ).all()
        orders = {
            row.id: row
            for row in session.scalars(
                select(BolOrder).where(BolOrder.id.in_([order_id for _, order_id, _ in oldest]))
            )
        }
        rows = []
        for shipment_id, order_id, closed_at in oldest:
            parcel = host.parcel(shipment_id)
            if parcel is None:
                continue
            tracking = clean_tracking_code(parcel.tracking_code)
            code = "" if parcel.label_ref else settings.transporter_code(parcel.carrier, tracking)
            fate = SENT
            if parcel.withdrawn:
                fate = WITHDRAWN
            elif not code and not parcel.label_ref:
                fate = NO_CODE
            elif due_at(settings, closed_at, host.now(), parcel.tracking_code) > host.now():
                fate = LATER
            rows.append(
                PlannedParcel(
                    order=orders[order_id],
                    shipment_id=shipment_id,
                    closed_at=closed_at,
                    carrier=titles.get(parcel.carrier, parcel.carrier),
                    code=code,
                    tracking_code=tracking,
                    fate=fate,
                )
            )
    unmapped = [title for key, title in titles.items() if not settings.carriers.get(key, "").strip()]
    return ShipmentPlan(int(total), rows, unmapped)
