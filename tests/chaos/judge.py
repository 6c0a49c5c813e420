"""The judge compares bol's truth, as the sandbox knows it, with the host's: nothing missed, doubled, lost or hidden."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from host_app.db import current_session, reading
from host_app.models import (
    Barcode,
    EventDelivery,
    Label,
    Notification,
    Order,
    OrderLine,
    Picklist,
    PicklistLine,
    Product,
    Shipment,
    ShipmentLine,
    Stock,
    StockHistory,
)
from host_app.models.picking import OPEN_PICKLISTS
from host_app.plugin_api import OrderState
from plugin.models import (
    BolOrder,
    BolOrderState,
    CancellationEffect,
    EffectState,
    LabelEffect,
    Offer,
    OfferLink,
    ProductRule,
    ShipmentEffect,
    Store,
    TransportEffect,
)
from plugin.settings import StoreSettings
from tests.chaos.people import Shop

Item = Mapping[str, Any]
#: How the drivers name a connection that was cut or a database that is locked.
CUT = ("OperationalError", "InterfaceError")


def judge(shop: Shop, truth: Mapping[str, Any]) -> list[str]:
    """Return what is wrong, in words; nothing where all is well. In an application context."""
    with reading():
        return list(_Judge(shop, truth).problems())


def _goods(effects: Sequence[ShipmentEffect]) -> Counter[str]:
    goods: Counter[str] = Counter()
    for effect in effects:
        goods[effect.order_item_id] += effect.quantity
    return goods


class _Judge:
    def __init__(self, shop: Shop, truth: Mapping[str, Any]) -> None:
        session = current_session()
        self.session, self.shop, self.truth = session, shop, truth
        self.store = session.get_one(Store, shop.store_id)
        self.settings = StoreSettings.load(self.store.settings)
        self.orders = {
            row.reference: row
            for row in session.scalars(
                select(Order).where(Order.source == shop.source).options(selectinload(Order.lines))
            )
        }
        self.rows = {
            row.order_id: row
            for row in session.scalars(
                select(BolOrder)
                .where(BolOrder.store_id == shop.store_id)
                .options(selectinload(BolOrder.items))
            )
        }
        self.notices = list(session.scalars(select(Notification.key)))
        self.effects: dict[str, list[ShipmentEffect]] = defaultdict(list)
        for effect in session.scalars(select(ShipmentEffect).where(ShipmentEffect.store_id == shop.store_id)):
            self.effects[effect.order_item_id].append(effect)
        self.items: dict[str, Item] = {
            item["orderItemId"]: item for order in truth["orders"] for item in order["orderItems"]
        }

    def problems(self) -> Iterator[str]:
        yield from self._orders()
        yield from self._cancellations()
        yield from self._shipments()
        yield from self._parcels_at_bol()
        yield from self._transports()
        yield from self._labels()
        yield from self._offers()
        yield from self._warehouse()
        yield from self._pages()

    def _told(self, key: str) -> bool:
        """Tell if people were notified of this."""
        full = f"bol:{self.shop.store_id}:{key}"
        return any(known == full or known.startswith(f"{full}:") for known in self.notices)

    # orders: none missed, none invented, each piece once

    def _orders(self) -> Iterator[str]:
        known = {order["orderId"] for order in self.truth["orders"]}
        for reference in sorted(set(self.orders) - known):
            yield f"order {reference} is not one of bol's"
        for order in self.truth["orders"]:
            yield from self._order(order)

    def _order(self, order: Mapping[str, Any]) -> Iterator[str]:
        order_id = order["orderId"]
        ours = [item for item in order["orderItems"] if item["fulfilment"]["method"] == "FBR"]
        here, row = self.orders.get(order_id), self.rows.get(order_id)
        if not ours:
            if here is not None:
                yield f"order {order_id}: bol ships it, and it is here"
            return
        if row is None:
            yield f"order {order_id} was missed"
            return
        if row.state == BolOrderState.WAITING_FOR_PRODUCT:
            if not self._told(f"order-waits:{order_id}"):
                yield f"order {order_id} waits for a product, and nobody was told"
            return
        if row.state == BolOrderState.FOUND:
            if not self._told(f"order-refused:{order_id}"):
                yield f"order {order_id} was found and not taken over: {row.error}"
            return
        if row.state != BolOrderState.IMPORTED or here is None:
            if any(_open(item) or item["quantityShipped"] for item in ours):
                yield f"order {order_id} is {row.state} and open at bol"
            return
        lines = {line.external_ref: line for line in here.lines}
        if len(lines) != len(here.lines):
            yield f"order {order_id} has an item twice"
        for ref in lines.keys() - {item["orderItemId"] for item in ours}:
            yield f"order {order_id} has a line that is not bol's: {ref}"
        before = {item.order_item_id: item.cancelled_before_import for item in row.items}
        for item in ours:
            line, ref = lines.get(item["orderItemId"]), item["orderItemId"]
            if line is None:
                # What was handled at bol before it came in does not come in.
                if _open(item) or item["quantityShipped"]:
                    yield f"order {order_id}: {ref} is open at bol and not here"
            elif line.quantity != item["quantity"] - before.get(ref, 0):
                yield (
                    f"order {order_id}: of {ref}, {item['quantity']} were ordered, "
                    f"{before.get(ref, 0)} cancelled before it came in, and {line.quantity} came in"
                )

    def _cancellations(self) -> Iterator[str]:
        """What bol cancelled after it came in is cancelled here, or people know."""
        own = {
            effect.order_item_id
            for effect in self.session.scalars(
                select(CancellationEffect).where(CancellationEffect.store_id == self.shop.store_id)
            )
            if effect.state != EffectState.REFUSED
        }
        for order_id, here in self.orders.items():
            row = self.rows.get(order_id)
            if row is None or here.state == OrderState.CANCELLED:
                continue
            for item in row.items:
                after = self.items[item.order_item_id]["quantityCancelled"] - item.cancelled_before_import
                told = any(
                    self._told(f"{key}:{order_id}")
                    for key in ("cancelled", "partly-cancelled", "cancelled-here")
                )
                if item.imported and after > 0 and not told and item.order_item_id not in own:
                    yield f"order {order_id}: bol cancelled {after} of {item.order_item_id}, and nobody was told"

    # shipments: each parcel confirmed once, or people know why not

    def _shipments(self) -> Iterator[str]:
        left: Counter[tuple[int, str]] = Counter()
        withdrawn: set[int] = set()
        rows = self.session.execute(
            select(Shipment.id, Shipment.withdrawn_at, OrderLine.external_ref, ShipmentLine.quantity)
            .join(ShipmentLine.shipment)
            .join(ShipmentLine.order_line)
            .join(Order, Order.id == Shipment.order_id)
            .where(Order.source == self.shop.source)
        )
        for shipment_id, withdrawn_at, ref, quantity in rows:
            left[shipment_id, ref] += quantity
            if withdrawn_at:
                withdrawn.add(shipment_id)
        ledger: Counter[tuple[int, str]] = Counter()
        for effects in self.effects.values():
            for effect in effects:
                ledger[effect.host_shipment_id, effect.order_item_id] += effect.quantity
                yield from self._effect(effect, effect.host_shipment_id in withdrawn)
        for key in left.keys() | ledger.keys():
            if left[key] != ledger[key] and not (key[0] in withdrawn and not ledger[key]):
                yield f"parcel {key[0]}: {left[key]} pieces of {key[1]} left, the ledger has {ledger[key]}"
        for ref, item in self.items.items():
            confirmed = self._pieces(ref, EffectState.CONFIRMED)
            perhaps = self._pieces(ref, EffectState.DECISION, EffectState.UNKNOWN, EffectState.SENT)
            at_bol = item["quantityShipped"]
            if not confirmed <= at_bol <= confirmed + perhaps:
                yield f"item {ref}: bol has {at_bol} as shipped, the ledger {confirmed} (and perhaps {perhaps})"
            out = sum(quantity for (_parcel, of), quantity in left.items() if of == ref)
            if at_bol > out:
                yield f"item {ref}: bol has {at_bol} as shipped, {out} left the house"

    def _pieces(self, ref: str, *states: EffectState) -> int:
        return sum(effect.quantity for effect in self.effects.get(ref, ()) if effect.state in states)

    def _effect(self, effect: ShipmentEffect, withdrawn: bool) -> Iterator[str]:
        name = f"parcel {effect.host_shipment_id}, item {effect.order_item_id}"
        item = self.items[effect.order_item_id]
        match effect.state:
            case EffectState.CONFIRMED:
                if withdrawn and not self._told(f"withdrawn-late:{effect.host_shipment_id}"):
                    yield f"{name}: withdrawn, confirmed, and nobody was told"
            case EffectState.CLOSED:
                if not withdrawn and effect.host_shipment_id not in self._in_place:
                    yield f"{name}: closed, and it left the house: {effect.error}"
            case EffectState.REFUSED:
                keys = ("cancelled", "partly-cancelled") if item["quantityCancelled"] else ()
                order_id = next(row.order_id for row in self.rows.values() if row.id == effect.order_id)
                told = self._told(f"shipment-refused:{effect.host_shipment_id}") or any(
                    self._told(f"{key}:{order_id}") for key in keys
                )
                if not told:
                    yield f"{name}: refused, and nobody was told: {effect.error}"
                if not self._has_cause(effect):
                    yield f"{name}: refused without a cause at bol: {effect.error}"
            case EffectState.DECISION:
                if not self._told(f"shipment-unknown:{effect.host_shipment_id}"):
                    yield f"{name}: waits for a decision, and nobody was told"
            case EffectState.WANTED if effect.due_at is None and self._told("carrier"):
                pass
            case _:
                blocked = any(
                    other.state == EffectState.DECISION
                    for other in self.effects[effect.order_item_id]
                    if other is not effect
                )
                if not blocked:
                    yield f"{name} is {effect.state}: {effect.error}"

    def _has_cause(self, effect: ShipmentEffect) -> bool:
        """Tell if bol had to refuse a parcel, because of any of its items: it takes all of them or none."""
        for effects in self.effects.values():
            for other in effects:
                item = self.items[other.order_item_id]
                if other.host_shipment_id == effect.host_shipment_id and (
                    item["quantityCancelled"]
                    or self._needs_label(item)
                    or any(self._told(f"withdrawn-late:{one.host_shipment_id}") for one in effects)
                ):
                    return True
        return False

    @cached_property
    def _in_place(self) -> dict[int, str]:
        """Parcels whose very goods bol has by one that was withdrawn, by that one's reference: bol has their code there."""
        rows: dict[int, list[ShipmentEffect]] = {}
        for effects in self.effects.values():
            for effect in effects:
                rows.setdefault(effect.host_shipment_id, []).append(effect)
        told = {
            correction.host_shipment_id: correction.reference
            for correction in self.session.scalars(
                select(TransportEffect).where(TransportEffect.store_id == self.shop.store_id)
            )
        }
        parcels = {parcel: self.session.get_one(Shipment, parcel) for parcel in rows}
        found = {}
        for parcel, mine in rows.items():
            if parcels[parcel].withdrawn_at or any(effect.state != EffectState.CLOSED for effect in mine):
                continue
            for other, theirs in rows.items():
                same = told.get(parcel) == theirs[0].reference or (
                    parcels[parcel].label_ref and parcels[parcel].label_ref == parcels[other].label_ref
                )
                at_bol = all(effect.state == EffectState.CONFIRMED for effect in theirs)
                if parcels[other].withdrawn_at and same and at_bol and _goods(mine) == _goods(theirs):
                    found[parcel] = theirs[0].reference
        return found

    def _needs_label(self, item: Item) -> bool:
        by_bol = item["fulfilment"]["distributionParty"] == "BOL"
        return bool(by_bol and self.shop.script.sandbox["vvbNeedsLabel"])

    def _parcels_at_bol(self) -> Iterator[str]:
        seen: Counter[tuple[str, str]] = Counter()
        references = {effect.reference for effects in self.effects.values() for effect in effects}
        for parcel in self.truth["shipments"]:
            reference = parcel.get("shipmentReference") or ""
            if reference not in references:
                yield f"bol has a shipment that is not ours: {parcel['shipmentId']} {reference}"
            for item in parcel["shipmentItems"]:
                seen[reference, item["orderItemId"]] += 1
        for (reference, ref), count in seen.items():
            if count > 1:
                yield f"parcel {reference}: item {ref} was confirmed {count} times"

    def _transports(self) -> Iterator[str]:
        """bol has the newest tracking code of each parcel, or people know why not."""
        by_reference = {
            parcel.get("shipmentReference"): parcel["transport"] for parcel in self.truth["shipments"]
        }
        shipped = {
            effect.host_shipment_id: effect.reference
            for effects in self.effects.values()
            for effect in effects
            if effect.state == EffectState.CONFIRMED
        } | self._in_place
        corrections = {
            effect.host_shipment_id: effect
            for effect in self.session.scalars(
                select(TransportEffect).where(TransportEffect.store_id == self.shop.store_id)
            )
        }
        for shipment_id, reference in shipped.items():
            parcel = self.session.get_one(Shipment, shipment_id)
            if parcel.label_ref or parcel.withdrawn_at:
                continue
            known = (by_reference.get(reference) or {}).get("trackAndTrace") or ""
            correction = corrections.get(shipment_id)
            if known == (parcel.tracking_code or ""):
                continue
            if correction is not None and correction.state in (EffectState.REFUSED, EffectState.DECISION):
                if not self._told(f"correction-refused:{shipment_id}"):
                    yield f"parcel {shipment_id}: its correction was refused, and nobody was told"
                continue
            yield f"parcel {shipment_id}: bol has tracking code {known!r}, the house {parcel.tracking_code!r}"

    # labels: each is money

    def _labels(self) -> Iterator[str]:
        bought = Counter(label["orderId"] for label in self.truth["labels"])
        ids = {label["shippingLabelId"] for label in self.truth["labels"]}
        asked: Counter[str] = Counter()
        names = {row.id: row.order_id for row in self.rows.values()}
        held = {ref for (ref,) in self.session.execute(select(Label.ref))}
        known: set[str] = set()
        for effect in self.session.scalars(
            select(LabelEffect).where(LabelEffect.store_id == self.shop.store_id)
        ):
            order_id = names[effect.order_id]
            if effect.label_id:
                known.add(effect.label_id)
            match effect.state:
                case EffectState.CONFIRMED:
                    asked[order_id] += 1
                    if effect.label_id not in ids or effect.label_id not in held:
                        yield f"label {effect.label_id} of order {order_id} is not at bol, or not here"
                case EffectState.DECISION:
                    asked[order_id] += 1
                    if not self._told(f"label-unknown:{effect.id}"):
                        yield f"label effect {effect.id}: waits for a decision, and nobody was told"
                case EffectState.REFUSED:
                    if not self._told(f"label-refused:{effect.id}"):
                        yield f"label effect {effect.id}: refused, and nobody was told"
                case EffectState.CLOSED:
                    pass
                case _:
                    yield f"label effect {effect.id} is {effect.state}: {effect.error}"
        for order_id, count in bought.items():
            if count > asked[order_id]:
                yield f"order {order_id}: {count} labels were bought, {asked[order_id]} are accounted for"

    # stock: right at bol, and right in itself

    def _offers(self) -> Iterator[str]:
        offers = {
            offer.offer_id: offer
            for offer in self.session.scalars(select(Offer).where(Offer.store_id == self.shop.store_id))
        }
        for at_bol in self.truth["offers"]:
            if at_bol["method"] != "FBR":
                continue
            offer = offers.get(at_bol["offerId"])
            name = f"offer of {at_bol['ean']}"
            if offer is None or offer.product_id is None:
                yield f"{name} is not linked"
                continue
            if offer.held_at is not None:
                # Also where a person keeps it on sale: the pages say so.
                if offer.dirty_version > offer.done_version and self.store.guard_stopped_at is None:
                    yield f"{name} is held back, and no page says so"
                continue
            wanted = self._amount(at_bol)
            if wanted is None:
                continue
            if offer.link == OfferLink.CREATED and offer.sent_at is None:
                # Made with the stock that bol had: right as long as customers see that amount.
                if at_bol["correctedStock"] != wanted:
                    yield f"{name}: customers see {at_bol['correctedStock']}, {wanted} was to be"
                continue
            shown = (at_bol["amount"], at_bol["managedByRetailer"])
            if shown != (wanted, self.settings.managed_by_retailer):
                yield (
                    f"{name}: bol has {shown}, {wanted} was to be (wanted {offer.wanted_amount}, confirmed "
                    f"{offer.confirmed_amount}, dirty {offer.dirty_version}, done {offer.done_version}, {offer.error})"
                )

    def _amount(self, at_bol: Mapping[str, Any]) -> int | None:
        """Work out the amount anew, from bol's truth and the host's stock."""
        ean = at_bol["ean"]
        product = self.session.scalar(
            select(Product).join(Barcode, Barcode.product_id == Product.id).where(Barcode.code == ean)
        )
        if product is None or not product.stock_known:
            return None
        free = self.session.scalar(
            select(func.sum(Stock.physical - Stock.reserved)).where(Stock.product_id == product.id)
        )
        amount = int(free or 0) - self.settings.safety_stock
        rule = self.session.get(ProductRule, (self.shop.store_id, product.id))
        if rule is not None:
            amount += self.settings.safety_stock - rule.safety_stock
        for order in self.truth["orders"]:
            row, here = self.rows.get(order["orderId"]), self.orders.get(order["orderId"])
            for item in order["orderItems"]:
                if item["product"]["ean"] != ean or item["fulfilment"]["method"] != "FBR":
                    continue
                taken = here is not None and here.state != OrderState.CANCELLED
                if row is not None and row.state in (BolOrderState.FOUND, BolOrderState.WAITING_FOR_PRODUCT):
                    amount -= _open(item)
                    taken = True
                if not self.settings.managed_by_retailer and taken:
                    amount += _open(item)
        return max(0, min(amount, self.settings.max_stock, 999))

    def _warehouse(self) -> Iterator[str]:
        """The host's own books: reserved and allocated are what lines say, and history adds up."""
        open_pieces = OrderLine.quantity - OrderLine.shipped - OrderLine.cancelled
        reserved = dict(
            self.session.execute(
                select(OrderLine.product_id, func.sum(open_pieces)).group_by(OrderLine.product_id)
            ).all()
        )
        allocated = dict(
            self.session.execute(
                select(OrderLine.product_id, func.sum(OrderLine.allocated)).group_by(OrderLine.product_id)
            ).all()
        )
        on_lists = dict(
            self.session.execute(
                select(PicklistLine.product_id, func.sum(PicklistLine.quantity))
                .join(PicklistLine.picklist)
                .where(Picklist.state.in_(OPEN_PICKLISTS))
                .group_by(PicklistLine.product_id)
            ).all()
        )
        history = dict(
            self.session.execute(
                select(StockHistory.product_id, func.sum(StockHistory.physical_change)).group_by(
                    StockHistory.product_id
                )
            ).all()
        )
        for row in self.session.scalars(select(Stock)):
            product = row.product_id
            books = {
                "reserved": (row.reserved, reserved.get(product, 0)),
                "allocated": (row.allocated, allocated.get(product, 0)),
                "on picklists": (row.allocated, on_lists.get(product, 0)),
                "physical": (row.physical, history.get(product, 0)),
            }
            for what, (here, counted) in books.items():
                if here != counted:
                    yield f"product {product}: {what} is {here}, counted {counted}"
        shipped = dict(
            self.session.execute(
                select(ShipmentLine.order_line_id, func.sum(ShipmentLine.quantity))
                .join(ShipmentLine.shipment)
                .where(Shipment.withdrawn_at.is_(None))
                .group_by(ShipmentLine.order_line_id)
            ).all()
        )
        for line in self.session.scalars(select(OrderLine)):
            if line.shipped != shipped.get(line.id, 0):
                yield f"order line {line.id}: {line.shipped} shipped, parcels hold {shipped.get(line.id, 0)}"
            if line.shipped + line.cancelled + line.allocated > line.quantity:
                yield f"order line {line.id}: more shipped, cancelled and allocated than ordered"

    def _pages(self) -> Iterator[str]:
        """Nothing failed in silence."""
        for row in self.session.scalars(select(EventDelivery).where(EventDelivery.parked_at.is_not(None))):
            yield f"event {row.kind} {row.subject} is parked: {row.error}"
        failed = select(Notification).where(Notification.kind == "host.job")
        for notice in self.session.scalars(failed):
            # A cut connection ends a job, and people hear of it.
            if not notice.body.startswith(CUT) and f":{self.shop.store_id}:" in notice.key:
                yield f"a job failed in a way that nobody foresaw: {notice.key} {notice.body}"
        if self.store.problem:
            yield f"the store still has a problem: {self.store.problem}"


def _open(item: Item) -> int:
    return int(item["quantity"] - item["quantityShipped"] - item["quantityCancelled"])
