"""The question at the packing table: does bol still want this parcel?"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update

from host_app.plugin_api import ClosingAnswer, HostPort, PicklistView
from plugin.connector import BolClient, BolError, Deadline
from plugin.models import BolOrder, Store, StoreState
from plugin.settings import StoreSettings
from plugin.sync import bought_labels, label_options
from plugin.sync.context import is_active
from plugin.sync.names import store_of
from plugin.sync.shipped import accounted, shipped_before
from plugin.texts import gettext as _

#: Left of the host's time limit for everything but the call itself.
MARGIN = 0.3


@dataclass(frozen=True, slots=True)
class Packed:
    """One item of the order here, in pieces. leaving: what has left, and what is about to.

    imported: what the order line asked for; cancelled_before: by bol, before that; taken_off: here, by a person.
    kept: a person decided to ship although the customer asks to cancel.
    known: what was known here of its cancellation: pieces that bol cancelled, and if the customer asks to.
    now: of those that are leaving, what is about to. at_bol: what bol must have as shipped by all that is known here; more
    was shipped elsewhere.
    """

    imported: int
    cancelled_before: int
    taken_off: int
    leaving: int
    kept: bool = False
    known: tuple[int, bool] = (0, False)
    now: int = 0
    at_bol: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """What must be asked of bol for a picklist: the order, and what of its items lies on the picklist.

    label_missing: what it lacks of labels of bol, in words.
    """

    store_id: int
    order_id: str
    items: dict[str, Packed]
    may_overrule: bool
    label_missing: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What bol's answer comes to. news: of cancellations, more is known now than the order here tells."""

    answer: ClosingAnswer
    news: bool = False


def question_for(host: HostPort, picklist_id: int) -> Question | None:
    """Return what to ask, or None where the picklist is not bol's or its store does not want to be asked."""
    with host.reading() as session:
        picklist = host.picklist(picklist_id)
        store_id = store_of(picklist.source) if picklist else None
        if picklist is None or store_id is None:
            return None
        store = session.get(Store, store_id)
        if store is None or not is_active(store):
            return None
        settings = StoreSettings.load(store.settings)
        if not settings.check_at_closing:
            return None
        row = session.scalar(
            select(BolOrder).where(BolOrder.store_id == store_id, BolOrder.order_id == picklist.reference)
        )
        if row is None:
            return None
        return Question(
            store_id,
            row.order_id,
            _packed(host, picklist, row),
            settings.overrule_at_closing,
            _missing_label(host, picklist_id),
        )


def label_on_its_way(host: HostPort, picklist_id: int) -> ClosingAnswer | None:
    """Object to closing a picklist whose label is being bought: that is known here, whether bol answers or not."""
    with host.reading():
        told = label_options.on_its_way(host, picklist_id)
    return ClosingAnswer(objections=(told,), may_overrule=True) if told else None


def not_asked(host: HostPort, picklist_id: int) -> ClosingAnswer | None:
    """Say of a picklist of a paused store that bol is not asked, where it would be; None of any other."""
    with host.reading() as session:
        picklist = host.picklist(picklist_id)
        store_id = store_of(picklist.source) if picklist else None
        store = session.get(Store, store_id) if store_id is not None else None
    if store is None or store.state != StoreState.PAUSED:
        return None
    if not StoreSettings.load(store.settings).check_at_closing:
        return None
    told = _(
        "The store is paused: bol was not asked whether this order was cancelled meanwhile. It is told of the parcel once the "
        "store is activated again."
    )
    return ClosingAnswer(warnings=(told,), may_overrule=True)


def _missing_label(host: HostPort, picklist_id: int) -> str:
    """Say what the picklist lacks; where a paid label can be used, that one. In a transaction."""
    missing = label_options.missing_label(host, picklist_id)
    bought = bought_labels.bought_before(host, picklist_id) if missing else ()
    return " ".join(map(bought_labels.told, bought)) or missing


def _packed(host: HostPort, picklist: PicklistView, row: BolOrder) -> dict[str, Packed]:
    """Return the items that are on the picklist. Before the first piece is picked, all of it is about to leave."""
    view = host.order_views([picklist.order_id])[picklist.order_id]
    lines = {line.external_ref: line for line in view.lines if line.order_line_id in picklist.pieces}
    begun = any(line.picked for line in lines.values())
    about_to = {
        line.external_ref: line.picked if begun else picklist.pieces[line.order_line_id]
        for line in lines.values()
    }
    return {
        item.order_item_id: Packed(
            imported=item.imported,
            cancelled_before=item.cancelled_before_import,
            taken_off=line.cancelled,
            leaving=line.shipped + about_to[item.order_item_id],
            kept=item.request_kept,
            known=(item.cancelled, item.cancellation_request),
            now=about_to[item.order_item_id],
            at_bol=shipped_before(item) + accounted(host, item, line),
        )
        for item in row.items
        if (line := lines.get(item.order_item_id)) is not None
    }


def ask(question: Question, client: BolClient, deadline: Deadline) -> Heard:
    """Read the order from bol and object to what was cancelled, or what the customer asks to cancel.

    bol unreachable is a warning: the work goes on, and the shipment's own outcome tells.
    """
    unlabelled = (question.label_missing,) if question.label_missing else ()
    try:
        order = client.orders.get(question.order_id, deadline=deadline)
    except BolError:
        unknown = ClosingAnswer(
            objections=unlabelled,
            warnings=()
            if unlabelled
            else (
                _(
                    "bol could not be asked whether this order was cancelled meanwhile. You can go on: once the picklist is "
                    "closed, bol is told as soon as it answers, and you hear at once if the order was cancelled."
                ),
            ),
            may_overrule=True,
        )
        return Heard(unknown)
    objections, doubled, warnings, news = [], [], [], False
    for item in order.items:
        packed = question.items.get(item.order_item_id)
        if packed is None:
            continue
        name = item.title or item.ean
        news |= (item.quantity_cancelled, item.cancellation_request) != packed.known
        elsewhere = min(item.quantity_shipped - packed.at_bol, packed.now - item.open_quantity)
        if elsewhere > 0:
            news = True
            doubled.append(
                _(
                    "Shipped at bol already, but not from here: %(count)s × %(name)s. Ask before you send it once more.",
                    count=elsewhere,
                    name=name,
                )
            )
        cancelled = item.quantity_cancelled - packed.cancelled_before
        if cancelled > 0 and packed.leaving > packed.imported - cancelled:
            objections.append(
                _("Cancelled at bol: %(count)s × %(name)s. Do not ship it.", count=cancelled, name=name)
            )
        elif cancelled > packed.taken_off:
            warnings.append(
                _(
                    "Cancelled at bol: %(count)s × %(name)s. It is not in this parcel: leave it out.",
                    count=cancelled,
                    name=name,
                )
            )
        elif item.cancellation_request and item.open_quantity and packed.leaving and not packed.kept:
            objections.append(
                _("The customer asks to cancel: %(count)s × %(name)s.", count=item.open_quantity, name=name)
            )
    # Sending without the label, or what may be under way, is the packer's to decide; sending what was cancelled is the
    # administrator's.
    may_overrule = question.may_overrule or not objections
    # What bol has told is marked on the order as soon as that is read.
    marked = (*objections, *doubled)
    return Heard(ClosingAnswer((*marked, *unlabelled), tuple(warnings), may_overrule, marked), news)


def read_order(host: HostPort, question: Question) -> None:
    """Have the order read at once that bol has told something new of, so that lists and pages tell it, too.

    A packer waits: where somebody else works on the order just now, that is left to the next import. In a transaction.
    """
    mine = (BolOrder.store_id == question.store_id, BolOrder.order_id == question.order_id)
    row_id = host.session.scalar(select(BolOrder.id).where(*mine).with_for_update(skip_locked=True))
    if row_id is not None:
        due = {"read_due_at": host.now(), "attempts": 0}
        host.session.execute(update(BolOrder).where(BolOrder.id == row_id).values(due))
