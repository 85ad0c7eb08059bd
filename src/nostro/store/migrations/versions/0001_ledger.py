"""The ledger's tables, constraints and runtime role: see ../0001_ledger.sql."""

from nostro.store.upgrade import run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_script("0001_ledger.sql")
