"""Find the items that are open at bol without going through all.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OPEN = sa.text("quantity > shipped + cancelled")


def upgrade() -> None:
    op.create_index(
        "ix_bol_order_item_open", "bol_order_item", ["order_id"], sqlite_where=OPEN, postgresql_where=OPEN
    )


def downgrade() -> None:
    op.drop_index("ix_bol_order_item_open", table_name="bol_order_item")
