"""The plans of the hot statements: through indexes only, reading a bounded number of pages however large the
ledger is. Counted in pages, which do not depend on the machine or its load."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from nostro.domain.account import Account, AccountStatus
from nostro.domain.books import Books, Policy
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount
from nostro.domain.posting import decide
from nostro.domain.requests import Terms
from nostro.domain.user import Caller, Claims, Role
from nostro.ledger.history import MOST_LOOKED_AT
from nostro.ledger.transfers import transfer_request
from nostro.store import optimistic
from nostro.store.arrays import bytes_array, enum_array, plain_array, text_array
from nostro.store.database import _COMMITTER, _WAITS
from nostro.store.optimistic import Basis, Head, KnownCaller
from tests.contract.planner import Planner, nodes_of

ACCOUNTS, TRANSACTIONS = 20_000, 60_000
BATCH = 32

_SEED = f"""
SET session_replication_role = replica;
INSERT INTO users (id, email, name, password_hash, created_at, updated_at)
SELECT decode(lpad(to_hex(n), 24, '0'), 'hex'), 'u' || n || '@example.com', 'U', '', now(), now()
  FROM generate_series(1, 200) AS n;
INSERT INTO accounts (id, owner, currency, exponent, balance, last_seq, floor, created_at, updated_at)
SELECT decode(lpad(to_hex(n), 24, '0'), 'hex'), decode(lpad(to_hex(1 + n % 200), 24, '0'), 'hex'), 'INR', 2,
       1000000, 6, 0, now(), now()
  FROM generate_series(1, {ACCOUNTS}) AS n;
INSERT INTO transactions (position, amount, created_at, kind, operation, id, requested_by, from_account,
                          to_account, currency, idempotency_key, request_digest)
SELECT n, 1, now(), 'TRANSFER', 'TRANSFER', decode(lpad(to_hex(n), 24, '0'), 'hex'),
       decode(lpad(to_hex(1 + n % 200), 24, '0'), 'hex'),
       decode(lpad(to_hex(1 + n % {ACCOUNTS}), 24, '0'), 'hex'),
       decode(lpad(to_hex(1 + (n + 7) % {ACCOUNTS}), 24, '0'), 'hex'), 'INR', 'key-' || n, '\\x00'
  FROM generate_series(1, {TRANSACTIONS}) AS n;
INSERT INTO entries (seq, position, amount, balance_after, created_at, direction, account_id)
SELECT 1 + (position - 1) / {ACCOUNTS}, position, 1, 0, created_at, 'DEBIT', from_account FROM transactions;
INSERT INTO entries (seq, position, amount, balance_after, created_at, direction, account_id)
SELECT 4 + (position - 1) / {ACCOUNTS}, position, 1, 0, created_at, 'CREDIT', to_account FROM transactions;
UPDATE journal_head SET position = {TRANSACTIONS};
SET session_replication_role = DEFAULT;
"""


HOT, COUNTERPART = 10**6, 10**6 + 1
LONG = 30_000
_LONG_HISTORY = f"""
SET session_replication_role = replica;
INSERT INTO accounts (id, owner, currency, exponent, balance, last_seq, floor, created_at, updated_at)
SELECT decode(lpad(to_hex(n), 24, '0'), 'hex'), decode(lpad('1', 24, '0'), 'hex'), 'INR', 2, 1000000, {LONG}, 0,
       now(), now()
  FROM (VALUES ({HOT}), ({COUNTERPART})) AS a (n);
INSERT INTO transactions (position, amount, created_at, kind, operation, id, requested_by, from_account,
                          to_account, currency, idempotency_key, request_digest)
SELECT {TRANSACTIONS} + n, 1, now() + n * interval '1 second', 'TRANSFER', 'TRANSFER',
       decode(lpad(to_hex({TRANSACTIONS} + n), 24, '0'), 'hex'), decode(lpad('1', 24, '0'), 'hex'),
       decode(lpad(to_hex({HOT}), 24, '0'), 'hex'), decode(lpad(to_hex({COUNTERPART}), 24, '0'), 'hex'), 'INR',
       'long-' || n, '\\x00'
  FROM generate_series(1, {LONG}) AS n;
INSERT INTO entries (seq, position, amount, balance_after, created_at, direction, account_id)
SELECT position - {TRANSACTIONS}, position, 1, 0, created_at, side.direction::entry_direction, side.id
  FROM transactions,
       LATERAL (VALUES ('DEBIT', from_account), ('CREDIT', to_account)) AS side (direction, id)
 WHERE position > {TRANSACTIONS};
UPDATE journal_head SET position = {TRANSACTIONS + LONG};
SET session_replication_role = DEFAULT;
"""


@pytest.fixture(scope="module")
def dsn(new_database: Any) -> str:
    """Planned before anything was analysed, as on the day a ledger starts to grow."""
    name: str = new_database()
    planner = Planner(name, {})
    planner.run(_SEED)
    planner.close()
    return name


def _hex(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _quoted(array: str) -> str:
    return "'" + array.replace("'", "''") + "'"


@pytest.fixture(scope="module")
def hot(dsn: str) -> str:
    """The same, with one account that has a long history, and another that has none but for that."""
    planner = Planner(dsn, {})
    planner.run(_LONG_HISTORY)
    planner.close()
    return dsn


IDS = [_hex(1 + 601 * n) for n in range(BATCH)]
OTHERS = [_hex(8 + 601 * n) for n in range(BATCH)]
USER = _hex(3)


def _hot_statements() -> dict[str, tuple[list[str], int]]:
    """Each with its literals and the pages it may touch: a few per row of the batch."""
    keys = [f"new-{n}" for n in range(BATCH)]
    new = [_hex(10**9 + n) for n in range(BATCH)]
    users, digests = [USER] * BATCH, [b"\x00" * 16] * BATCH
    ones, twos = [1] * BATCH, [7] * BATCH
    both = IDS + OTHERS
    return {
        "lock_accounts": ([_quoted(bytes_array(both))], 8 * 2 * BATCH),
        "read_facts": (
            [
                _quoted(bytes_array([USER])),
                _quoted(bytes_array([b"\x00" * 32])),
                _quoted(bytes_array(users)),
                _quoted(enum_array(["TRANSFER"] * BATCH)),
                _quoted(text_array(keys)),
                _quoted(bytes_array(IDS)),
                "NULL",
            ],
            12 * BATCH,
        ),
        "write_batch": (
            [
                "now()",
                *(_quoted(bytes_array(new)), *[_quoted(enum_array(["TRANSFER"] * BATCH))] * 2),
                *(_quoted(bytes_array(users)), _quoted(text_array(keys)), _quoted(bytes_array(digests))),
                *(_quoted(bytes_array(IDS)), _quoted(bytes_array(OTHERS)), _quoted(plain_array(ones))),
                _quoted(enum_array(["INR"] * BATCH)),
                *["'{}'"] * 12,
                *(_quoted(bytes_array(both)), _quoted(plain_array([5] * 2 * BATCH))),
                *(_quoted(plain_array([0] * 2 * BATCH)), _quoted(plain_array(twos * 2))),
                _quoted(plain_array([0] * 2 * BATCH)),
                *(_quoted(bytes_array(both)), _quoted(plain_array(twos * 2))),
                _quoted(plain_array([*range(1, BATCH + 1)] * 2)),
                _quoted(enum_array(["DEBIT"] * BATCH + ["CREDIT"] * BATCH)),
                *(_quoted(plain_array(ones * 2)), _quoted(plain_array([5] * 2 * BATCH))),
                *["'{}'"] * 14,
            ],
            60 * BATCH,
        ),
        "heads_as_they_are": ([_quoted(bytes_array(both))], 8 * 2 * BATCH),
        "callers_as_they_are": ([_quoted(bytes_array([USER, _hex(5)]))], 12),
        "balances_for": (
            [
                _quoted(bytes_array(users)),
                _quoted(bytes_array([b"\x00" * 32] * BATCH)),
                _quoted(bytes_array(IDS)),
            ],
            12 * BATCH,
        ),
        # Before PostgreSQL 17 an index is descended anew for every position.
        "concerned": ([_quoted(plain_array(range(TRANSACTIONS - BATCH, TRANSACTIONS)))], 14 * BATCH),
        "void_tokens": (
            [
                _quoted(bytes_array(users)),
                _quoted(bytes_array([b"\x00" * 32] * BATCH)),
                _quoted(plain_array(ones)),
            ],
            6 * BATCH,
        ),
    }


@pytest.mark.parametrize("name", _hot_statements())
def test_a_hot_statement_reads_through_indexes_and_touches_few_pages(dsn: str, name: str) -> None:
    literals, most = _hot_statements()[name]
    planner = Planner(dsn, _COMMITTER)
    scanned, pages = planner.explain(name, *literals)
    planner.close()
    assert not scanned & {"accounts", "transactions", "entries", "users", "events", "summaries"}, scanned
    assert pages <= most, f"{pages} pages"


class Recorder:
    """In place of a connection: what would be sent, as a statement and its literals."""

    async def fetchrow(self, statement: str, *arguments: Any) -> dict[str, Any]:
        self.statement = statement
        self.literals = [_literal(sent) for sent in arguments]
        return {"before": 0, "moment": datetime.now(UTC), "version": 0, "ctids": "{}"}


def _literal(sent: Any) -> str:
    if isinstance(sent, bytes):
        return _quoted(f"\\x{sent.hex()}")
    return str(sent) if isinstance(sent, int) else _quoted(f"{sent}")


def _one_statement(planner: Planner, *, hold: bool = False, alone: bool = False) -> Recorder:
    """A batch of transfers or holds on the short way, one of which is refused, or a transfer `alone`; every row
    is as it is found."""
    version = planner.value("SELECT xmin::text::bigint FROM accounts LIMIT 1")
    now, claims = datetime.now(UTC), Claims(ObjectId(USER), b"\x00" * 32, 0, 0)
    accounts = {
        ObjectId(one): Account(
            ObjectId(one), claims.user, "INR", 2, AccountStatus.ACTIVE, 10**6, 0, 6, 0, None, False
        )
        for one in [*OTHERS, *IDS]
    }
    caller = Caller(claims.user, Role.CUSTOMER, 0)
    books = Books(now, accounts, {claims.user: caller}, set(), {})
    amounts = [Amount(10**9, 0)] + [Amount(1, 0)] * (BATCH - 1)
    requests = [
        transfer_request(
            claims, f"new-{n}", ObjectId(IDS[n]), ObjectId(OTHERS[n]), amounts[n], terms=Terms(hold=hold)
        )
        for n in range(BATCH)
    ]
    if alone:
        requests = requests[-1:]
        books.accounts = {named: books.accounts[named] for named in requests[0].accounts}
    decide(requests, books, Policy())
    assert len(books.transactions) == (1 if alone else BATCH - 1)
    places = dict(planner.rows("SELECT id, ctid::text FROM accounts"))
    heads = {account: Head(head, version, places[account], now) for account, head in books.accounts.items()}
    refused = [] if alone else [requests[0].scope]
    basis = Basis(heads, {claims.user: KnownCaller(caller, version)}, {claims.digest}, refused)
    recorder = Recorder()
    asyncio.run(optimistic.write_if_unchanged(recorder, optimistic.prepared(books, basis)))
    return recorder


@pytest.mark.parametrize(
    ("hold", "alone"),
    [(False, False), (True, False), (False, True)],
    ids=["transfers", "holds", "one transfer"],
)
def test_the_one_statement_reads_through_indexes_and_touches_few_pages(
    dsn: str, *, hold: bool, alone: bool
) -> None:
    planner = Planner(dsn, _COMMITTER)
    sent = _one_statement(planner, hold=hold, alone=alone)
    scanned, pages = planner.explained(sent.statement, *sent.literals)
    planner.close()
    assert not scanned & {
        "accounts",
        "transactions",
        "entries",
        "users",
        "events",
        "summaries",
        "revoked_tokens",
    }
    assert pages <= (100 if alone else 60 * BATCH), f"{pages} pages"


@pytest.mark.parametrize("settled", [False, True], ids=["new tables", "analysed tables"])
def test_the_one_statement_takes_the_accounts_in_the_order_of_its_array(dsn: str, *, settled: bool) -> None:
    """Everybody takes them in the order of their ids, so that no two writers wait for each other."""
    sent, beneath = _beneath_the_update_of_accounts(dsn, settled=settled)
    assert sent.literals[3] == _quoted(bytes_array(sorted([*IDS, *OTHERS])))
    # From the outermost loop to the innermost: nothing in between brings the elements into another order.
    *outer, inner = [node for node in beneath if node["Node Type"] not in {"CTE Scan", "Nested Loop"}]
    assert [(node["Node Type"], node["Actual Loops"]) for node in outer] == [
        ("Subquery Scan", 1),
        ("ProjectSet", 1),
        ("Result", 1),
    ]
    assert (inner["Node Type"], inner["Relation Name"]) == ("Tid Scan", "accounts")
    assert inner["Actual Loops"] == 2 * BATCH
    assert [node["Actual Rows"] for node in beneath if node["Node Type"] == "CTE Scan"] == [1], "one moment"


@pytest.mark.parametrize("settled", [False, True], ids=["new tables", "analysed tables"])
def test_so_does_that_of_a_transfer_alone(dsn: str, *, settled: bool) -> None:
    sent, beneath = _beneath_the_update_of_accounts(dsn, settled=settled, alone=True)
    assert sent.literals[3] < sent.literals[6]
    assert [
        (node["Node Type"], node["Actual Loops"]) for node in beneath if node["Node Type"] != "CTE Scan"
    ] == [
        ("Nested Loop", 1),
        ("Values Scan", 1),
        ("Tid Scan", 2),
    ]


def _beneath_the_update_of_accounts(
    dsn: str, *, settled: bool, alone: bool = False
) -> tuple[Recorder, list[dict[str, Any]]]:
    planner = Planner(dsn, _COMMITTER)
    if settled:
        planner.run("ANALYZE")
    sent = _one_statement(planner, alone=alone)
    plan = planner.plan(sent.statement, *sent.literals)
    planner.close()
    (update,) = [node for node in nodes_of(plan) if _is_update_of(node, "accounts")]
    return sent, [node for node in nodes_of(update) if node is not update]


def _is_update_of(node: dict[str, Any], table: str) -> bool:
    return node["Node Type"] == "ModifyTable" and (node["Operation"], node["Relation Name"]) == (
        "Update",
        table,
    )


def test_a_page_of_transactions_costs_its_own_entries_not_the_ledger(dsn: str) -> None:
    planner = Planner(dsn, _WAITS)
    planner.run("ANALYZE")
    own = _quoted(bytes_array(IDS[:2])) + "::bytea[]"
    scanned, pages = planner.explain("page_of_transactions", own, "NULL", "6", "6", "0", *["NULL"] * 12)
    planner.close()
    assert not scanned & {"transactions", "entries", "accounts"}, scanned
    assert pages <= 300, f"{pages} pages"


ENTRY_FILTERS = 9
_HOT = _quoted("\\x" + _hex(HOT).hex())


@pytest.mark.parametrize("settled", [False, True], ids=["new tables", "analysed tables"])
def test_a_page_of_entries_costs_the_same_wherever_it_is(hot: str, *, settled: bool) -> None:
    planner = Planner(hot, _WAITS | {"plan_cache_mode": "force_generic_plan"})
    if settled:
        planner.run("ANALYZE")
    costs = []
    for last in (LONG, LONG // 2, 50):
        scanned, pages = planner.explain(
            "entries_page", _HOT, str(last - 49), str(last), "50", *["NULL"] * ENTRY_FILTERS
        )
        assert not scanned & {"transactions", "entries", "accounts"}, scanned
        costs.append(pages)
    planner.close()
    assert max(costs) <= 50 * 14, costs
    assert max(costs) <= min(costs) + 20, costs


def test_a_page_that_finds_nothing_looks_at_its_stretch_and_no_further(hot: str) -> None:
    planner = Planner(hot, _WAITS)
    planner.run("ANALYZE")
    never = ["NULL"] * 6 + ["'no such reference'", "NULL", "NULL"]
    stretch = [str(LONG - MOST_LOOKED_AT + 1), str(LONG)]
    scanned, pages = planner.explain("entries_page", _HOT, *stretch, "50", *never)
    planner.close()
    assert not scanned & {"entries", "accounts"}, scanned
    assert pages <= MOST_LOOKED_AT * 8, f"{pages} pages"


def test_a_balance_of_the_past_is_found_by_halving(hot: str) -> None:
    planner = Planner(hot, _WAITS)
    planner.run("ANALYZE")
    moment = "now() + interval '4 hours'"
    scanned, pages = planner.explain("balance_at", _HOT, moment, moment, "NULL")
    planner.close()
    assert not scanned & {"entries", "accounts"}, scanned
    assert pages <= 400, f"{pages} pages"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("NULL", "NULL"),
        (str(TRANSACTIONS + LONG // 2), "NULL"),
        (str(TRANSACTIONS + 60), "NULL"),
        ("NULL", str(TRANSACTIONS + LONG - 60)),
        ("NULL", str(TRANSACTIONS + LONG // 2)),
    ],
)
def test_a_page_of_transactions_costs_the_same_wherever_it_is(hot: str, before: str, after: str) -> None:
    planner = Planner(hot, _WAITS | {"plan_cache_mode": "force_generic_plan"})
    planner.run("ANALYZE")
    own = _quoted(bytes_array([_hex(HOT)])) + "::bytea[]"
    scanned, pages = planner.explain(
        "page_of_transactions", own, before, "51", "51", "0", *["NULL"] * 11, after
    )
    planner.close()
    assert not scanned & {"transactions", "entries", "accounts"}, scanned
    assert pages <= 51 * 40, f"{pages} pages"


_IN_TURN = """
SET session_replication_role = replica;
INSERT INTO transactions (position, amount, created_at, kind, operation, id, requested_by, from_account,
                          to_account, currency, idempotency_key, request_digest)
SELECT n, 1, now(), 'TRANSFER', 'TRANSFER', decode(lpad(to_hex(n), 24, '0'), 'hex'),
       decode(lpad(to_hex(1 + n % 200), 24, '0'), 'hex'), decode(repeat('01', 12), 'hex'),
       decode(repeat('02', 12), 'hex'), 'INR', 'run-1-' || lpad(n::text, 10, '0'), '\\x00'
  FROM generate_series(1, 20000) AS n;
INSERT INTO entries (seq, position, amount, balance_after, created_at, direction, account_id)
SELECT position, position, 1, 0, created_at, 'DEBIT', from_account FROM transactions;
"""


@pytest.mark.parametrize(
    ("relation", "most"),
    [
        # An entry of 36 bytes, in pages that are two thirds full.
        pytest.param("transactions_idempotency_key", 60, id="keys are found by their digest"),
        # Three bytes more, and it would be 92.
        pytest.param("entries", 85, id="an entry is 80 bytes and its line pointer"),
    ],
)
def test_what_is_written_for_each_transfer_is_small(new_database: Any, relation: str, most: int) -> None:
    planner = Planner(new_database(), {})
    planner.run(_IN_TURN)
    size = planner.value(f"SELECT pg_relation_size('{relation}') / 20000")
    planner.close()
    assert size <= most
