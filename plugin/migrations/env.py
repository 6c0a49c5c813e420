"""Alembic's entry for the plugin's tables; the host runs it, with its connection and beside its own tables."""

from typing import Any

from alembic import context

from plugin.models import PREFIX, Base


def _is_ours(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    return kind != "table" or (name or "").startswith(PREFIX)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    include_object=_is_ours,
    version_table=f"{PREFIX}alembic_version",
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
