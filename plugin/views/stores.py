"""The list of stores, and the page of one: how it is doing, and the buttons for what is done most."""

from __future__ import annotations

from flask import url_for
from sqlalchemy import select

from plugin.models import SettingChange
from plugin.sync import attention, charts, preview, stores
from plugin.sync.overview import overviews
from plugin.texts import gettext as _
from plugin.views import waiting
from plugin.views.base import Answer, BolView, does, shows, telling, who
from plugin.views.paging import chosen


class StorePages(BolView):
    """Stores."""

    @shows("/")
    def index(self) -> Answer:
        """List the stores."""
        found = overviews(self.host)
        with self.host.reading():
            tasks = waiting.tasks(self.host)
        return self.page("stores", stores=found, tasks=tasks)

    @shows("/<int:store_id>/")
    def show(self, store_id: int) -> Answer:
        """Show how a store is doing."""
        found, period = self.overview(store_id), chosen("period", tuple(charts.PERIODS)) or charts.DAY
        with self.host.reading() as session:
            tasks = waiting.tasks(self.host, store_id)
            carriers = attention.carriers_of(self.host, tasks)
            in_the_way = attention.in_the_way_of(self.host, tasks)
            subjects = attention.subjects_of(self.host, tasks)
            hopeless = attention.hopeless_of(self.host, tasks)
            began = found.store.activated_at is not None
            shown = charts.charts(self.host, store_id, period, charts.WAREHOUSE) if began else ()
            chosen_settings = select(SettingChange.id).where(SettingChange.store_id == store_id).limit(1)
            resume = "bol.summary" if session.scalar(chosen_settings) is not None else "bol.settings"
            set_up_at = stores.set_up_at(self.host, found.store)
            ahead = preview.is_ahead(self.host, found.store)
        return self.page(
            "overview",
            it=found,
            store=found.store,
            tasks=tasks,
            carriers=carriers,
            in_the_way=in_the_way,
            subjects=subjects,
            hopeless=hopeless,
            charts=shown,
            period=period,
            resume=resume,
            set_up_at=set_up_at,
            ahead=ahead,
            step=3 if resume == "bol.summary" else 2,
            tab="overview",
        )

    @does("/<int:store_id>/activate")
    def activate(self, store_id: int) -> Answer:
        """Let the store's flows run."""
        with telling(_("The store is active.")):
            self.actions.activate(store_id, who())
        return self._back(store_id)

    @does("/<int:store_id>/pause")
    def pause(self, store_id: int) -> Answer:
        """Stop the store's flows."""
        with telling(_("The store is paused: nothing is imported or sent until you activate it again.")):
            self.actions.pause(store_id, who())
        return self._back(store_id)

    @does("/<int:store_id>/import-orders")
    def import_orders(self, store_id: int) -> Answer:
        """Import orders at once."""
        with telling(_("Orders are being imported. New ones appear under Orders within a minute.")):
            self.actions.import_orders(store_id)
        return self._back(store_id)

    @does("/<int:store_id>/import-products")
    def import_products(self, store_id: int) -> Answer:
        """Read the offers again, and create the products that are missing."""
        with telling(_("Your offers at bol are being read.")):
            self.actions.import_products(store_id)
        return self._back(store_id)

    @does("/<int:store_id>/import-products/<int:run_id>/stop")
    def stop_import(self, store_id: int, run_id: int) -> Answer:
        """End the walk over the offers where it is."""
        with telling(_("The import is stopped. What it did so far stays.")):
            self.actions.stop_run(store_id, run_id)
        return self._back(store_id)

    @does("/<int:store_id>/send-zeros")
    def send_zeros(self, store_id: int) -> Answer:
        """Send the zeros that the guard holds back."""
        with telling(_("They are sent: bol stops selling these offers within seconds.")):
            self.actions.send_zeros_anyway(store_id)
        return self._back(store_id)

    @does("/<int:store_id>/discard-zeros")
    def discard_zeros(self, store_id: int) -> Answer:
        """Leave bol the amounts that the guard kept from going to zero."""
        with telling(
            _("They are not sent: bol goes on selling these offers until their stock here changes.")
        ):
            self.actions.discard_zeros(store_id)
        return self._back(store_id)

    @does("/<int:store_id>/send-zeros-after-all")
    def send_zeros_after_all(self, store_id: int) -> Answer:
        """Send the zeros of all offers that were kept on sale."""
        with telling(_("They are sent: bol stops selling these offers within seconds.")):
            self.actions.send_zeros_after_all(store_id)
        return self._back(store_id)

    def _back(self, store_id: int) -> Answer:
        return self.back_to(url_for("bol.show", store_id=store_id))
