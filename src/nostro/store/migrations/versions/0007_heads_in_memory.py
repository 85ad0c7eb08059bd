"""Heads in memory; see 0007_heads_in_memory.sql."""

from nostro.store.upgrade import run_script

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_script("0007_heads_in_memory.sql")
