"""Effects whose job died between claiming them and hearing from bol; looked for before anything else is done."""

from __future__ import annotations

from plugin.sync import cancelling, corrections, labels, shipments
from plugin.sync.context import Context


def find_abandoned(ctx: Context) -> bool:
    """Move them to where they get checked, also in a paused store. Nothing is left afterwards."""
    shipments.find_abandoned(ctx)
    cancelling.find_abandoned(ctx)
    corrections.find_abandoned(ctx)
    labels.find_abandoned(ctx)
    return False
