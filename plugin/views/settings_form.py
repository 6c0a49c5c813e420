"""The form of a store's settings: what was typed becomes settings, or messages at the fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, time
from typing import Any

from werkzeug.datastructures import MultiDict

from host_app.plugin_api import Choice
from plugin.settings import MAX_CODE, StoreSettings
from plugin.texts import gettext as _
from plugin.views.words import SETTINGS

SWITCHES = (
    "import_products",
    "import_orders",
    "process_orders",
    "accept_requests",
    "send_stock",
    "send_shipments",
    "check_at_closing",
    "overrule_at_closing",
    "labels_for_all",
    "label_automatic",
    "managed_by_retailer",
)
NUMBERS = (
    "import_minutes",
    "address_days",
    "call_log_days",
    "safety_stock",
    "max_stock",
    "guard_least",
    "guard_share",
    "confirm_after_minutes",
    "tracking_wait_minutes",
    "carrier_days",
)


class SettingsForm:
    """Settings as the page shows them. What the form does not name keeps its value."""

    def __init__(
        self, settings: StoreSettings, warehouses: Sequence[Choice], carriers: Sequence[Choice]
    ) -> None:
        self.settings = settings
        self.warehouses = warehouses
        self.carriers = carriers
        #: What is wrong, by the name of the field, in the order of the page.
        self.errors: dict[str, str] = {}
        self._typed: dict[str, str] = {}

    def read(self, typed: MultiDict[str, str]) -> bool:
        """Take in what was typed; True where all of it can be used."""
        self._typed = {name: typed.get(name, "").strip() for name in typed}
        changes: dict[str, Any] = {name: "on" in typed.getlist(name) for name in SWITCHES if name in typed}
        for name in NUMBERS:
            if name in typed:
                changes |= self._number(name)
        if "lookup" in typed:
            changes["lookup"] = self._typed["lookup"]
        if "orders_from" in typed:
            changes |= self._day("orders_from")
        if "check_time" in typed:
            changes |= self._time("check_time")
        if "tracking_patterns" in typed:
            changes["tracking_patterns"] = _patterns(self._typed["tracking_patterns"])
        if "mail_kinds" in typed:
            changes["mail_kinds"] = tuple(kind for kind in typed.getlist("mail_kinds") if kind)
        if "mail_to" in typed:
            changes["mail_to"] = " ".join(self._typed["mail_to"].replace(",", " ").split())
        changes |= self._warehouses(typed)
        changes["carriers"] = dict(self.settings.carriers) | {
            carrier.key: self._typed[f"carrier:{carrier.key}"]
            for carrier in self.carriers
            if f"carrier:{carrier.key}" in typed
        }
        self.settings = replace(self.settings, **changes)
        first = int(self.warehouses[0].key) if self.warehouses else None
        found = self.settings.problems(first) | self.errors
        places = list(SETTINGS)
        self.errors = {}
        for name in sorted(found, key=lambda name: places.index(name)):
            self.errors |= self._too_long(found[name]) if name == "carriers" else {name: found[name]}
        return not self.errors

    @property
    def wrong(self) -> Sequence[tuple[str, str, str]]:
        """Return where on the page something is wrong, what the field is called where that is not a setting, and what."""
        titles = {f"carrier:{carrier.key}": carrier.title for carrier in self.carriers}
        return [(name.replace(":", "-"), titles.get(name, ""), told) for name, told in self.errors.items()]

    def text(self, name: str) -> str:
        """Return what to show in a text field: what was typed, else the setting."""
        if name in self._typed:
            return self._typed[name]
        if name.startswith("carrier:"):
            return self.settings.carriers.get(name.removeprefix("carrier:"), "")
        if name == "tracking_patterns":
            return "\n".join(
                f"{pattern} = {code}" for pattern, code in self.settings.tracking_patterns.items()
            )
        value = getattr(self.settings, name)
        if isinstance(value, time):
            return f"{value:%H:%M}"
        return "" if value is None else str(value)

    def is_on(self, name: str) -> bool:
        """Tell if a switch is on."""
        return bool(getattr(self.settings, name))

    def _too_long(self, told: str) -> dict[str, str]:
        """Tell it at each carrier whose code is too long."""
        codes = {f"carrier:{key}": code for key, code in self.settings.carriers.items()}
        return {name: told for name, code in codes.items() if len(code) > MAX_CODE}

    def _number(self, name: str) -> dict[str, int]:
        try:
            return {name: int(self._typed[name])}
        except ValueError:
            self.errors[name] = _("Enter a whole number.")
            return {}

    def _day(self, name: str) -> dict[str, date | None]:
        if not self._typed[name]:
            return {name: None}
        try:
            return {name: date.fromisoformat(self._typed[name])}
        except ValueError:
            self.errors[name] = _("Enter a day as 2026-12-31, or leave it empty.")
            return {}

    def _time(self, name: str) -> dict[str, time | None]:
        if not self._typed[name]:
            return {name: None}
        try:
            return {name: time.fromisoformat(self._typed[name])}
        except ValueError:
            self.errors[name] = _("Enter a time as 03:30, or leave it empty.")
            return {}

    def _warehouses(self, typed: MultiDict[str, str]) -> dict[str, Any]:
        known = {choice.key for choice in self.warehouses}
        changes: dict[str, Any] = {}
        if chosen := self._typed.get("warehouse_id"):
            if chosen in known:
                changes["warehouse_id"] = int(chosen)
            else:
                self.errors["warehouse_id"] = _("This warehouse is not there any more: choose another.")
        elif "warehouse_id" in typed:
            changes["warehouse_id"] = None
        if "stock_warehouses" in typed:
            keys = [key for key in typed.getlist("stock_warehouses") if key]
            if set(keys) <= known:
                changes["stock_warehouses"] = tuple(int(key) for key in keys)
            else:
                self.errors["stock_warehouses"] = _("One of these warehouses is not there any more.")
        return changes


def _patterns(text: str) -> dict[str, str]:
    """Read lines of a pattern and its code; a line without a code keeps an empty one, which is refused."""
    lines = [line.partition("=") for line in text.splitlines() if line.strip()]
    return {pattern.strip(): code.strip() for pattern, _sign, code in lines}
