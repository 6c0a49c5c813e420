"""Changes of stock, each with its history row and, where free stock changed, its event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from flask_babel import gettext as _
from sqlalchemy import func, insert, select, update

from host_app.db import current_session, insert_if_absent, utcnow
from host_app.events import emit
from host_app.languages import kept_text
from host_app.models import Picklist, PicklistLine, Product, Stock, StockHistory
from host_app.models.picking import OPEN_PICKLISTS
from host_app.plugin_api import FreeStock, HostError, StockChange

CHUNK = 500
#: So much of a person's own reason is kept where a count says beside it what was in carts.
LONGEST_OWN_WORDS = 140


def change_stock(
    product_id: int,
    warehouse_id: int,
    *,
    physical: int = 0,
    reserved: int = 0,
    allocated: int = 0,
    reason: str,
    who: str = "",
) -> int | None:
    """Change stock by these amounts and return the id of the history row (None: only allocated changed).

    Relative SQL, so that changes made at the same time add up.
    """
    session = current_session()
    statement = (
        update(Stock)
        .where(Stock.product_id == product_id, Stock.warehouse_id == warehouse_id)
        .values(
            physical=Stock.physical + physical,
            reserved=Stock.reserved + reserved,
            allocated=Stock.allocated + allocated,
        )
        .returning(Stock.physical, Stock.reserved)
        .execution_options(synchronize_session=False)
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        _add_row(product_id, warehouse_id)
        row = session.execute(statement).one()
    if not physical and not reserved:
        return None
    now = utcnow()
    history_id = session.scalars(
        insert(StockHistory).returning(StockHistory.id),
        {
            "product_id": product_id,
            "warehouse_id": warehouse_id,
            "physical_change": physical,
            "reserved_change": reserved,
            "physical": row.physical,
            "reserved": row.reserved,
            "reason": reason,
            "who": who,
            "at": now,
        },
    ).one()
    if physical != reserved:
        free = session.scalar(
            select(func.sum(Stock.physical - Stock.reserved)).where(Stock.product_id == product_id)
        )
        emit(StockChange(product_id, history_id, int(free or 0), now), f"product:{product_id}")
    return history_id


def _add_row(product_id: int, warehouse_id: int) -> None:
    key = {"product_id": product_id, "warehouse_id": warehouse_id}
    none = {"physical": 0, "reserved": 0, "allocated": 0}
    insert_if_absent(current_session(), Stock, {**key, **none}, list(key))


def adjust_stock(
    product_id: int,
    warehouse_id: int,
    *,
    change: int | None = None,
    set_to: int | None = None,
    seen_on_shelf: int | None = None,
    reason: str,
    who: str,
) -> int | None:
    """Correct the physical stock, by ``change`` pieces or to what was counted on the shelf. The stock is known from then on.

    Picked pieces of open picklists lie in carts: they are no longer on the shelf, and in the stock until their picklist is
    closed. So they are added to what was counted.

    :param seen_on_shelf: what should have been on the shelf when who counted began (see ``on_shelf``).
    :raises HostError: neither or both are given, the result would be negative, or the shelf changed since it was seen.
    """
    session = current_session()
    if (change is None) == (set_to is None):
        raise HostError(_("Give either a change or a counted amount."))
    known = session.scalar(select(Product.stock_known).where(Product.id == product_id))
    if known is None:
        raise HostError(_("This product does not exist."))
    # There first, so that it can be locked: two who count at once must not both begin with nothing.
    _add_row(product_id, warehouse_id)
    now = session.scalars(
        select(Stock.physical)
        .where(Stock.product_id == product_id, Stock.warehouse_id == warehouse_id)
        .with_for_update()
    ).one()
    if change is not None:
        difference = change
    else:
        # Closing a picklist locks this row, too, and picking moves no stock: what is read now belongs to ``now``.
        carts = in_carts(product_id).get(warehouse_id, 0)
        if seen_on_shelf is not None and seen_on_shelf != now - carts:
            raise HostError(
                _(
                    "Not saved: while this page was open, the number on the shelf went from %(before)s to %(now)s "
                    "(picked, put back or adjusted). Count once more.",
                    before=seen_on_shelf,
                    now=now - carts,
                )
            )
        difference = (set_to or 0) + carts - now
        if carts:
            reason = kept_text(
                "%(reason)s: %(count)s on the shelf, %(number)s more in carts",
                reason=reason[:LONGEST_OWN_WORDS],
                count=set_to,
                number=carts,
            )
    if now + difference < 0:
        raise HostError(
            _("There are %(there)s pieces; %(less)s can't be taken away.", there=now, less=-difference)
        )
    if not known:
        session.execute(update(Product).where(Product.id == product_id).values(stock_known=True))
        if not difference:
            # Counted as nothing: plugins must hear that the amount is now known.
            return announce_stock(product_id, warehouse_id, reason, who)
    if not difference:
        return None
    return change_stock(product_id, warehouse_id, physical=difference, reason=reason, who=who)


def in_carts(product_id: int) -> Mapping[int, int]:
    """Return, by warehouse, how many pieces of a product are picked and on their way to be packed."""
    statement = (
        select(Picklist.warehouse_id, func.sum(PicklistLine.picked))
        .join(PicklistLine, PicklistLine.picklist_id == Picklist.id)
        .where(
            Picklist.state.in_(OPEN_PICKLISTS),
            PicklistLine.product_id == product_id,
            PicklistLine.picked > 0,
        )
        .group_by(Picklist.warehouse_id)
    )
    return {warehouse_id: int(picked) for warehouse_id, picked in current_session().execute(statement)}


def announce_stock(product_id: int, warehouse_id: int, reason: str, who: str) -> int:
    """Write a history row without a change, and tell plugins the stock of a product as it is."""
    session = current_session()
    change_stock(product_id, warehouse_id, reason=reason)
    physical, reserved = session.execute(
        select(Stock.physical, Stock.reserved).where(
            Stock.product_id == product_id, Stock.warehouse_id == warehouse_id
        )
    ).one()
    history = StockHistory(
        product_id=product_id, warehouse_id=warehouse_id, physical_change=0, reserved_change=0,
        physical=physical, reserved=reserved, reason=reason, who=who, at=utcnow(),
    )  # fmt: skip
    session.add(history)
    session.flush()
    emit(StockChange(product_id, history.id, physical - reserved, history.at), f"product:{product_id}")
    return history.id


def free_stock(
    product_ids: Iterable[int], warehouse_ids: Sequence[int] | None = None
) -> Mapping[int, FreeStock]:
    """Return the free stock of products in these warehouses (None: all)."""
    session = current_session()
    ids = list(dict.fromkeys(product_ids))
    found: dict[int, FreeStock] = {}
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        in_warehouses = Stock.product_id.in_(chunk)
        if warehouse_ids is not None:
            in_warehouses &= Stock.warehouse_id.in_(list(warehouse_ids))
        amounts = {
            row.product_id: (int(row.free), int(row.reserved))
            for row in session.execute(
                select(
                    Stock.product_id,
                    func.sum(Stock.physical - Stock.reserved).label("free"),
                    func.sum(Stock.reserved).label("reserved"),
                )
                .where(in_warehouses)
                .group_by(Stock.product_id)
            )
        }
        newest = dict(
            session.execute(
                select(StockHistory.product_id, func.max(StockHistory.id))
                .where(StockHistory.product_id.in_(chunk))
                .group_by(StockHistory.product_id)
            ).all()
        )
        known = session.execute(select(Product.id, Product.stock_known).where(Product.id.in_(chunk)))
        for product_id, stock_known in known:
            free, reserved = amounts.get(product_id, (0, 0))
            found[product_id] = FreeStock(free, newest.get(product_id) or 0, stock_known, reserved)
    return found
