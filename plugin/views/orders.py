"""The orders of a store at bol, and what became of each."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from plugin.models import BolOrder, BolOrderState
from plugin.settings import StoreSettings
from plugin.sync.cancel_decisions import unanswered
from plugin.sync.deadlines import cancelled_soon, last_soon, threatened
from plugin.sync.matching import find_products
from plugin.sync.order_waits import standings
from plugin.sync.overview import ORDER_STATES, order_state
from plugin.views.base import Answer, BolView, shows
from plugin.views.paging import chosen, listed, read_page

#: The filter for orders that bol cancels within two days.
CANCELLED_SOON = "cancelled soon"
#: The filter for orders of which the customer asks to cancel something.
ASKED = "asked"
#: The filter for orders whose cancellation a person must still carry through, here or at bol.
UNDONE = "undone"


class OrderPages(BolView):
    """Orders of bol."""

    @shows("/<int:store_id>/orders")
    def orders(self, store_id: int) -> Answer:
        """List a store's orders, the newest first; those that bol cancels soon, the most urgent first."""
        store, state = self.store(store_id), chosen("state", (*ORDER_STATES, CANCELLED_SOON, ASKED, UNDONE))
        word = order_state().label("word")
        statement = (
            select(BolOrder, word).where(BolOrder.store_id == store_id).options(selectinload(BolOrder.items))
        )
        if state == CANCELLED_SOON:
            statement = statement.where(cancelled_soon(self.host.now()))
            statement = statement.order_by(BolOrder.cancels_on, BolOrder.id)
        else:
            statement = statement.order_by(BolOrder.id.desc())
        if not state or state in ORDER_STATES:
            statement = statement.where(listed(BolOrder))
        if state == ASKED:
            statement = statement.where(unanswered())
        if state == UNDONE:
            statement = statement.where(BolOrder.undone != "")
        if state in ORDER_STATES:
            statement = statement.where(word == state)
        with self.host.reading() as session:
            page = read_page(session, statement)
            orders = [row for row, _word in page.rows]
            numbers = self.host.order_views(row.host_order_id for row in orders if row.host_order_id)
            eans = [
                item.ean
                for row in orders
                if row.state == BolOrderState.WAITING_FOR_PRODUCT
                for item in row.items
            ]
            known = find_products(self.host, StoreSettings.load(store.settings), eans)
            where = standings(session, orders, numbers)
        return self.page(
            "orders",
            store=store,
            page=page,
            numbers=numbers,
            known=known,
            where=where,
            state=state,
            cancelled_soon=CANCELLED_SOON,
            undone=UNDONE,
            last_soon=last_soon(self.host.now()),
            threatened=threatened,
            order_url=self.host.order_url,
            tab="orders",
        )
