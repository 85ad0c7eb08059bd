"""Runs sql/invariants/*.sql: each returns no row in a healthy ledger, else its first offender."""

from typing import NamedTuple

from nostro.store.database import Database
from nostro.store.queries import load_invariants

# A check reads every row of the ledger; the bound only keeps a forgotten one from running for ever.
LONGEST_CHECK_S = 24 * 3600.0


class InvariantReport(NamedTuple):
    """Per invariant None, or (offender, finding); and how much was looked at."""

    offenders: dict[str, tuple[str, str] | None]
    positions: int
    entries: int


async def check_all(database: Database) -> InvariantReport:
    """One read-only snapshot for all: what is committed meanwhile cannot make one contradict another."""
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute("SET LOCAL statement_timeout = 0")
        # Before a table was first analysed the planner takes it for small and would compare row by row.
        await connection.execute("SET LOCAL enable_nestloop = off")
        offenders = {}
        for name, query in load_invariants().items():
            row = await connection.fetchrow(query, timeout=LONGEST_CHECK_S)
            offenders[name] = (row["offender"], row["finding"]) if row else None
        positions = await connection.fetchval("SELECT position FROM journal_head", timeout=LONGEST_CHECK_S)
        entries = await connection.fetchval("SELECT count(*) FROM entries", timeout=LONGEST_CHECK_S)
    return InvariantReport(offenders, positions, entries)
