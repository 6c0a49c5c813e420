"""Products: finding, making and changing them, and their stock."""

from __future__ import annotations

from decimal import Decimal

from flask import abort, flash, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as lazy
from flask_login import current_user
from flask_wtf import FlaskForm
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload, selectinload
from werkzeug.wrappers import Response
from wtforms import DecimalField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from host_app.admin.base import HostView, changing, found, paged, panels, who
from host_app.admin.security import begin_reading
from host_app.db import db, transaction
from host_app.models import Barcode, Product, Stock, StockHistory, Warehouse
from host_app.plugin_api import HostError, NewProduct
from host_app.services import catalog, stock

HISTORY = 50
MOST = 10_000_000


class ProductForm(FlaskForm):
    """A product; barcodes one per line."""

    code = StringField(lazy("Code"), validators=[InputRequired(), Length(max=80)])
    name = StringField(lazy("Name"), validators=[Length(max=500)])
    price = DecimalField(
        lazy("Price including VAT"), places=2, validators=[Optional(), NumberRange(0, Decimal(9999999999))]
    )
    barcodes = TextAreaField(lazy("Barcodes"))

    def barcode_list(self) -> list[str]:
        """Return the barcodes, without spaces that scanners and copying leave behind."""
        return [text for line in (self.barcodes.data or "").splitlines() if (text := line.strip())]


class ProductsView(HostView):
    """Products."""

    @expose("/")
    def index(self) -> str:
        """List products with their stock over all warehouses."""
        text = request.args.get("q", "").strip()
        statement = select(Product).options(selectinload(Product.barcodes)).order_by(Product.code)
        if text:
            statement = statement.where(
                Product.code.icontains(text, autoescape=True)
                | Product.name.icontains(text, autoescape=True)
                | Product.id.in_(select(Barcode.product_id).where(Barcode.code == text))
            )
        page = paged(statement)
        amounts = {
            row.product_id: row
            for row in db.session.execute(
                select(
                    Stock.product_id,
                    func.sum(Stock.physical).label("physical"),
                    func.sum(Stock.reserved).label("reserved"),
                )
                .where(Stock.product_id.in_([product.id for product in page.rows]))
                .group_by(Stock.product_id)
            )
        }
        return str(self.render("host/products.html", page=page, amounts=amounts, q=text))

    @expose("/<int:product_id>")
    def page(self, product_id: int) -> str:
        """Show one product, its stock in each warehouse, and the newest of its history."""
        shown, failed = panels("product_panels", product_id=product_id)
        product = found(
            db.session.scalar(
                select(Product).where(Product.id == product_id).options(selectinload(Product.barcodes))
            )
        )
        stocks = {
            row.warehouse_id: row
            for row in db.session.scalars(select(Stock).where(Stock.product_id == product_id))
        }
        warehouses = db.session.scalars(select(Warehouse).order_by(Warehouse.id)).all()
        history = db.session.scalars(
            select(StockHistory)
            .where(StockHistory.product_id == product_id)
            .options(joinedload(StockHistory.warehouse))
            .order_by(StockHistory.id.desc())
            .limit(HISTORY)
        ).all()
        return str(
            self.render(
                "host/product.html",
                product=product,
                stocks=stocks,
                carts=stock.in_carts(product_id),
                warehouses=warehouses,
                history=history,
                panels=shown,
                failed=failed,
            )
        )

    @expose("/new", methods=["GET", "POST"])
    def new(self) -> Response | str:
        """Make a product."""
        _administrators_only()
        form = ProductForm()
        if form.validate_on_submit():
            try:
                with transaction():
                    product_id = catalog.create_product(
                        NewProduct(
                            form.code.data or "",
                            form.name.data or "",
                            form.price.data,
                            tuple(form.barcode_list()),
                            # Nobody has counted it yet: webshops must not be told 0 pieces.
                            stock=None,
                        ),
                        who=who(),
                    )
            except HostError as error:
                flash(str(error), "danger")
                begin_reading()
            else:
                flash(_("The product is made. Set its stock here."), "success")
                return redirect(url_for("products.page", product_id=product_id))
        return str(self.render("host/product_form.html", form=form, product=None))

    @expose("/<int:product_id>/edit", methods=["GET", "POST"])
    def edit(self, product_id: int) -> Response | str:
        """Change a product."""
        _administrators_only()
        product = found(
            db.session.scalar(
                select(Product).where(Product.id == product_id).options(selectinload(Product.barcodes))
            )
        )
        form = ProductForm(
            code=product.code,
            name=product.name,
            price=product.price,
            barcodes="\n".join(barcode.code for barcode in product.barcodes),
        )
        if form.validate_on_submit():
            try:
                with transaction():
                    catalog.change_product(
                        product_id,
                        code=form.code.data or "",
                        name=form.name.data or "",
                        price=form.price.data,
                        barcodes=form.barcode_list(),
                    )
            except HostError as error:
                flash(str(error), "danger")
                begin_reading()
            else:
                flash(_("The product is saved."), "success")
                return redirect(url_for("products.page", product_id=product_id))
        return str(self.render("host/product_form.html", form=form, product=product))

    @expose("/<int:product_id>/adjust", methods=["POST"])
    def adjust(self, product_id: int) -> Response:
        """Correct the stock in one warehouse."""
        amount, warehouse_id = request.form.get("amount", type=int), request.form.get("warehouse", type=int)
        reason = request.form.get("reason", "").strip()
        how = request.form.get("how")
        with changing(_("The stock is adjusted.")) as session:
            if amount is None or abs(amount) > MOST:
                raise HostError(_("Write the amount as a whole number."))
            if warehouse_id is None or session.get(Warehouse, warehouse_id) is None:
                raise HostError(_("Choose a warehouse."))
            if how not in ("counted", "change"):
                raise HostError(_("Choose if you counted the pieces, or change their number."))
            if not reason:
                raise HostError(_("Write down why the stock is adjusted."))
            stock.adjust_stock(
                product_id,
                warehouse_id,
                change=amount if how == "change" else None,
                set_to=amount if how == "counted" else None,
                seen_on_shelf=request.form.get(f"shelf-{warehouse_id}", type=int),
                reason=reason[:200],
                who=who(),
            )
        return redirect(url_for("products.page", product_id=product_id))


def _administrators_only() -> None:
    if not current_user.is_administrator:
        abort(403)
