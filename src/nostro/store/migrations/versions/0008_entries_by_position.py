"""Entries by position; see 0008_entries_by_position.sql."""

from nostro.store.upgrade import run_script

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_script("0008_entries_by_position.sql")
