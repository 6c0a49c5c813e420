"""One order of bol: its items, what happened to it, and what a person can decide."""

from __future__ import annotations

from flask import abort, flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from host_app.plugin_api import HostError, OrderState
from plugin.models import (
    BolOrder,
    BolOrderEvent,
    BolOrderState,
    CancellationEffect,
    LabelEffect,
    ShipmentEffect,
    TransportEffect,
)
from plugin.retelling import retold
from plugin.settings import StoreSettings
from plugin.sync.cancel_decisions import (
    REASONS,
    cancelled_here,
    in_the_way,
    may_accept,
    requested,
    still_here,
    wish_of,
)
from plugin.sync.deadlines import last_soon, threatened
from plugin.sync.matching import find_products
from plugin.sync.order_waits import is_dead, next_step, standings, to_put_back
from plugin.sync.overview import order_state
from plugin.sync.packed_anew import withdrawn_at_bol
from plugin.sync.panels import carrier_names
from plugin.sync.shipped import in_place
from plugin.texts import gettext as _
from plugin.texts import ngettext
from plugin.views.base import Answer, BolView, does, may_decide, shows, telling, who

ORDER = "/<int:store_id>/orders/<int:row_id>"


class OrderPage(BolView):
    """An order of bol."""

    @shows(ORDER)
    def order(self, store_id: int, row_id: int) -> Answer:
        """Show an order with its history."""
        store = self.store(store_id)
        with self.host.reading() as session:
            found = session.execute(
                select(BolOrder, order_state())
                .where(BolOrder.id == row_id, BolOrder.store_id == store_id)
                .options(selectinload(BolOrder.items))
            ).first()
            if found is None:
                abort(404)
            row, word = found
            here = self.host.order_views([row.host_order_id]).get(row.host_order_id)
            cancellable = cancelled_here(row, here) if here else []
            picked_url = self.host.picked_url(here.order_id) if here else ""
            known = find_products(
                self.host, StoreSettings.load(store.settings), [item.ean for item in row.items]
            )
            products = self.host.products(
                {*known.values(), *(item.product_id for item in row.items if item.product_id)}
            )
            effects = [
                session.scalars(select(kind).where(kind.order_id == row_id).order_by(kind.id)).all()
                for kind in (ShipmentEffect, TransportEffect, LabelEffect, CancellationEffect)
            ]
            events = session.scalars(
                select(BolOrderEvent).where(BolOrderEvent.order_id == row_id).order_by(BolOrderEvent.id)
            ).all()
            instead = in_place(self.host, effects[0])
            taken_back = withdrawn_at_bol(self.host, effects[0])
            wish = wish_of(self.host, row)
            stands = standings(session, [row], {here.order_id: here} if here else {})[row.id]
        step = next_step(row, here, may_decide=may_decide()) if here else ""
        back = step and here is not None and (to_put_back(row, here) or is_dead(row))
        cancelled = sum(count for _item, count in still_here(row, here)) if here else 0
        gone = here is not None and here.state == OrderState.CANCELLED
        return self.page(
            "order",
            store=store,
            row=row,
            word=word,
            stands=stands,
            here=here,
            here_url=self.host.order_url(row.host_order_id) if here else "",
            known=known,
            products=products,
            linking=row.state == BolOrderState.WAITING_FOR_PRODUCT,
            asked=[] if gone else requested(row),
            in_the_way=in_the_way(here, wish) if here else "",
            may_accept=here is None or may_accept(here, wish),
            picked_url=picked_url,
            next_step=step,
            put_back_url=picked_url if back else "",
            take_off=cancelled if here and may_decide() and not back else 0,
            cancellable=cancellable,
            reasons=REASONS,
            threatened=threatened(row),
            last_soon=last_soon(self.host.now()),
            shipments=effects[0],
            instead=instead,
            taken_back=taken_back,
            corrections=effects[1],
            carriers=carrier_names(self.host, StoreSettings.load(store.settings)),
            labels=effects[2],
            cancellations=effects[3],
            events=events,
            untold=any(retold(event.text) == event.text for event in events),
            now=self.host.now(),
            tab="orders",
        )

    @does(f"{ORDER}/read-again")
    def read_order_again(self, store_id: int, row_id: int) -> Answer:
        """Read the order from bol at once."""
        with telling(_("The order is being read from bol.")):
            self.actions.read_again(store_id, row_id)
        return self._back_to_order(store_id, row_id)

    @does(f"{ORDER}/items/<int:item_id>/link")
    def link_item(self, store_id: int, row_id: int, item_id: int) -> Answer:
        """Choose the product of an item that waits for one."""
        with telling(_("The item is linked. The order goes on when no other item waits for a product.")):
            self.actions.link_item(store_id, row_id, item_id, request.form.get("code", ""))
        return self._back_to_order(store_id, row_id)

    @does(f"{ORDER}/accept-request")
    def accept_request(self, store_id: int, row_id: int) -> Answer:
        """Cancel what the customer asks to cancel."""
        try:
            accepted = self.actions.accept_request(store_id, row_id, who())
        except HostError as error:
            flash(str(error), "danger")
        else:
            told = (
                _("The request is accepted: bol is asked to cancel, and the order is held meanwhile.")
                if accepted
                else _(
                    "Noted: the packer is told on the picklist to put everything back. Then bol is asked to cancel, by itself."
                )
            )
            flash(told, "success")
        return self._back_to_order(store_id, row_id)

    @does(f"{ORDER}/keep")
    def keep_order(self, store_id: int, row_id: int) -> Answer:
        """Ship the order although the customer asks to cancel."""
        with telling(_("The order stays as it is: shipping it is the answer to the customer.")):
            self.actions.keep_order(store_id, row_id, who())
        return self._back_to_order(store_id, row_id)

    @does(f"{ORDER}/take-off")
    def take_off_cancelled(self, store_id: int, row_id: int) -> Answer:
        """Take off the order here what bol cancelled of it."""
        try:
            number = self.actions.take_off_cancelled(store_id, row_id, who())
        except HostError as error:
            flash(str(error), "danger")
        else:
            flash(
                ngettext(
                    "%(num)s piece is taken off the order here, and its stock is free again.",
                    "%(num)s pieces are taken off the order here, and their stock is free again.",
                    number,
                ),
                "success",
            )
        return self._back_to_order(store_id, row_id)

    @does(f"{ORDER}/cancel-at-bol")
    def cancel_at_bol(self, store_id: int, row_id: int) -> Answer:
        """Cancel at bol what was cancelled here."""
        with telling(_("bol is asked to cancel the order.")):
            self.actions.cancel_at_bol(store_id, row_id, request.form.get("reason", ""), who())
        return self._back_to_order(store_id, row_id)

    def _back_to_order(self, store_id: int, row_id: int) -> Answer:
        return self.back_to(url_for("bol.order", store_id=store_id, row_id=row_id))
