"""The carriers a packer can choose: the usual ones of the Netherlands and Belgium."""

from __future__ import annotations

from collections.abc import Mapping

#: Code -> title. Codes are kept in shipments and never change.
CARRIERS: Mapping[str, str] = {
    "postnl": "PostNL",
    "postnl-mailbox": "PostNL mailbox parcel",
    "dhl": "DHL",
    "dpd": "DPD",
    "gls": "GLS",
    "ups": "UPS",
    "bpost": "bpost",
    "budbee": "Budbee",
    "trunkrs": "Trunkrs",
    "fedex": "FedEx",
    "own": "Own delivery",
    "other": "Other",
}
