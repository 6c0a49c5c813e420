"""Alembic's entry for the host's tables; the connection comes from ``host_app.migrate``."""

from alembic import context

from host_app.db import Base
from host_app.migrate import is_host_table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    include_object=is_host_table,
    render_as_batch=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
