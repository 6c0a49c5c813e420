"""How moments, money, numbers, states and addresses are written on pages, in the language of whoever looks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import Flask
from flask_babel import (
    format_currency,
    format_date,
    format_datetime,
    format_decimal,
    get_locale,
    pgettext,
    to_user_timezone,
)
from flask_babel import gettext as _

from host_app import retelling
from host_app.admin.security import may_open
from host_app.carriers import CARRIERS, LABEL, carrier_title
from host_app.db import utcnow
from host_app.languages import kept_in_other_language
from host_app.models import Shipment
from host_app.models.people import Role
from host_app.plugins import plugins

#: A deadline at this time of the warehouse's clock is about the day.
END_OF_DAY = "23:59"
TONES = {
    "concept": "info",
    "processing": "primary",
    "paused": "warning",
    "completed": "success",
    "cancelled": "secondary",
    "new": "primary",
    "closed": "success",
}


def init_app(app: Flask) -> None:
    """Give templates the filters."""
    app.jinja_env.filters.update(
        moment=moment,
        due=due,
        money=money,
        number=number,
        change=change,
        role=role,
        state=state,
        tone=lambda value: TONES.get(str(value), "secondary"),
        late=lambda value: value is not None and value < utcnow(),
        carrier=brought_by,
        address_lines=address_lines,
        retold=retold,
        safe_url=safe_url,
        opens=opens,
    )
    app.jinja_env.globals.update(
        carriers=CARRIERS, page_language=page_language, kept_in_other_language=kept_in_other_language
    )


def page_language() -> str:
    """Return the language that a page says it is in, such as ``en``."""
    locale = get_locale()
    return "en" if locale is None else str(locale).replace("_", "-")


def moment(value: datetime | None) -> str:
    """Write day and time without doubt about which number is the month."""
    return format_datetime(value, "d MMM yyyy HH:mm") if value else ""


def due(value: datetime | None) -> str:
    """Write until when something must be done; the end of a day is that day, and no time that somebody has named."""
    if value is None:
        return ""
    if to_user_timezone(value).strftime("%H:%M") == END_OF_DAY:
        return str(format_date(to_user_timezone(value).date(), "d MMM yyyy"))
    return moment(value)


def money(value: Decimal | None) -> str:
    """Write an amount in euro."""
    return "" if value is None else str(format_currency(value, "EUR"))


def number(value: float | None) -> str:
    """Write a number with the signs that the language groups digits by."""
    return "" if value is None else str(format_decimal(value))


def change(value: int) -> str:
    """Write by how much something changed, with its sign."""
    return str(format_decimal(value, "+#,##0;-#,##0"))


def brought_by(shipment: Shipment) -> str:
    """Write who brings a parcel; on a bought label stands who that is."""
    if shipment.carrier == LABEL and shipment.label is not None:
        return shipment.label.carrier
    return carrier_title(shipment.carrier)


def role(value: str) -> str:
    """Write what somebody may do."""
    titles = {Role.ADMINISTRATOR: _("Administrator"), Role.WAREHOUSE: pgettext("role", "Warehouse")}
    return titles.get(Role(value), value) if value in set(Role) else value


def state(value: str) -> str:
    """Write a state of an order or a picklist."""
    titles = {
        "concept": pgettext("state", "Concept"),
        "processing": pgettext("state", "Processing"),
        "paused": pgettext("state", "Paused"),
        "completed": pgettext("state", "Completed"),
        "cancelled": pgettext("state", "Cancelled"),
        "new": pgettext("state", "Open"),
        "closed": pgettext("state", "Closed"),
    }
    return titles.get(str(value), str(value))


def address_lines(address: Mapping[str, Any] | None) -> list[str]:
    """Write an address as people read it; empty where it was erased."""
    values = {key: str(value or "").strip() for key, value in (address or {}).items()}
    get = values.get
    lines = (
        get("company"),
        get("name"),
        get("pickup_point"),
        " ".join(
            filter(None, (get("street"), get("house_number"), get("house_number_extension")))
        ),
        get("extra"),
        " ".join(filter(None, (get("postal_code"), get("city")))),
        _country(get("country", "")),
    )  # fmt: skip
    return [line for line in lines if line]


def _country(code: str) -> str:
    """Return the name of a country; shops tell its code, and what is none stays as it is."""
    locale = get_locale()
    return str(locale.territories.get(code.upper(), code)) if locale and len(code) == 2 else code


def retold(text: str) -> str:
    """Write what we or a plugin kept in the language of whoever looks, where it can be said."""
    if text and kept_in_other_language():
        if (said := retelling.retold(text, retold)) != text:
            return said
        for _name, told in plugins().call_each("retell", texts=[text]):
            if (said := (told or {}).get(text, text)) != text:
                return str(said)
    return text


def safe_url(url: str | None) -> str:
    """Return a link of a plugin, unless following it would run something."""
    text = (url or "").strip()
    return text if text.startswith(("/", "https://", "http://", "?", "#")) else ""


def opens(url: str | None) -> str:
    """Return a link of a plugin that whoever looks may follow; "" where it would lead them to a refusal."""
    text = safe_url(url)
    return text if text and may_open(text) else ""
