"""What a store knows of new orders, apart from complete reads of the list.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

import plugin.models.base

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("bol_store") as batch_op:
        batch_op.add_column(
            sa.Column("orders_known_at", plugin.models.base.UtcDateTime(timezone=True), nullable=True)
        )
        batch_op.add_column(
            sa.Column("orders_known_pages", sa.Integer(), server_default="1", nullable=False)
        )
        batch_op.add_column(
            sa.Column("orders_look_after", plugin.models.base.UtcDateTime(timezone=True), nullable=True)
        )
    op.execute("UPDATE bol_store SET orders_known_at = orders_read_at")


def downgrade() -> None:
    with op.batch_alter_table("bol_store") as batch_op:
        batch_op.drop_column("orders_look_after")
        batch_op.drop_column("orders_known_pages")
        batch_op.drop_column("orders_known_at")
