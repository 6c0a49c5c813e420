"""List a store's offers, orders and shipments in their order, without sorting all of them for a page.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = ("bol_offer", "bol_order", "bol_shipment_effect")


def upgrade() -> None:
    for table in TABLES:
        op.create_index(f"ix_{table}_store", table, ["store_id", "id"])


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(f"ix_{table}_store", table_name=table)
