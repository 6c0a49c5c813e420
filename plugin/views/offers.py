"""The offers of a store: which product each follows, and what bol was told of its stock."""

from __future__ import annotations

from flask import request
from sqlalchemy import select

from plugin.models import Offer
from plugin.settings import StoreSettings
from plugin.sync.overview import OFFER_STATES, offer_state
from plugin.views.base import Answer, BolView, shows
from plugin.views.paging import chosen, read_page


class OfferPages(BolView):
    """Offers."""

    @shows("/<int:store_id>/offers")
    def offers(self, store_id: int) -> Answer:
        """List a store's offers."""
        store, state = self.store(store_id), chosen("state", OFFER_STATES)
        text = request.args.get("q", "").strip()
        word = offer_state().label("word")
        statement = select(Offer, word).where(Offer.store_id == store_id).order_by(Offer.id)
        if state:
            statement = statement.where(word == state)
        if text:
            statement = statement.where(Offer.ean.startswith(text, autoescape=True))
        with self.host.reading() as session:
            page = read_page(session, statement)
            ids = [row.product_id for row, _word in page.rows if row.product_id is not None]
            products, stock = self.host.products(ids), self.host.free_stock(ids)
        return self.page(
            "offers",
            store=store,
            settings=StoreSettings.load(store.settings),
            page=page,
            products=products,
            stock=stock,
            state=state,
            q=text,
            tab="offers",
        )
