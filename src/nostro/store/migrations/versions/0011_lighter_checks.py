"""Lighter checks; see 0011_lighter_checks.sql."""

from nostro.store.upgrade import run_script

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_script("0011_lighter_checks.sql")
