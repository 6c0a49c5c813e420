"""The carriers a packer can choose: the usual ones of the Netherlands and Belgium."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import lazy_gettext as _

#: Code -> title, as it is called in the language that is spoken. Codes are kept in shipments and never change.
CARRIERS: Mapping[str, str] = {
    "postnl": "PostNL",
    "postnl-mailbox": _("PostNL mailbox parcel"),
    "dhl": "DHL",
    "dpd": "DPD",
    "gls": "GLS",
    "ups": "UPS",
    "bpost": "bpost",
    "budbee": "Budbee",
    "trunkrs": "Trunkrs",
    "fedex": "FedEx",
    "own": _("Own delivery"),
    "other": _("Other"),
}

#: The carrier of a parcel that has a bought label: the label says who brings it.
LABEL = "label"
BY_LABEL = _("By its label")


def carrier_title(code: str) -> str:
    """Return how a carrier is called; codes of no carrier are shown as they are."""
    return str(BY_LABEL if code == LABEL else CARRIERS.get(code, code))
