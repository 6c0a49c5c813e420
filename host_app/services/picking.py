"""Picking, and closing picklists: parcels made, stock taken, plugins told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import gettext as _
from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import contains_eager, selectinload

from host_app.carriers import CARRIERS, LABEL
from host_app.db import changed_rows, current_session, utcnow
from host_app.events import emit
from host_app.languages import kept_text
from host_app.models import (
    Barcode,
    Label,
    OrderMark,
    Picklist,
    PicklistLine,
    Product,
    Shipment,
    ShipmentLine,
)
from host_app.models.picking import PicklistState
from host_app.plugin_api import (
    HostError,
    OrderState,
    Parcel,
    ParcelLine,
    PicklistClosed,
    PicklistView,
    ShipmentChanged,
)
from host_app.services import labels
from host_app.services.orders import BACKORDERS, complete_if_done, lock_order, tell_put_back
from host_app.services.stock import change_stock
from host_app.wakes import wake

#: A barcode of goods: EAN-8 to GTIN-14, whether or not anybody wrote it down.
LIKE_A_BARCODE = re.compile(r"[0-9]{8}|[0-9]{12,14}")


#: So long carriers don't give the same code to another parcel.
CODE_LASTS = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class OtherParcel:
    """A parcel that left with a tracking code, as it is told."""

    shipment_id: int
    order_number: str
    customer: str
    packed_at: datetime


class AlreadyClosed(HostError):
    """Somebody else closed the picklist before."""


class ProductsCode(HostError):
    """Where the code of a parcel belongs stands ``code``, which is that of a product."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class NewParcel:
    """One parcel to send: what it holds by picklist line, in pieces. None: everything that was picked.

    A parcel with a label (``label_id``) has carrier and tracking code of the label.
    """

    carrier: str
    tracking_code: str
    pieces: Mapping[int, int] | None = None
    label_id: int | None = None


def pick(picklist_line_id: int, picked: int) -> None:
    """Note how many pieces of a picklist line lie in the cart.

    :raises HostError: the picklist is not open, or the number does not fit.
    """
    session = current_session()
    line = session.get(PicklistLine, picklist_line_id)
    if line is None:
        raise HostError(_("This line does not exist."))
    picklist = lock_picklist(line.picklist_id)
    session.refresh(line)
    if picked > line.picked:
        _refuse_stopped(picklist.order_id)
    if not 0 <= picked <= line.quantity:
        raise HostError(_("Pick 0 to %(count)s pieces.", count=line.quantity))
    session.execute(update(PicklistLine).where(PicklistLine.id == picklist_line_id).values(picked=picked))
    tell_put_back(picklist.order_id)


def pick_more(picklist_id: int, picklist_line_id: int, pieces: int) -> None:
    """Note so many more (or, below zero, fewer) pieces of a line as picked; pickers at the same time add up.

    :raises HostError: the picklist is not open, the line is not on it, the number does not fit, or the order is not to
        be picked any more.
    """
    picklist = lock_picklist(picklist_id)
    if pieces > 0:
        _refuse_stopped(picklist.order_id)
    picked = (
        update(PicklistLine)
        .where(
            PicklistLine.id == picklist_line_id,
            PicklistLine.picklist_id == picklist_id,
            (PicklistLine.picked + pieces).between(0, PicklistLine.quantity),
        )
        .values(picked=PicklistLine.picked + pieces)
    )
    if not changed_rows(current_session(), picked):
        raise HostError(_("That does not fit what is to be picked: somebody may have picked it already."))
    if pieces < 0:
        tell_put_back(picklist.order_id)


def scan(picklist_id: int, code: str) -> str:
    """Pick one piece of the product with this code or barcode, and return in words what was picked.

    :raises HostError: the picklist is not open, the product is not on it, or all of it is picked already, or the order is
        not to be picked any more.
    """
    picklist = lock_picklist(picklist_id)
    _refuse_stopped(picklist.order_id)
    lines = _lines_with(picklist_id, code)
    if not lines:
        raise HostError(_belongs_elsewhere(picklist_id, code))
    line = next((line for line in lines if line.picked < line.quantity), None)
    if line is None:
        raise HostError(_one_too_many(lines[0]))
    picked = line.picked + 1
    pick_more(picklist_id, line.id, 1)
    return _(
        "%(product)s: %(picked)s of %(quantity)s",
        product=f"{line.product.code} {line.product.name}",
        picked=picked,
        quantity=line.quantity,
    )


def _lines_with(picklist_id: int, code: str) -> Sequence[PicklistLine]:
    """Return the lines of a picklist whose product has this code or barcode."""
    return (
        current_session()
        .scalars(
            select(PicklistLine)
            .join(PicklistLine.product)
            .where(
                PicklistLine.picklist_id == picklist_id,
                or_(Product.code == code, Product.barcodes.any(Barcode.code == code)),
            )
            .options(contains_eager(PicklistLine.product))
            # The product code names one product; a barcode may stand on several.
            .order_by(Product.code != code, PicklistLine.id)
            .execution_options(populate_existing=True)
        )
        .all()
    )


def _one_too_many(line: PicklistLine) -> str:
    return _("All pieces of %(code)s are picked already: put this one back.", code=line.product.code)


def _belongs_elsewhere(picklist_id: int, code: str) -> str:
    """Say of a code that is on no line what to do with what bears it: goods are put back, labels are not."""
    session = current_session()
    known = select(Product.id).where(
        or_(Product.code == code, Product.barcodes.any(Barcode.code == code)),
    )
    if session.scalar(known.limit(1)) is None:
        if session.scalar(select(Label.id).where(Label.picklist_id == picklist_id).limit(1)) is not None:
            return _("%(code)s is not the label of this parcel.", code=code)
        if not LIKE_A_BARCODE.fullmatch(code):
            return _(
                "%(code)s is no product, and not the label of this parcel: none was bought here. "
                "Is it that of a carrier of your own? Choose the carrier first, then scan it at Tracking code.",
                code=code,
            )
    return _("%(code)s is not on this picklist: put it back.", code=code)


def pick_all(picklist_id: int) -> None:
    """Note that everything on the picklist lies in the cart.

    :raises HostError: the picklist is not open, or the order is not to be picked any more.
    """
    picklist = lock_picklist(picklist_id)
    _refuse_stopped(picklist.order_id)
    current_session().execute(
        update(PicklistLine)
        .where(PicklistLine.picklist_id == picklist_id)
        .values(picked=PicklistLine.quantity)
    )


def put_all_back(picklist_id: int) -> None:
    """Note that everything that was picked lies on its shelf again; plugins are told where they stopped the order.

    :raises HostError: the picklist is not open.
    """
    picklist = lock_picklist(picklist_id)
    current_session().execute(
        update(PicklistLine).where(PicklistLine.picklist_id == picklist_id).values(picked=0)
    )
    tell_put_back(picklist.order_id)


def stopped_because(order_id: int) -> str:
    """Return why nothing more of an order may be picked; "" where it may. With the order locked it stays true."""
    stopping = select(OrderMark.text).where(OrderMark.order_id == order_id, OrderMark.stops_picking)
    return " ".join(current_session().scalars(stopping.order_by(OrderMark.id)))


def _refuse_stopped(order_id: int) -> None:
    if why := stopped_because(order_id):
        raise HostError(_("Not picked: put it back on the shelf. %(why)s", why=why))


def close_picklist(picklist_id: int, parcels: Sequence[NewParcel], *, who: str) -> list[int]:
    """Close a picklist and return the ids of its shipments. What was not picked waits for a next picklist.

    :raises AlreadyClosed: another packer was first.
    :raises HostError: it is not open, nothing was picked, or the parcels don't hold exactly what was picked.
    """
    session = current_session()
    picklist = lock_picklist(picklist_id)
    lines = session.scalars(
        select(PicklistLine)
        .where(PicklistLine.picklist_id == picklist_id)
        .options(selectinload(PicklistLine.order_line))
        .order_by(PicklistLine.product_id, PicklistLine.id)
        .execution_options(populate_existing=True)
    ).all()
    _refuse(picklist_id, lines, parcels)
    closed = (
        update(Picklist)
        .where(Picklist.id == picklist_id, Picklist.state == PicklistState.NEW)
        .values(state=PicklistState.CLOSED, closed_at=utcnow(), closed_by=who)
    )
    if not changed_rows(session, closed):
        raise AlreadyClosed(_("This picklist was closed by somebody else."))
    shipments = [_ship(picklist, lines, parcel) for parcel in parcels]
    why = kept_text("picklist %(number)s closed", number=picklist.number)
    for line in lines:
        line.order_line.shipped += line.picked
        line.order_line.allocated -= line.quantity
        session.flush()
        change_stock(
            line.product_id,
            picklist.warehouse_id,
            physical=-line.picked,
            reserved=-line.picked,
            allocated=-line.quantity,
            reason=why,
            who=who,
        )
    complete_if_done(picklist.order_id)
    view = picklist_view(picklist_id)
    if view is None or view.closed_at is None:
        raise RuntimeError("a picklist that was just closed is not closed")
    emit(
        PicklistClosed(
            view.picklist_id, view.order_id, view.source, view.reference, view.closed_at, view.parcels
        ),
        f"order:{view.order_id}",
    )
    wake(BACKORDERS)
    return shipments


def refuse_parcels(picklist_id: int, parcels: Sequence[NewParcel]) -> None:
    """Refuse parcels that a picklist can't be closed with as it is now; for reading, as closing it looks again.

    :raises HostError: nothing was picked, or the parcels don't hold exactly what was picked.
    """
    lines = current_session().scalars(
        select(PicklistLine).where(PicklistLine.picklist_id == picklist_id).order_by(PicklistLine.id)
    )
    _refuse(picklist_id, lines.all(), parcels)


def correct_shipment(shipment_id: int, *, carrier: str, tracking_code: str) -> None:
    """Correct carrier or tracking code of a parcel; plugins are told.

    :raises HostError: the parcel or the carrier does not exist, or it was withdrawn, or its label says who brings it.
    """
    session = current_session()
    order_id = session.scalar(select(Shipment.order_id).where(Shipment.id == shipment_id))
    if order_id is None:
        raise HostError(_("This shipment does not exist."))
    lock_order(order_id)
    shipment = session.get_one(Shipment, shipment_id, populate_existing=True)
    if shipment.withdrawn_at is not None:
        raise HostError(_("This shipment was withdrawn: there is nothing to correct."))
    if shipment.carrier == LABEL:
        raise HostError(_("This shipment travels on a bought label, which can't be corrected."))
    if carrier not in CARRIERS:
        raise HostError(_("Choose a carrier."))
    refuse_products_code(tracking_code, [line.order_line.product_id for line in shipment.lines])
    shipment.carrier, shipment.tracking_code = carrier, tracking_code.strip() or None
    session.flush()
    emit(
        ShipmentChanged(shipment.id, carrier, shipment.tracking_code, shipment.withdrawn_at is not None),
        f"order:{shipment.order_id}",
    )


def parcels_with(codes: Iterable[str], *, but: int | None = None) -> Mapping[str, OtherParcel]:
    """Return, of these tracking codes, those that a parcel of the last months bears which did not stay here: the newest one."""
    # Scanners read what is printed; who types it does so in small letters.
    wanted = {code: {code, code.upper(), code.lower()} for code in codes if code}
    if not wanted:
        return {}
    newest_first = current_session().scalars(
        select(Shipment)
        .where(
            Shipment.tracking_code.in_(set().union(*wanted.values())),
            Shipment.withdrawn_at.is_(None),
            Shipment.id != (but or 0),
            Shipment.created_at > utcnow() - CODE_LASTS,
        )
        .options(selectinload(Shipment.order))
        .order_by(Shipment.id.desc())
    )
    found: dict[str, OtherParcel] = {}
    for shipment in newest_first:
        for code, spellings in wanted.items():
            if shipment.tracking_code in spellings:
                found.setdefault(
                    code,
                    OtherParcel(
                        shipment.id, shipment.order.number, shipment.order.customer, shipment.created_at
                    ),
                )
    return found


def withdraw_shipment(shipment_id: int, *, who: str) -> None:
    """Take a parcel back that did not leave: its goods lie on the shelf again and wait for a next picklist.

    Plugins are told.

    :raises HostError: the parcel does not exist or was withdrawn before.
    """
    session = current_session()
    order_id = session.scalar(select(Shipment.order_id).where(Shipment.id == shipment_id))
    if order_id is None:
        raise HostError(_("This shipment does not exist."))
    order = lock_order(order_id)
    shipment = session.scalars(
        select(Shipment)
        .where(Shipment.id == shipment_id)
        .options(
            selectinload(Shipment.lines).selectinload(ShipmentLine.order_line),
            selectinload(Shipment.picklist),
        )
        .execution_options(populate_existing=True)
    ).one()
    if shipment.withdrawn_at is not None or order is None:
        raise HostError(_("This shipment was withdrawn before."))
    shipment.withdrawn_at = utcnow()
    why = kept_text("shipment %(number)s withdrawn", number=shipment.id)
    for line in sorted(shipment.lines, key=lambda line: line.order_line.product_id):
        line.order_line.shipped -= line.quantity
        session.flush()
        change_stock(
            line.order_line.product_id,
            shipment.picklist.warehouse_id,
            physical=line.quantity,
            reserved=line.quantity,
            reason=why,
            who=who,
        )
    if order.state == OrderState.PAUSED:
        # Somebody wants nothing of it to leave: its goods wait until it is resumed.
        order.state_before_pause = OrderState.PROCESSING
    else:
        order.state = OrderState.PROCESSING
    order.completed_at = None
    session.flush()
    emit(
        ShipmentChanged(shipment.id, shipment.carrier, shipment.tracking_code, withdrawn=True),
        f"order:{order_id}",
    )
    tell_put_back(order_id)
    wake(BACKORDERS)


def picklist_view(picklist_id: int) -> PicklistView | None:
    """Return a picklist as plugins see it."""
    picklist = current_session().scalar(
        select(Picklist)
        .where(Picklist.id == picklist_id)
        .options(
            selectinload(Picklist.order),
            selectinload(Picklist.lines),
            selectinload(Picklist.shipments)
            .selectinload(Shipment.lines)
            .selectinload(ShipmentLine.order_line),
        )
        .execution_options(populate_existing=True)
    )
    if picklist is None:
        return None
    return PicklistView(
        picklist_id=picklist.id,
        order_id=picklist.order_id,
        source=picklist.order.source,
        reference=picklist.order.reference,
        state=picklist.state,
        closed_at=picklist.closed_at,
        parcels=tuple(_parcel(shipment) for shipment in picklist.shipments),
        pieces={line.order_line_id: line.quantity for line in picklist.lines},
    )


def parcel_view(shipment_id: int) -> Parcel | None:
    """Return a parcel as plugins see it."""
    shipment = current_session().scalar(
        select(Shipment)
        .where(Shipment.id == shipment_id)
        .options(selectinload(Shipment.lines).selectinload(ShipmentLine.order_line))
    )
    return _parcel(shipment) if shipment else None


def withdrawn(shipment_ids: Iterable[int]) -> frozenset[int]:
    """Return which of these parcels were withdrawn."""
    asked = set(shipment_ids)
    if not asked:
        return frozenset()
    return frozenset(
        current_session().scalars(
            select(Shipment.id).where(Shipment.id.in_(asked), Shipment.withdrawn_at.is_not(None))
        )
    )


def _parcel(shipment: Shipment) -> Parcel:
    return Parcel(
        shipment_id=shipment.id,
        carrier=shipment.carrier,
        tracking_code=shipment.tracking_code,
        label_ref=shipment.label_ref,
        lines=tuple(
            ParcelLine(
                line.order_line_id, line.order_line.product_id, line.quantity, line.order_line.external_ref
            )
            for line in shipment.lines
        ),
        withdrawn=shipment.withdrawn_at is not None,
    )


def lock_picklist(picklist_id: int) -> Picklist:
    """Lock a picklist's order and return the picklist, if it is open.

    :raises HostError: it does not exist, is paused, closed or cancelled.
    """
    session = current_session()
    order_id = session.scalar(select(Picklist.order_id).where(Picklist.id == picklist_id))
    if order_id is None:
        raise HostError(_("This picklist does not exist."))
    lock_order(order_id)
    picklist = session.scalars(
        select(Picklist).where(Picklist.id == picklist_id).execution_options(populate_existing=True)
    ).one()
    if picklist.state == PicklistState.CLOSED:
        raise AlreadyClosed(
            _("This picklist was already closed by %(who)s.", who=picklist.closed_by)
            if picklist.closed_by
            else _("This picklist was closed by somebody else.")
        )
    if picklist.state == PicklistState.CANCELLED:
        raise HostError(_("This picklist was withdrawn: its order was cancelled. Put the goods back."))
    if picklist.state == PicklistState.PAUSED:
        marks = session.scalars(select(OrderMark.text).where(OrderMark.order_id == order_id)).all()
        raise HostError(" ".join([_("This picklist is paused."), *marks]))
    return picklist


def _refuse(picklist_id: int, lines: Sequence[PicklistLine], parcels: Sequence[NewParcel]) -> None:
    for parcel in parcels:
        if parcel.label_id is None:
            _refuse_articles_code(picklist_id, parcel.tracking_code)
            refuse_products_code(parcel.tracking_code, [line.product_id for line in lines])
    _check(lines, parcels)


def _check(lines: Sequence[PicklistLine], parcels: Sequence[NewParcel]) -> None:
    picked = {line.id: line.picked for line in lines}
    if not any(picked.values()):
        raise HostError(_("Nothing was picked: pick at least one piece before closing."))
    if not parcels:
        raise HostError(_("A closed picklist needs at least one parcel."))
    if any(parcel.carrier not in CARRIERS for parcel in parcels if parcel.label_id is None):
        raise HostError(_("Choose a carrier."))
    if len(parcels) == 1 and parcels[0].pieces is None:
        return
    packed = dict.fromkeys(picked, 0)
    for parcel in parcels:
        pieces = {line_id: count for line_id, count in (parcel.pieces or {}).items() if count}
        if not pieces:
            raise HostError(_("Each parcel must hold something."))
        for line_id, count in pieces.items():
            if line_id not in packed or count < 0:
                raise HostError(_("A parcel holds a line that is not on this picklist."))
            packed[line_id] += count
    if packed != picked:
        raise HostError(_("The parcels together must hold exactly what was picked."))


def _refuse_articles_code(picklist_id: int, tracking_code: str) -> None:
    """Refuse, as the code of a parcel, that of a product on the picklist; what is picked stays as it is.

    :raises ProductsCode: it is one.
    """
    code = tracking_code.strip()
    lines = _lines_with(picklist_id, code) if code else ()
    if lines:
        told = _("This is the article's barcode. Scan the code on the parcel's label.")
        if all(line.picked == line.quantity for line in lines):
            told += " " + _("Is it one piece too many? Put it back.")
        raise ProductsCode(told, code)


def refuse_products_code(tracking_code: str, product_ids: Iterable[int]) -> None:
    """Refuse what a scanner read from a product where the code of the parcel belongs.

    :raises ProductsCode: it is the barcode of a product, or the code of one of these.
    """
    code = tracking_code.strip()
    product = (
        current_session().scalar(
            select(Product.code)
            .where(
                or_(
                    Product.id.in_(select(Barcode.product_id).where(Barcode.code == code)),
                    and_(Product.id.in_(set(product_ids)), Product.code == code),
                )
            )
            .limit(1)
        )
        if code
        else None
    )
    if product is not None:
        raise ProductsCode(
            _(
                "%(code)s is the code of product %(product)s. Scan the tracking code of the parcel's label instead.",
                code=code,
                product=product,
            ),
            code,
        )


def _ship(picklist: Picklist, lines: Sequence[PicklistLine], parcel: NewParcel) -> int:
    pieces = parcel.pieces if parcel.pieces is not None else {line.id: line.picked for line in lines}
    label = labels.of_picklist(picklist.id, parcel.label_id) if parcel.label_id is not None else None
    tracking_code = parcel.tracking_code if label is None else label.tracking_code
    shipment = Shipment(
        picklist_id=picklist.id,
        order_id=picklist.order_id,
        carrier=parcel.carrier if label is None else LABEL,
        tracking_code=tracking_code.strip()[:80] or None,
        label_ref=label.ref if label else None,
        created_at=utcnow(),
        lines=[
            ShipmentLine(order_line_id=line.order_line_id, quantity=pieces[line.id])
            for line in lines
            if pieces.get(line.id)
        ],
    )
    current_session().add(shipment)
    current_session().flush()
    if label is not None:
        label.shipment_id = shipment.id
        current_session().flush()
    return shipment.id
