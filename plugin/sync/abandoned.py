"""Effects whose job died between claiming them and hearing from bol; looked for before anything else is done."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from plugin.models import CancellationEffect, EffectState, LabelEffect, ShipmentEffect, TransportEffect
from plugin.sync import effects
from plugin.sync.context import Context
from plugin.sync.labels import ask_a_person
from plugin.texts import gettext as _


def find_abandoned(ctx: Context) -> bool:
    """Move them to where they get checked, also in a paused store. Nothing is left afterwards."""
    now = ctx.now()
    unknown = {
        "state": EffectState.UNKNOWN,
        "unknown_since": now,
        "due_at": now + effects.FIRST_CHECK,
    }
    with ctx.host.transaction() as session:
        # Nobody can tell if bol has these.
        for model in (ShipmentEffect, CancellationEffect):
            session.execute(update(model).where(*_abandoned(ctx, model)).values(**unknown))
        # A correction is absolute: it is simply sent again.
        session.execute(
            update(TransportEffect)
            .where(*_abandoned(ctx, TransportEffect))
            .values(state=EffectState.WANTED, due_at=now, unknown_since=now)
        )
        # A label may have cost money.
        bought = _abandoned(ctx, LabelEffect)
        for row in session.scalars(
            select(LabelEffect).where(*bought, LabelEffect.label_id.is_(None)).with_for_update()
        ):
            ask_a_person(ctx, row, _("The purchase was interrupted."))
    return False


def _abandoned(ctx: Context, model: Any) -> tuple[Any, ...]:
    """Return the conditions of rows that were claimed under another lease than ours, which must be over by now."""
    return (
        model.store_id == ctx.store_id,
        model.state == EffectState.SENT,
        model.process_status_id.is_(None),
        model.token != ctx.lease.token,
    )
