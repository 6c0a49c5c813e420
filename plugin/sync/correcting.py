"""Telling bol of corrections: each is sent once its shipment is confirmed, and sent again until bol has ended it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select, update
from sqlalchemy.orm import aliased

from host_app.plugin_api import HostPort, Level
from plugin.connector import BolError, NotExecuted
from plugin.models import BolOrder, EffectState, ProcessStatusRow, ShipmentEffect, TransportEffect
from plugin.models.effects import UNSETTLED
from plugin.sync import effects
from plugin.sync.context import ATTENTION_URL, CALL_SECONDS, Context, current_settings
from plugin.sync.corrections import not_corrected_url, settle_refused
from plugin.sync.failures import come_back, line_is_down
from plugin.sync.packed_anew import LATE
from plugin.sync.shipments import no_code
from plugin.sync.timeline import note
from plugin.texts import gettext as _

MAX_PAGES = 20
#: How often a correction looks if its shipment is confirmed by now.
WAIT = timedelta(seconds=30)
#: A correction whose end bol never tells is asked for so often; then a person must look.
MOST_TRIES = 10


def correct_due(ctx: Context) -> bool:
    """Tell bol of every correction that is due and whose shipment is confirmed. True when some are left."""
    if not ctx.active or not ctx.settings.send_shipments:
        return False
    while not ctx.lease.slice_over() and ctx.still_wanted(shipments=True):
        with ctx.host.reading() as session:
            effect = session.scalar(next_correction(ctx.store_id, ctx.now()))
            order_id = (
                session.scalar(select(BolOrder.order_id).where(BolOrder.id == effect.order_id))
                if effect
                else ""
            )
        if effect is None:
            return False
        if not effect.transporter_code:
            _choose_code(ctx, effect)
            continue
        try:
            transport_id = _transport(ctx, order_id or "", effect.reference)
        except BolError as error:
            if effects.is_final(error):
                _refuse(ctx, effect, error.operator_text(_))
                continue
            if _tried_too_often(effect, error):
                _refuse(ctx, effect, error.operator_text(_))
                continue
            _put_off(ctx, effect, error)
            return False
        if transport_id is None:
            _refuse(ctx, effect, _("bol does not show this shipment (any more)."))
            continue
        if not _claim(ctx, effect):
            continue
        try:
            status = ctx.client.transports.change(transport_id, effect.transporter_code, effect.tracking_code)
        except BolError as error:
            reason = effects.refusal(error, effect.attempts + 1)
            if reason is None and _tried_too_often(effect, error):
                reason = error.operator_text(_)
            if reason is not None:
                _refuse(ctx, effect, reason)
                continue
            # A correction is absolute: sending it again after an unknown outcome does no harm.
            _put_off(ctx, effect, error, sent=True)
            if line_is_down(error):
                ctx.report_problem(error)
                return False
        else:
            with ctx.host.transaction() as session:
                effects.follow(ctx, status)
                session.execute(
                    _claimed(ctx, effect, EffectState.SENT).values(process_status_id=status.id, due_at=None)
                )
                # Corrected anew meanwhile, or its parcel withdrawn: what comes next waits for the end of this one.
                for state in (EffectState.WANTED, EffectState.CLOSED):
                    session.execute(_claimed(ctx, effect, state).values(process_status_id=status.id))
    return True


def _choose_code(ctx: Context, effect: TransportEffect) -> None:
    """Give a correction bol's code of its carrier, as the settings are now; where there is none people must choose one."""
    with ctx.host.transaction() as session:
        session.execute(select(TransportEffect.id).where(TransportEffect.id == effect.id).with_for_update())
        parcel = ctx.host.parcel(effect.host_shipment_id)
        carrier = parcel.carrier if parcel is not None else ""
        # Read with the row locked: what was saved since this slice began releases only what waited then.
        code = current_settings(ctx).transporter_code(carrier, effect.tracking_code)
        if code:
            session.execute(_as_read(ctx, effect).values(transporter_code=code))
        else:
            _give_up(ctx, effect, no_code(ctx.host, carrier))


def settle(ctx: Context, effect: TransportEffect, outcome: str, message: str) -> None:
    """Record how bol ended it. In a transaction."""
    if outcome != "SUCCESS" and _is_withdrawn(ctx.host, effect):
        effect.state, effect.due_at, effect.settled_at = EffectState.CLOSED, None, ctx.now()
        return
    if outcome == "SUCCESS" and _may_be_overtaken(effect):
        effect.state, effect.due_at = EffectState.WANTED, ctx.now() + LATE
        effect.process_status_id, effect.unknown_since = None, None
    elif outcome == "SUCCESS":
        effect.state, effect.settled_at, effect.error = EffectState.CONFIRMED, ctx.now(), ""
        told = _("bol has the new tracking code of shipment %(shipment)s", shipment=effect.host_shipment_id)
        note(ctx.host, effect.order_id, told)
        settle_refused(ctx.host, ctx.store_id, effect.host_shipment_id)
    elif outcome == "FAILURE" or effect.attempts >= MOST_TRIES:
        reason = message or (
            _("bol gave no reason.") if outcome == "FAILURE" else _("bol did not say how it ended.")
        )
        _tell_refused(ctx, effect, reason)
        effect.state, effect.settled_at, effect.error = EffectState.REFUSED, ctx.now(), reason
    else:
        effect.state, effect.due_at, effect.process_status_id = EffectState.WANTED, ctx.now() + WAIT, None
        # bol may still come to it.
        effect.unknown_since = ctx.now()


def _may_be_overtaken(effect: TransportEffect) -> bool:
    """Tell if a call that nobody answered may be carried out after the one that bol has answered now.

    Then it is sent once more when that one must be over: a correction is absolute.
    """
    return (
        effect.unknown_since is not None
        and effect.sent_at is not None
        and effect.sent_at < effect.unknown_since + LATE
    )


def may_be_sent() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of corrections whose shipment is confirmed, and with which bol is not at work already."""
    unconfirmed = exists().where(
        ShipmentEffect.host_shipment_id == TransportEffect.host_shipment_id,
        ShipmentEffect.state.in_((EffectState.WANTED, *UNSETTLED)),
    )
    # Of the same shipment at bol, for the parcel in the place of which this one was sent.
    other = aliased(TransportEffect)
    under_way = exists().where(
        other.order_id == TransportEffect.order_id,
        other.reference == TransportEffect.reference,
        other.id != TransportEffect.id,
        or_(
            other.state == EffectState.SENT,
            # Closed as its parcel was withdrawn, while bol was still at work on what it was asked before.
            exists().where(
                ProcessStatusRow.store_id == other.store_id,
                ProcessStatusRow.process_status_id == other.process_status_id,
                ProcessStatusRow.ended_at.is_(None),
            ),
        ),
    )
    # An earlier correction of the same parcel: bol may carry the two out in any order.
    followed = exists().where(
        ProcessStatusRow.store_id == TransportEffect.store_id,
        ProcessStatusRow.process_status_id == TransportEffect.process_status_id,
        ProcessStatusRow.ended_at.is_(None),
    )
    return ~unconfirmed, ~under_way, ~followed


def next_correction(store_id: int, now: datetime) -> Select[TransportEffect]:
    """Select the correction that waits longest of those that may be sent."""
    return (
        select(TransportEffect)
        .where(
            TransportEffect.store_id == store_id,
            TransportEffect.state == EffectState.WANTED,
            TransportEffect.due_at <= now,
            *may_be_sent(),
        )
        .order_by(TransportEffect.due_at, TransportEffect.id)
        .limit(1)
    )


def _transport(ctx: Context, order_id: str, reference: str) -> str | None:
    """Find the transport of our parcel among bol's shipments of the order."""
    for number in range(1, MAX_PAGES):
        ctx.lease.ensure(CALL_SECONDS)
        page = ctx.client.shipments.page(number, order_id=order_id)
        for shipment in page.shipments:
            if shipment.reference == reference and shipment.transport_id:
                return shipment.transport_id
        if page.last:
            break
    return None


def _claim(ctx: Context, effect: TransportEffect) -> bool:
    """Claim the correction as it was read; one that was changed meanwhile is read anew."""
    ctx.lease.ensure(CALL_SECONDS)
    with ctx.host.transaction() as session:
        if _is_withdrawn(ctx.host, effect):
            session.execute(_as_read(ctx, effect).values(**_over(ctx)))
            return False
        claimed = session.execute(
            update(TransportEffect)
            .where(
                TransportEffect.id == effect.id,
                TransportEffect.state == EffectState.WANTED,
                TransportEffect.transporter_code == effect.transporter_code,
                TransportEffect.tracking_code == effect.tracking_code,
                TransportEffect.reference == effect.reference,
            )
            .values(
                state=EffectState.SENT,
                token=ctx.lease.token,
                sent_at=ctx.now(),
                attempts=TransportEffect.attempts + 1,
                process_status_id=None,
            )
        )
        return bool(claimed.rowcount)


def _claimed(ctx: Context, effect: TransportEffect, state: EffectState) -> Any:
    """An update of a correction whose call is made under this lease and was not answered yet."""
    return update(TransportEffect).where(
        TransportEffect.id == effect.id,
        TransportEffect.state == state,
        TransportEffect.token == ctx.lease.token,
        TransportEffect.process_status_id.is_(None),
    )


def _as_read(ctx: Context, effect: TransportEffect) -> Any:
    """An update of a correction that is not carried out where it was corrected anew, or bol has taken it in."""
    asked = and_(
        TransportEffect.state == EffectState.SENT,
        TransportEffect.token == ctx.lease.token,
        TransportEffect.process_status_id.is_(None),
    )
    return update(TransportEffect).where(
        TransportEffect.id == effect.id,
        TransportEffect.transporter_code == effect.transporter_code,
        TransportEffect.tracking_code == effect.tracking_code,
        # It may have become one for another shipment: its parcel was packed anew in the place of that.
        TransportEffect.reference == effect.reference,
        or_(TransportEffect.state == EffectState.WANTED, asked),
    )


def _put_off(ctx: Context, effect: TransportEffect, error: BolError, *, sent: bool = False) -> None:
    """Try a correction again later. ``sent``: the call that failed was the correction itself."""
    values = effects.after_failure(error, ctx.now(), effect.attempts + 1)
    values["state"] = EffectState.WANTED
    if not sent:
        values.pop("unknown_since", None)
    if not sent and not isinstance(error, NotExecuted):
        values["attempts"] = effect.attempts + 1
    # It is asked for again, and not looked for: ever more seldom.
    slower = sent or not isinstance(error, NotExecuted)
    values["due_at"] = max(values["due_at"], come_back(error, ctx.now(), effect.attempts if slower else 0))
    with ctx.host.transaction() as session:
        session.execute(_as_read(ctx, effect).values(**values))


def _tried_too_often(effect: TransportEffect, error: BolError) -> bool:
    """Tell if a person must hear of a correction, as bol, which can be reached, has failed at it again and again."""
    return effect.attempts + 1 >= MOST_TRIES and not isinstance(error, NotExecuted)


def _refuse(ctx: Context, effect: TransportEffect, reason: str) -> None:
    with ctx.host.transaction():
        _give_up(ctx, effect, reason)


def _give_up(ctx: Context, effect: TransportEffect, reason: str) -> None:
    """Leave a correction to people, or be done with it where its parcel was withdrawn. In a transaction."""
    if _is_withdrawn(ctx.host, effect):
        ctx.host.session.execute(_as_read(ctx, effect).values(**_over(ctx)))
        return
    refused = ctx.host.session.execute(
        _as_read(ctx, effect).values(
            state=EffectState.REFUSED, error=reason, settled_at=ctx.now(), due_at=None
        )
    )
    if refused.rowcount:
        _tell_refused(ctx, effect, reason)


def _is_withdrawn(host: HostPort, effect: TransportEffect) -> bool:
    """Tell if the parcel was withdrawn, so that its code travels nowhere. In a transaction."""
    return effect.host_shipment_id in host.withdrawn((effect.host_shipment_id,))


def _over(ctx: Context) -> dict[str, Any]:
    return {"state": EffectState.CLOSED, "due_at": None, "settled_at": ctx.now(), "error": ""}


def _tell_refused(ctx: Context, effect: TransportEffect, reason: str) -> None:
    order = ctx.host.session.get(BolOrder, effect.order_id)
    if not effect.transporter_code:
        # By us: bol was not asked.
        ctx.notify(
            f"correction-refused:{effect.host_shipment_id}:{ctx.now().isoformat()}",
            "shipment",
            Level.WARNING,
            _("the corrected carrier of order %(order)s has no code of bol", order=order.order_id),
            _("%(reason)s bol is told of the correction as soon as it is filled in.", reason=reason),
            ATTENTION_URL,
        )
        return
    ctx.notify(
        # Somebody has had it sent again since the last time.
        f"correction-refused:{effect.host_shipment_id}:{ctx.now().isoformat()}",
        "shipment",
        Level.WARNING,
        _("bol did not take the new tracking code of order %(order)s", order=order.order_id),
        reason,
        not_corrected_url(ctx.store_id),
    )
