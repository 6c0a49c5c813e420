"""Keep which marks keep an order from being picked.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("order_mark", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("stops_picking", sa.Boolean(), server_default=sa.false(), nullable=False)
        )


def downgrade() -> None:
    with op.batch_alter_table("order_mark", schema=None) as batch_op:
        batch_op.drop_column("stops_picking")
