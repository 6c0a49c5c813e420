"""Shipping via bol: buying a label once and only once, fetching it, and what a person decides about a lost one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, func, or_, select, update

from host_app.plugin_api import HostError, HostPort, Level, NewLabel, Notice, PicklistView
from plugin.connector import BolError, LabelOption, NotExecuted, NotFound, ProcessStatus, ShipmentItem
from plugin.models import BolOrder, EffectState, LabelEffect, Store
from plugin.models.effects import UNSETTLED
from plugin.sync import effects, left_labels
from plugin.sync.cancel_decisions import names_of
from plugin.sync.context import CALL_SECONDS, Context, store_url
from plugin.sync.failures import come_back, line_is_down
from plugin.sync.label_options import NO_OPTIONS, option_name
from plugin.sync.timeline import note
from plugin.sync.transporters import title
from plugin.texts import gettext as _
from plugin.texts import ngettext

LONGEST_FETCH = 60
#: Somebody waits at the packing table for a label that is bought: people are told when it can't be had for so long.
TELL_AFTER = timedelta(minutes=5)
#: bol may show a new label late: what it does not know after this time only a person can find.
SHOWN_LATE = timedelta(minutes=10)
#: What the column holds, and an address can.
NUMBER = re.compile(r"[^\s/\\]{1,60}")
#: Bought, its number is known, and it is not here yet.
TO_FETCH = and_(LabelEffect.state == EffectState.SENT, LabelEffect.label_id.is_not(None))


def next_label(store_id: int, now: datetime, *, buying: bool) -> Select[LabelEffect]:
    """Select the purchase that waits longest: to be fetched, as its number is known, or to be asked for.

    :param buying: bol may be asked for labels; fetching what is bought costs nothing, in a paused store neither.
    """
    return (
        select(LabelEffect)
        .where(
            LabelEffect.store_id == store_id,
            or_(LabelEffect.state == EffectState.WANTED, TO_FETCH) if buying else TO_FETCH,
            LabelEffect.due_at <= now,
        )
        .order_by(LabelEffect.due_at, LabelEffect.id)
        .limit(1)
    )


def abandoned_label(store_id: int, before: datetime) -> tuple[Any, ...]:
    """Return the conditions of purchases whose job must have died: asked before then, and no number heard."""
    return (
        LabelEffect.store_id == store_id,
        LabelEffect.state == EffectState.SENT,
        LabelEffect.process_status_id.is_(None),
        LabelEffect.label_id.is_(None),
        LabelEffect.sent_at <= before,
    )


def buy_due(ctx: Context) -> bool:
    """Buy every label that is wanted, and fetch those that are bought. True when some are left."""
    while not ctx.lease.slice_over():
        buying = ctx.active and ctx.still_wanted()
        with ctx.host.reading() as session:
            effect = session.scalar(next_label(ctx.store_id, ctx.now(), buying=buying))
        if effect is None:
            return False
        done = _fetch(ctx, effect) if effect.label_id is not None else _buy(ctx, effect)
        if not done:
            return False
    return True


def _buy(ctx: Context, effect: LabelEffect) -> bool:
    """Buy one label. False where the line to bol is down."""
    items = tuple(ShipmentItem(item_id, count) for item_id, count in sorted(effect.pieces.items()))
    option_id = effect.option_id
    told: dict[str, Any] = {}
    if not option_id:
        try:
            best = _recommended(ctx, items)
        except BolError as error:
            _not_bought(ctx, effect, error)
            return False
        except ValueError as error:
            # Refused by our own check before anything was sent.
            _refuse(ctx, effect, str(error))
            return True
        if best is None:
            _refuse(ctx, effect, str(NO_OPTIONS))
            return True
        option_id = best.offer_id
        told = {"hand_over_by": best.latest_handover, "option": option_name(best), "price": best.price}
    ctx.lease.ensure(CALL_SECONDS)
    with ctx.host.transaction() as session:
        if not _still_packed(ctx, effect):
            return True
        claimed = session.execute(
            update(LabelEffect)
            .where(LabelEffect.id == effect.id, LabelEffect.state == EffectState.WANTED)
            .values(
                state=EffectState.SENT,
                token=ctx.lease.token,
                sent_at=ctx.now(),
                due_at=None,
                error="",
                **told,
                attempts=LabelEffect.attempts + 1,
            )
        )
    if not claimed.rowcount:
        return True
    try:
        status = ctx.client.labels.create(items, option_id)
    except BolError as error:
        _not_bought(ctx, effect, error)
        return not line_is_down(error)
    except ValueError as error:
        _refuse(ctx, effect, str(error))
        return True
    with ctx.host.transaction() as session:
        effects.follow(ctx, status)
        # Not tied to the lease: bol's number must never be lost once it was heard.
        session.execute(
            update(LabelEffect)
            .where(LabelEffect.id == effect.id, LabelEffect.state.in_(UNSETTLED))
            .values(state=EffectState.SENT, process_status_id=status.id, due_at=None, error="")
        )
    return True


def _still_packed(ctx: Context, effect: LabelEffect) -> bool:
    """Tell if the goods still are on an open picklist; else the purchase is closed. In a transaction."""
    picklist = ctx.host.picklist(effect.host_picklist_id)
    if picklist is not None:
        # Locks the order, so that it can't be cancelled between this look and the purchase.
        ctx.host.order(picklist.order_id)
        picklist = ctx.host.picklist(effect.host_picklist_id)
    reason = _("Not bought: the picklist is not open any more.")
    if picklist is not None and picklist.state == "new":
        if not _too_many(ctx, effect, picklist):
            return True
        reason = _(
            "Not bought: some of these goods are not on the picklist any more. Ask for a label for what is left."
        )
    ctx.host.session.execute(
        update(LabelEffect)
        .where(LabelEffect.id == effect.id, LabelEffect.state == EffectState.WANTED)
        .values(
            state=EffectState.CLOSED,
            due_at=None,
            settled_at=ctx.now(),
            error=reason,
        )
    )
    return False


def _too_many(ctx: Context, effect: LabelEffect, picklist: PicklistView) -> bool:
    """Tell if pieces were taken off meanwhile, so that the picklist holds fewer than its labels would. In a transaction."""
    labelled = Counter(effect.lines)
    others = select(LabelEffect.lines).where(
        LabelEffect.host_picklist_id == effect.host_picklist_id,
        LabelEffect.id != effect.id,
        LabelEffect.state.in_((*UNSETTLED, EffectState.CONFIRMED)),
    )
    for lines in ctx.host.session.scalars(others):
        labelled.update(lines)
    return any(labelled[line_id] > picklist.pieces.get(int(line_id), 0) for line_id in effect.lines)


def _recommended(ctx: Context, items: Sequence[ShipmentItem]) -> LabelOption | None:
    ctx.lease.ensure(CALL_SECONDS)
    found = ctx.client.labels.options(items)
    return next((option for option in found if option.recommended), found[0] if found else None)


def _not_bought(ctx: Context, effect: LabelEffect, error: BolError) -> None:
    """Not executed is tried again or refused; after anything else bol may have charged it, and a person decides."""
    reason = effects.refusal(error, effect.attempts)
    if reason is not None:
        _refuse(ctx, effect, reason)
        return
    with ctx.host.transaction() as session:
        row = session.scalars(select(LabelEffect).where(LabelEffect.id == effect.id).with_for_update()).one()
        # Not where another job has found it interrupted since, or a person has decided: it may be bought anew.
        asked = (
            row.state == EffectState.SENT
            and row.token == ctx.lease.token
            and row.process_status_id is None
            and row.label_id is None
        )
        if row.state == EffectState.WANTED or (asked and isinstance(error, NotExecuted)):
            row.state, row.error = EffectState.WANTED, error.operator_text(_)
            row.due_at = max(come_back(error, ctx.now(), row.attempts), ctx.now() + timedelta(seconds=2))
        elif asked:
            ask_a_person(ctx, row, error.operator_text(_))
    if line_is_down(error):
        ctx.report_problem(error)


def settle(
    ctx: Context, effect: LabelEffect, status: ProcessStatus | None, outcome: str, message: str
) -> None:
    """Record how bol ended a purchase. In a transaction."""
    if outcome == "SUCCESS" and status is not None and is_number(status.entity_id or ""):
        effect.label_id, effect.due_at = status.entity_id, ctx.now()
    elif outcome == "FAILURE":
        effect.state, effect.settled_at, effect.due_at = EffectState.REFUSED, ctx.now(), None
        effect.error = message or _("bol gave no reason.")
        _tell_refused(ctx, effect, effect.error)
    else:
        ask_a_person(ctx, effect, message or _("bol did not say how it ended."))


def ask_a_person(ctx: Context, effect: LabelEffect, reason: str) -> None:
    """The number of a label is lost: bol has no list of labels, so only a person can look. In a transaction."""
    effect.state, effect.due_at, effect.error = EffectState.DECISION, None, reason
    order = ctx.host.session.get(BolOrder, effect.order_id)
    ctx.notify(
        f"label-unknown:{effect.id}:{effect.attempts}",
        "label",
        Level.DANGER,
        _("it is not known if bol sold a label for order %(order)s", order=order.order_id),
        _(
            "%(reason)s bol may have charged this: look in the seller portal. Then enter the number of the label, or buy "
            "it again.",
            reason=reason,
        ),
        ctx.host.order_url(order.host_order_id) if order.host_order_id else None,
    )


def _fetch(ctx: Context, effect: LabelEffect) -> bool:
    """Fetch a bought label and give it to the host. False where bol can't be asked now."""
    ctx.lease.ensure(CALL_SECONDS)
    try:
        label = ctx.client.labels.get(effect.label_id or "")
    except BolError as error:
        _not_fetched(ctx, effect, error)
        if line_is_down(error):
            ctx.report_problem(error)
            return False
        return True
    with ctx.host.transaction() as session:
        done = session.execute(
            update(LabelEffect)
            .where(LabelEffect.id == effect.id, LabelEffect.state == EffectState.SENT)
            .values(
                state=EffectState.CONFIRMED, settled_at=ctx.now(), due_at=None, unknown_since=None, error=""
            )
        )
        if done.rowcount:
            ctx.settle(f"label-not-fetched:{effect.id}")
            ctx.host.attach_label(
                NewLabel(
                    picklist_id=effect.host_picklist_id,
                    ref=label.label_id,
                    carrier=title(label.transporter_code or "bol"),
                    tracking_code=label.track_and_trace or "",
                    pdf=label.pdf,
                    pieces={int(line_id): count for line_id, count in effect.lines.items()},
                )
            )
            _set_deadline(ctx, effect.order_id)
            _settle_refused(ctx, effect)
            if effect.settled_at is None:
                # Else it came before, and is used for goods that are packed anew.
                told = _("Label %(label)s bought by %(who)s", label=label.label_id, who=effect.who)
                note(ctx.host, effect.order_id, told)
            _look_if_left_over(ctx, effect.order_id)
    # In a store that does nothing else, as a paused one, nobody else says so.
    ctx.clear_problem()
    return True


def _look_if_left_over(ctx: Context, order_row_id: int) -> None:
    """Its picklist may have been withdrawn, or closed, while it was on its way. In a transaction."""
    order = ctx.host.session.get(BolOrder, order_row_id)
    if order is not None and order.host_order_id is not None:
        left_labels.look(ctx.host, order.host_order_id)


def is_number(label_id: str) -> bool:
    """Tell if bol can be asked for a label by this number."""
    return NUMBER.fullmatch(label_id) is not None


def _not_fetched(ctx: Context, effect: LabelEffect, error: BolError) -> None:
    """A label that is bought can't be had: it is fetched later, people are told where it lasts, and it is never bought anew.

    What bol does not know at all only a person can find: at once, where a person entered its number.
    """
    now = ctx.now()
    with ctx.host.transaction() as session:
        row = session.scalars(select(LabelEffect).where(LabelEffect.id == effect.id).with_for_update()).one()
        if row.state != EffectState.SENT or row.label_id != effect.label_id:
            return
        row.attempts += 1
        # That it may have been done is said of what changes something; this only reads.
        row.error = (
            error.operator_text(_)
            if isinstance(error, NotExecuted)
            else _("bol does not answer as it should. It is tried again by itself.")
        )
        since = row.unknown_since = row.unknown_since or now
        told_by_bol = row.process_status_id is not None
        if effects.is_final(error) and (now - since >= SHOWN_LATE or not told_by_bol):
            ctx.settle(f"label-not-fetched:{row.id}")
            reason = row.error
            if isinstance(error, NotFound):
                reason = _("bol knows no label with the number %(label)s.", label=effect.label_id)
            if not told_by_bol:
                row.label_id = None
            ask_a_person(ctx, row, reason)
            return
        # The packer waits for it, and reading costs nothing: never longer than a minute, unless bol asks for more.
        wait = max(min(2 ** min(effect.attempts, 6), LONGEST_FETCH), error.retry_after or 0)
        row.due_at = now + timedelta(seconds=wait)
        if now - since >= TELL_AFTER:
            _tell_not_fetched(ctx, row, since)


def _tell_not_fetched(ctx: Context, effect: LabelEffect, since: datetime) -> None:
    order = ctx.host.session.get(BolOrder, effect.order_id)
    ctx.notify(
        f"label-not-fetched:{effect.id}:{since:%Y-%m-%dT%H:%M}",
        "label",
        Level.DANGER,
        _("the label of order %(order)s is bought, but can't be fetched from bol", order=order.order_id),
        _(
            "%(reason)s Do not buy another one; if the parcel can't wait, look for label %(label)s in bol's seller portal.",
            reason=effect.error,
            label=effect.label_id,
        ),
        ctx.host.order_url(order.host_order_id) if order.host_order_id else None,
    )


def _settle_refused(ctx: Context, bought: LabelEffect) -> None:
    """What was told of a label that bol did not sell is over where its goods have others now. In a transaction."""
    effects_of_picklist = ctx.host.session.execute(
        select(LabelEffect.id, LabelEffect.state, LabelEffect.lines).where(
            LabelEffect.host_picklist_id == bought.host_picklist_id,
            LabelEffect.store_id == bought.store_id,
            LabelEffect.state.in_((EffectState.REFUSED, EffectState.CONFIRMED)),
        )
    ).all()
    labelled: Counter[str] = Counter()
    for effect in effects_of_picklist:
        if effect.state == EffectState.CONFIRMED:
            labelled.update(effect.lines)
    for effect in effects_of_picklist:
        if effect.state == EffectState.REFUSED and Counter(effect.lines) <= labelled:
            ctx.settle(f"label-refused:{effect.id}")


def _set_deadline(ctx: Context, order_row_id: int) -> None:
    """A label says itself until when its parcel must be handed over; of several the first one counts. In a transaction."""
    hand_over_by = ctx.host.session.scalar(
        select(func.min(LabelEffect.hand_over_by)).where(
            LabelEffect.order_id == order_row_id, LabelEffect.state == EffectState.CONFIRMED
        )
    )
    row = ctx.host.session.get(BolOrder, order_row_id)
    if hand_over_by is not None and row is not None and row.host_order_id is not None:
        ctx.host.set_deadline(row.host_order_id, hand_over_by)


def _refuse(ctx: Context, effect: LabelEffect, reason: str) -> None:
    asked = and_(
        LabelEffect.state == EffectState.SENT,
        LabelEffect.token == ctx.lease.token,
        LabelEffect.process_status_id.is_(None),
        LabelEffect.label_id.is_(None),
    )
    with ctx.host.transaction() as session:
        refused = session.execute(
            update(LabelEffect)
            .where(LabelEffect.id == effect.id, or_(LabelEffect.state == EffectState.WANTED, asked))
            .values(state=EffectState.REFUSED, error=reason, settled_at=ctx.now(), due_at=None)
        )
        if refused.rowcount:
            _tell_refused(ctx, effect, reason)


def _tell_refused(ctx: Context, effect: LabelEffect, reason: str) -> None:
    order = ctx.host.session.get(BolOrder, effect.order_id)
    ctx.notify(
        f"label-refused:{effect.id}:{effect.attempts}",
        "label",
        Level.WARNING,
        _("bol did not sell a label for order %(order)s", order=order.order_id),
        _("%(reason)s Show the label options again: an option may have expired.", reason=reason),
        ctx.host.order_url(order.host_order_id) if order.host_order_id else None,
    )


def leave_to_people(host: HostPort, store: Store) -> None:
    """The store goes. In a transaction.

    Labels that bol was not asked for are not bought when it comes back. Those that bol was asked for, and that are not here, may
    be bought: people find them in bol's seller portal, or they come when the store does.
    """
    session = host.session
    wanted = (LabelEffect.store_id == store.id, LabelEffect.state == EffectState.WANTED)
    ids = session.scalars(select(LabelEffect.order_id).where(*wanted)).all()
    reason = _("Not bought: the store was disconnected before bol was asked for this label.")
    session.execute(
        update(LabelEffect)
        .where(*wanted)
        .values(state=EffectState.CLOSED, due_at=None, settled_at=host.now(), error=reason)
    )
    if ids:
        _tell_left(
            host,
            store,
            "label-left",
            ngettext(
                "%(store)s is disconnected, and %(num)s label was not bought",
                "%(store)s is disconnected, and %(num)s labels were not bought",
                len(ids),
                store=store.name,
            ),
            _(
                "Orders: %(orders)s. Send them with another carrier, or buy labels in bol's seller portal.",
                orders=names_of(host, ids),
            ),
        )
    asked = session.scalars(
        select(LabelEffect.order_id).where(
            LabelEffect.store_id == store.id, LabelEffect.state == EffectState.SENT
        )
    ).all()
    if asked:
        _tell_left(
            host,
            store,
            "label-asked",
            ngettext(
                "%(store)s is disconnected, and %(num)s label that bol was asked for has not come",
                "%(store)s is disconnected, and %(num)s labels that bol was asked for have not come",
                len(asked),
                store=store.name,
            ),
            _(
                "Orders: %(orders)s. bol may have charged this: look for the labels in bol's seller portal before you send them "
                "with another carrier.",
                orders=names_of(host, asked),
            ),
        )


def _tell_left(host: HostPort, store: Store, key: str, title: str, body: str) -> None:
    host.notify(
        Notice(
            key=f"bol:{store.id}:{key}:{store.secret_version}",
            kind="bol.label",
            level=Level.WARNING,
            title=title,
            body=body,
            url=store_url(store.id),
        )
    )


# what people decide


def enter_number(host: HostPort, store_id: int, effect_id: int, label_id: str) -> None:
    """A person found the label in the seller portal: fetch it. In a transaction.

    :raises HostError: the purchase waits for no decision, the number is empty, or another label's.
    """
    # As it is read from a page, with the blanks that this puts into it.
    label_id = "".join(label_id.split())
    if not label_id:
        raise HostError(_("Enter the number of the label."))
    if not is_number(label_id):
        raise HostError(_("A number of a label has letters and digits only, 60 at most."))
    taken = host.session.scalar(
        select(BolOrder.order_id)
        .join(LabelEffect, LabelEffect.order_id == BolOrder.id)
        .where(
            LabelEffect.store_id == store_id,
            LabelEffect.label_id == label_id,
            LabelEffect.id != effect_id,
        )
        .limit(1)
    )
    if taken is not None:
        raise HostError(_("This is the label of order %(order)s already: look for another one.", order=taken))
    _decided(
        host,
        store_id,
        effect_id,
        state=EffectState.SENT,
        # What bol says of the number is about what this person has entered.
        process_status_id=None,
        label_id=label_id,
        attempts=0,
    )


def buy_again(host: HostPort, store_id: int, effect_id: int) -> None:
    """A person found no label in the seller portal: buy it again. In a transaction.

    :raises HostError: the purchase waits for no decision.
    """
    _decided(
        host,
        store_id,
        effect_id,
        state=EffectState.WANTED,
        token="",
        process_status_id=None,
        option_id="",
        label_id=None,
    )


def fetch_now(host: HostPort, store_id: int, effect_id: int) -> None:
    """Fetch a label at once that is bought and could not be fetched. In a transaction.

    :raises HostError: it does not wait for that.
    """
    changed = host.session.execute(
        update(LabelEffect)
        .where(LabelEffect.id == effect_id, LabelEffect.store_id == store_id, TO_FETCH)
        .values(due_at=host.now())
    )
    if not changed.rowcount:
        raise HostError(_("This label does not wait to be fetched any more."))


def _decided(host: HostPort, store_id: int, effect_id: int, **values: Any) -> None:
    changed = host.session.execute(
        update(LabelEffect)
        .where(
            LabelEffect.id == effect_id,
            LabelEffect.store_id == store_id,
            LabelEffect.state == EffectState.DECISION,
        )
        .values(due_at=host.now(), unknown_since=None, settled_at=None, error="", **values)
    )
    if not changed.rowcount:
        raise HostError(_("This purchase does not wait for a decision any more."))
    host.settle_notices(f"bol:{store_id}:label-unknown:{effect_id}")
