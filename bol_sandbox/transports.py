"""Transports of the Retailer API v10: a parcel's carrier and tracking code, corrected afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from bol_sandbox import statuses
from bol_sandbox.answers import Answer
from bol_sandbox.call import BodyChecks, Call
from bol_sandbox.model import Outcome
from bol_sandbox.problems import invalid
from bol_sandbox.world import World

#: bol's last published list (ChangeTransportRequest of October 2023). Its descriptions since call the code open text; what it
#: does with others is not told, and it used to refuse them at once, naming the list.
TRANSPORTER_CODES = (
    "AMPERE", "BPOST_BE", "BPOST_BRIEF", "BRIEFPOST", "BUDBEE", "COURIER", "CYCLOON", "DHL", "DHL-GLOBAL-MAIL", "DHL-SD",
    "DHLFORYOU", "DHL_DE", "DPD-BE", "DPD-NL", "DYL", "FEDEX_BE", "FEDEX_NL", "GLS", "OTHER", "PACKS", "PARCEL-NL", "PES",
    "TNT", "TNT-EXPRESS", "TNT-EXTRA", "TNT_BRIEF", "TRANSMISSION", "TRUNKRS", "TSN", "UPS",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TransportChange:
    """The seller gives another tracking code, and perhaps another carrier."""

    transport_id: str
    transporter_code: str | None
    track_and_trace: str

    def do(self, world: World, client_id: str, at: float) -> Outcome:
        shipment = world.transports.get(self.transport_id)
        if shipment is None or shipment.order.client_id != client_id:
            return Outcome(error_message=f"Transport with id {self.transport_id} not found.")
        shipment.track_and_trace = self.track_and_trace
        shipment.transporter_code = self.transporter_code or shipment.transporter_code
        return Outcome()


def change_transport(call: Call) -> Answer:
    """bol Retailer API v10, add-transport-information-by-transport-id."""
    checks = BodyChecks()
    body = call.json_object()
    track = checks.text(body, "trackAndTrace", "trackAndTrace")
    code = checks.optional_text(body, "transporterCode", "transporterCode")
    check_code(checks, code, "transporterCode")
    checks.finish()
    transport_id = call.values["transport-id"]
    description = f"Change transport with id {transport_id}."
    work = TransportChange(transport_id, code, track)
    return statuses.accept(
        call.world, call.seller, "CHANGE_TRANSPORT", description, work, entity_id=transport_id
    )


def check_code(checks: BodyChecks, code: str | None, at: str) -> None:
    """Refuse a transporter code that bol has never published."""
    if code and code not in TRANSPORTER_CODES:
        checks.refuse(at, invalid(code, TRANSPORTER_CODES))
