"""What the host's pages of an order, a picklist or a product show of bol, and its lists of orders and picklists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from host_app.plugin_api import (
    HostPort,
    LabelSale,
    Level,
    OrderBadge,
    OrderNote,
    OrderState,
    OrderView,
    Panel,
    PanelLink,
    PanelRow,
    Parcel,
)
from plugin.models import (
    BolOrder,
    CancellationEffect,
    EffectState,
    LabelEffect,
    Offer,
    ShipmentEffect,
    Store,
    TransportEffect,
)
from plugin.retelling import retold
from plugin.settings import StoreSettings
from plugin.sync import bought_labels
from plugin.sync.amounts import Making, makings
from plugin.sync.cancel_decisions import (
    being_cancelled,
    cancelled_here,
    in_the_way,
    is_answered,
    is_open_here,
    kept_by,
    requested,
    wish_of,
)
from plugin.sync.context import ATTENTION_URL, carriers_url, is_active, order_url, store_url
from plugin.sync.effects import DECIDE_AFTER
from plugin.sync.label_options import COUNTED, VIA_BOL
from plugin.sync.labels import TELL_AFTER
from plugin.sync.left_labels import is_left_over
from plugin.sync.mapping import clean_tracking_code
from plugin.sync.offer_states import FAILED, Seen, offer_state, seen_otherwise, standing, sum_of
from plugin.sync.order_waits import is_dead, next_step, to_put_back
from plugin.sync.packed_anew import CODE_PASSED_ON, CODE_TOLD, withdrawn_at_bol
from plugin.sync.role_words import told_to
from plugin.sync.settling import ONCE_SENT
from plugin.sync.shipped import in_place, sent_in_their_place, withdrawn_after
from plugin.texts import day, minute, number, time
from plugin.texts import gettext as _
from plugin.texts import lazy as _l

WORDS = {
    EffectState.WANTED: (_l("waiting to be sent to bol"), Level.INFO),
    EffectState.SENT: (_l("sent, bol is working on it"), Level.INFO),
    EffectState.UNKNOWN: (_l("being checked at bol"), Level.WARNING),
    EffectState.CONFIRMED: (_l("confirmed"), Level.SUCCESS),
    EffectState.REFUSED: (_l("refused by bol"), Level.DANGER),
    EffectState.DECISION: (_l("unknown: please decide"), Level.DANGER),
    EffectState.CLOSED: (_l("handled elsewhere"), Level.INFO),
}


#: Of what a person must decide, to those who can't: in the panels, and in lists.
DECISION_ASKED = _l("unknown: an administrator decides")
DECISION_BADGE = _l("Unknown at bol: an administrator decides")
LABEL_ASKED = _l("bol may have charged this: an administrator decides")

NOT_SENT = _l("bol is not told yet: “Send shipments and update status” is off.")
NOT_ACTIVE = _l("bol is not told yet: the store is not active.")
NOT_SENT_BADGE = _l("Not sent to bol")

#: Why a parcel waits by a carrier that bol has no code of, told to those who may fill it in, and to the others.
CARRIER_WAITS = _l("waits: bol does not know its carrier yet. Fill in the carrier's code")
CARRIER_ASKED = _l("waits: bol does not know its carrier yet. An administrator fills in the carrier's code")
CARRIER_BADGE = _l("Waits for its carrier's code")
#: What packers are told as they choose such a carrier.
CARRIER_HINT = _l(
    "bol does not know this carrier yet: the parcel waits until an administrator fills in the carrier's code."
)
#: And administrators.
CARRIER_OWN_HINT = _l(
    "bol does not know this carrier yet: the parcel waits until you fill in the carrier's code."
)
PATTERNS_HINT = _l("One whose tracking code fits a pattern of the settings does not wait.")
LABELS_HINT = _l(
    "bol charges a label as soon as you press, and takes none back. A label that is left over: tell an administrator, who can ask "
    "bol."
)

#: What is said of an order's parcels in lists, the most pressing first.
BADGES: Mapping[EffectState, tuple[str, Level]] = {
    EffectState.DECISION: (_l("Unknown at bol: please decide"), Level.DANGER),
    EffectState.REFUSED: (_l("Refused by bol"), Level.DANGER),
    EffectState.UNKNOWN: (_l("Being checked at bol"), Level.WARNING),
    EffectState.WANTED: (_l("Not at bol yet"), Level.INFO),
    EffectState.SENT: (_l("Sent to bol"), Level.INFO),
    EffectState.CONFIRMED: (_l("Confirmed by bol"), Level.SUCCESS),
    EffectState.CLOSED: (_l("Handled elsewhere"), Level.INFO),
}
#: The same of an order of which a part is still to be packed: its open picklist is not what bol has.
PARTLY: Mapping[EffectState, tuple[str, Level]] = {
    EffectState.SENT: (_l("A part sent to bol"), Level.INFO),
    EffectState.CONFIRMED: (_l("A part confirmed by bol"), Level.INFO),
}
#: Of a parcel that was withdrawn after bol had confirmed it, and of an order with such pieces that wait here again.
WITHDRAWN_BADGE = _l("Withdrawn here, shipped at bol")
#: Of a parcel whose goods bol has by one that was withdrawn before it.
IN_PLACE = (_l("Shipped at bol"), Level.SUCCESS)
#: What is asked before a parcel is withdrawn that bol has confirmed.
WITHDRAWING = _l(
    "bol has this parcel as shipped, and can't take that back. If only its carrier or tracking code is another one, do not withdraw "
    "it: write those above and press “Correct”. Withdraw it where it must be packed anew: bol is told the code of the new parcel."
)
#: The same of one on a label of bol's, of which nothing can be corrected.
WITHDRAWING_LABEL = _l(
    "bol has this parcel as shipped, on its own label, and can't take that back. Withdraw it only where it must be packed anew: "
    "the new parcel travels on the same label."
)
#: What a packer does about goods whose parcel was withdrawn, and that bol has as shipped.
PACK_ANEW = _l(
    "The customer waits for it: pack the same goods anew into one parcel, by the order's picklist, and send it. bol is told its "
    "tracking code by itself."
)
#: And an administrator: bol takes no second shipment, but another code for the one that it has.
SENT_ANEW = _l(
    "The customer waits for it: have the same goods packed anew into one parcel, by the order's picklist, and sent. bol is told its "
    "carrier and tracking code by itself. If nothing is to be sent, contact bol's partner service: bol can't take it back."
)
#: Before an order is cancelled here that bol counts on, and after it.
CANCELLING = _l(
    "This cancels the order here only: bol goes on counting on a parcel. Cancel it at bol afterwards, with a reason."
)
STILL_AT_BOL = _l(
    "It is cancelled here, but bol still counts on a parcel: an administrator cancels it at bol, with a reason."
)
#: Of a product with more offers than that, the first ones are shown.
MOST_OFFERS = 20


LABEL_WORDS = {
    EffectState.WANTED: (_l("about to be bought"), Level.INFO),
    EffectState.SENT: (_l("being bought at bol"), Level.INFO),
    EffectState.UNKNOWN: (_l("being checked at bol"), Level.WARNING),
    EffectState.CONFIRMED: (_l("bought"), Level.SUCCESS),
    EffectState.REFUSED: (_l("not sold by bol"), Level.WARNING),
    EffectState.DECISION: (_l("bol may have charged this: please decide"), Level.DANGER),
    EffectState.CLOSED: (_l("handled elsewhere"), Level.INFO),
}


#: One that is paid, and on which nothing travels any more; and one of which a person has settled that with bol.
LABEL_NOT_USED = (_l("paid, and not used"), Level.DANGER)
LABEL_SETTLED = (_l("paid and not used, settled"), Level.INFO)
#: A label whose number is known, until it is here; and where that does not go well, at first and for longer.
LABEL_COMES = (_l("bought, being fetched from bol"), Level.INFO)
LABEL_LATE = (_l("bought, can't be fetched from bol yet"), Level.WARNING)
LABEL_STUCK = (_l("bought, can't be fetched from bol: do not buy another one"), Level.DANGER)


def label_standing(effect: LabelEffect, now: datetime, *, may_decide: bool = True) -> tuple[str, Level]:
    """Return in words where the purchase of a label stands."""
    if is_left_over(effect):
        return LABEL_NOT_USED
    if effect.state == EffectState.CLOSED and effect.label_id is not None:
        return LABEL_SETTLED
    if effect.state != EffectState.SENT or effect.label_id is None:
        word, tone = LABEL_WORDS[EffectState(effect.state)]
        return LABEL_ASKED if effect.state == EffectState.DECISION and not may_decide else word, tone
    if effect.unknown_since is None:
        return LABEL_COMES
    return LABEL_LATE if now - effect.unknown_since < TELL_AFTER else LABEL_STUCK


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
    return [
        *_to_do(host, row, effects, may_decide, on_order=True),
        _panel(host, row, effects, None, may_decide),
    ]


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
        select(ShipmentEffect).where(ShipmentEffect.order_id == row.id).order_by(ShipmentEffect.id)
    ).all()
    mine = [effect for effect in effects if effect.host_picklist_id == picklist_id]
    return [
        *_to_do(host, row, effects, may_decide, on_order=False),
        _panel(host, row, mine, picklist_id, may_decide),
    ]


def _to_do(
    host: HostPort, row: BolOrder, effects: Sequence[ShipmentEffect], may_decide: bool, *, on_order: bool
) -> list[Panel]:
    """Return the next step of an order that bol cancelled, whose customer asks to cancel it, or of which a parcel was
    withdrawn that bol has as shipped, with the way there."""
    view = host.order_views([row.host_order_id]).get(row.host_order_id) if row.host_order_id else None
    if view is not None and view.state == OrderState.CANCELLED and cancelled_here(row, view):
        told = PanelRow(_("Next step"), str(STILL_AT_BOL), Level.DANGER)
        link = PanelLink(_("Cancel at bol"), f"{order_url(row.store_id, row.id)}#cancel-at-bol")
        asked = being_cancelled(host, row)
        return [] if asked else [Panel(_("bol.com: what to do now"), (told,), (link,) if may_decide else ())]
    if view is None or view.state in (OrderState.CANCELLED, OrderState.COMPLETED):
        return []
    steps, links = [], []
    if is_open_here(row, view):
        if is_dead(row) and not any(line.shipped for line in view.lines):
            # The picklist, which is stopped, says so itself.
            if on_order:
                steps.append(next_step(row, view, may_decide=may_decide))
        else:
            steps.append(next_step(row, view, may_decide=may_decide))
            if on_order and to_put_back(row, view) and (picklist := host.picked_url(view.order_id)):
                links.append(PanelLink(_("To the picklist"), picklist))
            if may_decide and not on_order:
                links.append(PanelLink(_("Go to the order here"), host.order_url(view.order_id)))
    if requested(row) and not is_answered(host, row):
        wish = wish_of(host, row)
        hindrance = in_the_way(view, wish)
        if wish and not (hindrance and may_decide):
            # The picklist, which is stopped, says what to do; once all is put back, bol is asked this moment.
            pass
        elif may_decide:
            ask = "" if wish else _("Accept it at bol, or keep the order and ship it.")
            steps.append(f"{ask} {hindrance}".strip())
            links.append(
                PanelLink(
                    _("Decide: accept at bol or keep the order"),
                    order_url(row.store_id, row.id),
                )
            )
            if on_order and (picklist := host.picked_url(view.order_id)):
                links.append(PanelLink(_("To the picklist"), picklist))
        else:
            steps.append(_("Ask an administrator to decide; do not send it before."))
    if withdrawn_after(effects, host.withdrawn(effect.host_shipment_id for effect in effects), view):
        # The mark of the order, above it, names the goods.
        steps.append(str(SENT_ANEW if may_decide else PACK_ANEW))
    rows = tuple(PanelRow(_("Next step"), step, Level.DANGER) for step in steps)
    return [Panel(_("bol.com: what to do now"), rows, tuple(links))] if rows else []


def _labels(host: HostPort, row: BolOrder, picklist_id: int | None) -> Sequence[LabelEffect]:
    statement = select(LabelEffect).where(LabelEffect.order_id == row.id).order_by(LabelEffect.id)
    if picklist_id is not None:
        statement = statement.where(LabelEffect.host_picklist_id == picklist_id)
    found: Sequence[LabelEffect] = host.session.scalars(statement).all()
    return found


def _names(host: HostPort, row: BolOrder) -> Mapping[str, str]:
    """Return what the items of an order are called here, as the host's pages call them; bol's name where there is no product."""
    names = {item.order_item_id: item.title or item.ean for item in row.items}
    view = host.order_views([row.host_order_id]).get(row.host_order_id) if row.host_order_id else None
    lines = [line for line in view.lines if line.external_ref] if view else []
    products = host.products({line.product_id for line in lines})
    return names | {
        str(line.external_ref): products[line.product_id].name
        for line in lines
        if line.product_id in products
    }


def _panel(
    host: HostPort,
    row: BolOrder,
    effects: Sequence[ShipmentEffect],
    picklist_id: int | None,
    may_decide: bool,
) -> Panel:
    store = host.session.get(Store, row.store_id)
    rows = [PanelRow(_("bol order"), row.order_id), PanelRow(_("Store"), store.name if store else "")]
    if (who := kept_by(host, row)) and not _nothing_leaves(host, row):
        rows.append(PanelRow(_("The customer asked to cancel"), _("Kept by %(who)s: ship it", who=who)))
    labels = _labels(host, row, picklist_id)
    bought_before = bought_labels.bought_before(host, picklist_id) if picklist_id is not None else ()
    names = _names(host, row)
    if any(item.distribution_party == VIA_BOL for item in row.items if item.imported):
        left = picklist_id is not None and _is_closed(host, picklist_id)
        if left or bought_before or any(label.state in COUNTED for label in labels):
            rows.append(PanelRow(_("Shipping"), _("Shipping via bol")))
        else:
            rows.append(
                PanelRow(_("Shipping"), _("Shipping via bol: needs a label bought from bol"), Level.WARNING)
            )
    ours = [item for item in row.items if item.imported]
    via_bol = [item for item in ours if item.distribution_party == VIA_BOL]
    if 0 < len(via_bol) < len(ours):
        titles = ", ".join(names[item.order_item_id] for item in via_bol)
        rows.append(PanelRow(_("Only these by Shipping via bol"), titles))
    if row.latest_delivery is not None:
        rows.append(PanelRow(_("Promised delivery"), day(row.latest_delivery)))
    rows += [
        PanelRow(_("Bought already"), bought_labels.told(label), Level.DANGER) for label in bought_before
    ]
    parcels = [
        host.parcel(effect.host_shipment_id) for effect in effects if effect.state == EffectState.CONFIRMED
    ]
    refs = {parcel.label_ref for parcel in parcels if parcel is not None}
    ends = _nothing_leaves(host, row)
    for bought in labels:
        word, tone = label_standing(bought, host.now(), may_decide=may_decide)
        pieces = ", ".join(
            f"{count} × {names.get(item_id, item_id)}" for item_id, count in sorted(bought.pieces.items())
        )
        why = reason(bought, may_decide=may_decide)
        told = f"{word}. {why}" if why else str(word)
        rows.append(PanelRow(_("Label for %(pieces)s", pieces=pieces), told, tone))
        if (
            bought.hand_over_by is not None
            and bought.state == EffectState.CONFIRMED
            and not (ends or is_left_over(bought))
            and bought.label_id not in refs
        ):
            by = _(
                "by %(moment)s, as the label says: that is when it is due now",
                moment=minute(bought.hand_over_by),
            )
            rows.append(PanelRow(_("Hand the parcel over"), by))
    paused = _not_sent(store)
    if picklist_id is not None and paused and not effects and _is_closed(host, picklist_id):
        # What left with it is taken over this moment.
        rows.append(PanelRow(_("At bol"), paused, Level.WARNING))
    settings = StoreSettings.load(store.settings) if store else StoreSettings()
    carriers = carrier_names(host, settings)
    instead, gone = in_place(host, effects), withdrawn_at_bol(host, effects)
    for shipment_id in dict.fromkeys(effect.host_shipment_id for effect in effects):
        mine = [effect for effect in effects if effect.host_shipment_id == shipment_id]
        rows += _parcel_rows(
            host,
            shipment_id,
            mine,
            names,
            paused,
            may_decide,
            instead=shipment_id in instead,
            gone=gone.get(shipment_id, ""),
            carriers=carriers,
        )
    links = [
        PanelLink(_("Use the label that is bought"), _options_url(host, picklist_id, label))
        for label in bought_before
        if picklist_id is not None
    ]
    waits = [*map(waits_for_code, effects), *map(waits_for_code, _corrections(host, effects))]
    if may_decide and any(waits):
        links.append(PanelLink(_("Fill in the carrier's code"), ATTENTION_URL))
    elif may_decide and any(_will_wait(host, settings, effect) for effect in effects):
        # Nobody has tried to send it yet: it is no task so far.
        links.append(PanelLink(_("Fill in the carrier's code"), carriers_url(row.store_id)))
    links += [
        PanelLink(_("What bol knows of this order"), order_url(row.store_id, row.id)),
        PanelLink(_("Shipments of this store"), f"{store_url(row.store_id)}shipments"),
    ]
    if labels:
        links.append(PanelLink(_("Labels of this store"), f"{store_url(row.store_id)}labels"))
    return Panel("bol.com", tuple(rows), tuple(links))


def _nothing_leaves(host: HostPort, row: BolOrder) -> bool:
    """Tell if nothing more of an order is to be handed to a carrier."""
    view = host.order_views([row.host_order_id]).get(row.host_order_id) if row.host_order_id else None
    return is_dead(row) or view is None or view.state in (OrderState.CANCELLED, OrderState.COMPLETED)


def _options_url(host: HostPort, picklist_id: int, label: bought_labels.Bought) -> str:
    """Return the address of a picklist with what labels there are for exactly these goods."""
    pieces = "".join(f"&of-{line_id}={count}" for line_id, count in label.lines.items())
    return f"{host.labelled_picklists([picklist_id])[picklist_id].url}?labels=1{pieces}#labels"


def may_send(store: Store) -> bool:
    """Tell if shipments of a store go to bol as things are."""
    return is_active(store) and StoreSettings.load(store.settings).send_shipments


def _not_sent(store: Store | None) -> str:
    """Return why bol is not told of parcels as things are; "" where it is."""
    if store is None or may_send(store):
        return ""
    return str(NOT_SENT if is_active(store) else NOT_ACTIVE)


def _is_closed(host: HostPort, picklist_id: int) -> bool:
    picklist = host.picklist(picklist_id)
    return picklist is not None and any(not parcel.withdrawn for parcel in picklist.parcels)


def _parcel_rows(
    host: HostPort,
    shipment_id: int,
    effects: Sequence[ShipmentEffect],
    names: Mapping[str, str],
    paused: str,
    may_decide: bool,
    *,
    instead: bool,
    gone: str,
    carriers: Mapping[str, str],
) -> list[PanelRow]:
    """Return what bol knows of one parcel: in a row, or one for each item where they differ.

    :param gone: what is told of one that was withdrawn and that bol has.
    :param carriers: what the carriers of bol's codes are called.
    """
    parcel = host.parcel(shipment_id)
    written = (parcel.tracking_code if parcel else "") or ""
    newest = clean_tracking_code(written)
    correction = host.session.scalar(
        select(TransportEffect).where(TransportEffect.host_shipment_id == shipment_id)
    )
    # What bol was told at first, which may have been corrected here since.
    first = next((effect.tracking_code for effect in effects if effect.sent_at and effect.tracking_code), "")
    code = first if first and first != newest else written
    label = (
        _("Shipment %(number)s (%(code)s) at bol", number=shipment_id, code=code)
        if code
        else _("Shipment %(number)s at bol", number=shipment_id)
    )
    told = [
        (f"{IN_PLACE[0]}. {reason(effect, correction, may_decide=may_decide)}", IN_PLACE[1])
        if instead
        else (gone, Level.INFO)
        if gone and effect.state == EffectState.CONFIRMED
        else _standing(effect, paused, may_decide, host.now())
        for effect in effects
    ]
    after = []
    over = parcel is not None and parcel.withdrawn
    if correction and not (over and correction.state == EffectState.CLOSED):
        corrected = correction.tracking_code
        if corrected == first:
            # Of its carrier alone.
            at_bol = correction.transporter_code
            corrected = f"{carriers.get(at_bol, at_bol) or _carrier(host, parcel)} {corrected}".strip()
        after.append(
            PanelRow(
                _("Told to bol instead: %(code)s", code=corrected)
                if instead
                else _("Its correction to %(code)s", code=corrected),
                *_standing(correction, paused, may_decide, host.now()),
            )
        )
    asked = correction.tracking_code if correction else first
    if asked and newest and asked != newest and parcel and not over and not parcel.label_ref:
        # Corrected this moment: the event of it is on its way here.
        after.append(
            PanelRow(
                _("Its correction to %(code)s", code=newest), str(WORDS[EffectState.WANTED][0]), Level.INFO
            )
        )
    if len(set(told)) == 1:
        return [PanelRow(label, *told[0]), *after]
    return [
        PanelRow(
            f"{label}, {effect.quantity} × {names.get(effect.order_item_id, effect.order_item_id)}", *one
        )
        for effect, one in zip(effects, told, strict=True)
    ] + after


def _carrier(host: HostPort, parcel: Parcel | None) -> str:
    """Return what people here call the carrier of a parcel."""
    if parcel is None:
        return ""
    return {choice.key: choice.title for choice in host.carriers()}.get(parcel.carrier, parcel.carrier)


def carrier_names(host: HostPort, settings: StoreSettings) -> Mapping[str, str]:
    """Return what people here call the carriers that the settings name bol's codes of, with the code, by that code.

    A code of two carriers is not among them.
    """
    titles: dict[str, list[str]] = {}
    for choice in host.carriers():
        titles.setdefault(settings.carriers.get(choice.key, "").strip(), []).append(choice.title)
    return {
        code: f"{names[0]} ({code})"
        for code, names in titles.items()
        if code and len(names) == 1 and names[0] != code
    }


def waits_for_code(effect: ShipmentEffect | TransportEffect) -> bool:
    """Tell if something is missing before bol can be told of a parcel, which is its carrier's code."""
    if isinstance(effect, TransportEffect) and effect.state == EffectState.REFUSED:
        # By us: bol was never asked.
        return not effect.transporter_code
    return effect.state == EffectState.WANTED and effect.due_at is None


def _will_wait(host: HostPort, settings: StoreSettings, effect: ShipmentEffect) -> bool:
    """Tell if a parcel that is not sent yet will wait for its carrier's code. In a transaction."""
    parcel = host.parcel(effect.host_shipment_id) if effect.state == EffectState.WANTED else None
    return (
        parcel is not None
        and not parcel.label_ref
        and not settings.transporter_code(parcel.carrier, clean_tracking_code(parcel.tracking_code))
    )


def _corrections(host: HostPort, effects: Sequence[ShipmentEffect]) -> Sequence[TransportEffect]:
    parcels = {effect.host_shipment_id for effect in effects}
    found: Sequence[TransportEffect] = host.session.scalars(
        select(TransportEffect).where(TransportEffect.host_shipment_id.in_(parcels))
    ).all()
    return found


def _standing(
    effect: ShipmentEffect | TransportEffect, paused: str, may_decide: bool, now: datetime
) -> tuple[str, Level]:
    if waits_for_code(effect):
        return str(CARRIER_WAITS if may_decide else CARRIER_ASKED), Level.WARNING
    word, tone = WORDS[EffectState(effect.state)]
    why = reason(effect, may_decide=may_decide)
    if effect.state == EffectState.WANTED and paused:
        return f"{paused} {why}".strip(), Level.WARNING
    elif effect.state == EffectState.DECISION and not may_decide:
        word = DECISION_ASKED
    elif effect.state == EffectState.UNKNOWN and effect.unknown_since is not None:
        word = _("being checked at bol since %(moment)s", moment=minute(effect.unknown_since))
        return ". ".join(filter(None, (word, goes_on(effect, now), why))), tone
    elif effect.state == EffectState.CONFIRMED and effect.settled_at is not None:
        word = _("confirmed by bol on %(moment)s", moment=minute(effect.settled_at))
    return (f"{word}. {why}" if why else str(word)), tone


def reason(effect: Any, correction: TransportEffect | None = None, *, may_decide: bool = True) -> str:
    """Return why something went as it did; without what was to be done about it, once that is done, and without what only
    administrators can press, where that is not who looks.

    :param correction: what bol is told of the same parcel after its shipment.
    """
    told = retold(effect.error)
    if correction and correction.state == EffectState.CONFIRMED and told == str(CODE_PASSED_ON):
        told = str(CODE_TOLD)
    if effect.state == EffectState.CLOSED:
        return told.removesuffix(str(ONCE_SENT)).strip()
    needs_somebody = effect.state in (EffectState.REFUSED, EffectState.DECISION)
    return told_to(told, may_decide=may_decide, needs_somebody=needs_somebody)


def goes_on(effect: ShipmentEffect | TransportEffect | CancellationEffect, now: datetime) -> str:
    """Tell of what is being checked when bol is looked at next, and when a person will be asked; "" of all else."""
    if effect.state != EffectState.UNKNOWN or effect.unknown_since is None:
        return ""
    person = time(effect.unknown_since + DECIDE_AFTER)
    if effect.due_at is None or effect.due_at <= now:
        return _("If bol does not show it by %(person)s, a person is asked", person=person)
    return _(
        "Next look at %(next)s; if bol does not show it by %(person)s, a person is asked",
        next=time(effect.due_at),
        person=person,
    )


def order_notes(
    host: HostPort, order_ids: Sequence[int], *, may_decide: bool = False
) -> Mapping[int, OrderNote]:
    """Tell of host orders that came from bol how they travel, and what bol knows of their parcels. In a transaction.

    :param may_decide: who looks is an administrator.
    """
    session = host.session
    rows = session.scalars(
        select(BolOrder).where(BolOrder.host_order_id.in_(order_ids)).options(selectinload(BolOrder.items))
    ).all()
    effects: dict[int, list[ShipmentEffect]] = {}
    for effect in session.scalars(
        select(ShipmentEffect)
        .where(ShipmentEffect.order_id.in_([row.id for row in rows]))
        .order_by(ShipmentEffect.id)
    ):
        effects.setdefault(effect.order_id, []).append(effect)
    withdrawn = host.withdrawn(effect.host_shipment_id for mine in effects.values() for effect in mine)
    stores = {
        store.id: store
        for store in session.scalars(select(Store).where(Store.id.in_({row.store_id for row in rows})))
    }
    carriers = [choice.key for choice in host.carriers()]
    told = [row.host_order_id for row in rows if row.id in effects]
    views = host.order_views(told) if told else {}
    return {
        row.host_order_id: _note(
            row,
            stores[row.store_id],
            effects.get(row.id, []),
            withdrawn,
            views.get(row.host_order_id),
            carriers,
            may_decide,
        )
        for row in rows
    }


def _badge(
    effects: Sequence[ShipmentEffect],
    store: Store,
    instead: frozenset[int] = frozenset(),
    *,
    may_decide: bool,
    unfinished: bool = False,
) -> tuple[OrderBadge, ...]:
    """Return the most pressing of what bol has of some parcels; nothing where there is none.

    :param instead: those of the parcels whose goods bol has by others.
    :param unfinished: they are those of an order of which a part is still to be packed.
    """
    for state, (word, tone) in BADGES.items():
        mine = [effect for effect in effects if effect.state == state]
        if not mine:
            continue
        if any(map(waits_for_code, mine)):
            word, tone = CARRIER_BADGE, Level.WARNING
        elif state == EffectState.WANTED and not may_send(store):
            word, tone = NOT_SENT_BADGE, Level.WARNING
        elif state == EffectState.CLOSED and all(effect.host_shipment_id in instead for effect in mine):
            word, tone = IN_PLACE
        elif state == EffectState.DECISION and not may_decide:
            word = DECISION_BADGE
        elif unfinished:
            word, tone = PARTLY.get(state, (word, tone))
        return (OrderBadge(str(word), tone),)
    return ()


def _badges_of(
    effects: Sequence[ShipmentEffect],
    withdrawn: frozenset[int],
    store: Store,
    view: OrderView | None,
    may_decide: bool,
) -> dict[str, Any]:
    """Return what a note says of an order, its picklists and its parcels: each of its own, and a parcel that was withdrawn
    only where bol has it all the same."""
    left = [
        effect
        for effect in effects
        if effect.host_shipment_id not in withdrawn or effect.state == EffectState.DECISION
    ]
    kept = {
        effect.host_shipment_id
        for effect in effects
        if effect.host_shipment_id in withdrawn and effect.state == EffectState.CONFIRMED
    }
    instead = sent_in_their_place(effects, withdrawn)
    shipped = (OrderBadge(str(WITHDRAWN_BADGE), Level.DANGER),)
    lines = view.lines if view else ()
    unfinished = any(line.quantity > line.shipped + line.cancelled for line in lines)
    again = shipped if view is not None and withdrawn_after(effects, withdrawn, view) else ()
    of_picklists: dict[int, tuple[OrderBadge, ...]] = {}
    of_parcels: dict[int, tuple[OrderBadge, ...]] = {}
    withdrawing: dict[int, str] = {}
    for picklist_id in dict.fromkeys(effect.host_picklist_id for effect in effects):
        mine = [effect for effect in left if effect.host_picklist_id == picklist_id]
        back = any(
            effect.host_shipment_id in kept and effect.host_picklist_id == picklist_id for effect in effects
        )
        of_picklists[picklist_id] = _badge(mine, store, instead, may_decide=may_decide) + (
            again if back else ()
        )
    for parcel_id in dict.fromkeys(effect.host_shipment_id for effect in effects):
        mine = [effect for effect in effects if effect.host_shipment_id == parcel_id]
        if parcel_id in kept:
            # Nobody has to do anything about it once its goods are on their way in another one.
            of_parcels[parcel_id] = (OrderBadge(_("Shipped at bol"), Level.DANGER if again else Level.INFO),)
        elif parcel_id not in withdrawn:
            of_parcels[parcel_id] = _badge(mine, store, instead, may_decide=may_decide)
            if parcel_id in instead or any(effect.state == EffectState.CONFIRMED for effect in mine):
                withdrawing[parcel_id] = str(
                    WITHDRAWING if any(effect.transporter_code for effect in mine) else WITHDRAWING_LABEL
                )
    return {
        "order_badges": _badge(left, store, instead, may_decide=may_decide, unfinished=unfinished) + again,
        "picklist_badges": of_picklists,
        "parcel_badges": of_parcels,
        "withdrawing": withdrawing,
    }


def _note(
    row: BolOrder,
    store: Store,
    effects: Sequence[ShipmentEffect],
    withdrawn: frozenset[int],
    view: OrderView | None,
    carriers: Sequence[str],
    may_decide: bool,
) -> OrderNote:
    via_bol = any(item.distribution_party == VIA_BOL for item in row.items if item.imported)
    badges = (OrderBadge(_("Shipping via bol"), Level.INFO),) if via_bol else ()
    settings = StoreSettings.load(store.settings)
    sells = is_active(store) and settings.labels_for_all
    labels = LabelSale.NEEDED if via_bol else LabelSale.OFFERED if sells else LabelSale.NONE
    title = "" if labels == LabelSale.NONE else _("Shipping via bol")
    asked = is_active(store) and settings.check_at_closing
    may_close = settings.overrule_at_closing or not asked
    waiting = frozenset(carrier for carrier in carriers if not settings.carriers.get(carrier, "").strip())
    hints = [str(CARRIER_OWN_HINT if may_decide else CARRIER_HINT)] + (
        [str(PATTERNS_HINT)] if settings.tracking_patterns else []
    )
    return OrderNote(
        badges,
        labels,
        may_close_stopped=may_close,
        labels_title=title,
        labels_hint=str(LABELS_HINT) if title else "",
        waiting_carriers=waiting,
        waiting_hint=" ".join(hints) if waiting else "",
        waiting_url=carriers_url(store.id) if waiting and may_decide else "",
        cancelling=str(CANCELLING) if any(item.imported and item.open for item in row.items) else "",
        **_badges_of(effects, withdrawn, store, view, may_decide),
    )


def product_panels(host: HostPort, product_id: int) -> list[Panel]:
    """Return a panel for each offer of a product: what bol has of it, and where to look. In a transaction."""
    found = host.session.execute(
        select(Offer, Store, offer_state())
        .join(Store, Store.id == Offer.store_id)
        .where(Offer.product_id == product_id)
        .order_by(Offer.id)
        .limit(MOST_OFFERS)
    ).all()
    made: dict[int, Making] = {}
    for store in {store.id: store for _offer, store, _word in found}.values():
        mine = [offer for offer, _store, _word in found if offer.store_id == store.id]
        made |= makings(host, store.id, StoreSettings.load(store.settings), mine)
    seen = seen_otherwise(host.session, [offer for offer, _store, _word in found])
    return [_offer_panel(offer, store, word, made.get(offer.id), seen) for offer, store, word in found]


def _offer_panel(
    offer: Offer, store: Store, word: str, made: Making | None, seen: Mapping[int, Seen]
) -> Panel:
    settings = StoreSettings.load(store.settings)
    sends = settings.send_stock and is_active(store)
    wanted = made.amount if made else None
    state, tone = standing(offer, word, wanted, settings, sends=sends, seen=seen)
    has = seen[offer.id][0] if offer.id in seen else offer.confirmed_amount
    told = f"{state}. {retold(offer.error)}" if offer.error and word == FAILED else str(state)
    none = _("not known yet")
    rows = [PanelRow(_("Store"), store.name), PanelRow(_("EAN"), offer.ean), PanelRow(_("Stock"), told, tone)]
    if made:
        rows.append(PanelRow(_("Should have"), f"{number(made.amount)} ({sum_of(made)})"))
    if not settings.send_stock:
        rows.append(PanelRow(_("Stock updates"), _("off: bol is told nothing"), Level.WARNING))
    elif not sends:
        waits = _("bol is told once the store is active")
        rows.append(PanelRow(_("Stock updates"), waits, Level.WARNING))
    if offer.in_doubt:
        rows.append(PanelRow(_("bol has"), _("not known: an answer was lost"), Level.WARNING))
    else:
        rows.append(PanelRow(_("bol has"), none if has is None else number(has)))
    if offer.sent_at is not None and offer.sent_amount is not None:
        sent = _("%(amount)s on %(moment)s", amount=number(offer.sent_amount), moment=minute(offer.sent_at))
        rows.append(PanelRow(_("Sent last"), sent))
    link = PanelLink(_("What bol knows of this offer"), f"{store_url(offer.store_id)}offers/{offer.id}")
    return Panel("bol.com", tuple(rows), (link,))
