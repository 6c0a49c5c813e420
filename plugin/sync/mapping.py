"""Pure translation of bol's orders into the host's, and of the host's parcels into bol's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from host_app import plugin_api as host
from plugin.connector import Address, Order, OrderItem
from plugin.texts import gettext as _

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
CENT = Decimal("0.01")
FBR = "FBR"


def is_ours(method: str) -> bool:
    """Tell if the warehouse ships it: FBR. Where bol names no method the order came from a list of FBR only."""
    return method in (FBR, "")


def items_to_pick(order: Order) -> list[OrderItem]:
    """Return the items that are ours and still open; what bol's warehouse sends (FBB, LVB) is left out."""
    return [item for item in order.items if is_ours(item.method) and item.open_quantity > 0]


def host_order(
    order: Order,
    products: Mapping[str, int],
    *,
    source: str,
    shop_name: str,
    process: bool,
    warehouse_id: int | None,
    carrier_days: int,
    now: datetime,
) -> host.NewOrder:
    """Translate an order; ``products`` gives the product of each item to pick, by the item's id."""
    items = items_to_pick(order)
    lines = tuple(
        host.NewOrderLine(
            product_id=products[item.order_item_id],
            quantity=item.open_quantity,
            name=item.title or item.ean,
            unit_price=item.unit_price.quantize(CENT, ROUND_HALF_UP),
            external_ref=item.order_item_id,
            discount=sum((discount.amount for discount in item.discounts), Decimal(0)),
        )
        for item in items
    )
    return host.NewOrder(
        source=source,
        reference=order.order_id,
        placed_at=order.placed_at or now,
        delivery=host_address(order.delivery),
        billing=host_address(order.billing) if order.billing else None,
        lines=lines,
        process=process,
        warehouse_id=warehouse_id,
        deadline=deadline(items, order.placed_at, carrier_days),
        notes=tuple(notes(order)),
        shop_name=shop_name,
    )


def notes(order: Order) -> list[str]:
    """Say on the order what was left out of it, and why."""
    left_out = [item for item in order.items if not is_ours(item.method)]
    found = []
    if left_out:
        names = ", ".join(f"{item.quantity} × {item.title or item.ean}" for item in left_out)
        found.append(_("Left out, bol ships it (Logistics via bol): %(names)s", names=names))
    handled = [item for item in order.items if is_ours(item.method) and item.open_quantity < item.quantity]
    if handled:
        names = ", ".join(
            f"{item.quantity - item.open_quantity} × {item.title or item.ean}" for item in handled
        )
        found.append(_("Left out, shipped or cancelled at bol before the import: %(names)s", names=names))
    return found


def deadline(items: Sequence[OrderItem], placed_at: datetime | None, carrier_days: int) -> datetime | None:
    """Return until when an order must leave to be with the customer in time, or None where bol names no day."""
    days = [day for item in items if (day := item.exact_delivery_date or item.latest_delivery_date)]
    return leaves_by(min(days), placed_at, carrier_days) if days else None


def leaves_by(delivery: date, placed_at: datetime | None, carrier_days: int) -> datetime:
    """Return the end of the day on which a parcel must leave: so many days before its delivery, and not before it was ordered."""
    day = delivery - timedelta(days=carrier_days)
    if placed_at is not None:
        day = max(day, min(placed_at.astimezone(AMSTERDAM).date(), delivery))
    return end_of_day(day)


def end_of_day(day: date) -> datetime:
    """Return the last minute of a day in Amsterdam, in UTC."""
    return datetime.combine(day, time(23, 59), AMSTERDAM).astimezone(UTC)


def start_of_day(day: date) -> datetime:
    """Return the first moment of a day in Amsterdam, in UTC."""
    return datetime.combine(day, time(), AMSTERDAM).astimezone(UTC)


def host_address(address: Address) -> host.Address:
    """Translate an address of bol."""
    return host.Address(
        name=" ".join(part for part in (address.first_name, address.surname) if part),
        company=address.company or "",
        street=address.street,
        house_number=address.house_number,
        house_number_extension=address.house_number_extension or "",
        extra=address.extra or "",
        postal_code=address.zip_code,
        city=address.city,
        country=address.country_code,
        email=address.email or "",
        phone=address.phone or "",
        language=address.language or "",
        pickup_point=address.pickup_point_name or "",
        vat_number=address.vat_number or "",
        chamber_of_commerce=address.kvk_number or "",
        order_reference=address.order_reference or "",
    )


def clean_tracking_code(code: str | None) -> str:
    """Return a tracking code without blanks and odd characters, which carriers' own pages would not find."""
    return re.sub(r"[^A-Za-z0-9-]", "", code or "")


def shipment_reference(store_id: int, shipment_id: int) -> str:
    """Name a parcel at bol, so that its own list of shipments can tell which parcel arrived."""
    return f"WMS-{store_id}-{shipment_id}"


#: Clocks of machines differ by less. A moment that is further ahead was noted by a clock that was set right since.
CLOCKS = timedelta(minutes=1)
#: An order may be listed so long after the moment at which bol says that it was placed.
LISTED_LATE = timedelta(minutes=5)


def read_interval(last: datetime | None, now: datetime) -> int | None:
    """Return ``change-interval-minute`` for a list read, or None for a full one.

    bol takes at most 60 minutes and asks to look back further than the gap (Retailer API v10, get-orders): by what
    bol may list late, and two minutes for clocks that differ. A last read that is still to come tells nothing.
    """
    if last is None or last > now + CLOCKS:
        return None
    minutes = -(-(now - last + LISTED_LATE) // timedelta(minutes=1)) + 2
    return minutes if minutes <= 60 else None
