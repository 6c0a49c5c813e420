"""bol's codes for transporters, and the names that people know them by."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from plugin.texts import gettext as _
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


def doubt(code: str) -> str:
    """Return why a code is questioned, with published ones that look like it; "" for one that bol has published."""
    if not code or code in TRANSPORTER_CODES:
        return ""
    if like := _like(code):
        return _(
            "“%(code)s” is none of the codes that bol has published. Do you mean %(codes)s? bol may refuse parcels with it.",
            code=code,
            codes=", ".join(like),
        )
    return _(
        "“%(code)s” is none of the codes that bol has published. bol may refuse parcels with it.",
        code=code,
    )


def _like(code: str) -> list[str]:
    wanted = code.upper()
    begun = [known for known in TRANSPORTER_CODES if known.startswith(wanted)]
    return begun or get_close_matches(wanted, TRANSPORTER_CODES, n=3, cutoff=0.7)
