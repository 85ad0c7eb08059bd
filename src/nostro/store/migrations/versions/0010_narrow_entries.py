"""Narrow entries; see 0010_narrow_entries.sql."""

from nostro.store.upgrade import run_script

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_script("0010_narrow_entries.sql")
