"""The tables of the warehouse platform."""

from host_app.models.catalog import Barcode, Product, Stock, StockHistory, Warehouse
from host_app.models.orders import Order, OrderLine, OrderMark
from host_app.models.people import MailSetting, Notification, User
from host_app.models.picking import Label, Picklist, PicklistLine, Shipment, ShipmentLine
from host_app.models.platform import EventDelivery, LeaseRow, Schedule

__all__ = [
    "Barcode",
    "EventDelivery",
    "Label",
    "LeaseRow",
    "MailSetting",
    "Notification",
    "Order",
    "OrderLine",
    "OrderMark",
    "Picklist",
    "PicklistLine",
    "Product",
    "Schedule",
    "Shipment",
    "ShipmentLine",
    "Stock",
    "StockHistory",
    "User",
    "Warehouse",
]
