"""Mail; see 0004_mail.sql."""

from nostro.store.upgrade import run_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_script("0004_mail.sql")
