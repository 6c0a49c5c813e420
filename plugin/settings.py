"""The settings of a store, declared once: type, default, and what to tell the administrator about them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date, time
from fnmatch import fnmatchcase
from typing import Any

from plugin.texts import gettext as _

#: Carrier code of the host -> bol's transporterCode. bol's list is open text; TNT is PostNL, TNT_BRIEF its
#: mailbox parcel (bol Retailer API, transports).
DEFAULT_CARRIERS: Mapping[str, str] = {
    "postnl": "TNT",
    "postnl-mailbox": "TNT_BRIEF",
    "dhl": "DHLFORYOU",
    "dpd": "DPD-NL",
    "gls": "GLS",
    "ups": "UPS",
    "bpost": "BPOST_BE",
    "budbee": "BUDBEE",
    "trunkrs": "TRUNKRS",
    "fedex": "FEDEX_NL",
    "own": "COURIER",
    "other": "OTHER",
}

CODE_FIRST = "code"
BARCODE_FIRST = "barcode"

MIN_IMPORT_MINUTES = 5
MAX_IMPORT_MINUTES = 60
MAX_ADDRESS_DAYS = 3650
MAX_CALL_LOG_DAYS = 90
MAX_WAIT_MINUTES = 24 * 60
MAX_CARRIER_DAYS = 5
MAX_GUARD_LEAST = 1_000_000
#: bol's published maximum of stock.amount (Retailer API v10, 0..999; v11 names none).
MAX_AMOUNT = 999


#: Kinds of notifications about a store.
MAIL_KINDS = ("connection", "order", "cancellation", "deadline", "shipment", "label", "stock")
#: Longest transporter code.
MAX_CODE = 60
#: As much as tells a slip of the pen from an address.
ADDRESS = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\"]+", re.ASCII)
MOST_ADDRESSES = 20


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What an administrator decides per store. The defaults write nothing to bol.

    :param orders_from: orders placed before this day (Europe/Amsterdam) are left alone; None takes all open ones.
    :param accept_requests: accept a customer's request to cancel at bol, while nothing is picked.
    :param address_days: names and addresses are erased this many days after an order is done.
    :param call_log_days: the log of calls to bol goes back so many days.
    :param warehouse_id: the warehouse that delivers this store's orders; None is the host's first.
    :param stock_warehouses: warehouses whose stock is offered at bol; empty means all.
    :param overrule_at_closing: packers may ship all the same what bol objects to when a picklist is closed.
    :param confirm_after_minutes: wait so long before a shipment is confirmed; one withdrawn before is not.
    :param tracking_wait_minutes: wait so long for a tracking code that is missing; 0 confirms without one.
    :param carrier_days: so many days before the promised delivery an order must leave.
    :param tracking_patterns: pattern of a tracking code (``*`` and ``?`` as in file names) -> transporterCode;
        the first that fits wins over the carrier.
    :param labels_for_all: offer bol's labels for every order of this store, not only for those sold with Shipping via bol.
    :param label_automatic: offer only the label that bol recommends when it is bought, without a choice.
    :param safety_stock: pieces kept back from bol, per offer.
    :param max_stock: most pieces ever shown to bol, per offer.
    :param guard_least: the guard looks from this many offers on that go to zero within an hour.
    :param guard_share: and stops further zeros beyond this share of the active offers, in percent.
    :param check_time: when the stock check runs each night, Europe/Amsterdam; None turns it off.
    :param managed_by_retailer: see bol's Offers API v11, UpdateStock.
    :param mail_kinds: kinds of notifications, of ``MAIL_KINDS``, that are told by e-mail.
    :param mail_to: to these addresses, separated by spaces; "" means those of the host.
    :param carriers: host carrier -> transporterCode; a carrier without a code waits for one.
    """

    import_products: bool = True
    import_orders: bool = True
    process_orders: bool = True
    lookup: str = CODE_FIRST
    orders_from: date | None = None
    import_minutes: int = MIN_IMPORT_MINUTES
    accept_requests: bool = False
    address_days: int = 90
    call_log_days: int = 14
    warehouse_id: int | None = None
    stock_warehouses: tuple[int, ...] = ()
    send_stock: bool = False
    send_shipments: bool = False
    check_at_closing: bool = True
    overrule_at_closing: bool = False
    confirm_after_minutes: int = 0
    tracking_wait_minutes: int = 0
    carrier_days: int = 1
    labels_for_all: bool = False
    label_automatic: bool = False
    tracking_patterns: Mapping[str, str] = field(default_factory=dict)
    safety_stock: int = 0
    max_stock: int = MAX_AMOUNT
    guard_least: int = 5
    guard_share: int = 25
    check_time: time | None = time(3, 30)
    managed_by_retailer: bool = True
    mail_kinds: tuple[str, ...] = ()
    mail_to: str = ""
    carriers: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_CARRIERS))

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> StoreSettings:
        """Read stored settings; names that are unknown are left out, missing ones get their default."""
        known = {item.name for item in fields(cls)}
        values = {name: value for name, value in stored.items() if name in known}
        if values.get("orders_from"):
            values["orders_from"] = date.fromisoformat(values["orders_from"])
        if values.get("check_time"):
            values["check_time"] = time.fromisoformat(values["check_time"])
        if "stock_warehouses" in values:
            values["stock_warehouses"] = tuple(values["stock_warehouses"])
        if "mail_kinds" in values:
            values["mail_kinds"] = tuple(values["mail_kinds"])
        return cls(**values)

    def dump(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        values = asdict(self)
        values["orders_from"] = self.orders_from.isoformat() if self.orders_from else None
        values["check_time"] = f"{self.check_time:%H:%M}" if self.check_time else None
        values["stock_warehouses"] = list(self.stock_warehouses)
        values["mail_kinds"] = list(self.mail_kinds)
        return values

    def transporter_code(self, carrier: str, tracking_code: str) -> str:
        """Return bol's code for a parcel, or "" where the carrier has none."""
        for pattern, code in self.tracking_patterns.items():
            if tracking_code and fnmatchcase(tracking_code.upper(), pattern.upper()):
                return code.strip()
        return self.carriers.get(carrier, "").strip()

    def problems(self, first_warehouse: int | None = None) -> dict[str, str]:
        """Return what is wrong, by field, in words that say what to do.

        :param first_warehouse: of the host, which delivers where no other is chosen.
        """
        found: dict[str, str] = {}
        if self.lookup not in (CODE_FIRST, BARCODE_FIRST):
            found["lookup"] = _("Choose how products are found.")
        if not MIN_IMPORT_MINUTES <= self.import_minutes <= MAX_IMPORT_MINUTES:
            found["import_minutes"] = _(
                "Choose %(least)s to %(most)s minutes.", least=MIN_IMPORT_MINUTES, most=MAX_IMPORT_MINUTES
            )
        if not 1 <= self.address_days <= MAX_ADDRESS_DAYS:
            found["address_days"] = _("Choose %(least)s to %(most)s days.", least=1, most=MAX_ADDRESS_DAYS)
        if not 1 <= self.call_log_days <= MAX_CALL_LOG_DAYS:
            found["call_log_days"] = _("Choose %(least)s to %(most)s days.", least=1, most=MAX_CALL_LOG_DAYS)
        if not 0 <= self.max_stock <= MAX_AMOUNT:
            found["max_stock"] = _("bol takes 0 to %(most)s pieces.", most=MAX_AMOUNT)
        if not 0 <= self.safety_stock <= MAX_AMOUNT:
            found["safety_stock"] = _("Choose 0 to %(most)s pieces.", most=MAX_AMOUNT)
        delivers = first_warehouse if self.warehouse_id is None else self.warehouse_id
        if self.stock_warehouses and delivers is not None and delivers not in self.stock_warehouses:
            # Orders would reserve nothing of what is offered, and it would be sold again and again.
            found["stock_warehouses"] = _(
                "Choose the warehouse that delivers the orders, too: what is sold is taken from its stock."
            )
        if not 1 <= self.guard_least <= MAX_GUARD_LEAST:
            found["guard_least"] = _("Choose 1 to %(most)s offers.", most=MAX_GUARD_LEAST)
        if not 0 <= self.guard_share <= 100:
            found["guard_share"] = _("Choose 0 to 100 percent.")
        for name in ("confirm_after_minutes", "tracking_wait_minutes"):
            if not 0 <= getattr(self, name) <= MAX_WAIT_MINUTES:
                found[name] = _("Choose %(least)s to %(most)s minutes.", least=0, most=MAX_WAIT_MINUTES)
        if not 0 <= self.carrier_days <= MAX_CARRIER_DAYS:
            found["carrier_days"] = _("Choose %(least)s to %(most)s days.", least=0, most=MAX_CARRIER_DAYS)
        if not all(pattern and code for pattern, code in self.tracking_patterns.items()):
            found["tracking_patterns"] = _("Give each pattern one of bol's codes.")
        if any(len(code) > MAX_CODE for code in self.carriers.values()):
            found["carriers"] = _("bol's code for a carrier has at most 60 characters.")
        wrong = [address for address in self.mail_to.split() if not ADDRESS.fullmatch(address)]
        if wrong:
            found["mail_to"] = (
                _("%(text)s is no e-mail address.", text=wrong[0])
                if len(wrong) == 1
                else _("These are no e-mail addresses: %(texts)s.", texts=", ".join(wrong))
            )
        elif len(self.mail_to.split()) > MOST_ADDRESSES:
            found["mail_to"] = _("Enter at most %(most)s addresses.", most=MOST_ADDRESSES)
        if not set(self.mail_kinds) <= set(MAIL_KINDS):
            found["mail_kinds"] = _("One of these kinds is not known.")
        return found
