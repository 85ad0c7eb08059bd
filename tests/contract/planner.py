"""How PostgreSQL carries a statement out: which tables it reads as a whole, and how many pages it touches.

Pages depend neither on the machine nor on its load. They are counted as the server counts them for each table
and index, because a plan's own count leaves out what triggers read and what is written beside the main query.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import asyncpg

from nostro.store.queries import SQL

# What this connection did since the counters were last handed over, which never happens in a transaction. Of
# tables how often they were read as a whole; of indexes how often they were searched.
_TOUCHED = """
SELECT relname, relkind IN ('r', 'p') AS is_table, pg_stat_get_xact_numscans(oid) AS scans,
       pg_stat_get_xact_blocks_fetched(oid) AS pages
  FROM pg_class WHERE relnamespace <> 'pg_catalog'::regnamespace AND relkind IN ('r', 'p', 'i', 't')
"""


class Planner:
    """A connection with the settings of one of the service's pools, that explains what it runs."""

    def __init__(self, dsn: str, settings: dict[str, str]) -> None:
        self._runner = asyncio.Runner()
        self._connection: Any = self._runner.run(asyncpg.connect(dsn, server_settings=settings))

    def run(self, script: str) -> None:
        self._runner.run(self._connection.execute(script))

    def value(self, query: str) -> Any:
        return self._runner.run(self._connection.fetchval(query))

    def rows(self, query: str) -> list[Any]:
        return list(self._runner.run(self._connection.fetch(query)))

    def prepare(self, name: str, statement: str) -> None:
        self.run(f"PREPARE {name} AS {statement.rstrip(';')}")

    def plan(self, statement: str, *literals: str) -> dict[str, Any]:
        """How the statement was carried out. Nothing that it writes stays."""
        self.prepare("hot", statement)
        self.run("BEGIN")
        plan = self._carried_out("hot", literals)
        self.run("ROLLBACK; DEALLOCATE hot")
        return plan

    def explain(self, name: str, *literals: str) -> tuple[set[str], int]:
        """Tables read as a whole, and pages touched, those of triggers included and the catalog's not."""
        return self.explained(SQL[name], *literals)

    def explained(self, statement: str, *literals: str) -> tuple[set[str], int]:
        self.prepare("hot", statement)
        touched = self.explain_prepared("hot", *literals)
        self.run("DEALLOCATE hot")
        return touched

    def explain_prepared(self, prepared: str, *literals: str) -> tuple[set[str], int]:
        self.run("BEGIN")
        before = {row["relname"]: row for row in self.rows(_TOUCHED)}
        self._carried_out(prepared, literals)
        after = self.rows(_TOUCHED)
        self.run("ROLLBACK")
        pages = sum(row["pages"] - before[row["relname"]]["pages"] for row in after)
        tables = [row for row in after if row["is_table"]]
        return {row["relname"] for row in tables if row["scans"] > before[row["relname"]]["scans"]}, pages

    def _carried_out(self, prepared: str, literals: tuple[str, ...]) -> dict[str, Any]:
        arguments = f"({', '.join(literals)})" if literals else ""
        text = self.value(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {prepared}{arguments}")
        plan: dict[str, Any] = json.loads(text)[0]["Plan"]
        return plan

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes_of(child)
