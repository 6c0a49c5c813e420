"""Keep the indexes of lists to lists: SQLite took them for better than those of the few rows that are due.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = ("bol_offer", "bol_order", "bol_shipment_effect")
ALWAYS = sa.text("id > 0")


def upgrade() -> None:
    for table in TABLES:
        op.drop_index(f"ix_{table}_store", table_name=table)
        op.create_index(
            f"ix_{table}_store", table, ["store_id", "id"], sqlite_where=ALWAYS, postgresql_where=ALWAYS
        )


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(f"ix_{table}_store", table_name=table)
        op.create_index(f"ix_{table}_store", table, ["store_id", "id"])
