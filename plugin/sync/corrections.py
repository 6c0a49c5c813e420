"""Carrier or tracking code corrected, or a parcel withdrawn, after its picklist was closed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, select, update

from host_app.plugin_api import HostPort, Level, Notice, ShipmentChanged
from plugin.models import (
    BolOrder,
    EffectState,
    SettingChange,
    ShipmentEffect,
    Store,
    StoreState,
    TransportEffect,
)
from plugin.models.effects import UNSETTLED
from plugin.settings import StoreSettings
from plugin.sync import packed_anew
from plugin.sync.cancel_decisions import WITHDRAWN_HERE, note_undone
from plugin.sync.context import store_url
from plugin.sync.mapping import clean_tracking_code
from plugin.sync.shipments import WITHDRAWN, due_at
from plugin.sync.timeline import note, note_once
from plugin.texts import gettext as _
from plugin.texts import lazy as _l
from plugin.texts import ngettext

#: A job goes by the settings of when it began, so long at most before it sends.
SLICE = timedelta(minutes=1)
NOT_TOLD = _l(
    "The store was disconnected before bol was told of this correction. “Send again” tells bol once the store is connected again; "
    "if it can't wait for that, tell bol's partner service, and press “Handled elsewhere”."
)


def change(host: HostPort, event: ShipmentChanged) -> int | None:
    """Take a change of a parcel over into the ledger; return the store it concerns. In a transaction."""
    session = host.session
    store_id = session.scalar(
        select(ShipmentEffect.store_id).where(ShipmentEffect.host_shipment_id == event.shipment_id).limit(1)
    )
    if store_id is None:
        return None
    # Locked as a new row locks it anyway, so that the store can't go between this look and the row.
    store = session.get(
        Store, store_id, with_for_update={"read": True, "key_share": True}, populate_existing=True
    )
    of_parcel = select(ShipmentEffect.order_id).where(ShipmentEffect.host_shipment_id == event.shipment_id)
    # The order before its parcels, as everywhere.
    session.execute(
        select(BolOrder.id).where(BolOrder.id.in_(of_parcel)).with_for_update(key_share=True)
    ).all()
    rows = session.scalars(
        select(ShipmentEffect)
        .where(ShipmentEffect.host_shipment_id == event.shipment_id)
        .order_by(ShipmentEffect.id)
        .with_for_update()
    ).all()
    settings = StoreSettings.load(store.settings)
    # What bol refused is not there: once the parcel is withdrawn there is nothing left to decide.
    open_states = (EffectState.WANTED, EffectState.REFUSED) if event.withdrawn else (EffectState.WANTED,)
    waiting = [row for row in rows if row.state in open_states]
    told = [
        row for row in rows if row.state in (*UNSETTLED, EffectState.CONFIRMED) and row.sent_at is not None
    ]
    # One that is to be sent once more, as bol may still carry out the request of before; and one that a person has closed,
    # as bol may have it from us.
    asked = [
        row
        for row in rows
        if row.state in (EffectState.WANTED, EffectState.CLOSED) and row.sent_at is not None
    ]
    for row in waiting:
        if event.withdrawn:
            row.state, row.due_at, row.settled_at = EffectState.CLOSED, None, host.now()
            row.error = str(WITHDRAWN)
            note(
                host,
                row.order_id,
                _(
                    "Shipment %(shipment)s was withdrawn before it was confirmed",
                    shipment=row.host_shipment_id,
                ),
            )
            host.settle_notices(f"bol:{row.store_id}:shipment-refused:{row.host_shipment_id}")
        else:
            row.due_at = due_at(settings, row.created_at, host.now(), event.tracking_code)
    if event.withdrawn:
        # Whether bol has its goods by this parcel, or by one that was withdrawn before it.
        known = [row for row in told if row.state != EffectState.DECISION]
        in_place_of_another = packed_anew.stands_in(_correction(host, event.shipment_id), rows[0])
        _forget(host, rows[0])
        if told_now := bool(known or in_place_of_another):
            _tell_withdrawn(host, store, rows[0])
        order = session.get(BolOrder, rows[0].order_id)
        before = order.undone
        note_undone(host, order)
        if not told_now and order.undone == WITHDRAWN_HERE != before:
            # bol was not told of this parcel, but has its goods by one of before, and they lie here again.
            _tell_withdrawn(host, store, rows[0])
    elif not _take_code(host, store, [row for row in rows if row.state == EffectState.REFUSED]) and (
        told or asked
    ):
        _correct(host, store, settings, (told or asked)[0], event)
    session.flush()
    return int(store_id)


def _correct(
    host: HostPort, store: Store, settings: StoreSettings, row: ShipmentEffect, event: ShipmentChanged
) -> None:
    """Want bol to know the new carrier and code, where they differ from what it was told."""
    parcel = host.parcel(event.shipment_id)
    if parcel is not None and parcel.label_ref:
        # bol knows carrier and code of its own label better than we do.
        return
    tracking = clean_tracking_code(event.tracking_code)
    # Without a code it waits: people are asked for one when its turn has come.
    code = settings.transporter_code(event.carrier, tracking)
    effect = _correction(host, event.shipment_id)
    told = (
        (row.transporter_code, row.tracking_code)
        if effect is None
        else (effect.transporter_code, effect.tracking_code)
    )
    if (code, tracking) == told or (
        tracking == told[1] and _same_carrier(host, settings, effect or row, event, told)
    ):
        return
    if not tracking:
        # bol takes no correction without one (Retailer API v10, ChangeTransportRequest).
        note_once(
            host,
            row.order_id,
            f"not corrected: {event.shipment_id} {event.carrier}",
            _(
                "Shipment %(shipment)s has no tracking code any more, without which bol can't be told of a correction",
                shipment=row.host_shipment_id,
            ),
        )
        return
    if effect is None:
        effect = TransportEffect(
            store_id=row.store_id,
            order_id=row.order_id,
            host_shipment_id=event.shipment_id,
            reference=row.reference,
            token="",
            attempts=0,
            created_at=host.now(),
        )
        host.session.add(effect)
    if effect.state == EffectState.SENT and effect.process_status_id is None:
        # Its call is under way, or was cut off: nobody can tell when bol carries it out.
        effect.unknown_since = host.now()
    # The one before may still be carried out: `unknown_since` stays, and so does the process status, whose end is
    # waited for. What bol is asked for last must be done last.
    effect.transporter_code, effect.tracking_code = code, tracking
    effect.state, effect.due_at, effect.error = EffectState.WANTED, packed_anew.quiet(host, effect), ""
    effect.settled_at, effect.attempts = None, 0
    settle_refused(host, row.store_id, event.shipment_id)
    note(
        host,
        row.order_id,
        _("Carrier or tracking code of shipment %(shipment)s was corrected", shipment=row.host_shipment_id),
    )
    if store.state == StoreState.DISCONNECTED and settings.send_shipments:
        _leave_to_people(host, store, effect)


def _correction(host: HostPort, shipment_id: int) -> TransportEffect | None:
    """Return what bol was, or is to be, told of a parcel after its shipment. In a transaction."""
    found: TransportEffect | None = host.session.scalar(
        select(TransportEffect).where(TransportEffect.host_shipment_id == shipment_id).with_for_update()
    )
    return found


def _take_code(host: HostPort, store: Store, refused: Sequence[ShipmentEffect]) -> bool:
    """Pass on the code that a parcel has now which bol refused, where bol has its goods by one that was withdrawn.

    False where that is not so.
    """
    first = packed_anew.first_parcel(host, refused[0].host_shipment_id) if refused else None
    if first is None or store.state == StoreState.DISCONNECTED:
        # A store that has gone leaves all that bol was not told to people.
        return False
    parcel_id = refused[0].host_shipment_id
    for row in refused:
        row.state, row.settled_at, row.error = EffectState.CLOSED, host.now(), first.reason
    host.settle_notices(f"bol:{refused[0].store_id}:shipment-refused:{parcel_id}")
    host.session.flush()
    packed_anew.pass_on(host, parcel_id)
    return True


def _leave_to_people(host: HostPort, store: Store, effect: TransportEffect) -> None:
    """The store has gone: people tell bol of this correction, or it waits until the store is back."""
    effect.state, effect.due_at, effect.settled_at = EffectState.REFUSED, None, host.now()
    effect.error = str(NOT_TOLD)
    order = host.session.get(BolOrder, effect.order_id)
    host.notify(
        Notice(
            key=f"bol:{store.id}:correction-refused:{effect.host_shipment_id}:{host.now().isoformat()}",
            kind="bol.shipment",
            level=Level.WARNING,
            title=_(
                "%(store)s: bol is not told of the new tracking code of order %(order)s",
                store=store.name,
                order=order.order_id,
            ),
            body=str(NOT_TOLD),
            url=not_corrected_url(store.id),
        )
    )


def not_corrected_url(store_id: int) -> str:
    return f"{store_url(store_id)}shipments?state=not+corrected"


def _same_carrier(
    host: HostPort,
    settings: StoreSettings,
    sent: ShipmentEffect | TransportEffect,
    event: ShipmentChanged,
    told: tuple[str, str],
) -> bool:
    """Tell if bol was told of this very carrier, under the code that the settings had for it then.

    A code that is changed later is for later parcels: nobody has corrected those that bol has.
    """
    code, tracking = told
    if not code or sent.sent_at is None:
        return False
    then = replace(settings, **_before(host, sent.store_id, sent.sent_at - SLICE))
    return then.transporter_code(event.carrier, tracking) == code


def _before(host: HostPort, store_id: int, moment: datetime) -> dict[str, Any]:
    """Return the settings that give carriers their codes, as they were at a moment, where they were changed since."""
    found: dict[str, Any] = {}
    for name in ("carriers", "tracking_patterns"):
        changed = (
            select(SettingChange.before)
            .where(SettingChange.store_id == store_id, SettingChange.name == name, SettingChange.at >= moment)
            .order_by(SettingChange.id)
            .limit(1)
        )
        if (before := host.session.scalar(changed)) is not None:
            found[name] = json.loads(before)
    return found


def _forget(host: HostPort, row: ShipmentEffect) -> None:
    """bol is told nothing more of a parcel that is withdrawn: its code travels nowhere, whatever bol has by it."""
    forgotten = host.session.execute(
        update(TransportEffect)
        .where(
            TransportEffect.host_shipment_id == row.host_shipment_id,
            TransportEffect.state.in_((EffectState.WANTED, EffectState.REFUSED)),
        )
        .values(state=EffectState.CLOSED, due_at=None, settled_at=host.now(), error="")
    )
    if forgotten.rowcount:
        settle_refused(host, row.store_id, row.host_shipment_id)


def settle_refused(host: HostPort, store_id: int, shipment_id: int) -> None:
    """That bol did not take a correction is over. In a transaction."""
    host.settle_notices(f"bol:{store_id}:correction-refused:{shipment_id}")


def _tell_withdrawn(host: HostPort, store: Store, row: ShipmentEffect) -> None:
    order = host.session.get(BolOrder, row.order_id)
    host.notify(
        Notice(
            key=f"bol:{store.id}:withdrawn-late:{row.host_shipment_id}",
            kind="bol.shipment",
            level=Level.DANGER,
            title=_(
                "%(store)s: a parcel of order %(order)s was withdrawn, but bol knows it as shipped",
                store=store.name,
                order=order.order_id,
            ),
            body=_(
                "Have the same goods packed anew into one parcel, and sent: bol is told its tracking code by itself. If nothing is "
                "to be sent, contact bol's partner service."
            ),
            url=host.order_url(order.host_order_id) if order.host_order_id else store_url(store.id),
        )
    )


def leave_to_people(host: HostPort, store: Store) -> None:
    """The store goes, with corrections of parcels that bol has, or may have: they wait for people. In a transaction.

    After :func:`plugin.sync.shipments.leave_to_people`: of a parcel that waits for a person bol hears the newest code anyway.
    """
    unsent = exists().where(
        ShipmentEffect.host_shipment_id == TransportEffect.host_shipment_id,
        ShipmentEffect.state.in_((EffectState.WANTED, EffectState.DECISION)),
    )
    left = (TransportEffect.store_id == store.id, TransportEffect.state == EffectState.WANTED, ~unsent)
    ids = host.session.scalars(select(TransportEffect.order_id).where(*left)).all()
    if not ids:
        return
    host.session.execute(
        update(TransportEffect)
        .where(*left)
        .values(state=EffectState.REFUSED, due_at=None, settled_at=host.now(), error=str(NOT_TOLD))
    )
    host.notify(
        Notice(
            key=f"bol:{store.id}:correction-left:{store.secret_version}",
            kind="bol.shipment",
            level=Level.WARNING,
            title=ngettext(
                "%(store)s is disconnected, and bol was not told of %(num)s corrected tracking code",
                "%(store)s is disconnected, and bol was not told of %(num)s corrected tracking codes",
                len(ids),
                store=store.name,
            ),
            body=str(NOT_TOLD),
            url=not_corrected_url(store.id),
        )
    )


def try_again(host: HostPort, store_id: int, effect_id: int) -> bool:
    """Send a refused correction again; False where it is not refused any more. In a transaction."""
    return _decide(host, store_id, effect_id, state=EffectState.WANTED, due_at=host.now(), settled_at=None)


def handled_elsewhere(host: HostPort, store_id: int, effect_id: int) -> bool:
    """Close a refused correction: a person has told bol, or it need not know. In a transaction.

    False where it is not refused any more.
    """
    return _decide(host, store_id, effect_id, state=EffectState.CLOSED, due_at=None, settled_at=host.now())


def _decide(host: HostPort, store_id: int, effect_id: int, **values: Any) -> bool:
    changed = host.session.execute(
        update(TransportEffect)
        .where(
            TransportEffect.id == effect_id,
            TransportEffect.store_id == store_id,
            TransportEffect.state == EffectState.REFUSED,
        )
        # Not the process status: where the store had gone before bol ended it, it is waited for first.
        .values(error="", token="", attempts=0, **values)
    )
    if not changed.rowcount:
        return False
    shipment_id = select(TransportEffect.host_shipment_id).where(TransportEffect.id == effect_id)
    settle_refused(host, store_id, host.session.scalars(shipment_id).one())
    return True


def release_waiting(host: HostPort, store_id: int) -> None:
    """Send the corrections whose carrier had no code of bol, of which bol was never asked: the settings changed.

    Those of a store that has gone get their code, and wait for people all the same. In a transaction.
    """
    store = host.session.get(Store, store_id)
    settings = StoreSettings.load(store.settings)
    uncoded = (TransportEffect.store_id == store_id, TransportEffect.transporter_code == "")
    # Locked first: a job that goes by the settings of before may be about to let one wait.
    host.session.execute(
        select(TransportEffect.id)
        .where(*uncoded, TransportEffect.state.in_((EffectState.WANTED, EffectState.REFUSED)))
        .order_by(TransportEffect.id)
        .with_for_update()
    ).all()
    waiting = host.session.scalars(
        select(TransportEffect)
        .where(*uncoded, TransportEffect.state == EffectState.REFUSED)
        .order_by(TransportEffect.id)
        .execution_options(populate_existing=True)
    ).all()
    for effect in waiting:
        parcel = host.parcel(effect.host_shipment_id)
        code = settings.transporter_code(parcel.carrier, effect.tracking_code) if parcel is not None else ""
        if code and store.state == StoreState.DISCONNECTED:
            effect.transporter_code = code
        elif code:
            try_again(host, store_id, effect.id)
