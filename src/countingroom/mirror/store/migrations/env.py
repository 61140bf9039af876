"""Environment of alembic. It uses the connection and the transaction of its caller, never its own."""

from __future__ import annotations

from alembic import context

from countingroom.mirror.store.migrating import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], transactional_ddl=True, version_table=VERSION_TABLE
)
with context.begin_transaction():
    context.run_migrations()
