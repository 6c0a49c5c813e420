"""Shipping via bol at the packing table: what labels bol sells for goods, and asking for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import select

from host_app.plugin_api import HostError, HostPort, ShippingOption, ShippingOptions, speaking
from plugin.connector import (
    BolClient,
    BolError,
    ConnectFailed,
    Deadline,
    LabelOption,
    NoTimeLeft,
    OutcomeUnknown,
    ShipmentItem,
)
from plugin.models import BolOrder, BolOrderItem, EffectState, LabelEffect, Store
from plugin.models.effects import UNSETTLED
from plugin.settings import StoreSettings
from plugin.sync.context import is_active
from plugin.sync.names import store_of
from plugin.sync.timeline import note
from plugin.sync.transporters import title
from plugin.texts import gettext as _
from plugin.texts import lazy as _l
from plugin.texts import minute

#: bol's value of distributionParty for items that travel on a label of bol's (Retailer API v10, get-order).
VIA_BOL = "BOL"
#: Left of the host's time limit for everything but the call itself.
MARGIN = 0.3
RECOMMENDED = "recommended"
LONGEST_OPTION = 200

#: What a label is called, and what it cost.
Bought = tuple[str, Decimal | None]
#: So many of the labels bought last tell which one is usual, if it is one of them so often.
LAST_BOUGHT, OFTEN = 20, 3

#: How a parcel gets to its carrier, and what a label is for: bol's words for what labels of one name differ in.
COLLECTED = {
    "DROP_OFF": _l("you bring it to the carrier"),
    "PICK_UP": _l("the carrier collects it"),
}
TYPES = {
    "PARCEL": _l("parcel"),
    "MAILBOX": _l("through the letterbox, delivery is scanned"),
    "MAILBOX_LIGHT": _l("through the letterbox, delivery is not scanned"),
}

#: States of a purchase that may still cost money, or has.
COUNTED = (EffectState.WANTED, *UNSETTLED, EffectState.CONFIRMED)
NO_OPTIONS = _l(
    "bol offers no label for these goods together. Try fewer pieces on one label; goods that are too large or too "
    "heavy for every label go with another carrier."
)

NO_ANSWER = _l("bol does not answer now. Nothing was bought. Ask again.")
ONLY_VIA_BOL = _l(
    "This store buys labels only for orders that travel on bol's own labels (Shipping via bol, VVB). Send this one with a "
    "carrier of your own."
)
NO_LABEL = _l(
    "This order is sold with Shipping via bol, and no label of bol was bought for it. Buy one first."
)
LABEL_TO_COME = _l(
    "A label of bol is being bought or fetched for this picklist. Wait for it: the panel of bol.com tells how far it is. bol charges "
    "it also where the parcel travels by another carrier."
)
COVERED = _l("A label for these goods was bought already, or is being bought. See the panel of bol.com.")
NOBODY_KNOWS = _l(
    "Nobody knows if bol sold a label for these goods: its answer was lost. Do not buy another one. Ask an administrator "
    "to look at bol and decide, on “Labels of this store” in the panel of bol.com. For goods that it is not about, choose "
    "fewer pieces."
)
#: States of a purchase of which nobody can tell if bol sold a label.
NOT_KNOWN = (EffectState.UNKNOWN, EffectState.DECISION)
#: In euros: no label costs as much, and the column holds it.
DEAREST = Decimal(100_000)


@dataclass(frozen=True, slots=True)
class Goods:
    """What a label is to cover: an order of bol and pieces of its items."""

    store_id: int
    order_row_id: int
    pieces: dict[str, int]

    def items(self) -> tuple[ShipmentItem, ...]:
        """Return the goods as bol wants them named."""
        return tuple(ShipmentItem(item_id, quantity) for item_id, quantity in sorted(self.pieces.items()))


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
    if store is None or not is_active(store) or row is None or view is None:
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


def no_label(host: HostPort, picklist_id: int, pieces: Mapping[int, int]) -> str:
    """Say why no label is sold for these goods although they are of an active store; "" where that is not so, or one is.

    In a transaction.
    """
    picklist = host.picklist(picklist_id)
    store_id = store_of(picklist.source) if picklist else None
    store = host.session.get(Store, store_id) if store_id is not None else None
    if store is None or not is_active(store):
        return ""
    if goods_of(host, picklist_id, pieces) is not None:
        return covered(host, picklist_id, pieces)
    return "" if StoreSettings.load(store.settings).labels_for_all else str(ONLY_VIA_BOL)


def covered(host: HostPort, picklist_id: int, pieces: Mapping[int, int]) -> str:
    """Say why these pieces need no label more; "" where each is free of one. In a transaction."""
    picklist = host.picklist(picklist_id)
    if picklist is None:
        return ""
    asked_for = host.session.scalars(
        select(LabelEffect).where(LabelEffect.host_picklist_id == picklist_id, LabelEffect.state.in_(COUNTED))
    ).all()
    states: set[str] = set()
    for line_id, count in pieces.items():
        mine = [effect for effect in asked_for if effect.lines.get(str(line_id), 0)]
        if count + sum(effect.lines[str(line_id)] for effect in mine) > picklist.pieces.get(line_id, 0):
            states.update(effect.state for effect in mine)
    if states & set(NOT_KNOWN):
        return str(NOBODY_KNOWS)
    return str(COVERED) if states else ""


def recommended_only() -> ShippingOptions:
    """Return what a store that wants no choice offers: bol is asked for its recommendation when the label is bought."""
    only = ShippingOption(RECOMMENDED, _("The label that bol recommends"), "", None, recommended=True)
    return ShippingOptions((only,))


def options(goods: Goods, client: BolClient, seconds: float, usual: Bought | None = None) -> ShippingOptions:
    """Ask bol what labels it sells for these goods, the recommended one first.

    :param usual: what :func:`usually_bought` tells.
    """
    try:
        found = client.labels.options(goods.items(), deadline=Deadline.after(max(0.1, seconds - MARGIN)))
    except (OutcomeUnknown, ConnectFailed, NoTimeLeft):
        # Asking what labels cost is a POST, which yet does nothing at bol; and nobody but the packer asks again.
        return ShippingOptions(reason=str(NO_ANSWER))
    except BolError as error:
        return ShippingOptions(reason=error.operator_text(_))
    if not found:
        return ShippingOptions(reason=str(NO_OPTIONS))
    ordered = sorted(found, key=lambda option: not option.recommended)
    # Two that differ in nothing that people could choose by are one.
    different = {replace(option, offer_id="", recommended=False): option for option in reversed(ordered)}
    shown = [option for option in ordered if option in different.values()]
    mostly = [option for option in shown if (option_name(option), option.price) == usual]
    return ShippingOptions(tuple(_shown(option, mostly == [option]) for option in shown))


def usually_bought(session: Any, store_id: int) -> Bought | None:
    """Return what the labels that a store bought last mostly are; None where none stands out. In a transaction."""
    newest = session.execute(
        select(LabelEffect.option, LabelEffect.price)
        .where(
            LabelEffect.store_id == store_id,
            LabelEffect.state == EffectState.CONFIRMED,
            LabelEffect.option != "",
        )
        .order_by(LabelEffect.id.desc())
        .limit(LAST_BOUGHT)
    ).all()
    found = Counter((name, price) for name, price in newest)
    mostly, times = next(iter(found.most_common(1)), (None, 0))
    return mostly if 2 * times > len(newest) and times >= OFTEN else None


def _shown(option: LabelOption, usual: bool) -> ShippingOption:
    details = []
    if option.latest_handover is not None:
        details.append(_("hand over by %(moment)s", moment=minute(option.latest_handover)))
    if option.collection_method in COLLECTED:
        details.append(str(COLLECTED[option.collection_method]))
    if option.max_weight or option.max_dimensions:
        limits = ", ".join(part for part in (option.max_weight, option.max_dimensions) if part)
        details.append(_("at most %(limits)s", limits=limits))
    if option.label_type in TYPES:
        details.append(str(TYPES[option.label_type]))
    late = option.meets_expectation is False
    return ShippingOption(
        key=_key(option),
        title=option_name(option),
        carrier=title(option.transporter_code),
        price=option.price,
        details=tuple(details),
        recommended=option.recommended,
        usual=usual,
        warning=_("does not reach the customer as promised: bol counts it against you") if late else "",
    )


def _key(option: LabelOption) -> str:
    """Name an option together with what bol tells here and nowhere else: until when its parcel must be handed over, what
    it costs, and what it is called."""
    moment = "" if option.latest_handover is None else option.latest_handover.astimezone(UTC).isoformat()
    price = "" if option.price is None else option.price
    return f"{option.offer_id}@{moment}@{price}@{option_name(option)}"


def option_name(option: LabelOption) -> str:
    """Return what people call an option."""
    return (option.name or option.label_type)[:LONGEST_OPTION]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """An option that was chosen; ``offer_id`` "" stands for what bol recommends when it is bought."""

    offer_id: str
    hand_over_by: datetime | None = None
    price: Decimal | None = None
    name: str = ""


def _chosen(key: str) -> _Chosen:
    """Read the key of an option; what of it can't be read is not known."""
    if key == RECOMMENDED:
        return _Chosen("")
    offer_id, moment, price, name = (*key.split("@", 3), "", "", "")[:4]
    hand_over_by = cost = None
    with suppress(ValueError, OverflowError):
        hand_over_by = datetime.fromisoformat(moment).astimezone(UTC) if moment else None
    with suppress(InvalidOperation):
        cost = Decimal(price) if price else None
    if cost is not None and not (cost.is_finite() and 0 <= cost <= DEAREST):
        cost = None
    return _Chosen(offer_id, hand_over_by, cost, name[:LONGEST_OPTION])


def request(host: HostPort, picklist_id: int, pieces: Mapping[int, int], key: str, who: str) -> int:
    """Write down that a label is wanted; return the store. In a transaction.

    :raises HostError: the goods need no label, or more pieces than there are would have one: it was bought already,
        or is being bought, or nobody knows.
    """
    picklist = host.picklist(picklist_id)
    view = host.order(picklist.order_id) if picklist else None
    goods = goods_of(host, picklist_id, pieces)
    if picklist is None or view is None or goods is None:
        raise HostError(_("No label of bol can be bought for these goods."))
    if picklist.state != "new":
        raise HostError(_("Labels are bought for open picklists only."))
    session = host.session
    if any(count > picklist.pieces.get(line_id, 0) for line_id, count in pieces.items()):
        raise HostError(_("That is more than there is on the picklist."))
    if reason := covered(host, picklist_id, pieces):
        raise HostError(reason)
    chosen = _chosen(key)
    session.add(
        LabelEffect(
            store_id=goods.store_id,
            order_id=goods.order_row_id,
            host_picklist_id=picklist_id,
            pieces=goods.pieces,
            lines={str(line_id): count for line_id, count in pieces.items() if count > 0},
            option_id=chosen.offer_id,
            option=chosen.name,
            price=chosen.price,
            hand_over_by=chosen.hand_over_by,
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
    with speaking(host.language):
        asked = _("Label asked for by %(who)s", who=who)
    note(host, goods.order_row_id, asked)
    return goods.store_id


def on_its_way(host: HostPort, picklist_id: int) -> str:
    """Say that a label of a picklist is being bought or fetched, or may have been bought; "" where none is. In a transaction.

    Who closes it by another carrier pays for a label that nothing travels on, whether it must have one or not.
    """
    states = set(
        host.session.scalars(
            select(LabelEffect.state).where(
                LabelEffect.host_picklist_id == picklist_id,
                LabelEffect.state.in_((EffectState.WANTED, *UNSETTLED)),
            )
        )
    )
    if states & set(NOT_KNOWN):
        return str(NOBODY_KNOWS)
    return str(LABEL_TO_COME) if states else ""


def missing_label(host: HostPort, picklist_id: int) -> str:
    """Say what a picklist lacks that holds goods that must travel on a label of bol's; "" where nothing. In a transaction."""
    if waits := on_its_way(host, picklist_id):
        return waits
    picklist = host.picklist(picklist_id)
    store_id = store_of(picklist.source) if picklist else None
    if picklist is None or store_id is None:
        return ""
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
    if via_bol is None:
        return ""
    bought = session.scalar(
        select(LabelEffect.id)
        .where(LabelEffect.host_picklist_id == picklist_id, LabelEffect.state == EffectState.CONFIRMED)
        .limit(1)
    )
    return "" if bought is not None else str(NO_LABEL)
