"""Warehouses: adding, renaming, and taking out of use."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import func, or_, select

from host_app.db import current_session
from host_app.models import Stock, Warehouse
from host_app.plugin_api import HostError


def add_warehouse(name: str) -> int:
    """Add a warehouse and return its id.

    :raises HostError: the name is empty or in use.
    """
    warehouse = Warehouse(name=_free_name(name), active=True)
    current_session().add(warehouse)
    current_session().flush()
    return warehouse.id


def change_warehouse(warehouse_id: int, *, name: str, active: bool) -> None:
    """Rename a warehouse, or take it out of use.

    What lies in it would go on being offered, and orders that reserved there would wait for ever: it must be empty first.

    :raises HostError: it does not exist, the name is empty or in use; or it is to be taken out of use and is the last
        one, or not empty.
    """
    session = current_session()
    # All are locked, so that two people can't take the last two out of use at the same time.
    rows = {row.id: row for row in session.scalars(select(Warehouse).with_for_update())}
    warehouse = rows.get(warehouse_id)
    if warehouse is None:
        raise HostError(_("This warehouse does not exist."))
    if not active and not any(row.active for row in rows.values() if row.id != warehouse_id):
        raise HostError(_("This is the last warehouse in use: orders need one."))
    if warehouse.active and not active and (articles := _articles_in(warehouse_id)):
        raise HostError(
            ngettext(
                "%(name)s still has stock, or open orders, of %(num)s product: ship or move them, or count them as 0, first.",
                "%(name)s still has stock, or open orders, of %(num)s products: ship or move them, or count them as 0, first.",
                articles,
                name=warehouse.name,
            )
        )
    warehouse.name, warehouse.active = _free_name(name, warehouse_id), active
    session.flush()


def _articles_in(warehouse_id: int) -> int:
    """Return of how many products a warehouse has stock, or orders that wait for it."""
    used = select(func.count()).where(
        Stock.warehouse_id == warehouse_id, or_(Stock.physical != 0, Stock.reserved != 0)
    )
    return int(current_session().scalar(used) or 0)


def _free_name(name: str, but: int = 0) -> str:
    name = name.strip()[:80]
    if not name:
        raise HostError(_("A warehouse needs a name."))
    taken = select(Warehouse.id).where(Warehouse.name == name, Warehouse.id != but)
    if current_session().scalar(taken) is not None:
        raise HostError(_("There is a warehouse named %(name)s already.", name=name))
    return name
