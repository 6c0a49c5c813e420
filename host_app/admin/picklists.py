"""Picklists: what is to be picked, picking it, buying labels, and closing with one or more parcels."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response as FlaskResponse
from flask import abort, current_app, flash, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import contains_eager, joinedload, selectinload, undefer
from werkzeug.wrappers import Response

from host_app import seats
from host_app.admin.base import HostView, changing, found, notes_on, paged, panels, who
from host_app.admin.closing import (
    CHECKING,
    CLOSING,
    LabelsChanged,
    ParcelDraft,
    SameCode,
    Verdict,
    add_parcel,
    ask_plugins_about,
    first_drafts,
    parcels_of,
    read_drafts,
    refuse_changed_labels,
    remember_carrier,
    remembered_carrier,
    remove_parcel,
    same_codes,
    standing_objection,
    without_code,
)
from host_app.admin.filters import retold
from host_app.admin.security import EVERYONE, begin_reading
from host_app.admin.shipping import (
    Offers,
    ask_for_offers,
    buy,
    chosen_pieces,
    follows_purchase,
    may_have_labels,
)
from host_app.db import db, transaction, utcnow
from host_app.models import (
    Label,
    Order,
    OrderLine,
    OrderMark,
    Picklist,
    PicklistLine,
    Product,
    Shipment,
    ShipmentLine,
)
from host_app.models.picking import OPEN_PICKLISTS, PicklistState
from host_app.plugin_api import HostError, LabelSale
from host_app.plugins import plugins
from host_app.services import labels, picking
from host_app.services.picking import NewParcel
from host_app.wellformed import LARGEST_ID

#: Browsers show PDF files in a page of their own making, which the usual policy would keep from working.
PDF_POLICY = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"


#: So many packers at once are each led to a picklist of their own.
MOST_SEATS = 50
#: The list of those that should have left already.
LATE = "late"
#: The order in which they are to be picked.
URGENT_FIRST = (Order.deadline.is_(None), Order.deadline, Picklist.id)


def late_now() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of picklists that are to be picked and late; the order is joined."""
    return Picklist.state == PicklistState.NEW, Order.deadline < utcnow()


class _CodeTaken(Exception):
    """Somebody else took the same tracking code while the shop was asked."""


class PicklistsView(HostView):
    """Picklists."""

    roles = EVERYONE

    @expose("/")
    def index(self) -> str:
        """List open picklists, the most urgent first; those of them that are late, or those that are done."""
        show = request.args.get("show", "open")
        statement = (
            select(Picklist)
            .join(Picklist.order)
            .options(
                contains_eager(Picklist.order).selectinload(Order.marks),
                selectinload(Picklist.lines).joinedload(PicklistLine.product),
                joinedload(Picklist.warehouse),
            )
        )
        if show == "closed":
            statement = statement.where(Picklist.state.not_in(OPEN_PICKLISTS)).order_by(Picklist.id.desc())
        else:
            shown = late_now() if show == LATE else (Picklist.state.in_(OPEN_PICKLISTS),)
            statement = statement.where(*shown).order_by(*URGENT_FIRST)
        page = paged(statement)
        notes = notes_on(picklist.order_id for picklist in page.rows)
        return str(self.render("host/picklists.html", page=page, notes=notes, show=show))

    @expose("/next")
    def next_one(self) -> Response:
        """Lead to the most urgent picklist that nobody has begun or looks at, in the warehouse of the one that is done."""
        after = request.args.get("after", 0, type=int)
        done = db.session.get(Picklist, after) if 0 < after <= LARGEST_ID else None
        begun = exists().where(PicklistLine.picklist_id == Picklist.id, PicklistLine.picked > 0)
        stopped = exists().where(OrderMark.order_id == Picklist.order_id, OrderMark.stops_picking)
        statement = (
            select(Picklist.id)
            .join(Picklist.order)
            .where(Picklist.state == PicklistState.NEW, ~begun, ~stopped)
            .order_by(*URGENT_FIRST)
            .limit(MOST_SEATS)
        )
        if done is not None:
            statement = statement.where(Picklist.id != done.id, Picklist.warehouse_id == done.warehouse_id)
        waiting = db.session.scalars(statement).all()
        picklist_id = seats.first_free(waiting)
        if picklist_id is not None:
            return _back(picklist_id)
        if waiting:
            flash(
                _("Somebody else has this picklist open, like all others that wait: ask before you pick."),
                "warning",
            )
            return _back(waiting[0])
        flash(_("No other picklist waits that can be picked and that nobody has begun."), "info")
        return redirect(url_for("picklists.index"))

    @expose("/<int:picklist_id>")
    def page(self, picklist_id: int) -> str:
        """Show one picklist, to pick and close it; with label options or the shop's objections if asked for."""
        picklist = found(db.session.get(Picklist, picklist_id))
        if picklist.state != PicklistState.NEW:
            return self._page(picklist_id)
        seats.take(picklist_id)
        if "labels" in request.args:
            try:
                offers = ask_for_offers(picklist_id, chosen_pieces(request.args, _unlabelled(picklist)))
            except HostError as error:
                flash(retold(str(error)), "danger")
                return self._page(picklist_id)
            begin_reading()
            return self._page(picklist_id, offers=offers)
        if "check" in request.args:
            checked = ask_plugins_about(picklist_id)
            begin_reading()
            return self._page(picklist_id, checked=checked)
        return self._page(picklist_id)

    @expose("/<int:picklist_id>/parts")
    def parts(self, picklist_id: int) -> str:
        """Show those parts of the page that change while a label is being bought."""
        return self._page(picklist_id, template="host/picklist_parts.html")

    @expose("/<int:picklist_id>/watched")
    def watched(self, picklist_id: int) -> str:
        """Show those parts of the page that say if the picklist may still be picked."""
        seats.take(picklist_id)
        return self._page(picklist_id, template="host/picklist_watched.html")

    @expose("/<int:picklist_id>/label", methods=["POST"])
    def buy_label(self, picklist_id: int) -> Response:
        """Have a plugin buy a label."""
        with changing():
            picklist = picking.lock_picklist(picklist_id)
            if why := picking.stopped_because(picklist.order_id):
                raise HostError(_("No label is bought. %(why)s", why=why))
            buy(picklist, request.form)
        return redirect(url_for("picklists.page", picklist_id=picklist_id, _anchor="labels"))

    @expose("/<int:picklist_id>/labels/<int:label_id>.pdf")
    def label(self, picklist_id: int, label_id: int) -> Response:
        """Show a bought label, to be printed."""
        label = found(
            db.session.scalar(
                select(Label)
                .where(Label.id == label_id, Label.picklist_id == picklist_id)
                .options(undefer(Label.pdf))
            )
        )
        if not label.pdf:
            # Erased with the address that it showed.
            abort(404)
        return FlaskResponse(
            label.pdf,
            mimetype="application/pdf",
            headers={
                "Content-Disposition": f'inline; filename="label-{picklist_id}-{label_id}.pdf"',
                "Cache-Control": "no-store",
                "Content-Security-Policy": PDF_POLICY,
            },
        )

    @expose("/<int:picklist_id>/pick", methods=["POST"])
    def pick(self, picklist_id: int) -> Response:
        """Note pieces of one line as picked: so many more (or, below zero, fewer)."""
        line_id, pieces = request.form.get("line", type=int), request.form.get("pieces", type=int)
        with changing():
            if line_id is None or pieces is None:
                raise HostError(_("Write pieces as whole numbers."))
            picking.pick_more(picklist_id, line_id, pieces)
        return _back(picklist_id)

    @expose("/<int:picklist_id>/scan", methods=["POST"])
    def scan(self, picklist_id: int) -> Response:
        """Note one piece of the scanned product as picked; or check a bought label, which closes what it covers whole."""
        code = request.form.get("code", "").strip()
        with changing():
            if code and (carrier := labels.carrier_by_code(picklist_id, code)):
                flash(_label_is_right(picklist_id, carrier, code), "success")
                return redirect(url_for("picklists.page", picklist_id=picklist_id, label="right"))
            if code:
                flash(picking.scan(picklist_id, code), "success")
        return _back(picklist_id)

    @expose("/<int:picklist_id>/pick-all", methods=["POST"])
    def pick_all(self, picklist_id: int) -> Response:
        """Note everything as picked."""
        with changing(_("Everything is picked.")):
            picking.pick_all(picklist_id)
        return _back(picklist_id)

    @expose("/<int:picklist_id>/put-back", methods=["POST"])
    def put_back(self, picklist_id: int) -> Response:
        """Note that everything lies on its shelf again."""
        with changing(_("Noted: everything is back on the shelf.")):
            picking.put_all_back(picklist_id)
        return _back(picklist_id)

    @expose("/<int:picklist_id>/slip")
    def slip(self, picklist_id: int) -> Response | str:
        """Show the packing slip, to be printed and put into the parcel; of a picklist that is withdrawn nothing is sent."""
        if found(db.session.get(Picklist, picklist_id)).state == PicklistState.CANCELLED:
            return _back(picklist_id)
        return self._page(picklist_id, template="host/packing_slip.html")

    @expose("/<int:picklist_id>/close")
    def closed(self, picklist_id: int) -> Response:
        """Lead back to the picklist who loads the answer to a closing anew."""
        return _back(picklist_id)

    @expose("/<int:picklist_id>/close", methods=["POST"])
    def close(self, picklist_id: int) -> Response | str:
        """Close the picklist, unless less is picked than asked for and the packer was not told yet, or a plugin objects; or
        add and remove parcels in the form."""
        lines = _lines(picklist_id)
        drafts = read_drafts(request.form, lines)
        if "add_parcel" in request.form:
            return self._page(picklist_id, drafts=add_parcel(drafts, lines))
        if "remove_parcel" in request.form and len(drafts) > 1:
            return self._page(picklist_id, drafts=remove_parcel(drafts))
        try:
            # What can't be closed anyway is said before anyone is asked.
            parcels = parcels_of(drafts)
            self._refuse_changed(picklist_id, drafts)
            if _is_short(picklist_id) and not _knows_of_less():
                picking.refuse_parcels(picklist_id, parcels)
                return self._page(picklist_id, drafts=drafts, short=True)
            if (same := self._same(picklist_id, parcels)) and not same.confirmed:
                picking.refuse_parcels(picklist_id, parcels)
                return self._page(picklist_id, drafts=drafts, same=same)
            verdict = ask_plugins_about(picklist_id)
            if verdict.objections and not _overruled(verdict):
                begin_reading()
                return self._page(picklist_id, drafts=drafts, verdict=verdict)
            with transaction():
                picking.lock_picklist(picklist_id)
                self._refuse_changed(picklist_id, drafts)
                if (same := self._same(picklist_id, parcels)) and not same.confirmed:
                    raise _CodeTaken
                picking.close_picklist(picklist_id, parcels, who=who())
            remember_carrier(parcels)
            for objection in verdict.objections:
                current_app.logger.warning(
                    "%s closed picklist %s in spite of: %s", who(), picklist_id, objection
                )
        except picking.AlreadyClosed as error:
            flash(retold(str(error)), "danger")
            return _back(picklist_id)
        except _CodeTaken:
            begin_reading()
            return self._page(picklist_id, drafts=drafts, same=self._same(picklist_id, parcels))
        except picking.ProductsCode as error:
            flash(retold(str(error)), "danger")
            begin_reading()
            return self._page(picklist_id, drafts=without_code(drafts, error.code))
        except HostError as error:
            flash(retold(str(error)), "danger")
            begin_reading()
            return self._page(picklist_id, drafts=() if isinstance(error, LabelsChanged) else drafts)
        for warning in verdict.warnings:
            flash(warning, "warning")
        return _back(picklist_id)

    def _same(self, picklist_id: int, parcels: Sequence[NewParcel]) -> SameCode | None:
        return same_codes(parcels, labels.unused(picklist_id))

    def _refuse_changed(self, picklist_id: int, drafts: Sequence[ParcelDraft]) -> None:
        """Refuse what the packer has not seen: a pick by somebody else, or a label, after the page was shown."""
        seen = request.form.get("seen")
        picklist = db.session.get(Picklist, picklist_id, populate_existing=True)
        if picklist is None or picklist.state != PicklistState.NEW:
            return
        refuse_changed_labels(drafts, labels.unused(picklist_id))
        if seen != _seen(_lines(picklist_id)):
            raise HostError(
                _("What is picked changed after this page was shown. Look at the numbers, then close again.")
            )

    def _page(
        self,
        picklist_id: int,
        *,
        drafts: Sequence[ParcelDraft] = (),
        verdict: Verdict | None = None,
        checked: Verdict | None = None,
        offers: Offers | None = None,
        short: bool = False,
        same: SameCode | None = None,
        template: str = "host/picklist.html",
    ) -> str:
        shown, failed = panels("picklist_panels", picklist_id=picklist_id)
        picklist = found(
            db.session.scalar(
                select(Picklist)
                .where(Picklist.id == picklist_id)
                .options(
                    joinedload(Picklist.order).selectinload(Order.marks),
                    joinedload(Picklist.order).selectinload(Order.lines),
                    joinedload(Picklist.warehouse),
                    selectinload(Picklist.lines).joinedload(PicklistLine.order_line),
                    selectinload(Picklist.lines)
                    .joinedload(PicklistLine.product)
                    .selectinload(Product.barcodes),
                    selectinload(Picklist.shipments)
                    .selectinload(Shipment.lines)
                    .joinedload(ShipmentLine.order_line)
                    .joinedload(OrderLine.product),
                    selectinload(Picklist.labels),
                )
            )
        )
        marked = bool(picklist.order.marks)
        asked, told = verdict or checked, request.args.get("objected", "")
        if asked is not None:
            told = (CLOSING if verdict else CHECKING) if asked.marked else ""
        unused = [label for label in picklist.labels if label.shipment_id is None]
        note = notes_on([picklist.order_id])[picklist.order_id]
        needs_label = note.labels == LabelSale.NEEDED
        # A carrier of one's own is the exception there, and is not to be proposed.
        usual = "" if needs_label else remembered_carrier()
        stopped = any(mark.stops_picking for mark in picklist.order.marks)
        complete = all(line.picked == line.quantity for line in picklist.lines) and not stopped
        complete = complete and picklist.state == PicklistState.NEW and not (drafts or checked or offers)
        sells, unlabelled, follows = (
            may_have_labels(picklist, note),
            _unlabelled(picklist),
            follows_purchase(picklist),
        )
        return str(
            self.render(
                template,
                picklist=picklist,
                order=picklist.order,
                others=_others(picklist),
                picked=sum(line.picked for line in picklist.lines),
                quantity=sum(line.quantity for line in picklist.lines),
                seen=_seen(picklist.lines),
                drafts=drafts or first_drafts(picklist.lines, unused, usual),
                note=note,
                needs_label=needs_label,
                stopped=stopped,
                # All is in the cart, and its label is what comes next: to buy it, or to scan it.
                label_next=complete and needs_label and sells and bool(unlabelled) and not follows,
                label_closes=complete and len(unused) == 1 and not unlabelled and not picklist.order.marks,
                label_scanned=request.args.get("label") == "right",
                typed=bool(drafts),
                short=short,
                knows_of_less=_knows_of_less(),
                same=same,
                took_same=request.form.get("same", "") if verdict else "",
                verdict=verdict,
                checked=checked,
                objected=standing_objection(told, marked=marked),
                may_check=bool(picklist.order.source) and _asks_shops(),
                unused={label.id: label for label in unused},
                labels_of={label.shipment_id: label for label in picklist.labels},
                products={str(line.order_line_id): line.product for line in picklist.lines},
                sells_labels=sells,
                unlabelled=unlabelled,
                offers=offers,
                follows=follows,
                panels=shown,
                failed=failed,
            )
        )


def _lines(picklist_id: int) -> Sequence[PicklistLine]:
    return db.session.scalars(
        select(PicklistLine)
        .where(PicklistLine.picklist_id == picklist_id)
        .order_by(PicklistLine.id)
        .execution_options(populate_existing=True)
    ).all()


def _others(picklist: Picklist) -> Sequence[Picklist]:
    """Return the open picklists on which the rest of the order of a closed one is."""
    if picklist.state != PicklistState.CLOSED:
        return ()
    return db.session.scalars(
        select(Picklist)
        .where(
            Picklist.order_id == picklist.order_id,
            Picklist.id != picklist.id,
            Picklist.state.in_(OPEN_PICKLISTS),
        )
        .order_by(Picklist.id)
    ).all()


def _unlabelled(picklist: Picklist) -> dict[int, int]:
    return labels.unlabelled(picklist.lines, picklist.labels)


def _asks_shops() -> bool:
    return any(plugins().implements(name, "picklist_closing") for name in plugins().names)


def _seen(lines: Sequence[PicklistLine]) -> str:
    return " ".join(f"{line.id}:{line.picked}" for line in lines)


def _label_is_right(picklist_id: int, carrier: str, code: str) -> str:
    """Say that a scanned label belongs here, and how the picklist is closed."""
    told = _("%(carrier)s %(code)s: the label of this picklist.", carrier=carrier, code=code)
    if _is_short(picklist_id) or not any(line.picked for line in _lines(picklist_id)):
        goes_on = _("Not everything is picked yet: scan the rest, or close below with what there is.")
    else:
        goes_on = _("Press Enter to close.")
    return f"{told} {goes_on}"


def _is_short(picklist_id: int) -> bool:
    """Tell if less is picked of an open picklist than is asked for."""
    picklist = db.session.get(Picklist, picklist_id)
    lines = _lines(picklist_id)
    return (
        picklist is not None
        and picklist.state == PicklistState.NEW
        and 0 < sum(line.picked for line in lines) < sum(line.quantity for line in lines)
    )


def _knows_of_less() -> bool:
    """Tell if the packer was told how much is missing, and closes all the same."""
    return "short" in request.form and request.form["short"] == request.form.get("seen")


def _overruled(verdict: Verdict) -> bool:
    """Tell if the packer saw every one of these objections and closes all the same."""
    return verdict.may_overrule and set(verdict.objections) <= set(request.form.getlist("overruled"))


def _back(picklist_id: int) -> Response:
    return redirect(url_for("picklists.page", picklist_id=picklist_id))
