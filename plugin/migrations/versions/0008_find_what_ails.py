"""Find offers by their reference, those whose EAN needs somebody, and items by their number, by an index.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

AILING = sa.text(
    "CASE WHEN method <> 'FBR' OR state <> 'listed' THEN 0 WHEN ean_problem <> '' THEN 1 WHEN link = 'unlinked' THEN 0"
    " WHEN product_id IS NULL THEN 1 WHEN candidates > 1 AND link <> 'hand' THEN 1 ELSE 0 END = 1"
)


def upgrade() -> None:
    op.create_index("ix_bol_order_item_number", "bol_order_item", ["order_item_id"])
    op.create_index("ix_bol_offer_reference", "bol_offer", ["reference", "store_id"])
    op.create_index(
        "ix_bol_offer_ailing",
        "bol_offer",
        ["store_id", "ean", "ean_problem", "candidates", "link", "product_id", "method", "state"],
        sqlite_where=AILING,
        postgresql_where=AILING,
    )


def downgrade() -> None:
    op.drop_index("ix_bol_offer_ailing", table_name="bol_offer")
    op.drop_index("ix_bol_offer_reference", table_name="bol_offer")
    op.drop_index("ix_bol_order_item_number", table_name="bol_order_item")
