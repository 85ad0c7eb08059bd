"""The life of a transaction; see 0002_life_of_a_transaction.sql."""

from nostro.store.upgrade import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_script("0002_life_of_a_transaction.sql")
