"""Alembic's entry: runs the steps on the connection that `nostro.store.migrate` opened and locked."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
