"""Shipping via bol: label options at the packing table, and buying a label once and only once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, or_, select, update

from host_app.plugin_api import HostError, HostPort, Level, NewLabel, ShippingOption, ShippingOptions
from plugin.connector import (
    BolClient,
    BolError,
    Deadline,
    LabelOption,
    NotExecuted,
    NotFound,
    ProcessStatus,
    ShipmentItem,
)
from plugin.models import BolOrder, BolOrderItem, EffectState, LabelEffect, Store, StoreState
from plugin.models.effects import UNSETTLED
from plugin.settings import StoreSettings
from plugin.sync import effects
from plugin.sync.context import CALL_SECONDS, Context
from plugin.sync.failures import come_back, line_is_down
from plugin.sync.mapping import AMSTERDAM
from plugin.sync.names import store_of
from plugin.sync.timeline import note
from plugin.sync.transporters import title

#: bol's value of distributionParty for items that travel on a label of bol's (Retailer API v10, get-order).
VIA_BOL = "BOL"
#: Left of the host's time limit for everything but the call itself.
MARGIN = 0.3
RECOMMENDED = "recommended"
#: Where the store wants no choice: bol is asked for its recommendation when the label is bought.
RECOMMENDED_ONLY = ShippingOptions(
    (ShippingOption(RECOMMENDED, "The label that bol recommends", "", None, recommended=True),)
)
LONGEST_FETCH = 60
#: States of a purchase that may still cost money, or has.
COUNTED = (EffectState.WANTED, *UNSETTLED, EffectState.CONFIRMED)
NO_OPTIONS = (
    "bol offers no label for these goods together. Try fewer pieces on one label; goods that are too large or too "
    "heavy for every label go with another carrier."
)


@dataclass(frozen=True, slots=True)
class Goods:
    """What a label is to cover: an order of bol and pieces of its items."""

    store_id: int
    order_row_id: int
    pieces: dict[str, int]

    def items(self) -> tuple[ShipmentItem, ...]:
        """Return the goods as bol wants them named."""
        return tuple(ShipmentItem(item_id, quantity) for item_id, quantity in sorted(self.pieces.items()))


# at the packing table


def goods_of(host: HostPort, picklist_id: int, pieces: Mapping[int, int]) -> Goods | None:
    """Return what labels can be bought for, or None where the goods are not bol's or need no label of bol.

    In a transaction.
    """
    picklist = host.picklist(picklist_id)
    store_id = store_of(picklist.source) if picklist else None
    if picklist is None or store_id is None:
        return None
    session = host.session
    store = session.get(Store, store_id)
    row = session.scalar(
        select(BolOrder).where(BolOrder.store_id == store_id, BolOrder.order_id == picklist.reference)
    )
    view = host.order_views([picklist.order_id]).get(picklist.order_id)
    if store is None or store.state != StoreState.ACTIVE or row is None or view is None:
        return None
    refs = {line.order_line_id: line.external_ref for line in view.lines}
    wanted = {
        ref: count
        for line_id, count in pieces.items()
        if (ref := refs.get(line_id)) is not None and count > 0
    }
    items = [item for item in row.items if item.order_item_id in wanted]
    every = StoreSettings.load(store.settings).labels_for_all
    if not items or not all(every or item.distribution_party == VIA_BOL for item in items):
        return None
    return Goods(store_id, row.id, {item.order_item_id: wanted[item.order_item_id] for item in items})


def options(goods: Goods, client: BolClient, seconds: float) -> ShippingOptions:
    """Ask bol what labels it sells for these goods, the recommended one first."""
    try:
        found = client.labels.options(goods.items(), deadline=Deadline.after(max(0.1, seconds - MARGIN)))
    except BolError as error:
        return ShippingOptions(reason=error.operator_text())
    if not found:
        return ShippingOptions(reason=NO_OPTIONS)
    ordered = sorted(found, key=lambda option: not option.recommended)
    return ShippingOptions(tuple(_shown(option) for option in ordered))


def _shown(option: LabelOption) -> ShippingOption:
    details = []
    if option.max_weight or option.max_dimensions:
        details.append(
            "at most " + ", ".join(part for part in (option.max_weight, option.max_dimensions) if part)
        )
    if option.latest_handover is not None:
        details.append(f"hand over by {option.latest_handover.astimezone(AMSTERDAM):%d-%m-%Y %H:%M}")
    if option.meets_expectation is False:
        details.append("does not reach the customer as promised")
    return ShippingOption(
        key=option.offer_id,
        title=option.name or option.label_type,
        carrier=title(option.transporter_code),
        price=option.price,
        details=tuple(details),
        recommended=option.recommended,
    )


def request(host: HostPort, picklist_id: int, pieces: Mapping[int, int], option_id: str, who: str) -> int:
    """Write down that a label is wanted; return the store. In a transaction.

    :raises HostError: the goods need no label, or more pieces than there are would have one: it was bought already,
        or is being bought.
    """
    picklist = host.picklist(picklist_id)
    view = host.order(picklist.order_id) if picklist else None
    goods = goods_of(host, picklist_id, pieces)
    if picklist is None or view is None or goods is None:
        raise HostError("No label of bol can be bought for these goods.")
    if picklist.state != "new":
        raise HostError("Labels are bought for open picklists only.")
    session = host.session
    bought = session.scalars(
        select(LabelEffect).where(LabelEffect.host_picklist_id == picklist_id, LabelEffect.state.in_(COUNTED))
    ).all()
    for line_id, count in pieces.items():
        covered = sum(effect.lines.get(str(line_id), 0) for effect in bought)
        if count + covered > picklist.pieces.get(line_id, 0):
            raise HostError(
                "A label for these goods was bought already, or is being bought. See the panel of bol.com."
            )
    session.add(
        LabelEffect(
            store_id=goods.store_id,
            order_id=goods.order_row_id,
            host_picklist_id=picklist_id,
            pieces=goods.pieces,
            lines={str(line_id): count for line_id, count in pieces.items() if count > 0},
            option_id="" if option_id == RECOMMENDED else option_id,
            who=who,
            state=EffectState.WANTED,
            due_at=host.now(),
            token="",
            attempts=0,
            error="",
            created_at=host.now(),
        )
    )
    session.flush()
    note(host, goods.order_row_id, f"Label asked for by {who}")
    return goods.store_id


def missing_label(host: HostPort, picklist_id: int) -> bool:
    """Tell if a picklist holds goods that must travel on a label of bol's and none was bought. In a transaction."""
    picklist = host.picklist(picklist_id)
    store_id = store_of(picklist.source) if picklist else None
    if picklist is None or store_id is None:
        return False
    session = host.session
    via_bol = session.scalar(
        select(BolOrderItem.id)
        .join(BolOrder)
        .where(
            BolOrder.store_id == store_id,
            BolOrder.order_id == picklist.reference,
            BolOrderItem.imported > 0,
            BolOrderItem.distribution_party == VIA_BOL,
        )
        .limit(1)
    )
    bought = session.scalar(
        select(LabelEffect.id)
        .where(LabelEffect.host_picklist_id == picklist_id, LabelEffect.state == EffectState.CONFIRMED)
        .limit(1)
    )
    return via_bol is not None and bought is None


# the purchase


def next_label(store_id: int, now: datetime) -> Select[LabelEffect]:
    """Select the purchase that waits longest: to be asked for, or with its number known and its label to be fetched."""
    fetch = (LabelEffect.state == EffectState.SENT) & LabelEffect.label_id.is_not(None)
    return (
        select(LabelEffect)
        .where(
            LabelEffect.store_id == store_id,
            or_(LabelEffect.state == EffectState.WANTED, fetch),
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
    if not ctx.active:
        return False
    while not ctx.lease.slice_over():
        with ctx.host.reading() as session:
            effect = session.scalar(next_label(ctx.store_id, ctx.now()))
        if effect is None:
            return False
        done = _fetch(ctx, effect) if effect.label_id is not None else _buy(ctx, effect)
        if not done:
            return False
    return True


def find_abandoned(ctx: Context) -> None:
    """A purchase whose job died before it noted bol's number may have cost money: a person decides."""
    with ctx.host.transaction() as session:
        rows = session.scalars(
            select(LabelEffect)
            .where(*abandoned_label(ctx.store_id, ctx.now()), LabelEffect.token != ctx.lease.token)
            .with_for_update()
        ).all()
        for row in rows:
            ask_a_person(ctx, row, "The purchase was interrupted.")


def _buy(ctx: Context, effect: LabelEffect) -> bool:
    """Buy one label. False where the line to bol is down."""
    items = tuple(ShipmentItem(item_id, count) for item_id, count in sorted(effect.pieces.items()))
    option_id = effect.option_id
    if not option_id:
        try:
            option_id = _recommended(ctx, items)
        except BolError as error:
            _not_bought(ctx, effect, error)
            return False
        if not option_id:
            _refuse(ctx, effect, NO_OPTIONS)
            return True
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
    """Tell if the goods still lie on an open picklist; else the purchase is closed. In a transaction."""
    picklist = ctx.host.picklist(effect.host_picklist_id)
    if picklist is not None:
        # Locks the order, so that it can't be cancelled between this look and the purchase.
        ctx.host.order(picklist.order_id)
        picklist = ctx.host.picklist(effect.host_picklist_id)
    if picklist is not None and picklist.state == "new":
        return True
    ctx.host.session.execute(
        update(LabelEffect)
        .where(LabelEffect.id == effect.id, LabelEffect.state == EffectState.WANTED)
        .values(
            state=EffectState.CLOSED,
            due_at=None,
            settled_at=ctx.now(),
            error="Not bought: the picklist is not open any more.",
        )
    )
    return False


def _recommended(ctx: Context, items: Sequence[ShipmentItem]) -> str:
    ctx.lease.ensure(CALL_SECONDS)
    found = ctx.client.labels.options(items)
    best = next((option for option in found if option.recommended), found[0] if found else None)
    return best.offer_id if best else ""


def _not_bought(ctx: Context, effect: LabelEffect, error: BolError) -> None:
    """Not executed is tried again or refused; after anything else bol may have charged it, and a person decides."""
    if effects.is_final(error):
        _refuse(ctx, effect, error.operator_text())
        return
    with ctx.host.transaction() as session:
        row = session.scalars(select(LabelEffect).where(LabelEffect.id == effect.id).with_for_update()).one()
        if isinstance(error, NotExecuted) or row.state == EffectState.WANTED:
            row.state, row.error = EffectState.WANTED, error.operator_text()
            row.due_at = max(come_back(error, ctx.now(), row.attempts), ctx.now() + timedelta(seconds=2))
        elif row.state == EffectState.SENT and row.process_status_id is None:
            ask_a_person(ctx, row, error.operator_text())
    if line_is_down(error):
        ctx.report_problem(error)


def settle(
    ctx: Context, effect: LabelEffect, status: ProcessStatus | None, outcome: str, message: str
) -> None:
    """Record how bol ended a purchase. In a transaction."""
    if outcome == "SUCCESS" and status is not None and status.entity_id:
        effect.label_id, effect.due_at = status.entity_id, ctx.now()
    elif outcome == "FAILURE":
        effect.state, effect.settled_at, effect.due_at = EffectState.REFUSED, ctx.now(), None
        effect.error = message or "bol gave no reason."
        _tell_refused(ctx, effect, effect.error)
    else:
        ask_a_person(ctx, effect, message or "bol did not say how it ended.")


def ask_a_person(ctx: Context, effect: LabelEffect, reason: str) -> None:
    """The number of a label is lost: bol has no list of labels, so only a person can look. In a transaction."""
    effect.state, effect.due_at, effect.error = EffectState.DECISION, None, reason
    order = ctx.host.session.get(BolOrder, effect.order_id)
    ctx.notify(
        f"label-unknown:{effect.id}:{effect.attempts}",
        "label",
        Level.DANGER,
        f"it is not known if bol sold a label for order {order.order_id}",
        f"{reason} bol may have charged this: look in the seller portal. Then enter the number of the label, or buy "
        "it again.",
        ctx.host.order_url(order.host_order_id) if order.host_order_id else None,
    )


def _fetch(ctx: Context, effect: LabelEffect) -> bool:
    """Fetch a bought label and give it to the host. False where bol can't be asked now."""
    ctx.lease.ensure(CALL_SECONDS)
    try:
        label = ctx.client.labels.get(effect.label_id or "")
    except NotFound:
        with ctx.host.transaction() as session:
            row = session.scalars(
                select(LabelEffect).where(LabelEffect.id == effect.id).with_for_update()
            ).one()
            if row.state == EffectState.SENT:
                row.label_id = None
                row.attempts += 1
                ask_a_person(ctx, row, f"bol knows no label with the number {effect.label_id}.")
        return True
    except BolError as error:
        with ctx.host.transaction() as session:
            session.execute(
                update(LabelEffect)
                .where(LabelEffect.id == effect.id, LabelEffect.state == EffectState.SENT)
                .values(
                    attempts=LabelEffect.attempts + 1,
                    # The packer waits for it, and reading costs nothing: never longer than a minute.
                    due_at=ctx.now() + timedelta(seconds=min(2**effect.attempts, LONGEST_FETCH)),
                    error=error.operator_text(),
                )
            )
        return not line_is_down(error)
    with ctx.host.transaction() as session:
        done = session.execute(
            update(LabelEffect)
            .where(LabelEffect.id == effect.id, LabelEffect.state == EffectState.SENT)
            .values(state=EffectState.CONFIRMED, settled_at=ctx.now(), due_at=None, error="")
        )
        if done.rowcount:
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
            note(ctx.host, effect.order_id, f"Label {label.label_id} bought by {effect.who}")
    return True


def _refuse(ctx: Context, effect: LabelEffect, reason: str) -> None:
    with ctx.host.transaction() as session:
        session.execute(
            update(LabelEffect)
            .where(LabelEffect.id == effect.id, LabelEffect.state.in_((EffectState.WANTED, EffectState.SENT)))
            .values(state=EffectState.REFUSED, error=reason, settled_at=ctx.now(), due_at=None)
        )
        _tell_refused(ctx, effect, reason)


def _tell_refused(ctx: Context, effect: LabelEffect, reason: str) -> None:
    order = ctx.host.session.get(BolOrder, effect.order_id)
    ctx.notify(
        f"label-refused:{effect.id}:{effect.attempts}",
        "label",
        Level.WARNING,
        f"bol did not sell a label for order {order.order_id}",
        f"{reason} Show the label options again: an option may have expired.",
        ctx.host.order_url(order.host_order_id) if order.host_order_id else None,
    )


# what people decide


def enter_number(host: HostPort, store_id: int, effect_id: int, label_id: str) -> None:
    """A person found the label in the seller portal: fetch it. In a transaction.

    :raises HostError: the purchase waits for no decision, or the number is empty.
    """
    if not label_id.strip():
        raise HostError("Enter the number of the label.")
    _decided(host, store_id, effect_id, state=EffectState.SENT, label_id=label_id.strip(), attempts=0)


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


def _decided(host: HostPort, store_id: int, effect_id: int, **values: Any) -> None:
    changed = host.session.execute(
        update(LabelEffect)
        .where(
            LabelEffect.id == effect_id,
            LabelEffect.store_id == store_id,
            LabelEffect.state == EffectState.DECISION,
        )
        .values(due_at=host.now(), error="", **values)
    )
    if not changed.rowcount:
        raise HostError("This purchase does not wait for a decision any more.")
    host.settle_notices(f"bol:{store_id}:label-unknown:{effect_id}")
