"""A large ledger made quickly, to measure how size matters: COPY, in the order of time.

What takes the service an hour takes minutes here, because rows go into the tables past it. That is only ever
done to a ledger that the benchmark made for itself and that holds no transaction yet; it needs the superuser of
that server, who alone can silence the triggers (`session_replication_role`), and nothing else in Nostro leads
here. What comes out is a ledger like any other: dense positions, chains of entries, heads that agree, money
that entered through the settlement account. `nostro verify` is asked afterwards and would say otherwise.

Rows are written in the order in which the service would have written them, so that tables and indexes grow as
they do in use. Account 0 is busy: it takes part in four of ten transfers, and so has pages of history to read.
"""

import random
import secrets
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import IO, NamedTuple

from nostro.bench.options import BenchError
from nostro.bench.postgres import Postgres
from nostro.bench.progress import Progress
from nostro.domain.ids import IdSequence

FUNDS_MINOR = 10_000_000_000
"""Per account; no transfer of a run can overdraw it."""
LARGEST_AMOUNT_MINOR = 10_000
BUSY_SHARE = 0.4
"""Of the transfers, in turn paid and received by account 0: a fifth of all entries are its own."""
_APART_US = 10
"""Between two transactions: slower than COPY ever writes them, so that no time lies in the future."""
_CHUNK = 20_000
_CURRENCY = "INR"


@dataclass(frozen=True, slots=True)
class Founders:
    """What was made over HTTP before: the people (ids, in hex) and the settlement account."""

    people: list[str]
    system: str
    settlement: str


class Size(NamedTuple):
    """`entries` in all, at least four for each of the `accounts`."""

    entries: int
    accounts: int


class Seeded(NamedTuple):
    """The ids of the accounts, by place, and how many entries the busy one has."""

    accounts: list[str]
    busy_entries: int


class Draft:
    """The ledger so far: what it would say if asked now. Accounts go by place; -1 is the settlement account."""

    def __init__(self, founders: Founders, accounts: int, position: int, clock_us: int) -> None:
        self.founders = founders
        self.position = position
        self.balances = [0] * (accounts + 1)
        self.seqs = [0] * (accounts + 1)
        self._ids = IdSequence(secrets.token_bytes(5), 0)
        self._clock_us = clock_us
        self._second, self._prefix = -1, ""
        self.began = self.now()
        self.accounts = [self._new_id() for _ in range(accounts)]

    def now(self) -> str:
        """As PostgreSQL reads it."""
        second, rest = divmod(self._clock_us, 1_000_000)
        if second != self._second:
            self._second = second
            self._prefix = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S.")
        return f"{self._prefix}{rest:06d}+00"

    def _next(self) -> tuple[int, str]:
        """The next position in the journal, and its time."""
        self.position += 1
        self._clock_us += _APART_US
        return self.position, self.now()

    def _new_id(self) -> str:
        return self._ids.at(self._clock_us // 1_000_000).hex()

    def _owner_of(self, place: int) -> str:
        people = self.founders.people
        return self.founders.system if place < 0 else people[place % len(people)]

    def open(self, place: int) -> str:
        """The event that opens an account."""
        position, now = self._next()
        owner, account = self._owner_of(place), self.accounts[place]
        details = f'{{"currency": "{_CURRENCY}", "settlement": false}}'
        return f"{position}\t{now}\tACCOUNT_OPENED\t\\\\x{owner}\t\\\\x{owner}\t\\\\x{account}\t{details}"

    def move(self, payer: int, payee: int, amount: int) -> tuple[str, str, str]:
        """The rows of one movement: the transaction and its two entries."""
        position, now = self._next()
        kind = "INITIAL_FUNDS" if payer < 0 else "TRANSFER"
        debit = self.founders.settlement if payer < 0 else self.accounts[payer]
        credit = self.accounts[payee]
        self.balances[payer] -= amount
        self.balances[payee] += amount
        self.seqs[payer] += 1
        self.seqs[payee] += 1
        return (
            (
                f"{position}\t{amount}\t{now}\t{kind}\t{kind}\t\\\\x{self._new_id()}\t\\\\x{self._owner_of(payer)}"
                f"\t\\\\x{debit}\t\\\\x{credit}\t{_CURRENCY}\tseed-{position:012d}\t\\\\x{position:032x}"
            ),
            f"{self.seqs[payer]}\t{position}\t{amount}\t{self.balances[payer]}\t{now}\tDEBIT\t\\\\x{debit}",
            f"{self.seqs[payee]}\t{position}\t{amount}\t{self.balances[payee]}\t{now}\tCREDIT\t\\\\x{credit}",
        )

    def head(self, place: int) -> str:
        """The row of an account."""
        return (
            f"\\\\x{self.accounts[place]}\t\\\\x{self._owner_of(place)}\t{_CURRENCY}\t2\t{self.balances[place]}"
            f"\t{self.seqs[place]}\t0\t{self.began}\t{self.now()}"
        )


def seed(
    postgres: Postgres, founders: Founders, size: Size, chance: random.Random, progress: Progress
) -> Seeded:
    """Fill the ledger behind `postgres` to `size`.

    Account i belongs to person i modulo their number. Raises BenchError for a ledger that is in use.
    """
    database = postgres.ledger_database()
    if database is None or postgres.transactions_stored():
        raise BenchError("Only an empty ledger can be seeded.")
    accounts, transfers = size.accounts, size.entries // 2 - size.accounts
    draft = Draft(founders, accounts, *_beginning(postgres, database))
    progress.begin(f"seeding {size.entries:,} entries", accounts + transfers)
    with _psql(postgres, database) as script:
        _copy(script, _EVENTS, map(draft.open, range(accounts)))
        movements, done = _movements(accounts, transfers, chance), 0
        while rows := [draft.move(*movement) for movement in islice(movements, _CHUNK)]:
            _copy(script, _TRANSACTIONS, (row[0] for row in rows))
            _copy(script, _ENTRIES, (entry for row in rows for entry in row[1:]))
            done += len(rows)
            progress.reach(done)
        _copy(script, _ACCOUNTS, map(draft.head, range(accounts)))
        script.write(_ending(draft).encode())
    progress.end()
    progress.begin("vacuum", 1)
    postgres.program("vacuumdb", "--analyze", "--quiet", database, timeout_seconds=3600)
    postgres.ask("CHECKPOINT")
    progress.end()
    return Seeded(draft.accounts, draft.seqs[0])


def _movements(accounts: int, transfers: int, chance: random.Random) -> Iterator[tuple[int, int, int]]:
    """Payer, payee and amount: first what enters the ledger, then what moves within it."""
    for place in range(accounts):
        yield -1, place, FUNDS_MINOR
    draw = chance.random
    for turn in range(transfers):
        payer = int(draw() * accounts)
        payee = (payer + 1 + int(draw() * (accounts - 1))) % accounts
        if draw() < BUSY_SHARE and payer and payee:
            payer, payee = (0, payee) if turn & 1 else (payer, 0)
        yield payer, payee, 1 + int(draw() * LARGEST_AMOUNT_MINOR)


_EVENTS = "events (position, created_at, kind, actor, user_id, account_id, details)"
_TRANSACTIONS = (
    "transactions (position, amount, created_at, kind, operation, id, requested_by, from_account, to_account,"
    " currency, idempotency_key, request_digest)"
)
_ENTRIES = "entries (seq, position, amount, balance_after, created_at, direction, account_id)"
_ACCOUNTS = "accounts (id, owner, currency, exponent, balance, last_seq, floor, created_at, updated_at)"


def _beginning(postgres: Postgres, database: str) -> tuple[int, int]:
    """The journal's head, and the clock in microseconds."""
    row = postgres.ask(
        "SELECT position, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM journal_head", database
    )[0]
    return int(row[0]), int(row[1])


def _ending(draft: Draft) -> str:
    return (
        f"UPDATE accounts SET balance = {draft.balances[-1]}, last_seq = {draft.seqs[-1]},"  # noqa: S608 - our own
        f" updated_at = '{draft.now()}' WHERE id = '\\x{draft.founders.settlement}';\n"
        f"UPDATE journal_head SET position = {draft.position};\n"
        "COMMIT;\n"
    )


def _copy(script: IO[bytes], table: str, rows: Iterable[str]) -> None:
    script.write(f"COPY {table} FROM STDIN;\n".encode())
    script.write("\n".join([*rows, "\\.\n"]).encode())


@contextmanager
def _psql(postgres: Postgres, database: str) -> Iterator[IO[bytes]]:
    """A script for the superuser, in one transaction: all of it stands, or nothing."""
    command = [str(postgres.binaries / "psql"), *postgres.connection(), "-XqAt", "-v", "ON_ERROR_STOP=1"]
    with subprocess.Popen(  # noqa: S603 - PostgreSQL's own program, no shell
        [*command, "-d", database, "-f", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=postgres.environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            process.stdin.write(b"BEGIN; SET LOCAL session_replication_role = replica;\n")
            yield process.stdin
            process.stdin.close()
        except BrokenPipeError:
            pass  # it says itself why it ended
        said = process.stderr.read().decode("utf-8", "replace").strip()
    if process.returncode != 0:
        raise BenchError(f"The ledger could not be seeded: {said[-500:]}")
