"""Shipping labels that plugins bought: kept with their picklist, printed, and made parcels of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from host_app.db import current_session, insert_if_absent, utcnow
from host_app.models import Label, Picklist, PicklistLine
from host_app.plugin_api import HostError, LabelledPicklist, LabelView, NewLabel


def attach(label: NewLabel) -> None:
    """Keep a label; the same one again changes nothing."""
    values = {
        "picklist_id": label.picklist_id,
        "ref": label.ref,
        "carrier": label.carrier[:60],
        "tracking_code": label.tracking_code[:80],
        "pieces": {str(line_id): pieces for line_id, pieces in label.pieces.items()},
        "pdf": label.pdf,
        "created_at": utcnow(),
    }
    insert_if_absent(current_session(), Label, values, ["picklist_id", "ref"])


def labelled_picklists(picklist_ids: Iterable[int]) -> Mapping[int, LabelledPicklist]:
    """Return these picklists with their labels as plugins see them."""
    picklists = current_session().scalars(
        select(Picklist).where(Picklist.id.in_(set(picklist_ids))).options(selectinload(Picklist.labels))
    )
    return {
        picklist.id: LabelledPicklist(
            number=picklist.number,
            url=f"/admin/picklists/{picklist.id}",
            labels=tuple(
                LabelView(
                    ref=label.ref,
                    carrier=label.carrier,
                    tracking_code=label.tracking_code,
                    url=f"/admin/picklists/{picklist.id}/labels/{label.id}.pdf",
                    used=label.shipment_id is not None,
                )
                for label in picklist.labels
            ),
        )
        for picklist in picklists
    }


def unused(picklist_id: int) -> Sequence[Label]:
    """Return the labels of a picklist that no parcel has yet."""
    return (
        current_session()
        .scalars(
            select(Label)
            .where(Label.picklist_id == picklist_id, Label.shipment_id.is_(None))
            .order_by(Label.id)
        )
        .all()
    )


def pieces_by_picklist_line(label: Label, lines: Sequence[PicklistLine]) -> Mapping[int, int]:
    """Return what a label covers, by picklist line."""
    by_order_line = {str(line.order_line_id): line.id for line in lines}
    return {by_order_line[key]: pieces for key, pieces in label.pieces.items() if key in by_order_line}


def unlabelled(lines: Sequence[PicklistLine], labels: Sequence[Label]) -> dict[int, int]:
    """Return, by order line, the pieces of a picklist that no label covers yet."""
    left = {line.order_line_id: line.quantity for line in lines}
    for label in labels:
        for key, pieces in label.pieces.items():
            if int(key) in left:
                left[int(key)] = max(0, left[int(key)] - pieces)
    return {line_id: pieces for line_id, pieces in left.items() if pieces}


def carrier_by_code(picklist_id: int, tracking_code: str) -> str:
    """Return who brings the parcel with this code, if it is that of a label of the picklist that lies there unused."""
    found = next((label for label in unused(picklist_id) if label.tracking_code == tracking_code), None)
    return found.carrier if found else ""


def of_picklist(picklist_id: int, label_id: int) -> Label:
    """Return an unused label of a picklist, locked.

    :raises HostError: the picklist has no such label, or a parcel has it.
    """
    label = current_session().scalar(
        select(Label)
        .where(Label.id == label_id, Label.picklist_id == picklist_id, Label.shipment_id.is_(None))
        .with_for_update()
    )
    if label is None:
        raise HostError(_("This label is not of this picklist, or was used already."))
    return label
