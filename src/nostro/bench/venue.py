"""Where a workload runs: a server, the PostgreSQL beneath it, the people and accounts on it."""

import http.client
import json
import random
from dataclasses import dataclass

from nostro.bench.options import BenchError, BenchOptions
from nostro.bench.population import Population, populate, settle
from nostro.bench.postgres import Postgres, find
from nostro.bench.progress import Progress
from nostro.bench.seed import Founders, Size, seed
from nostro.bench.server import Target
from nostro.bench.workload import BUSY

PAGE = 50
DEPTH = 9_999 * PAGE
"""Entries before page 10,000."""
_LARGEST_PAGE = 200


@dataclass(slots=True)
class Venue:
    target: Target
    postgres: Postgres | None
    population: Population
    stored_before: int | None
    entries: int | None = None
    """How many entries it was seeded to; None: it was not."""
    deep_cursor: str = ""
    acknowledged: int = 0
    """Transactions answered as done, warm-up included."""

    @property
    def label(self) -> str:
        return "the ledger" if self.entries is None else f"the ledger of {self.entries:,} entries"


def open_venue(target: Target, options: BenchOptions, accounts: int, progress: Progress) -> Venue:
    """With people and accounts that were all made over HTTP."""
    population = populate(target, options, accounts, progress)
    postgres = find(target.data_dir) if target.data_dir is not None else None
    if postgres is not None:
        postgres.keep_log_files()
    return Venue(target, postgres, population, postgres.transactions_stored() if postgres else None)


def seeded_venue(
    target: Target, options: BenchOptions, entries: int, accounts: int, progress: Progress
) -> Venue:
    """With people made over HTTP, and a history of `entries` entries copied in."""
    if target.pid is None or target.data_dir is None:
        raise BenchError("Only a server that the benchmark itself has started is seeded.")
    postgres = find(target.data_dir)
    people = settle(target, options, progress)
    founders = Founders(people.ids, people.system, people.settlement)
    size = Size(entries, min(accounts, entries // 10))
    chance = random.Random(options.seed)  # noqa: S311 - picks accounts, keeps no secret
    seeded = seed(postgres, founders, size, chance, progress)
    progress.begin(f"turning pages of {entries:,} entries", 1)
    depth = min(DEPTH, seeded.busy_entries - PAGE)
    cursor = _cursor_at(target, people.tokens[BUSY], seeded.accounts[BUSY], depth)
    progress.end()
    population = Population(people.tokens, seeded.accounts)
    return Venue(target, postgres, population, postgres.transactions_stored(), entries, cursor)


def _cursor_at(target: Target, token: str, account: str, depth: int) -> str:
    """Where the statement of `account` goes on after its newest `depth` entries, found by turning the pages."""
    connection = http.client.HTTPConnection(target.address, target.port, timeout=30)
    cursor = ""
    try:
        while depth > 0:
            limit = min(depth, _LARGEST_PAGE)
            path = f"/api/accounts/{account}/entries?limit={limit}" + (f"&cursor={cursor}" if cursor else "")
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise BenchError(f"A page of entries was answered with {answer.status}: {body[:300]!r}")
            cursor = json.loads(body)["nextCursor"]
            depth -= limit
    finally:
        connection.close()
    return cursor
