"""Shipments: a closed picklist becomes rows in the ledger, and each is confirmed to bol once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, exists, func, select, tuple_, update
from sqlalchemy.orm import aliased

from host_app.plugin_api import HostPort, Level, Notice, PicklistClosed, PicklistView
from plugin.connector import (
    BolError,
    ProcessStatus,
    ShipmentItem,
    ShipmentRequest,
)
from plugin.models import (
    BolOrder,
    BolOrderItem,
    CancellationEffect,
    EffectState,
    ShipmentEffect,
    Store,
    StoreState,
)
from plugin.models.effects import UNSETTLED
from plugin.settings import StoreSettings
from plugin.sync import counters, effects, packed_anew
from plugin.sync.cancel_decisions import WITHDRAWN_HERE, note_undone, settle_withdrawn_late
from plugin.sync.context import ATTENTION_URL, CALL_SECONDS, Context, current_settings, decisions_url
from plugin.sync.dirty import mark_order_items
from plugin.sync.failures import line_is_down, without_reference
from plugin.sync.mapping import clean_tracking_code, shipment_reference
from plugin.sync.names import store_of
from plugin.sync.timeline import note
from plugin.texts import gettext as _
from plugin.texts import lazy as _l
from plugin.texts import ngettext

#: bol takes 1 to 100 items of one order in a request (Retailer API v10, create-shipment).
MAX_ITEMS = 100
WITHDRAWN = _l("The parcel was withdrawn before it was confirmed.")
NOT_TOLD = _l(
    "The store was disconnected before bol was told of this parcel. Report it in bol's seller portal, and press “Handled "
    "elsewhere”; or “Send again” once the store is connected again."
)


def owe(host: HostPort, picklist: PicklistClosed | PicklistView) -> int | None:
    """Write into the ledger what a closed picklist has shipped; return the store. In a transaction.

    One row per parcel and order item: telling it twice finds the rows there. Lines that did not come from bol are
    left out.

    :raises LookupError: the order is not in our table; the host keeps the event and tells people.
    """
    store_id = store_of(picklist.source)
    if store_id is None:
        return None
    session, now = host.session, host.now()
    order_row = session.scalar(
        select(BolOrder.id).where(BolOrder.store_id == store_id, BolOrder.order_id == picklist.reference)
    )
    if order_row is None:
        raise LookupError(f"order {picklist.reference} of store {store_id} is not known")
    # Locked as the new rows lock it anyway, so that the store can't go between this look and them.
    store = session.get(
        Store, store_id, with_for_update={"read": True, "key_share": True}, populate_existing=True
    )
    settings = StoreSettings.load(store.settings)
    gone = store.state == StoreState.DISCONNECTED and settings.send_shipments
    withdrawn = session.scalar(
        select(BolOrder)
        .where(BolOrder.id == order_row, BolOrder.undone == WITHDRAWN_HERE)
        .with_for_update(key_share=True)
    )
    if withdrawn is not None:
        # What was withdrawn may be sent now.
        note_undone(host, withdrawn)
    if settings.check_at_closing:
        # Nobody can tell here if bol answered at the packing table. Where it did not, people hear now.
        session.execute(update(BolOrder).where(BolOrder.id == order_row).values(read_due_at=now))
    known = set(
        session.execute(
            select(ShipmentEffect.host_shipment_id, ShipmentEffect.order_item_id).where(
                ShipmentEffect.host_shipment_id.in_([parcel.shipment_id for parcel in picklist.parcels])
            )
        ).all()
    )
    for parcel in picklist.parcels:
        pieces: dict[str, int] = {}
        for line in parcel.lines:
            if line.external_ref is not None:
                pieces[line.external_ref] = pieces.get(line.external_ref, 0) + line.quantity
        for item_id, quantity in pieces.items():
            if (parcel.shipment_id, item_id) in known:
                continue
            session.add(
                ShipmentEffect(
                    store_id=store_id,
                    order_id=order_row,
                    order_item_id=item_id,
                    quantity=quantity,
                    host_shipment_id=parcel.shipment_id,
                    host_picklist_id=picklist.picklist_id,
                    reference=shipment_reference(store_id, parcel.shipment_id),
                    state=EffectState.DECISION if gone else EffectState.WANTED,
                    due_at=None if gone else due_at(settings, now, now, parcel.tracking_code),
                    token="",
                    transporter_code="",
                    tracking_code="",
                    attempts=0,
                    error=str(NOT_TOLD) if gone else "",
                    created_at=now,
                    unknown_since=now if gone else None,
                )
            )
        if gone and any((parcel.shipment_id, item_id) not in known for item_id in pieces):
            _tell_not_told(host, store, picklist, parcel.shipment_id)
    session.flush()
    return store_id


def _tell_not_told(
    host: HostPort, store: Store, picklist: PicklistClosed | PicklistView, shipment_id: int
) -> None:
    host.notify(
        Notice(
            key=f"bol:{store.id}:shipment-unknown:{shipment_id}:gone",
            kind="bol.shipment",
            level=Level.DANGER,
            title=_(
                "%(store)s: bol is not told that order %(order)s was shipped",
                store=store.name,
                order=picklist.reference,
            ),
            body=str(NOT_TOLD),
            url=decisions_url(store.id),
        )
    )


def leave_to_people(host: HostPort, store: Store) -> None:
    """The store goes, with parcels that bol was not told of: they wait for people. In a transaction.

    People may report them in bol's seller portal, so none is sent by itself where the store comes back.
    """
    if not StoreSettings.load(store.settings).send_shipments:
        return
    left = (ShipmentEffect.store_id == store.id, ShipmentEffect.state == EffectState.WANTED)
    parcels = host.session.scalar(select(func.count(ShipmentEffect.host_shipment_id.distinct())).where(*left))
    if not parcels:
        return
    now = host.now()
    host.session.execute(
        update(ShipmentEffect)
        .where(*left)
        .values(state=EffectState.DECISION, due_at=None, error=str(NOT_TOLD), unknown_since=now)
    )
    host.notify(
        Notice(
            key=f"bol:{store.id}:not-told:{store.secret_version}",
            kind="bol.shipment",
            level=Level.DANGER,
            title=ngettext(
                "%(store)s is disconnected, and bol was not told of %(num)s parcel",
                "%(store)s is disconnected, and bol was not told of %(num)s parcels",
                parcels,
                store=store.name,
            ),
            body=str(NOT_TOLD),
            url=decisions_url(store.id),
        )
    )


def due_at(
    settings: StoreSettings, closed_at: datetime, now: datetime, tracking_code: str | None
) -> datetime:
    """Return when to confirm a parcel: at once, or after the waits that the store's settings ask for."""
    minutes = settings.confirm_after_minutes
    if not clean_tracking_code(tracking_code):
        minutes = max(minutes, settings.tracking_wait_minutes)
    return max(now, closed_at + timedelta(minutes=minutes))


def send_due(ctx: Context) -> bool:
    """Send every parcel that is due, one request each. True when some are left."""
    if not ctx.active or not ctx.settings.send_shipments:
        return False
    while not ctx.lease.slice_over() and ctx.still_wanted(shipments=True):
        ctx.lease.ensure(CALL_SECONDS)
        with ctx.host.reading() as session:
            shipment_id = session.scalar(_next_parcel(), {"store": ctx.store_id, "now": ctx.now()})
        if shipment_id is None:
            return False
        if not _send_parcel(ctx, shipment_id):
            return False
    return True


@cache
def _next_parcel() -> Select[int]:
    """Build it once: that takes ten times as long as running it."""
    return next_parcel(bindparam("store"), bindparam("now"))


def next_parcel(store_id: Any, now: Any) -> Select[int]:
    """Select the parcel that waits longest of which no item has another effect that is not settled yet."""
    mine, other = aliased(ShipmentEffect), aliased(ShipmentEffect)
    of_parcel = (mine.host_shipment_id == ShipmentEffect.host_shipment_id, mine.state == EffectState.WANTED)
    shipping = (
        select(mine.id)
        .join(other, other.order_item_id == mine.order_item_id)
        .where(
            *of_parcel,
            other.store_id == store_id,
            other.host_shipment_id != mine.host_shipment_id,
            other.state.in_(UNSETTLED),
        )
    )
    cancelling = (
        select(mine.id)
        .join(CancellationEffect, CancellationEffect.order_item_id == mine.order_item_id)
        .where(*of_parcel, CancellationEffect.store_id == store_id, CancellationEffect.state.in_(UNSETTLED))
    )
    return (
        select(ShipmentEffect.host_shipment_id)
        .where(
            ShipmentEffect.store_id == store_id,
            ShipmentEffect.state == EffectState.WANTED,
            ShipmentEffect.due_at <= now,
            ~exists(shipping),
            ~exists(cancelling),
        )
        .order_by(ShipmentEffect.due_at, ShipmentEffect.id)
        .limit(1)
    )


def _send_parcel(ctx: Context, shipment_id: int) -> bool:
    """Claim the rows of one parcel, send them, and record the answer. False where the line to bol is down."""
    request, row_ids = _claim(ctx, shipment_id)
    if request is None:
        return True
    try:
        status = ctx.client.shipments.create(request)
    except BolError as error:
        _record_failure(ctx, row_ids, error)
        return not line_is_down(error)
    except ValueError as error:
        # Refused by our own check before anything was sent.
        with ctx.host.transaction() as session:
            _refuse(ctx, session, row_ids, str(error))
        return True
    with ctx.host.transaction() as session:
        record_accepted(ctx, session, row_ids, status)
    return True


def _claim(ctx: Context, shipment_id: int) -> tuple[ShipmentRequest | None, list[int]]:
    with ctx.host.transaction() as session:
        rows = session.scalars(
            select(ShipmentEffect)
            .where(
                ShipmentEffect.store_id == ctx.store_id,
                ShipmentEffect.host_shipment_id == shipment_id,
                ShipmentEffect.state == EffectState.WANTED,
                ShipmentEffect.due_at <= ctx.now(),
            )
            .order_by(ShipmentEffect.id)
            .limit(MAX_ITEMS)
            .with_for_update()
        ).all()
        parcel = ctx.host.parcel(shipment_id)
        if not rows or parcel is None:
            return None, []
        if parcel.withdrawn:
            for row in rows:
                row.state, row.due_at, row.settled_at = EffectState.CLOSED, None, ctx.now()
                row.error = str(WITHDRAWN)
            session.flush()
            settle_withdrawn(ctx, session, shipment_id)
            return None, []
        tracking = clean_tracking_code(parcel.tracking_code)
        code = "" if parcel.label_ref else ctx.settings.transporter_code(parcel.carrier, tracking)
        if not code and not parcel.label_ref:
            # Read with the rows locked: what was saved since this slice began releases only what waited then.
            code = current_settings(ctx).transporter_code(parcel.carrier, tracking)
        if not code and not parcel.label_ref:
            _wait_for_carrier(ctx, rows, parcel.carrier)
            return None, []
        for row in rows:
            row.state, row.token, row.sent_at = EffectState.SENT, ctx.lease.token, ctx.now()
            row.attempts += 1
            row.process_status_id, row.due_at, row.error = None, None, ""
            row.transporter_code, row.tracking_code = code, tracking
        request = ShipmentRequest(
            items=tuple(ShipmentItem(row.order_item_id, row.quantity) for row in rows),
            reference=rows[0].reference,
            # A label says itself who brings the parcel: bol takes one or the other (Retailer API v10).
            transporter_code=None if parcel.label_ref else code,
            track_and_trace=None if parcel.label_ref else tracking or None,
            shipping_label_id=parcel.label_ref,
        )
        return request, [row.id for row in rows]


def _wait_for_carrier(ctx: Context, rows: Sequence[ShipmentEffect], carrier: str) -> None:
    for row in rows:
        row.due_at, row.error = None, no_code(ctx.host, carrier)
    ctx.notify(
        # Once a day: its code may be taken away again after the first time.
        f"carrier:{carrier}:{ctx.now():%Y-%m-%d}",
        "shipment",
        Level.WARNING,
        _("the carrier %(carrier)s is not known to bol yet", carrier=_carrier_title(ctx.host, carrier)),
        _(
            "An administrator fills in its code under “Needs attention”; every shipment that waits for it is sent then."
        ),
        ATTENTION_URL,
    )


def no_code(host: HostPort, carrier: str) -> str:
    """Say that bol's code of a carrier is missing."""
    return _(
        "The carrier %(carrier)s has no code of bol: set it in the store's settings.",
        carrier=_carrier_title(host, carrier),
    )


def _carrier_title(host: HostPort, carrier: str) -> str:
    return {choice.key: choice.title for choice in host.carriers()}.get(carrier, carrier)


def record_accepted(ctx: Context, session: Any, row_ids: Sequence[int], status: ProcessStatus) -> None:
    """bol has taken the request in and works on it: follow its process status. 202 is not success."""
    effects.follow(ctx, status)
    session.execute(
        update(ShipmentEffect)
        .where(
            ShipmentEffect.id.in_(row_ids),
            ShipmentEffect.state.in_((EffectState.SENT, EffectState.UNKNOWN)),
        )
        .values(state=EffectState.SENT, process_status_id=status.id, due_at=None)
    )


def after_confirmation(ctx: Context, effect: ShipmentEffect) -> None:
    """bol has the shipment: say so on the order. In a transaction, which ends with :func:`mark_confirmed`."""
    note(
        ctx.host,
        effect.order_id,
        _("bol has %(count)s of item %(item)s as shipped", count=effect.quantity, item=effect.order_item_id),
    )
    _count_confirmed(ctx, effect)


def mark_confirmed(ctx: Context, confirmed: Sequence[ShipmentEffect]) -> None:
    """Send the stock of what bol has as shipped where bol's open orders count: of all in one, as that locks offers.

    In a transaction.
    """
    if confirmed:
        of_items = tuple_(BolOrderItem.order_id, BolOrderItem.order_item_id)
        mine = of_items.in_([(effect.order_id, effect.order_item_id) for effect in confirmed])
        mark_order_items(ctx, ctx.host.session.scalars(select(BolOrderItem.ean).where(mine).distinct()).all())


def _count_confirmed(ctx: Context, effect: ShipmentEffect) -> None:
    """Count a parcel once all its items are confirmed, with the time since its picklist was closed."""
    session = ctx.host.session
    session.flush()
    left = session.scalar(
        select(ShipmentEffect.id)
        .where(
            ShipmentEffect.host_shipment_id == effect.host_shipment_id,
            ShipmentEffect.state != EffectState.CONFIRMED,
        )
        .limit(1)
    )
    if left is None:
        counters.note(
            session, ctx.store_id, ctx.now(), counters.SHIPMENTS, took=ctx.now() - effect.created_at
        )


def _record_failure(ctx: Context, row_ids: Sequence[int], error: BolError) -> None:
    """Not done is known and tried again, or refused for good; everything else is unknown and gets checked."""
    with ctx.host.transaction() as session:
        attempts = session.scalar(select(ShipmentEffect.attempts).where(ShipmentEffect.id == row_ids[0])) or 1
        reason = effects.refusal(error, attempts)
        if reason is not None:
            _refuse(ctx, session, row_ids, reason)
            return
        session.execute(_claimed(ctx, row_ids).values(**effects.after_failure(error, ctx.now(), attempts)))
    if line_is_down(error):
        ctx.report_problem(error)


def _refuse(ctx: Context, session: Any, row_ids: Sequence[int], reason: str) -> None:
    row = session.get(ShipmentEffect, row_ids[0])
    parcel_id = row.host_shipment_id
    # The order before its parcels, as everywhere.
    session.execute(select(BolOrder.id).where(BolOrder.id == row.order_id).with_for_update(key_share=True))
    state, error = end_of_refused(ctx, parcel_id, reason)
    refused = session.execute(
        _claimed(ctx, row_ids).values(state=state, error=error, settled_at=ctx.now(), due_at=None)
    )
    if not refused.rowcount:
        return
    if state == EffectState.REFUSED:
        tell_refused(ctx, session, row_ids, reason)
    else:
        nothing_to_ship(ctx, session, parcel_id)


def end_of_refused(ctx: Context, parcel_id: int, reason: str) -> tuple[EffectState, str]:
    """Return how a refused row ends, and what to say of it. In a transaction.

    Nobody has to do anything about a parcel that was withdrawn meanwhile, of which bol has nothing, nor about one whose goods
    bol has by the parcel in the place of which it was sent. Then :func:`nothing_to_ship` comes after it.
    """
    parcel = ctx.host.parcel(parcel_id)
    if parcel is not None and parcel.withdrawn:
        return EffectState.CLOSED, str(WITHDRAWN)
    if (first := packed_anew.first_parcel(ctx.host, parcel_id)) is not None:
        return EffectState.CLOSED, first.reason
    return EffectState.REFUSED, reason


def nothing_to_ship(ctx: Context, session: Any, parcel_id: int) -> None:
    """Do what is left of a parcel that bol refused and that nobody has to look at. In a transaction."""
    settle_withdrawn(ctx, session, parcel_id)
    packed_anew.pass_on(ctx.host, parcel_id)


def settle_withdrawn(ctx: Context, session: Any, parcel_id: int) -> None:
    """Take back that bol may know a withdrawn parcel as shipped, where it knows nothing of it. In a transaction."""
    there = select(ShipmentEffect.id).where(
        ShipmentEffect.store_id == ctx.store_id,
        ShipmentEffect.host_shipment_id == parcel_id,
        ShipmentEffect.state.in_((*UNSETTLED, EffectState.CONFIRMED)),
    )
    if session.scalar(there.limit(1)) is None:
        ctx.host.settle_notices(f"bol:{ctx.store_id}:withdrawn-late:{parcel_id}")


def tell_refused(ctx: Context, session: Any, row_ids: Sequence[int], reason: str, *, body: str = "") -> None:
    """Tell people that bol did not take a shipment. In a transaction.

    :param body: what to do about it, where that is known.
    """
    row = session.get(ShipmentEffect, row_ids[0])
    order = session.get(BolOrder, row.order_id)
    ctx.notify(
        f"shipment-refused:{row.host_shipment_id}:{row.attempts}",
        "shipment",
        Level.DANGER,
        _("bol refused the shipment of order %(order)s", order=order.order_id),
        body
        or _(
            "%(reason)s Correct it and press “Send again”, or “Handled elsewhere” if bol has it already.",
            reason=reason,
        ),
        decisions_url(ctx.store_id),
    )


def _claimed(ctx: Context, row_ids: Sequence[int]) -> Any:
    """An update of rows that is carried out only while they are claimed under this lease."""
    return update(ShipmentEffect).where(
        ShipmentEffect.id.in_(row_ids),
        ShipmentEffect.state == EffectState.SENT,
        ShipmentEffect.token == ctx.lease.token,
    )


def release_waiting(host: HostPort, store_id: int) -> None:
    """Send what waited for a carrier's code: the settings changed. In a transaction."""
    wanted = (ShipmentEffect.store_id == store_id, ShipmentEffect.state == EffectState.WANTED)
    # Locked first: a job that goes by the settings of before may be about to let one wait.
    host.session.execute(
        select(ShipmentEffect.id).where(*wanted).order_by(ShipmentEffect.id).with_for_update()
    ).all()
    host.session.execute(
        update(ShipmentEffect)
        .where(*wanted, ShipmentEffect.due_at.is_(None))
        .values(due_at=host.now(), error="")
    )


def try_again(host: HostPort, store_id: int, effect_id: int) -> bool:
    """Send a refused shipment again, or one that a person has decided on; False where it is neither. In a transaction."""
    return _decide(host, store_id, effect_id, EffectState.WANTED)


def try_refused_again(host: HostPort, store_id: int, effect_id: int) -> int:
    """Send every shipment again that was refused for the same reason as this one; return how many parcels.

    In a transaction. A refusal is known: bol has none of them, so that sending them can double nothing.
    """
    refused = host.session.execute(
        select(ShipmentEffect.id, ShipmentEffect.host_shipment_id, ShipmentEffect.error)
        .where(ShipmentEffect.store_id == store_id, ShipmentEffect.state == EffectState.REFUSED)
        .order_by(ShipmentEffect.id)
    ).all()
    reason = next((without_reference(row.error) for row in refused if row.id == effect_id), None)
    alike = [row for row in refused if without_reference(row.error) == reason]
    return len({row.host_shipment_id for row in alike if try_again(host, store_id, row.id)})


def handled_elsewhere(host: HostPort, store_id: int, effect_id: int, *, parcel: bool = False) -> bool:
    """Close a refused or undecided shipment: a person has dealt with it at bol. In a transaction.

    :param parcel: all goods of its parcel that stand alike, where the person was shown the parcel and not this row.
    """
    return _decide(host, store_id, effect_id, EffectState.CLOSED, whole=parcel)


def _decide(
    host: HostPort, store_id: int, effect_id: int, state: EffectState, *, whole: bool = False
) -> bool:
    now, session = host.now(), host.session
    decidable = ShipmentEffect.state.in_((EffectState.REFUSED, EffectState.DECISION))
    row = session.execute(
        select(ShipmentEffect.host_shipment_id, ShipmentEffect.state, ShipmentEffect.order_id).where(
            ShipmentEffect.id == effect_id, ShipmentEffect.store_id == store_id, decidable
        )
    ).first()
    if row is None:
        return False
    parcel, stands, order_row = row
    values: dict[str, Any] = {"state": state, "token": "", "process_status_id": None, "unknown_since": None}
    values |= {"due_at": now} if state == EffectState.WANTED else {"due_at": None, "settled_at": now}
    changed = session.execute(
        update(ShipmentEffect)
        .where(
            ShipmentEffect.store_id == store_id,
            ShipmentEffect.host_shipment_id == parcel if whole else ShipmentEffect.id == effect_id,
            ShipmentEffect.state == stands,
        )
        .values(**values)
    )
    if not changed.rowcount:
        return False
    for told in ("shipment-refused", "shipment-unknown"):
        host.settle_notices(f"bol:{store_id}:{told}:{parcel}")
    if state == EffectState.CLOSED:
        settle_withdrawn_late(host, store_id, order_row)
    return True
