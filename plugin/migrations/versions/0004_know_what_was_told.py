"""Know by a code what an order's timeline has told, and not by its words.

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
    with op.batch_alter_table("bol_order_event", schema=None) as batch_op:
        batch_op.add_column(sa.Column("fact", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("bol_order_event", schema=None) as batch_op:
        batch_op.drop_column("fact")
