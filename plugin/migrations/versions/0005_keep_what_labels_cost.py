"""Keep what bought labels are called and cost.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("bol_label_effect") as batch_op:
        batch_op.add_column(sa.Column("option", sa.String(length=200), server_default="", nullable=False))
        batch_op.add_column(sa.Column("price", sa.Numeric(precision=12, scale=2), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("bol_label_effect") as batch_op:
        batch_op.drop_column("price")
        batch_op.drop_column("option")
