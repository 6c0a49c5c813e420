"""The plans that are shown before stock updates and shipments are turned on."""

from __future__ import annotations

from flask import flash, redirect, url_for

from host_app.plugin_api import HostError, HostPort
from plugin.models import RunState
from plugin.sync import runs
from plugin.sync.findings import KIND
from plugin.sync.shipment_plan import shipment_plan
from plugin.sync.stock_plan import made_of, newest_plan
from plugin.texts import gettext as _
from plugin.views.actions import Actions
from plugin.views.base import ADMINISTRATORS, Answer, BolView, does, shows, telling, who
from plugin.views.checks import progress


class PlanPages(BolView):
    """From "Send stock updates", and "Send shipments and update status", is off to on."""

    @shows("/<int:store_id>/stock-plan", roles=ADMINISTRATORS)
    def stock_plan(self, store_id: int) -> Answer:
        """Show what would change at bol."""
        found = self.overview(store_id)
        plan = newest_plan(self.host, store_id, found.settings)
        running = plan.run if plan is not None and plan.run.state == RunState.RUNNING else None
        with self.host.reading():
            ids = {row.product_id for row in plan.rows if row.product_id is not None} if plan else set()
            products = self.host.products(ids)
            made = made_of(self.host, store_id, found.settings, plan.rows) if plan else {}
        return self.page(
            "plan",
            it=found,
            store=found.store,
            settings=found.settings,
            plan=plan,
            products=products,
            made=made,
            progress=progress(running, self.host.now()),
            step=3,
        )

    @does("/<int:store_id>/stock-plan/work-out")
    def work_out_plan(self, store_id: int) -> Answer:
        """Compare bol's list with the stock here, without changing anything."""
        start_plan(self.host, self.actions, store_id)
        return redirect(url_for("bol.stock_plan", store_id=store_id))

    @does("/<int:store_id>/stock-plan/send")
    def send_stock(self, store_id: int) -> Answer:
        """Turn "Send stock updates" on."""
        active = self.overview(store_id).active
        done = (
            _("Stock updates are sent from now on.")
            if active
            else _("Stock updates are sent once the store is active.")
        )
        with telling(done):
            self.actions.start_sending_stock(store_id, who())
        return redirect(url_for("bol.show" if active else "bol.summary", store_id=store_id))

    @shows("/<int:store_id>/shipment-plan", roles=ADMINISTRATORS)
    def shipment_plan(self, store_id: int) -> Answer:
        """Show which parcels would be reported to bol."""
        found = self.overview(store_id)
        return self.page(
            "shipment_plan",
            it=found,
            store=found.store,
            settings=found.settings,
            plan=shipment_plan(self.host, store_id, found.settings),
            step=3,
        )

    @does("/<int:store_id>/shipment-plan/send")
    def send_shipments(self, store_id: int) -> Answer:
        """Turn "Send shipments and update status" on."""
        active = self.overview(store_id).active
        done = (
            _("Shipments are sent from now on.")
            if active
            else _("Shipments are sent once the store is active.")
        )
        with telling(done):
            self.actions.start_sending_shipments(store_id, who())
        return redirect(url_for("bol.show" if active else "bol.summary", store_id=store_id))


def start_plan(host: HostPort, actions: Actions, store_id: int) -> None:
    """Start the dry run that a plan is made from, unless one is under way."""
    with host.reading():
        run = runs.running(host, store_id, KIND)
    if run is not None and run.dry:
        return
    try:
        actions.check_stock(store_id, True, who())
    except HostError as error:
        flash(str(error), "danger")
