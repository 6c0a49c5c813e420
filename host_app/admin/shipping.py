"""Shipping labels at the packing table: what plugins sell, buying it, and following the purchase."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from flask import current_app, session
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from host_app.admin.base import who
from host_app.db import db
from host_app.models import Picklist
from host_app.plugin_api import HostError, LabelSale, OrderNote, ShippingOption
from host_app.plugins import plugins
from host_app.port import host_port
from host_app.questions import questions
from host_app.services import labels
from host_app.wakes import wake

#: How long a page follows a purchase by itself.
FOLLOW_SECONDS = 60
#: Where the session keeps which purchase that is: picklist, moment, and how many labels it had.
WANTED_KEY = "label_wanted"


@dataclass(frozen=True, slots=True)
class Offer:
    """A label that one plugin sells; ``apart``: what of it differs from others with the same title."""

    plugin: str
    option: ShippingOption
    apart: tuple[str, ...] = ()

    def details(self) -> tuple[str, ...]:
        """Return what else there is to say of it; a carrier that its title names is known."""
        carrier = self.option.carrier
        known = {*self.apart, *({carrier} if carrier in self.option.title else ())}
        return tuple(text for text in (carrier, *self.option.details) if text and text not in known)


@dataclass(frozen=True, slots=True)
class Offers:
    """What plugins answered about labels for ``pieces`` (by order line); ``failed``: who could not be asked; ``warnings``:
    what must be known before one is bought."""

    pieces: Mapping[int, int]
    options: tuple[Offer, ...] = ()
    reasons: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def may_have_labels(picklist: Picklist, note: OrderNote) -> bool:
    """Tell, without asking the network, if labels may be on sale for a picklist, of whose order plugins told ``note``."""
    sellers = [name for name in plugins().names if plugins().implements(name, "shipping_options")]
    return (
        bool(picklist.order.source)
        and any(line.order_line.external_ref for line in picklist.lines)
        and any(
            note.labels != LabelSale.NONE or not plugins().implements(name, "order_notes") for name in sellers
        )
    )


def chosen_pieces(form: MultiDict[str, str], left: Mapping[int, int]) -> dict[int, int]:
    """Read for which pieces a label is wanted: those in the form, or all that no label covers yet.

    :raises HostError: that can't be.
    """
    if not any(name.startswith("of-") for name in form):
        chosen = dict(left)
    else:
        texts = {name.removeprefix("of-"): form[name].strip() for name in form if name.startswith("of-")}
        if not all(
            text.isascii() and text.isdigit() and len(text) < 7 for pair in texts.items() for text in pair
        ):
            raise HostError(_("Write pieces as whole numbers."))
        chosen = {int(line_id): int(text) for line_id, text in texts.items() if int(text)}
    if any(count > left.get(line_id, 0) for line_id, count in chosen.items()):
        raise HostError(_("That is more than what has no label yet. Look at the numbers, then ask again."))
    if not chosen:
        raise HostError(_("Choose at least one piece to put a label on."))
    return chosen


def ask_for_offers(picklist_id: int, pieces: Mapping[int, int]) -> Offers:
    """Ask all plugins, outside of any transaction, what labels they sell; bought ones come first, then recommended, then cheap
    ones."""
    db.session.rollback()
    options: list[Offer] = []
    reasons: list[str] = []
    failed: list[str] = []
    warnings: list[str] = []
    for answer in questions().ask("shipping_options", picklist_id=picklist_id, pieces=pieces):
        if answer.failed:
            failed.append(plugins().infos[answer.plugin].title)
        elif answer.value is not None:
            options += [Offer(answer.plugin, option) for option in answer.value.options]
            warnings += filter(None, (answer.value.warning,))
            if not answer.value.options:
                reasons.append(answer.value.reason or _("No label is on offer for these goods."))
    options.sort(key=_worth)
    return Offers(pieces, _told_apart(options), tuple(reasons), tuple(failed), tuple(warnings))


def _told_apart(options: Sequence[Offer]) -> tuple[Offer, ...]:
    alike: dict[str, list[set[str]]] = {}
    for offer in options:
        alike.setdefault(offer.option.title, []).append({offer.option.carrier, *offer.option.details})
    told = []
    for offer in options:
        shared = set.intersection(*alike[offer.option.title])
        texts = (offer.option.carrier, *offer.option.details)
        told.append(replace(offer, apart=tuple(text for text in texts if text and text not in shared)))
    return tuple(told)


def _worth(offer: Offer) -> tuple[bool, bool, bool, Decimal]:
    price = offer.option.price
    return not offer.option.bought, not offer.option.recommended, price is None, price or Decimal(0)


def buy(picklist: Picklist, form: MultiDict[str, str]) -> None:
    """Have a plugin write down that a label is wanted. In a transaction, with the picklist locked.

    :raises HostError: the plugin, or the host, refuses; nothing was bought.
    """
    name, option = form.get("plugin", ""), form.get("option", "")
    if name not in plugins().names or not plugins().implements(name, "request_label"):
        raise HostError(_("This label is not on offer. Show the label options again."))
    pieces = chosen_pieces(form, labels.unlabelled(picklist.lines, picklist.labels))
    try:
        wakes = plugins().call(
            name,
            "request_label",
            host=host_port(),
            picklist_id=picklist.id,
            pieces=pieces,
            option_key=option,
            who=who(),
        )
    except HostError:
        raise
    except Exception as error:
        current_app.logger.exception("plugin %s failed in request_label", name)
        shop = plugins().infos[name].title
        raise HostError(
            _("%(shop)s can't take the purchase at the moment. Nothing was bought.", shop=shop)
        ) from error
    wake(*wakes or ())
    session[WANTED_KEY] = [picklist.id, int(time.time()), len(picklist.labels)]


def follows_purchase(picklist: Picklist) -> bool:
    """Tell if a label was asked for here less than a minute ago and has not come yet."""
    picklist_id, since, had = session.get(WANTED_KEY, (0, 0, 0))
    return picklist_id == picklist.id and time.time() - since < FOLLOW_SECONDS and len(picklist.labels) <= had
