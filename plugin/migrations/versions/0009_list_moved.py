"""Keep when a read of the list of orders moved on, so that one that stood still begins anew.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

import plugin.models.base

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("bol_store") as batch_op:
        batch_op.add_column(
            sa.Column("list_moved_at", plugin.models.base.UtcDateTime(timezone=True), nullable=True)
        )


def downgrade() -> None:
    with op.batch_alter_table("bol_store") as batch_op:
        batch_op.drop_column("list_moved_at")
