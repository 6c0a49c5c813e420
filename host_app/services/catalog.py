"""Products and barcodes: creating, changing and finding them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Select, select, update
from sqlalchemy.orm import selectinload

from host_app.db import changed_rows, current_session, utcnow
from host_app.events import emit
from host_app.languages import kept_text
from host_app.models import Barcode, Product, Warehouse
from host_app.plugin_api import HostError, NewProduct, ProductChanged, ProductView
from host_app.services.stock import CHUNK, change_stock


def default_warehouse() -> int:
    """Return the id of the first active warehouse.

    :raises HostError: there is none.
    """
    found = current_session().scalar(
        select(Warehouse.id).where(Warehouse.active).order_by(Warehouse.id).limit(1)
    )
    if found is None:
        raise HostError(_("There is no active warehouse: add one first."))
    return found


def create_product(new: NewProduct, *, who: str = "") -> int:
    """Create a product with its barcodes and stock.

    :raises HostError: the code is empty or in use.
    """
    session = current_session()
    code = new.code.strip()
    if not code:
        raise HostError(_("A product needs a code."))
    if session.scalar(select(Product.id).where(Product.code == code)) is not None:
        raise HostError(_("The product code %(code)s is in use.", code=code))
    product = Product(
        code=code,
        name=new.name.strip() or code,
        price=new.price,
        stock_known=new.stock is not None,
        created_at=utcnow(),
        barcodes=[Barcode(code=barcode) for barcode in _clean(new.barcodes)],
    )
    session.add(product)
    session.flush()
    warehouse_id = new.warehouse_id or default_warehouse()
    change_stock(
        product.id,
        warehouse_id,
        physical=new.stock or 0,
        reason=new.reason or kept_text("new product"),
        who=who,
    )
    emit(ProductChanged(product.id), f"product:{product.id}")
    return product.id


def change_product(
    product_id: int, *, code: str, name: str, price: Decimal | None, barcodes: Sequence[str]
) -> None:
    """Change a product; plugins are told.

    :raises HostError: it does not exist, or the code is empty or in use.
    """
    session = current_session()
    product = session.get(Product, product_id, options=[selectinload(Product.barcodes)], with_for_update=True)
    if product is None:
        raise HostError(_("This product does not exist."))
    code = code.strip()
    if not code:
        raise HostError(_("A product needs a code."))
    if session.scalar(select(Product.id).where(Product.code == code, Product.id != product_id)) is not None:
        raise HostError(_("The product code %(code)s is in use.", code=code))
    before = [product.code, *(barcode.code for barcode in product.barcodes)]
    product.code, product.name, product.price = code, name.strip() or code, price
    wanted = _clean(barcodes)
    for barcode in list(product.barcodes):
        if barcode.code not in wanted:
            product.barcodes.remove(barcode)
    kept = {barcode.code for barcode in product.barcodes}
    product.barcodes.extend(Barcode(code=text) for text in wanted if text not in kept)
    session.flush()
    lost = tuple(text for text in before if text not in (code, *wanted))
    emit(ProductChanged(product_id, lost), f"product:{product_id}")


def name_product(product_id: int, name: str, instead_of: str) -> bool:
    """Name a product that still has the name ``instead_of``; plugins are told. Returns False where it has another."""
    if not (name := name.strip()) or name == instead_of:
        return False
    renamed = update(Product).where(Product.id == product_id, Product.name == instead_of).values(name=name)
    if not changed_rows(current_session(), renamed):
        return False
    emit(ProductChanged(product_id), f"product:{product_id}")
    return True


def products(product_ids: Iterable[int]) -> Mapping[int, ProductView]:
    """Return products by id, barcodes in the order they were added."""
    ids = list(dict.fromkeys(product_ids))
    barcodes: dict[int, list[str]] = {}
    # Columns, not objects: plugins ask for many products, of which they need no more.
    codes = select(Barcode.product_id, Barcode.code).order_by(Barcode.id)
    for product_id, code in _in_chunks(ids, lambda chunk: codes.where(Barcode.product_id.in_(chunk))):
        barcodes.setdefault(product_id, []).append(code)
    statement = select(Product.id, Product.code, Product.name)
    return {
        product_id: ProductView(product_id, code, name, tuple(barcodes.get(product_id, ())))
        for product_id, code, name in _in_chunks(ids, lambda chunk: statement.where(Product.id.in_(chunk)))
    }


def products_by_code(codes: Iterable[str]) -> Mapping[str, int]:
    """Return product ids by product code."""
    statement = select(Product.code, Product.id)
    return dict(_in_chunks(codes, lambda chunk: statement.where(Product.code.in_(chunk))))


def products_by_barcode(barcodes: Iterable[str]) -> Mapping[str, tuple[int, ...]]:
    """Return product ids by barcode, in the order in which the barcodes were added."""
    found: dict[str, tuple[int, ...]] = {}
    statement = select(Barcode.code, Barcode.product_id).order_by(Barcode.id)
    for code, product_id in _in_chunks(barcodes, lambda chunk: statement.where(Barcode.code.in_(chunk))):
        found[code] = (*found.get(code, ()), product_id)
    return found


def _in_chunks(values: Iterable[Any], statement: Callable[[list[Any]], Select[Any]]) -> Iterator[Any]:
    unique = list(dict.fromkeys(values))
    for start in range(0, len(unique), CHUNK):
        yield from current_session().execute(statement(unique[start : start + CHUNK])).all()


def _clean(barcodes: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in (barcode.strip() for barcode in barcodes) if text))
