"""Labels that are bought and whose parcel was withdrawn: told before another one is bought, and used for the goods packed anew.

A label is moved to the new picklist and fetched from bol once more, by its number: one purchase stays one row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select, update

from host_app.plugin_api import HostError, HostPort, LabelView, ShippingOption, ShippingOptions, speaking
from plugin.models import BolOrder, EffectState, LabelEffect
from plugin.sync import label_options
from plugin.sync.timeline import note
from plugin.texts import gettext as _

#: The key of such a label among the options begins with that; then comes its row.
BOUGHT = "bought:"


@dataclass(frozen=True, slots=True)
class Bought:
    """A label that is paid for and travels on no parcel, for these goods, by order line."""

    row_id: int
    picklist_id: int
    carrier: str
    tracking_code: str
    goods: str
    lines: Mapping[int, int]

    @property
    def key(self) -> str:
        """The key of its option."""
        return f"{BOUGHT}{self.row_id}"


def bought_before(host: HostPort, picklist_id: int) -> Sequence[Bought]:
    """Return the labels of withdrawn parcels whose goods lie on this open picklist and have no other one. In a transaction."""
    picklist = host.picklist(picklist_id)
    if picklist is None or picklist.state != "new":
        return ()
    effects = host.session.scalars(
        select(LabelEffect)
        .join(BolOrder)
        .where(
            BolOrder.host_order_id == picklist.order_id,
            LabelEffect.host_picklist_id != picklist_id,
            LabelEffect.state == EffectState.CONFIRMED,
        )
        .order_by(LabelEffect.id)
    ).all()
    found = []
    for effect in effects:
        lines = {int(line_id): count for line_id, count in effect.lines.items()}
        if any(count > picklist.pieces.get(line_id, 0) for line_id, count in lines.items()):
            continue
        label = _left_over(host, effect)
        if label is None or label_options.covered(host, picklist_id, lines):
            continue
        names = {item.order_item_id: item.title or item.ean for item in effect.order.items}
        goods = ", ".join(
            f"{count} × {names.get(item_id, item_id)}" for item_id, count in sorted(effect.pieces.items())
        )
        found.append(
            Bought(effect.id, effect.host_picklist_id, label.carrier, label.tracking_code, goods, lines)
        )
    return found


def _left_over(host: HostPort, effect: LabelEffect) -> LabelView | None:
    """Return a label where every parcel that was to travel on it was withdrawn."""
    before = host.picklist(effect.host_picklist_id)
    parcels = [parcel for parcel in before.parcels if parcel.label_ref == effect.label_id] if before else []
    if not parcels or not all(parcel.withdrawn for parcel in parcels):
        return None
    held = host.labelled_picklists([effect.host_picklist_id])[effect.host_picklist_id]
    return next((label for label in held.labels if label.ref == effect.label_id), None)


def told(label: Bought) -> str:
    """Say that it is there."""
    return _(
        "A label for %(goods)s is bought and paid already, as its parcel was withdrawn: %(carrier)s %(code)s. Use that one, and "
        "buy no other.",
        goods=label.goods,
        carrier=label.carrier,
        code=label.tracking_code,
    )


def with_bought(
    options: ShippingOptions, labels: Sequence[Bought], pieces: Mapping[int, int]
) -> ShippingOptions:
    """Put those first that are bought for exactly these pieces; of all it is told that they are there."""
    if not labels:
        return options
    wanted = {line_id: count for line_id, count in pieces.items() if count > 0}
    mine = tuple(
        ShippingOption(label.key, label.tracking_code, label.carrier, None, bought=True)
        for label in labels
        if dict(label.lines) == wanted
    )
    warnings = [told(label) for label in labels]
    if len(mine) < len(labels):
        warnings.append(_("To use one, choose exactly the pieces that it was bought for."))
    return replace(options, options=(*mine, *options.options), warning=" ".join(warnings))


def request(host: HostPort, picklist_id: int, pieces: Mapping[int, int], key: str, who: str) -> int:
    """Write down that a label is wanted, or which one that is bought already is used; return the store. In a transaction.

    :raises HostError: it can't be.
    """
    if not key.startswith(BOUGHT):
        return label_options.request(host, picklist_id, pieces, key, who)
    picklist = host.picklist(picklist_id)
    if picklist is not None:
        # Locks the order: no parcel on the label is closed or withdrawn, and no one else takes it, meanwhile.
        host.order(picklist.order_id)
    goods = label_options.goods_of(host, picklist_id, pieces)
    wanted = {line_id: count for line_id, count in pieces.items() if count > 0}
    label = next(
        (
            one
            for one in bought_before(host, picklist_id)
            if one.key == key and dict(one.lines) == wanted and goods is not None
        ),
        None,
    )
    if label is None or goods is None or not _moved(host, label, picklist_id):
        raise HostError(_("This label can't be used for these goods any more. Show the label options again."))
    number = host.labelled_picklists([picklist_id])[picklist_id].number
    with speaking(host.language):
        text = _(
            "The label of the withdrawn parcel, %(code)s, is used for picklist %(picklist)s, says %(who)s",
            code=label.tracking_code,
            picklist=number,
            who=who,
        )
    note(host, goods.order_row_id, text)
    return goods.store_id


def _moved(host: HostPort, label: Bought, picklist_id: int) -> bool:
    """Give a label to a picklist, to be fetched for it; False where somebody else was first."""
    moved = host.session.execute(
        update(LabelEffect)
        .where(
            LabelEffect.id == label.row_id,
            LabelEffect.host_picklist_id == label.picklist_id,
            LabelEffect.state == EffectState.CONFIRMED,
        )
        .values(
            host_picklist_id=picklist_id,
            state=EffectState.SENT,
            due_at=host.now(),
            unknown_since=None,
            attempts=0,
            error="",
        )
    )
    return bool(moved.rowcount)
