"""Shipment lists and shipments. Essential: the shipment's own id."""

from __future__ import annotations

from plugin.connector.models.shipments import (
    Shipment,
    ShipmentPage,
    ShipmentSummary,
    ShippedItem,
    Transport,
    TransportEvent,
)
from plugin.connector.parsers.address import read_address
from plugin.connector.parsing import Fields
from plugin.connector.resources.caller import PAGE_SIZE


def read_shipment_page(fields: Fields) -> ShipmentPage:
    shipments = tuple(_summary(shipment) for shipment in fields.parts("shipments"))
    return ShipmentPage(shipments, last=len(shipments) < PAGE_SIZE)


def _summary(fields: Fields) -> ShipmentSummary:
    return ShipmentSummary(
        shipment_id=fields.essential_id("shipmentId"),
        order_id=fields.part_or_empty("order").id("orderId") or "",
        shipped_at=fields.moment("shipmentDateTime"),
        reference=fields.text("shipmentReference"),
        order_item_ids=tuple(item.essential_id("orderItemId") for item in fields.parts("shipmentItems")),
        transport_id=fields.part_or_empty("transport").text("transportId"),
    )


def read_shipment(fields: Fields) -> Shipment:
    transport = fields.part("transport")
    return Shipment(
        shipment_id=fields.essential_id("shipmentId"),
        order_id=fields.part_or_empty("order").id("orderId") or "",
        shipped_at=fields.moment("shipmentDateTime"),
        reference=fields.text("shipmentReference"),
        pickup_point=fields.flag("pickupPoint", "pickUpPoint"),
        items=tuple(_item(item) for item in fields.parts("shipmentItems")),
        transport=_transport(transport) if transport else None,
        delivery=read_address(fields.part_or_empty("shipmentDetails")),
    )


def _item(fields: Fields) -> ShippedItem:
    return ShippedItem(
        order_item_id=fields.essential_id("orderItemId"),
        ean=fields.part_or_empty("product").text("ean") or "",
        quantity=fields.count("quantity"),
        quantity_shipped=fields.count("quantityShipped"),
    )


def _transport(fields: Fields) -> Transport:
    return Transport(
        transport_id=fields.text("transportId"),
        transporter_code=fields.text("transporterCode"),
        track_and_trace=fields.text("trackAndTrace"),
        shipping_label_id=fields.text("shippingLabelId"),
        events=tuple(
            TransportEvent(event.text("eventCode") or "", event.moment("eventDateTime"))
            for event in fields.parts("transportEvents")
        ),
    )
