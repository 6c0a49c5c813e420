"""The shipments of a store: what bol should know, what it has confirmed, and where a person must decide."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from flask import flash, request, url_for
from sqlalchemy import literal_column, or_, select
from sqlalchemy.orm import joinedload

from plugin.models import BolOrder, BolOrderItem, EffectState, ShipmentEffect, TransportEffect
from plugin.settings import StoreSettings
from plugin.sync.cancel_decisions import WITHDRAWN_HERE
from plugin.sync.overview import FOR_A_PERSON
from plugin.sync.packed_anew import withdrawn_at_bol
from plugin.sync.panels import carrier_names
from plugin.sync.refused import hopeless
from plugin.sync.shipped import in_place
from plugin.texts import gettext as _
from plugin.views.base import Answer, BolView, does, shows
from plugin.views.paging import chosen, listed, read_page

#: The filter for all that a person must look at.
NEEDS_YOU = "needs you"
#: The filter for parcels whose corrected carrier or tracking code bol did not take.
NOT_CORRECTED = "not corrected"


class ShipmentPages(BolView):
    """Shipments."""

    @shows("/<int:store_id>/shipments")
    def shipments(self, store_id: int) -> Answer:
        """List what was shipped for a store, the newest first."""
        store = self.store(store_id)
        state = chosen("state", (NEEDS_YOU, NOT_CORRECTED, *(state.value for state in EffectState)))
        statement = (
            select(ShipmentEffect)
            .where(ShipmentEffect.store_id == store_id)
            .options(joinedload(ShipmentEffect.order))
            .order_by(ShipmentEffect.id.desc())
        )
        if not state:
            statement = statement.where(listed(ShipmentEffect))
        if state == NOT_CORRECTED:
            refused = select(TransportEffect.host_shipment_id).where(
                TransportEffect.store_id == store_id, TransportEffect.state == EffectState.REFUSED
            )
            statement = statement.where(ShipmentEffect.host_shipment_id.in_(refused))
        elif state and state != NEEDS_YOU:
            statement = statement.where(ShipmentEffect.state == state)
        with self.host.reading() as session:
            if state == NEEDS_YOU:
                again = self._waiting_again(session, store_id)
                statement = statement.where(
                    or_(ShipmentEffect.state.in_(FOR_A_PERSON), ShipmentEffect.id.in_(again))
                )
            page = read_page(session, statement)
            corrections = session.scalars(
                select(TransportEffect).where(
                    TransportEffect.store_id == store_id,
                    TransportEffect.host_shipment_id.in_([row.host_shipment_id for (row,) in page.rows]),
                )
            ).all()
            no_use = hopeless(session, [row for (row,) in page.rows])
            parcels = _parcels(session, [row for (row,) in page.rows])
            picklists = self.host.labelled_picklists({row.host_picklist_id for (row,) in page.rows})
            instead = in_place(self.host, [row for (row,) in page.rows])
            taken_back = withdrawn_at_bol(self.host, [row for (row,) in page.rows])
            withdrawn = self.host.withdrawn({row.host_shipment_id for (row,) in page.rows})
            items = session.execute(
                select(BolOrderItem.order_id, BolOrderItem.order_item_id, BolOrderItem.title).where(
                    BolOrderItem.order_id.in_({row.order_id for (row,) in page.rows})
                )
            ).all()
        settings = StoreSettings.load(store.settings)
        return self.page(
            "shipments",
            titles={(order_id, item_id): title for order_id, item_id, title in items},
            store=store,
            settings=settings,
            carriers=carrier_names(self.host, settings),
            page=page,
            boxes=_boxes([row for (row,) in page.rows]),
            parcels=parcels,
            picklists=picklists,
            withdrawn=withdrawn,
            taken_back=taken_back,
            instead=instead,
            state=state,
            needs_you=NEEDS_YOU,
            not_corrected=NOT_CORRECTED,
            corrections={row.host_shipment_id: row for row in corrections},
            decidable=FOR_A_PERSON,
            hopeless=no_use,
            order_url=self.host.order_url,
            tab="shipments",
        )

    @does("/<int:store_id>/shipments/<int:effect_id>/try-again")
    def try_again(self, store_id: int, effect_id: int) -> Answer:
        """Send a refused or undecided shipment again."""
        done = self.actions.try_shipment_again(store_id, effect_id)
        self._tell(done, _("The shipment is sent to bol again. Its outcome appears here within a minute."))
        return self._back_to_list(store_id)

    @does("/<int:store_id>/shipments/<int:effect_id>/handled")
    def handled(self, store_id: int, effect_id: int) -> Answer:
        """Close a shipment, or its whole parcel, that a person has dealt with at bol."""
        done = self.actions.shipment_handled(store_id, effect_id, parcel="parcel" in request.args)
        self._tell(done, _("Noted: this shipment was handled elsewhere. Nothing is sent for it any more."))
        return self._back_to_list(store_id)

    @does("/<int:store_id>/corrections/<int:effect_id>/try-again")
    def try_correction_again(self, store_id: int, effect_id: int) -> Answer:
        """Send a correction again that bol did not take."""
        done = self.actions.try_correction_again(store_id, effect_id)
        self._tell(done, _("The correction is sent to bol again. Its outcome appears here within a minute."))
        return self._back_to_list(store_id)

    @does("/<int:store_id>/corrections/<int:effect_id>/handled")
    def correction_handled(self, store_id: int, effect_id: int) -> Answer:
        """Close a correction that a person has dealt with at bol."""
        done = self.actions.correction_handled(store_id, effect_id)
        self._tell(done, _("Noted: this correction was handled elsewhere. Nothing is sent for it any more."))
        return self._back_to_list(store_id)

    def _waiting_again(self, session: Any, store_id: int) -> list[int]:
        """Return the shipments that bol has, whose parcel was withdrawn and whose goods wait here again. In a transaction."""
        rows = session.scalars(
            select(ShipmentEffect)
            .join(BolOrder, BolOrder.id == ShipmentEffect.order_id)
            # The literal words let the database use the index of the few that are not empty.
            .where(
                BolOrder.store_id == store_id,
                literal_column("bol_order.undone <> ''"),
                BolOrder.undone == WITHDRAWN_HERE,
                ShipmentEffect.state == EffectState.CONFIRMED,
            )
        ).all()
        withdrawn = self.host.withdrawn({row.host_shipment_id for row in rows})
        return [row.id for row in rows if row.host_shipment_id in withdrawn]

    def _tell(self, done: bool, text: str) -> None:
        if done:
            flash(text, "success")
        else:
            flash(_("Nothing was changed: somebody else decided on this shipment meanwhile."), "warning")

    def _back_to_list(self, store_id: int) -> Answer:
        return self.back_to(
            url_for("bol.shipments", store_id=store_id, state=request.form.get("state") or None)
        )


def _boxes(rows: Sequence[ShipmentEffect]) -> list[list[ShipmentEffect]]:
    """Return the rows put together by their parcel, where all is told of them alike: people know parcels, bol knows items.

    What a person must decide is decided item by item.
    """
    alike = lambda row: (
        row.host_shipment_id,
        row.state,
        row.error,
        row.transporter_code,
        row.tracking_code,
        row.id if row.state in FOR_A_PERSON else 0,
    )
    return [list(box)[::-1] for _key, box in groupby(rows, alike)]


def _parcels(session: Any, rows: Sequence[ShipmentEffect]) -> dict[int, tuple[int, int]]:
    """Return the place of each parcel among those of its picklist, and how many these are. In a transaction."""
    known: dict[int, list[int]] = {}
    for picklist_id, parcel_id in session.execute(
        select(ShipmentEffect.host_picklist_id, ShipmentEffect.host_shipment_id)
        .where(ShipmentEffect.host_picklist_id.in_({row.host_picklist_id for row in rows}))
        .distinct()
        .order_by(ShipmentEffect.host_shipment_id)
    ):
        known.setdefault(picklist_id, []).append(parcel_id)
    return {
        parcel_id: (place, len(mine)) for mine in known.values() for place, parcel_id in enumerate(mine, 1)
    }
