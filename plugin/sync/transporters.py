"""bol's codes for transporters, and the names that people know them by."""

from __future__ import annotations

from collections.abc import Mapping

from plugin.texts import lazy as _l

#: The codes that bol has published, with a name where the code does not tell whose it is. bol takes others, too
#: (Retailer API v10, ChangeTransportRequest of 2023; open text since 2024).
TRANSPORTER_CODES: Mapping[str, str] = {
    "AMPERE": "",
    "BPOST_BE": "bpost",
    "BPOST_BRIEF": "",
    "BRIEFPOST": "",
    "BUDBEE": "",
    "COURIER": _l("own courier"),
    "CYCLOON": "",
    "DHL": "",
    "DHL-GLOBAL-MAIL": "",
    "DHL-SD": "",
    "DHLFORYOU": "DHL",
    "DHL_DE": "",
    "DPD-BE": "",
    "DPD-NL": "",
    "DYL": "Dynalogic",
    "FEDEX_BE": "",
    "FEDEX_NL": "",
    "GLS": "",
    "OTHER": "",
    "PACKS": "",
    "PARCEL-NL": "",
    "PES": "",
    "TNT": "PostNL",
    "TNT-EXPRESS": "",
    "TNT-EXTRA": "PostNL extra@home",
    "TNT_BRIEF": _l("PostNL mailbox parcel"),
    "TRANSMISSION": "",
    "TRUNKRS": "",
    "TSN": "Transportservice NL",
    "UPS": "",
}


def title(code: str) -> str:
    """Return what people call a transporter; the code where it says enough, or is not known here."""
    return str(TRANSPORTER_CODES.get(code) or code)
