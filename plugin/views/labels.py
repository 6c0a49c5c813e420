"""The labels of a store: what was bought at bol, and where only a person can find out if it was."""

from __future__ import annotations

from flask import request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from plugin.models import BolOrder, EffectState, LabelEffect
from plugin.sync.left_labels import NOT_USED, left_over
from plugin.texts import gettext as _
from plugin.views.base import EVERYONE, Answer, BolView, does, shows, telling, who
from plugin.views.paging import chosen, read_page

LABEL = "/<int:store_id>/labels/<int:effect_id>"


class LabelPages(BolView):
    """Labels of bol."""

    @shows("/<int:store_id>/labels")
    def labels(self, store_id: int) -> Answer:
        """List the labels that were asked for, the newest first."""
        store, state = self.store(store_id), chosen("state", [NOT_USED, *EffectState])
        statement = (
            select(LabelEffect)
            .where(LabelEffect.store_id == store_id)
            .options(joinedload(LabelEffect.order).selectinload(BolOrder.items))
            .order_by(LabelEffect.id.desc())
        )
        if state == NOT_USED:
            statement = statement.where(left_over())
        elif state:
            statement = statement.where(LabelEffect.state == state)
        with self.host.reading() as session:
            page = read_page(session, statement)
            picklists = self.host.labelled_picklists({row.host_picklist_id for (row,) in page.rows})
        return self.page(
            "labels",
            picklists=picklists,
            printed={(id_, label.ref): label for id_, known in picklists.items() for label in known.labels},
            store=store,
            page=page,
            state=state,
            undecided=EffectState.DECISION,
            now=self.host.now(),
            order_url=self.host.order_url,
            tab="labels",
        )

    @does(f"{LABEL}/enter-number")
    def enter_label_number(self, store_id: int, effect_id: int) -> Answer:
        """Fetch a label whose number a person has found in the seller portal."""
        with telling(_("The label is fetched from bol, and appears on the picklist within a minute.")):
            self.actions.enter_label_number(store_id, effect_id, request.form.get("number", ""))
        return self._back_to_labels(store_id)

    @does(f"{LABEL}/buy-again")
    def buy_label_again(self, store_id: int, effect_id: int) -> Answer:
        """Buy a label again that bol has not sold."""
        with telling(_("The label is bought again, and appears on the picklist within a minute.")):
            self.actions.buy_label_again(store_id, effect_id)
        return self._back_to_labels(store_id)

    @does(f"{LABEL}/fetch", EVERYONE)
    def fetch_label(self, store_id: int, effect_id: int) -> Answer:
        """Fetch a label at once that is bought and could not be fetched yet."""
        with telling(_("The label is being fetched, and appears on the picklist within a minute.")):
            self.actions.fetch_label(store_id, effect_id)
        return self._back_to_labels(store_id)

    @does(f"{LABEL}/settled")
    def settle_label(self, store_id: int, effect_id: int) -> Answer:
        """Keep that a label on which nothing travels was settled with bol."""
        with telling(_("Noted: this label is settled.")):
            self.actions.settle_label(store_id, effect_id, who())
        return self._back_to_labels(store_id)

    def _back_to_labels(self, store_id: int) -> Answer:
        return self.back_to(url_for("bol.labels", store_id=store_id, state=request.form.get("state") or None))
