"""A warehouse to show: users, products with stock, and what plugins set up beside them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import select

from host_app import migrate
from host_app.config import owner_only_secret
from host_app.db import reading, transaction
from host_app.demo_logins import NAMES, password_file
from host_app.languages import kept_text
from host_app.models import User, Warehouse
from host_app.models.people import Role
from host_app.plugin_api import NewProduct
from host_app.plugins import plugins
from host_app.port import host_port
from host_app.services import catalog

USERS = dict(zip(NAMES, (Role.ADMINISTRATOR, Role.WAREHOUSE), strict=True))

#: Code, name, price, barcode, stock. Most barcodes are those of the demonstration shop, so that its offers find them.
PRODUCTS: Sequence[tuple[str, str, str, str, int]] = (
    ("PAN-24-R", "Braadpan gietijzer 24 cm rood", "64.95", "8712345000011", 14),
    ("PAN-28-K", "Koekenpan keramisch 28 cm", "39.99", "8712345000028", 32),
    ("BED-240-Z", "Dekbedovertrek 240 x 220 zand", "54.50", "8712345000035", 20),
    ("BED-HL-160", "Hoeslaken jersey 160 x 200 wit", "19.95", "8712345000042", 60),
    ("LED-E27-6", "Ledlamp E27 warm wit, 6 stuks", "17.99", "8712345000059", 85),
    ("LAMP-BL-Z", "Bureaulamp met oplader zwart", "44.95", "8712345000066", 9),
    ("SNIJ-38", "Snijplank bamboe 38 x 28 cm", "22.50", "8712345000073", 40),
    ("MES-BLOK-5", "Messenblok met 5 messen", "79.00", "8712345000080", 6),
    ("TAS-F46", "Fietstas dubbel 46 liter", "49.95", "8712345000097", 18),
    ("LAMP-F2", "Fietslampjes voor en achter", "15.95", "8712345000103", 120),
    ("DOOS-M", "Verzenddoos 30 x 20 x 15 cm", "0.89", "8719999000013", 400),
    ("KAART-NL", "Cadeaukaart met envelop", "1.95", "8719999000020", 250),
)


@click.command("demo", hidden=True)
@with_appcontext
def prepare() -> None:
    """Bring the database up to date and set up the demonstration; a second time changes nothing."""
    migrate.upgrade()
    if seed(Path(current_app.instance_path)):
        click.echo("A demonstration warehouse was set up.")
    for name, _ in plugins().call_each("demo", host=host_port()):
        click.echo(f"The plugin {name} is ready for the demonstration.")


def seed(instance: Path) -> bool:
    """Fill an empty warehouse; False where somebody works in it already."""
    with reading() as session:
        if session.scalar(select(User.id).limit(1)) is not None:
            return False
    passwords = {
        username: owner_only_secret(password_file(instance, username), _password) for username in USERS
    }
    with transaction() as session:
        if session.scalar(select(User.id).limit(1)) is not None:
            return False
        for username, role in USERS.items():
            user = User(username=username, role=role, active=True)
            user.set_password(passwords[username])
            session.add(user)
        session.add(Warehouse(name=kept_text("Main warehouse"), active=True))
        session.flush()
        for code, name, price, barcode, stock in PRODUCTS:
            catalog.create_product(
                NewProduct(code, name, Decimal(price), (barcode,), stock, reason=kept_text("first count"))
            )
    return True


def _password() -> str:
    return secrets.token_hex(6)
