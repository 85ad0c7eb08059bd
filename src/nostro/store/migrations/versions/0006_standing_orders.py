"""Standing orders; see 0006_standing_orders.sql."""

from nostro.store.upgrade import run_script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_script("0006_standing_orders.sql")
