"""Followers; see 0003_followers.sql."""

from nostro.store.upgrade import run_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_script("0003_followers.sql")
