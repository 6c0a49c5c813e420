"""Goods packed anew after bol had their first parcel as shipped: bol is told the new carrier and tracking code there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from host_app.plugin_api import HostPort, Parcel
from plugin.models import EffectState, ShipmentEffect, Store, TransportEffect
from plugin.settings import StoreSettings
from plugin.sync.mapping import clean_tracking_code
from plugin.sync.refused import left_by_ledger
from plugin.sync.timeline import note
from plugin.texts import gettext as _
from plugin.texts import lazy as _l

#: A call that was not answered is carried out by then, or never: calls end after 20 s on our side.
LATE = timedelta(minutes=1)
CODE_PASSED_ON = _l(
    "bol has these goods as shipped already, by a parcel that was withdrawn here. It is told this carrier and tracking code for "
    "that one."
)
#: The same, once bol has taken it.
CODE_TOLD = _l(
    "bol has these goods as shipped already, by a parcel that was withdrawn here. It was told this carrier and tracking code for "
    "that one."
)
SAME_LABEL = _l(
    "bol has these goods as shipped already, on this very label, by a parcel that was withdrawn here."
)


@dataclass(frozen=True, slots=True)
class First:
    """The withdrawn parcel that bol has, by one of its rows. code: bol needs the carrier and code of the new one."""

    row: ShipmentEffect
    code: bool

    @property
    def reason(self) -> str:
        """Why nothing is left to be shipped at bol."""
        return str(CODE_PASSED_ON if self.code else SAME_LABEL)


def first_parcel(host: HostPort, parcel_id: int) -> First | None:
    """Return the withdrawn parcel by which bol has the very goods of this one, which is on its way instead.

    bol takes no second shipment of them and none back, but another carrier and tracking code for the one it has (Retailer API
    v10, ``PUT /retailer/transports``). None where a person must decide: other goods, no tracking code, another label of bol's,
    whose carrier and code bol knows itself, or goods that bol has open. In a transaction.
    """
    session, parcel = host.session, host.parcel(parcel_id)
    mine = session.scalars(select(ShipmentEffect).where(ShipmentEffect.host_shipment_id == parcel_id)).all()
    if parcel is None or parcel.withdrawn or not mine:
        return None
    order_row = mine[0].order_id
    # Not by what bol shows as open: of that this very parcel may be a part, carried out after it was looked for.
    left = left_by_ledger(session, {order_row})
    if any(row.quantity <= left.get((order_row, row.order_item_id), row.quantity) for row in mine):
        return None
    parcels = _parcels(host, order_row)
    withdrawn = host.withdrawn(parcels)
    taken = set(
        session.scalars(
            select(TransportEffect.reference).where(
                TransportEffect.order_id == order_row,
                TransportEffect.host_shipment_id.not_in((parcel_id, *withdrawn)),
            )
        )
    )
    goods = _goods(mine)
    for other_id, rows in parcels.items():
        if other_id not in withdrawn or _goods(rows) != goods or rows[0].reference in taken:
            continue
        if any(row.state != EffectState.CONFIRMED for row in rows):
            continue
        before = host.parcel(other_id)
        if (
            before is not None
            and before.label_ref == parcel.label_ref
            and (parcel.label_ref or _code(parcel))
        ):
            return First(rows[0], code=not parcel.label_ref)
    return None


def _code(parcel: Parcel) -> str:
    """Return a parcel's tracking code, without which bol takes no other (Retailer API v10, ChangeTransportRequest)."""
    return clean_tracking_code(parcel.tracking_code)


def _parcels(host: HostPort, order_row: int) -> Mapping[int, Sequence[ShipmentEffect]]:
    parcels: dict[int, list[ShipmentEffect]] = {}
    for row in host.session.scalars(
        select(ShipmentEffect).where(ShipmentEffect.order_id == order_row).order_by(ShipmentEffect.id)
    ):
        parcels.setdefault(row.host_shipment_id, []).append(row)
    return parcels


def _goods(rows: Sequence[ShipmentEffect]) -> Counter[str]:
    goods: Counter[str] = Counter()
    for row in rows:
        goods[row.order_item_id] += row.quantity
    return goods


def pass_on(host: HostPort, parcel_id: int) -> None:
    """Want bol to know the carrier and code of a parcel at the one that it has instead. In a transaction.

    Does nothing where that is wanted already, or need not be. A code that is corrected later goes the same way.
    """
    session = host.session
    first, parcel = first_parcel(host, parcel_id), host.parcel(parcel_id)
    if first is None or not first.code or parcel is None:
        return
    row, now = first.row, host.now()
    settings = StoreSettings.load(session.get(Store, row.store_id).settings)
    effect = session.scalar(
        select(TransportEffect)
        .where(TransportEffect.store_id == row.store_id, TransportEffect.host_shipment_id == parcel_id)
        .with_for_update()
    )
    if effect is not None and effect.reference == row.reference:
        return
    if effect is None:
        effect = TransportEffect(
            store_id=row.store_id, order_id=row.order_id, host_shipment_id=parcel_id, token="", created_at=now
        )
    # One that was corrected before bol had refused it waited for a shipment that bol never gets.
    effect.reference, effect.tracking_code = row.reference, _code(parcel)
    # Without a code of bol it waits: people are asked for it when its turn has come.
    effect.transporter_code = settings.transporter_code(parcel.carrier, effect.tracking_code)
    effect.state, effect.due_at = EffectState.WANTED, quiet(host, effect)
    effect.attempts, effect.error, effect.settled_at = 0, "", None
    session.add(effect)
    note(
        host,
        row.order_id,
        _(
            "bol has the goods of shipment %(shipment)s as shipped by shipment %(first)s, which was withdrawn: it is told the new "
            "carrier and tracking code",
            shipment=parcel_id,
            first=row.host_shipment_id,
        ),
    )
    session.flush()


def withdrawn_at_bol(host: HostPort, rows: Iterable[ShipmentEffect]) -> Mapping[int, str]:
    """Tell of those parcels that were withdrawn here, and that bol has as shipped, which code bol has for them now.

    In a transaction.
    """
    confirmed = [row for row in rows if row.state == EffectState.CONFIRMED]
    withdrawn = host.withdrawn({row.host_shipment_id for row in confirmed}) if confirmed else frozenset()
    gone = {row.reference: row for row in confirmed if row.host_shipment_id in withdrawn}
    told = {row.host_shipment_id: _("withdrawn here, and bol has it as shipped") for row in gone.values()}
    newest = (
        select(TransportEffect)
        .where(
            TransportEffect.order_id.in_({row.order_id for row in gone.values()}),
            TransportEffect.reference.in_(gone),
            TransportEffect.state == EffectState.CONFIRMED,
        )
        .order_by(TransportEffect.settled_at)
    )
    for correction in host.session.scalars(newest) if gone else ():
        row = gone[correction.reference]
        if correction.host_shipment_id != row.host_shipment_id:
            told[row.host_shipment_id] = _(
                "withdrawn here; bol has %(code)s (shipment %(shipment)s) for it now",
                code=correction.tracking_code,
                shipment=correction.host_shipment_id,
            )
    return told


def quiet(host: HostPort, correction: TransportEffect) -> datetime:
    """Return from when on no call for another parcel about the same shipment at bol can be carried out any more.

    The last call of those whose end is not known; what was asked before it is over sooner. In a transaction.
    """
    now = host.now()
    sent = host.session.scalars(
        select(TransportEffect.sent_at).where(
            TransportEffect.order_id == correction.order_id,
            TransportEffect.reference == correction.reference,
            TransportEffect.host_shipment_id != correction.host_shipment_id,
            TransportEffect.state != EffectState.CONFIRMED,
            TransportEffect.sent_at.is_not(None),
        )
    ).all()
    # A moment still to come is that of a clock that was ahead.
    until: datetime = max([now, *(min(moment, now) + LATE for moment in sent)])
    return until


def stands_in(correction: TransportEffect | None, row: ShipmentEffect) -> bool:
    """Tell if what bol is told of a parcel goes to the shipment of another, by which it has the goods."""
    return correction is not None and correction.reference != row.reference
