"""Keys by digest; see 0009_keys_by_digest.sql."""

from nostro.store.upgrade import run_script

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_script("0009_keys_by_digest.sql")
