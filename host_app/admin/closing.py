"""What a packer has filled in to close a picklist, and what plugins say to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flask import request, session
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from host_app.carriers import CARRIERS
from host_app.db import db
from host_app.models import Label, PicklistLine, Shipment
from host_app.plugin_api import HostError
from host_app.plugins import plugins
from host_app.questions import questions
from host_app.services import labels
from host_app.services.picking import NewParcel, OtherParcel, parcels_with

MOST_PARCELS = 20
#: Where the session keeps the carrier that was chosen last, and by which user.
CARRIER_KEY = "carrier"


class LabelsChanged(HostError):
    """A label came, or was used, after the page was shown."""


@dataclass(slots=True)
class ParcelDraft:
    """One parcel as it stands in the form; ``pieces`` by picklist line, as typed.

    One with a label has carrier and tracking code of the label.
    """

    carrier: str = ""
    tracking_code: str = ""
    pieces: dict[int, str] = field(default_factory=dict)
    label_id: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What plugins answered: may the parcel leave? Of the objections some are told by marks on the order, too."""

    objections: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    may_overrule: bool = False
    marked: tuple[str, ...] = ()

    @property
    def unmarked(self) -> tuple[str, ...]:
        return tuple(text for text in self.objections if text not in self.marked)


#: What somebody who looks at a picklist was told: that it is not closed, or when the shop was asked, and if that stands on a
#: mark of the order by now; and that it is over.
CLOSING, CHECKING, MARKED, SETTLED = "closing", "checking", "-marked", "settled"


def standing_objection(told: str, *, marked: bool) -> str:
    """Return what became of an objection that was told, by whether the order has marks now."""
    begun = told.removesuffix(MARKED)
    if begun not in (CLOSING, CHECKING, SETTLED):
        return ""
    if marked:
        return (CLOSING if begun == SETTLED else begun) + MARKED
    return SETTLED if told.endswith(MARKED) or begun == SETTLED else begun


@dataclass(frozen=True, slots=True)
class SameCode:
    """Tracking codes of a form that other parcels bear, too: parcels that left, and others in the same form by their numbers.

    ``key`` names exactly these: who takes them all the same sends it.
    """

    left: Mapping[str, OtherParcel]
    within: Mapping[str, tuple[int, ...]]

    @property
    def codes(self) -> tuple[str, ...]:
        return (*self.left, *(code for code in self.within if code not in self.left))

    @property
    def key(self) -> str:
        left = [f"{code}={other.shipment_id}" for code, other in self.left.items()]
        within = [f"{code}={'+'.join(map(str, numbers))}" for code, numbers in self.within.items()]
        return " ".join([*left, "/", *within])

    @property
    def confirmed(self) -> bool:
        """Tell if the packer was asked about these very codes, and takes them."""
        return request.form.get("same") == self.key


def same_codes(parcels: Sequence[NewParcel], unused: Sequence[Label]) -> SameCode | None:
    """Look if the code of a parcel is that of another one. No code is none; a bought label has its own."""
    of_labels = {label.id: label.tracking_code for label in unused}
    typed, seen = [], {}
    for number, parcel in enumerate(parcels, start=1):
        code = parcel.tracking_code.strip()[:80]
        if parcel.label_id is None:
            typed.append(code)
        else:
            code = of_labels.get(parcel.label_id, "")
        if code:
            seen.setdefault(code, []).append(number)
    within = {code: tuple(numbers) for code, numbers in seen.items() if code in typed and len(numbers) > 1}
    found = SameCode(parcels_with(typed), within)
    return found if found.codes else None


def same_code_as(shipment_id: int, code: str) -> SameCode | None:
    """Look if the code to which a parcel is to be corrected is that of another one."""
    before = db.session.scalar(select(Shipment.tracking_code).where(Shipment.id == shipment_id))
    if before == code:
        return None
    left = parcels_with([code], but=shipment_id)
    return SameCode(left, {}) if left else None


def remember_carrier(parcels: Sequence[NewParcel]) -> None:
    """Keep, for who is logged in, which carrier they chose last: their next parcel begins with it."""
    for parcel in parcels:
        if parcel.label_id is None:
            session[CARRIER_KEY] = [current_user.get_id(), parcel.carrier]


def remembered_carrier() -> str:
    """Return the carrier that who is logged in chose last; "" for none, or where somebody else did."""
    kept = session.get(CARRIER_KEY)
    # Sessions of release 0.1.0 and before keep nothing that says whose it is.
    chooser, carrier = kept if isinstance(kept, list) and len(kept) == 2 else (None, "")
    return str(carrier) if chooser == current_user.get_id() and carrier in CARRIERS else ""


def first_drafts(
    lines: Sequence[PicklistLine], unused: Sequence[Label], carrier: str = ""
) -> list[ParcelDraft]:
    """Begin with a parcel for each label that has none yet, and one, by this carrier, for what is picked beside that."""
    left = {line.id: line.picked for line in lines}
    drafts = []
    for label in unused:
        covered = labels.pieces_by_picklist_line(label, lines)
        packed = {line_id: min(count, covered.get(line_id, 0)) for line_id, count in left.items()}
        left = {line_id: count - packed[line_id] for line_id, count in left.items()}
        drafts.append(ParcelDraft(pieces=_texts(packed), label_id=label.id))
    if not drafts or any(left.values()):
        drafts.append(ParcelDraft(carrier, pieces=_texts(left)))
    return drafts


def refuse_changed_labels(drafts: Sequence[ParcelDraft], unused: Sequence[Label]) -> None:
    """Refuse parcels that were filled in without knowing all labels.

    :raises LabelsChanged: there are others by now.
    """
    if {draft.label_id for draft in drafts} - {None} != {label.id for label in unused}:
        raise LabelsChanged(
            _("The labels changed after this page was shown. Look at the parcels, then close again.")
        )


def read_drafts(form: MultiDict[str, str], lines: Sequence[PicklistLine]) -> list[ParcelDraft]:
    """Read the parcels from a form that was sent."""
    count = form.get("parcels", 1, type=int)
    return [
        ParcelDraft(
            form.get(f"carrier-{number}", "").strip(),
            form.get(f"tracking-{number}", "").strip(),
            {line.id: form.get(f"pieces-{number}-{line.id}", "").strip() for line in lines},
            form.get(f"label-{number}", type=int),
        )
        for number in range(max(1, min(count, MOST_PARCELS)))
    ]


def without_code(drafts: Sequence[ParcelDraft], code: str) -> Sequence[ParcelDraft]:
    """Empty the fields that hold this code, so that what is scanned next does not stand behind it."""
    for draft in drafts:
        if draft.tracking_code == code:
            draft.tracking_code = ""
    return drafts


def add_parcel(drafts: list[ParcelDraft], lines: Sequence[PicklistLine]) -> list[ParcelDraft]:
    """Add a parcel with one piece of the fullest one; with the second parcel, everything picked starts in the first."""
    if len(drafts) == 1:
        drafts[0].pieces = _texts({line.id: line.picked for line in lines})
    if len(drafts) < MOST_PARCELS:
        moved = _one_of_the_fullest(drafts)
        pieces = {line.id: "1" if line.id == moved else "0" for line in lines}
        drafts.append(ParcelDraft(drafts[-1].carrier, "", pieces))
    return drafts


def remove_parcel(drafts: Sequence[ParcelDraft]) -> list[ParcelDraft]:
    """Take the last parcel away; what it holds goes into the one before it."""
    *left, gone = drafts
    pieces, more = _held(left[-1]), _held(gone)
    left[-1].pieces |= _texts(
        {line_id: pieces.get(line_id, 0) + count for line_id, count in more.items() if count}
    )
    return left


def _one_of_the_fullest(drafts: Sequence[ParcelDraft]) -> int | None:
    """Take a piece out of the parcel by another carrier that holds the most, and return its line; None where none has two.

    What a label is paid for stays with it, unless somebody moves it.
    """
    fullest = max(
        (draft for draft in drafts if draft.label_id is None),
        key=lambda draft: sum(_held(draft).values()),
        default=None,
    )
    pieces = _held(fullest) if fullest is not None else {}
    if fullest is None or sum(pieces.values()) < 2:
        return None
    line_id = next(line_id for line_id, count in reversed(pieces.items()) if count)
    fullest.pieces[line_id] = str(pieces[line_id] - 1)
    return line_id


def _held(draft: ParcelDraft) -> dict[int, int]:
    """Return the pieces of a parcel; nothing where they are no numbers, which is told when it is closed."""
    try:
        return _numbers(draft.pieces)
    except HostError:
        return {}


def parcels_of(drafts: Sequence[ParcelDraft]) -> list[NewParcel]:
    """Return the parcels to make. A label with nothing in its parcel is not used.

    :raises HostError: a number of pieces is not a number.
    """
    if len(drafts) == 1:
        return [NewParcel(drafts[0].carrier, drafts[0].tracking_code, label_id=drafts[0].label_id)]
    parcels = [
        NewParcel(draft.carrier, draft.tracking_code, _numbers(draft.pieces), draft.label_id)
        for draft in drafts
    ]
    return [parcel for parcel in parcels if parcel.label_id is None or any((parcel.pieces or {}).values())]


def ask_plugins_about(picklist_id: int) -> Verdict:
    """Ask all plugins, outside of any transaction, if the picklist may be closed."""
    db.session.rollback()
    objections: list[str] = []
    marked: list[str] = []
    warnings: list[str] = []
    silent: list[str] = []
    may_overrule = True
    for answer in questions().ask("picklist_closing", picklist_id=picklist_id):
        title = plugins().infos[answer.plugin].title
        if answer.failed:
            silent.append(title)
        elif answer.value is not None:
            objections += answer.value.objections
            marked += answer.value.marked
            warnings += answer.value.warnings
            may_overrule = may_overrule and (answer.value.may_overrule or not answer.value.objections)
    warnings += [_not_asked(title, goes_on=not objections) for title in silent]
    return Verdict(tuple(objections), tuple(warnings), may_overrule, tuple(marked))


def _not_asked(shop: str, *, goes_on: bool) -> str:
    """Say that a shop did not answer; and to go on only where nothing keeps the packer from it."""
    if not goes_on:
        return _("%(shop)s could not be asked whether this order was cancelled meanwhile.", shop=shop)
    return _(
        "%(shop)s could not be asked whether this order was cancelled meanwhile. You can go on: once the picklist is closed, "
        "the shop is told as soon as it answers.",
        shop=shop,
    )


def _numbers(pieces: Mapping[int, str]) -> dict[int, int]:
    if any(text and not (text.isascii() and text.isdigit() and len(text) < 7) for text in pieces.values()):
        raise HostError(_("Write pieces as whole numbers."))
    return {line_id: int(text or 0) for line_id, text in pieces.items()}


def _texts(pieces: Mapping[int, int]) -> dict[int, str]:
    return {line_id: str(count) for line_id, count in pieces.items()}
