"""The offers of a store: which product each follows, what bol was told of its stock, and what is wrong with EANs."""

from __future__ import annotations

from flask import abort, redirect, request, url_for
from sqlalchemy import ColumnElement, and_, or_, select

from plugin.models import Offer, ProductRule
from plugin.settings import StoreSettings
from plugin.sync import ean_doctor
from plugin.sync.amounts import amounts, is_at_bol, makings
from plugin.sync.context import is_active
from plugin.sync.offer_states import (
    FILTERS,
    UP_TO_DATE,
    WAITING,
    narrowed,
    offer_state,
    seen_otherwise,
    standing,
)
from plugin.texts import gettext as _
from plugin.views.base import Answer, BolView, does, shows, telling
from plugin.views.paging import chosen, listed, read_page

#: bol's ids of offers are UUIDs.
OFFER_ID_LENGTH = 36
OFFER = "/<int:store_id>/offers/<int:row_id>"


def called(store_id: int, text: str) -> ColumnElement[bool]:
    """Return the condition of a store's offers whose EAN begins so, that the seller or bol calls exactly so, or whose
    name has this text in it.

    Numbers and ids are answered by an index. Only for a name all offers of the store are gone through, in the order in
    which they are listed.
    """
    # By adding nothing the store's number is kept from leading to the index of all its offers.
    mine = Offer.store_id + 0 == store_id
    named = Offer.reference.in_({text, text.upper()})
    if text.isascii() and text.isdecimal():
        begins = and_(Offer.ean >= text, Offer.ean < text[:-1] + chr(ord(text[-1]) + 1))
        return and_(mine, or_(begins, named))
    if len(text) == OFFER_ID_LENGTH:
        return and_(Offer.store_id == store_id, Offer.offer_id == text.lower())
    name = Offer.title.icontains(text, autoescape=True)
    return and_(Offer.store_id == store_id, listed(Offer), or_(named, name))


class OfferPages(BolView):
    """Offers."""

    @shows("/<int:store_id>/offers")
    def offers(self, store_id: int) -> Answer:
        """List a store's offers."""
        store, state = self.store(store_id), chosen("state", FILTERS)
        settings = StoreSettings.load(store.settings)
        text = request.args.get("q", "").strip()
        statement = select(Offer, offer_state())
        statement = statement.where(called(store_id, text) if text else Offer.store_id == store_id)
        if state:
            statement = narrowed(statement, state, store_id)
        if not state and not text:
            statement = statement.where(listed(Offer))
        statement = statement.order_by(Offer.id)
        with self.host.reading() as session:
            page = read_page(session, statement)
            rows = [row for row, _word in page.rows]
            ids = [row.product_id for row in rows if row.product_id is not None]
            products = self.host.products(ids)
            stock = self.host.free_stock(ids, settings.stock_warehouses or None)
            wanted = amounts(self.host, store_id, settings, rows)
            seen = seen_otherwise(session, rows)
        sends = settings.send_stock and is_active(store)
        return self.page(
            "offers",
            store=store,
            settings=settings,
            page=page,
            products=products,
            stock=stock,
            wanted=wanted,
            standings={
                row.id: standing(row, word, wanted[row.id], settings, sends=sends, seen=seen)
                for row, word in page.rows
            },
            state=state,
            q=text,
            tab="offers",
        )

    @shows(OFFER)
    def offer(self, store_id: int, row_id: int) -> Answer:
        """Show one offer, and what a person can decide about it."""
        store = self.store(store_id)
        settings = StoreSettings.load(store.settings)
        with self.host.reading() as session:
            found = session.execute(
                select(Offer, offer_state()).where(Offer.id == row_id, Offer.store_id == store_id)
            ).first()
            if found is None:
                abort(404)
            row, word = found
            ids = [] if row.product_id is None else [row.product_id]
            product = self.host.products(ids).get(row.product_id)
            free = self.host.free_stock(ids, settings.stock_warehouses or None).get(row.product_id)
            making = makings(self.host, store_id, settings, [row]).get(row.id)
            wanted = making.amount if making else None
            sends = settings.send_stock and is_active(store)
            rule = session.get(ProductRule, (store_id, row.product_id)) if ids else None
            seen = seen_otherwise(session, [row])
            diagnosis = ean_doctor.diagnose(self.host, store_id, settings, [row])[row.id]
        return self.page(
            "offer",
            store=store,
            settings=settings,
            row=row,
            word=word,
            standing=standing(row, word, wanted, settings, sends=sends, seen=seen),
            # It is about to look different by itself.
            running=sends and word in (WAITING, UP_TO_DATE) and not is_at_bol(row, wanted, settings),
            product=product,
            free=free,
            wanted=wanted,
            making=making,
            safety_stock=None if rule is None else rule.safety_stock,
            diagnosis=diagnosis,
            tab="offers",
        )

    @does(f"{OFFER}/link")
    def link_offer(self, store_id: int, row_id: int) -> Answer:
        """Choose the product of an offer."""
        with telling(_("The offer is linked. It follows this product until you change that.")):
            self.actions.link_offer(store_id, row_id, request.form.get("code", ""))
        return self._back_to_offer(store_id, row_id)

    @does(f"{OFFER}/unlink")
    def unlink_offer(self, store_id: int, row_id: int) -> Answer:
        """Take the product of an offer away."""
        with telling(_("The offer is unlinked. bol was told nothing, and keeps the amount that it has.")):
            self.actions.unlink_offer(store_id, row_id)
        return self._back_to_offer(store_id, row_id)

    @does(f"{OFFER}/match")
    def match_offer(self, store_id: int, row_id: int) -> Answer:
        """Let an offer find its product by EAN again."""
        with telling(_("From now on the offer finds its product by its EAN.")):
            self.actions.match_offer_again(store_id, row_id)
        return self._back_to_offer(store_id, row_id)

    @does(f"{OFFER}/push")
    def push_offer(self, store_id: int, row_id: int) -> Answer:
        """Send an offer's stock at once."""
        with telling(_("The stock is being sent to bol.")):
            self.actions.push_offer(store_id, row_id)
        return self._back_to_offer(store_id, row_id)

    @does(f"{OFFER}/send-zero")
    def send_zero(self, store_id: int, row_id: int) -> Answer:
        """Send the 0 of an offer that was kept on sale."""
        with telling(_("It is sent: bol stops selling this offer within seconds.")):
            self.actions.send_zeros_after_all(store_id, row_id)
        return self._back_to_offer(store_id, row_id)

    @does(f"{OFFER}/exclude")
    def exclude_offer(self, store_id: int, row_id: int) -> Answer:
        """Keep an offer out of stock updates."""
        with telling(_("The offer is kept out: bol keeps the amount that it has.")):
            self.actions.exclude_offer(store_id, row_id, True)
        return self._back_to_offer(store_id, row_id)

    @does(f"{OFFER}/include")
    def include_offer(self, store_id: int, row_id: int) -> Answer:
        """Let an offer into stock updates again."""
        with telling(_("The offer takes part in stock updates again.")):
            self.actions.exclude_offer(store_id, row_id, False)
        return self._back_to_offer(store_id, row_id)

    @does(f"{OFFER}/safety-stock")
    def offer_safety_stock(self, store_id: int, row_id: int) -> Answer:
        """Keep pieces of the offer's product back in this store."""
        typed = request.form.get("pieces", "").strip()
        # A number that can't be read is refused as one that can't be used.
        pieces = None if not typed else int(typed) if typed.isascii() and typed.isdigit() else -1
        with telling(_("The safety stock is saved, for all offers of this product in this store.")):
            self.actions.set_safety_stock(store_id, row_id, pieces)
        return self._back_to_offer(store_id, row_id)

    @shows("/<int:store_id>/eans")
    def eans(self, store_id: int) -> Answer:
        """Show what is wrong with EANs, and what to do about it."""
        store, kind = self.store(store_id), chosen("state", ean_doctor.KINDS)
        settings = StoreSettings.load(store.settings)
        with self.host.reading() as session:
            kinds = ean_doctor.conditions(session, store_id)
            counts = ean_doctor.count(session, kinds)
            page = read_page(session, ean_doctor.ailing(store_id, kinds, kind))
            rows = [row for (row,) in page.rows]
            found = ean_doctor.diagnose(self.host, store_id, settings, rows)
        return self.page(
            "eans",
            store=store,
            settings=settings,
            page=page,
            found=found,
            counts=counts,
            state=kind,
            tab="eans",
        )

    def _back_to_offer(self, store_id: int, row_id: int) -> Answer:
        return redirect(url_for("bol.offer", store_id=store_id, row_id=row_id))
