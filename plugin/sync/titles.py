"""Names of products, read from bol's catalogue in their own time: an import does not wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from plugin.connector import BadRequest, BolError
from plugin.models import Offer
from plugin.sync.context import CALL_SECONDS, Context
from plugin.sync.failures import come_back, line_is_down
from plugin.sync.parallel import in_flight

AT_ONCE = 8
BATCH = 100
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(days=1)


def due_titles(store_id: int, now: datetime) -> list[Any]:
    """Return the conditions of offers whose name is to be read now."""
    return [Offer.store_id == store_id, Offer.title_due_at <= now]


def read_titles(ctx: Context) -> bool:
    """Read the names that are due, several at a time, and name the products. True when some are left."""
    if not ctx.active:
        return False
    while not ctx.lease.slice_over():
        with ctx.host.reading() as session:
            due = session.execute(
                select(Offer.id, Offer.ean, Offer.product_id, Offer.title_attempts)
                .where(*due_titles(ctx.store_id, ctx.now()))
                .order_by(Offer.title_due_at, Offer.id)
                .limit(BATCH)
            ).all()
        if not due:
            return False
        if (down := _read_batch(ctx, due)) is not None:
            _put_off(ctx, down)
            return False
    return True


def _read_batch(ctx: Context, due: Sequence[Any]) -> BolError | None:
    """Read these names; return the error that every further call would meet as well, where there was one."""
    down: BolError | None = None
    for answers in in_flight(
        AT_ONCE, due, lambda row: _title(ctx, row.ean), lambda: ctx.lease.ensure(CALL_SECONDS)
    ):
        with ctx.host.transaction() as session:
            for row, answer in sorted(answers, key=lambda answered: answered[0].id):
                if isinstance(answer, BolError) and line_is_down(answer):
                    down = answer
                    continue
                session.execute(update(Offer).where(Offer.id == row.id).values(_outcome(ctx, row, answer)))
                if isinstance(answer, str) and row.product_id is not None:
                    ctx.host.name_product(row.product_id, answer, row.ean)
    return down


def _title(ctx: Context, ean: str) -> str | None | BolError:
    try:
        return (ctx.client.catalog.title(ean) or "").strip()[:500] or None
    except BolError as error:
        return error


def _outcome(ctx: Context, row: Any, answer: str | None | BolError) -> dict[str, Any]:
    """Return what to keep: the name; nothing where bol has none; or when to ask again, ever later."""
    if isinstance(answer, BolError) and not isinstance(answer, BadRequest):
        pause = min(FIRST_PAUSE * 4 ** min(row.title_attempts, 6), LONGEST_PAUSE)
        return {"title_due_at": ctx.now() + pause, "title_attempts": row.title_attempts + 1}
    named = {"title": answer} if isinstance(answer, str) else {}
    return {"title_due_at": None, **named}


def _put_off(ctx: Context, error: BolError) -> None:
    """Leave all names for later while the line is down."""
    when = max(come_back(error, ctx.now()), ctx.now() + timedelta(seconds=5))
    with ctx.host.transaction() as session:
        session.execute(update(Offer).where(*due_titles(ctx.store_id, ctx.now())).values(title_due_at=when))
