"""What a person must do, over all stores, with the button that does it where it stands."""

from __future__ import annotations

from flask import flash, redirect, request, url_for

from plugin.settings import MAX_CODE
from plugin.sync import attention
from plugin.sync.transporters import doubt
from plugin.texts import gettext as _
from plugin.views import waiting
from plugin.views.base import Answer, BolView, does, shows, telling, who


class AttentionPages(BolView):
    """Tasks."""

    @shows("/attention")
    def attention(self) -> Answer:
        """List what waits for a person."""
        with self.host.reading():
            tasks = waiting.tasks(self.host)
            carriers = attention.carriers_of(self.host, tasks)
            in_the_way = attention.in_the_way_of(self.host, tasks)
            subjects = attention.subjects_of(self.host, tasks)
            hopeless = attention.hopeless_of(self.host, tasks)
        return self.page(
            "attention",
            tasks=tasks,
            carriers=carriers,
            in_the_way=in_the_way,
            subjects=subjects,
            hopeless=hopeless,
        )

    @does("/<int:store_id>/carriers")
    def set_carrier(self, store_id: int) -> Answer:
        """Give a carrier its code at bol; the shipments that wait for it are sent.

        A code that bol has not published is asked about at its field: whoever knows better insists with a tick.
        """
        carrier, code = request.form.get("carrier", ""), request.form.get("code", "").strip()
        if doubt(code) and len(code) <= MAX_CODE and request.form.get("confirmed") != code:
            # Who has no form yet is asked where it stands: among what needs attention.
            place = (
                url_for("bol.show", store_id=store_id, store=store_id, carrier=carrier, code=code)
                if request.form.get("back") == "store"
                else url_for("bol.attention", store=store_id, carrier=carrier, code=code)
            )
            return redirect(place)
        with telling(_("The code is saved, and the shipments that waited for it are sent to bol.")):
            self.actions.set_carrier(store_id, carrier, code, who())
        return self.back_to(url_for("bol.settings", store_id=store_id))

    @does("/<int:store_id>/shipments/<int:effect_id>/try-all-again")
    def try_all_again(self, store_id: int, effect_id: int) -> Answer:
        """Send all shipments again that bol refused for one reason."""
        number = self.actions.try_refused_again(store_id, effect_id)
        if number:
            flash(_("Shipments that are sent to bol again: %(count)s.", count=number), "success")
        else:
            flash(_("Nothing was changed: somebody else decided on these shipments meanwhile."), "warning")
        return self.back_to(url_for("bol.shipments", store_id=store_id))

    @does("/<int:store_id>/orders/<int:row_id>/read-all-again")
    def read_all_again(self, store_id: int, row_id: int) -> Answer:
        """Read all orders again that failed for one reason."""
        number = self.actions.read_failed_again(store_id, row_id)
        flash(_("Orders that are being read from bol again: %(count)s.", count=number), "success")
        return self.back_to(url_for("bol.orders", store_id=store_id, state="failed"))

    @does("/<int:store_id>/waiting-products/link")
    def link_waiting(self, store_id: int) -> Answer:
        """Choose the product that orders wait for."""
        with telling(
            _("The product is linked: the orders that waited for it go on, and later ones find it.")
        ):
            self.actions.link_waiting(store_id, request.form.get("ean", ""), request.form.get("code", ""))
        return self.back_to(url_for("bol.orders", store_id=store_id))
