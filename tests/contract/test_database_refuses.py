"""What PostgreSQL itself refuses, whoever asks: the role that the service runs as, and the owner of the tables.

Each row says what is tried and by which constraint, trigger or missing right it is refused."""

from collections.abc import Callable

import asyncpg
import pytest

from nostro.store.database import RUNTIME_ROLE
from tests.contract.conftest import House, Tables

APPEND_ONLY = ("entries", "transactions", "events")
NEVER_DELETED = (*APPEND_ONLY, "accounts", "users", "journal_head")


@pytest.fixture(scope="module")
def tables(new_database: Callable[[], str], open_house: Callable[..., House]) -> Tables:
    """A ledger in which 100 was brought in and 1 of it sent on, and nobody works any more."""
    house = open_house()
    person, account = house.funded(100)
    assert person.send(account, person.open_account(), 1, key="used").status_code == 201
    return house.tables


def refusal(tables: Tables, statement: str, role: str | None = None) -> asyncpg.PostgresError:
    """The error that `statement` ends in, in a transaction that is rolled back whatever happens."""
    with pytest.raises(asyncpg.PostgresError) as refused:
        tables.script(f"BEGIN; {f'SET LOCAL ROLE {role};' if role else ''} {statement}")
    tables.script("ROLLBACK")
    return refused.value


# ── the role the service runs as ─────────────────────────────────────────────────────────────────────

NO_RIGHT = [
    *[f"UPDATE {table} SET position = position" for table in APPEND_ONLY],
    *[f"DELETE FROM {table}" for table in NEVER_DELETED],
    *[f"TRUNCATE {table}" for table in (*NEVER_DELETED, "revoked_tokens")],
    *[f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in NEVER_DELETED],
    *[f"DROP TRIGGER {trigger} ON {table}" for trigger, table in [
        ("entries_never_change", "entries"), ("entries_balance", "entries"),
    ]],
    "ALTER TABLE accounts DROP CONSTRAINT accounts_not_below_floor",
    "ALTER TABLE entries ADD COLUMN note text",
    "DROP TABLE entries",
    "DROP FUNCTION refuse_change() CASCADE",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE TABLE mine (a int)",
    "CREATE TRIGGER mine BEFORE INSERT ON entries EXECUTE FUNCTION refuse_change()",
    "CREATE RULE mine AS ON INSERT TO entries DO INSTEAD NOTHING",
    "SET session_replication_role = replica",
    "UPDATE revoked_tokens SET expires_at = now()",
    "INSERT INTO journal_head (single, position) VALUES (true, 0)",
    "ALTER ROLE nostro_runtime SUPERUSER",
    "CREATE ROLE other",
    "COPY entries TO PROGRAM 'true'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT password_hash FROM pg_authid",
]  # fmt: skip


@pytest.mark.parametrize("statement", NO_RIGHT)
def test_the_service_has_no_right_to(tables: Tables, statement: str) -> None:
    refused = refusal(tables, statement, RUNTIME_ROLE)
    assert isinstance(refused, asyncpg.InsufficientPrivilegeError | asyncpg.UndefinedColumnError), refused


def test_the_service_is_neither_superuser_nor_owner(tables: Tables) -> None:
    (role,) = tables.rows("SELECT * FROM pg_roles WHERE rolname = $1", RUNTIME_ROLE)
    assert not any(
        role[name] for name in ("rolsuper", "rolcreaterole", "rolcreatedb", "rolbypassrls", "rolreplication")
    )
    assert tables.value("SELECT count(*) FROM pg_class WHERE relowner = $1::regrole", RUNTIME_ROLE) == 0


# ── the owner ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "statement",
    [
        *[f"UPDATE {table} SET position = position WHERE false" for table in APPEND_ONLY],
        *[f"DELETE FROM {table} WHERE false" for table in NEVER_DELETED],
        *[f"TRUNCATE {table} CASCADE" for table in NEVER_DELETED],
        "UPDATE entries SET amount = amount + 1",
        "UPDATE transactions SET idempotency_key = 'another'",
        "MERGE INTO entries e USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
        "WITH gone AS (DELETE FROM entries RETURNING 1) SELECT * FROM gone",
    ],
)
def test_even_the_owner_changes_nothing_the_journal_holds(tables: Tables, statement: str) -> None:
    refused = refusal(tables, statement)
    assert refused.sqlstate == "NS001"
    assert "what the journal holds is never changed" in str(refused)


# ── rows that do not add up ──────────────────────────────────────────────────────────────────────────

# A movement of 5 from the account with the most to another, right in every point; each row spoils one.
MOVEMENT = """
WITH paying AS (SELECT * FROM accounts WHERE NOT settlement ORDER BY balance DESC LIMIT 1),
     receiving AS (SELECT * FROM accounts WHERE NOT settlement ORDER BY balance LIMIT 1),
     head AS (UPDATE journal_head SET position = position + 1 RETURNING position),
     booked AS (
       INSERT INTO transactions (position, amount, created_at, kind, operation, id, requested_by, from_account,
                                 to_account, currency, idempotency_key, request_digest)
       SELECT {position}, {amount}, now(), 'TRANSFER', 'TRANSFER', {id}, paying.owner, paying.id, {to},
              {currency}, {key}, '\\x00' FROM head, paying, receiving),
     moved AS (
       UPDATE accounts a SET balance = a.balance + m.change, last_seq = a.last_seq + 1
         FROM (SELECT id, -5 AS change FROM paying UNION ALL SELECT id, {raised} FROM receiving) m
        WHERE a.id = m.id)
INSERT INTO entries (seq, position, amount, balance_after, created_at, direction, account_id)
SELECT last_seq + 1, {entry_position}, 5, balance - 5, now(), 'DEBIT'::entry_direction, id FROM paying, head
UNION ALL
SELECT last_seq + {step}, head.position, {credit}, balance + {after}, now(), '{side}'::entry_direction,
       {credited}
  FROM receiving, head
{more}
"""
SOUND = {
    "position": "head.position",
    "amount": "5",
    "id": "'\\x000000000000000000000001'",
    "to": "receiving.id",
    "currency": "'INR'",
    "key": "'fresh'",
    "raised": "5",
    "entry_position": "head.position",
    "step": "1",
    "credit": "5",
    "after": "5",
    "side": "CREDIT",
    "credited": "id",
    "more": "",
}
SPOILT = {
    # one sided, unequal, or about something else: the trigger entries_balance
    "a credit that is smaller": ({"credit": "4"}, "NS002"),
    "two debits": ({"side": "DEBIT"}, "NS002"),
    "a debit alone": ({"more": "LIMIT 1"}, "NS002"),
    "entries of no transaction": ({"entry_position": "head.position + 1"}, "NS002"),
    "entries of another transaction": ({"entry_position": "head.position - 1"}, "NS002"),
    "an amount that is not the entries'": ({"amount": "6"}, "NS002"),
    "another currency": ({"currency": "'USD'"}, "NS002"),
    "an account that does not exist": ({"credited": "'\\x000000000000000000000009'::bytea"}, "NS002"),
    "a head that did not move": ({"raised": "0"}, "NS002"),
    "a balance that is not the head's": ({"after": "6"}, "NS002"),
    "a seq that is skipped": ({"step": "2"}, "NS002"),
    # constraints
    "an amount of nothing": ({"amount": "0", "credit": "5"}, "transactions_amount_positive"),
    "a negative amount": ({"amount": "-5"}, "transactions_amount_positive"),
    "a negative entry": ({"credit": "-5"}, "entries_amount_positive"),
    "a transfer to itself": ({"to": "paying.id"}, "transactions_two_accounts"),
    "a key for the second time": ({"key": "'used'"}, "transactions_idempotency_key"),
    "no key": ({"key": "''"}, "transactions_key_length"),
    "a key that is too long": ({"key": "repeat('k', 256)"}, "transactions_key_length"),
    "a position for the second time": ({"position": "(SELECT max(position) FROM transactions)"},
                                       "transactions_pkey"),
    "a position of nothing": ({"position": "0"}, "transactions_position_from_one"),
    "an id that is none": ({"id": "'\\x00'"}, "transactions_id_is_object_id"),
    "an id for the second time": ({"id": "(SELECT id FROM transactions LIMIT 1)"}, "transactions_id_key"),
    "a seq for the second time": ({"step": "0", "raised": "5"}, "entries_pkey"),
}  # fmt: skip


@pytest.mark.parametrize("role", [None, RUNTIME_ROLE], ids=["owner", "service"])
def test_a_movement_that_adds_up_is_taken(tables: Tables, role: str | None) -> None:
    """Otherwise the rows below would prove nothing."""
    tables.script(f"BEGIN; {f'SET LOCAL ROLE {role};' if role else ''} {MOVEMENT.format_map(SOUND)}; ROLLBACK")


@pytest.mark.parametrize("role", [None, RUNTIME_ROLE], ids=["owner", "service"])
@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_movement_that_does_not_add_up_is_refused(tables: Tables, spoilt: str, role: str | None) -> None:
    changes, by = SPOILT[spoilt]
    refused = refusal(tables, MOVEMENT.format_map(SOUND | changes), role)
    assert by in (refused.sqlstate, getattr(refused, "constraint_name", None)), refused


# ── accounts and users ───────────────────────────────────────────────────────────────────────────────

RICH = "WHERE id = (SELECT id FROM accounts WHERE NOT settlement ORDER BY balance DESC LIMIT 1)"
HEADS = {
    f"UPDATE accounts SET balance = -1 {RICH}": "accounts_not_below_floor",
    f"UPDATE accounts SET balance = balance - 10000 {RICH}": "accounts_not_below_floor",
    f"UPDATE accounts SET held = balance + 1 {RICH}": "accounts_not_below_floor",
    f"UPDATE accounts SET floor = balance + 1 {RICH}": "accounts_not_below_floor",
    f"UPDATE accounts SET floor = NULL {RICH}": "accounts_floor_unless_settlement",
    f"UPDATE accounts SET ceiling = balance - 1 {RICH}": "accounts_not_above_ceiling",
    f"UPDATE accounts SET held = -1 {RICH}": "accounts_held_not_negative",
    f"UPDATE accounts SET last_seq = -1 {RICH}": "accounts_last_seq_not_negative",
    f"UPDATE accounts SET status = 'CLOSED' {RICH}": "accounts_closed_is_empty",
    f"UPDATE accounts SET currency = 'inr' {RICH}": "accounts_currency_fkey",
    f"UPDATE accounts SET exponent = 9 {RICH}": "accounts_currency_fkey",
    f"UPDATE accounts SET owner = '\\x000000000000000000000009' {RICH}": "accounts_owner_fkey",
    f"UPDATE accounts SET id = '\\x00' {RICH}": "accounts_id_is_object_id",
    "UPDATE users SET email = upper(email)": "users_email_is_canonical",
    "UPDATE users SET email = 'one@example.com'": "users_email_key",
    "UPDATE journal_head SET position = -1": "journal_head_not_negative",
    "INSERT INTO revoked_tokens VALUES ('\\x00', '\\x00', now(), now())": "revoked_tokens_digest_is_sha256",
    "INSERT INTO events (position, created_at, kind) VALUES (0, now(), 'X')": "events_position_from_one",
    "INSERT INTO events (position, created_at, kind) VALUES (1, now(), 'X')": "events_pkey",
    "INSERT INTO accounts (id, owner, currency, exponent, settlement, created_at, updated_at) "
    "SELECT '\\x000000000000000000000009', owner, currency, 2, true, now(), now() FROM accounts "
    "WHERE settlement LIMIT 1": "accounts_one_settlement_per_currency",
}


@pytest.mark.parametrize("role", [None, RUNTIME_ROLE], ids=["owner", "service"])
@pytest.mark.parametrize("statement", HEADS)
def test_a_head_that_cannot_be_is_refused(tables: Tables, statement: str, role: str | None) -> None:
    refused = refusal(tables, statement, role)
    assert getattr(refused, "constraint_name", None) == HEADS[statement], refused


def test_after_all_that_the_ledger_is_as_it_was(tables: Tables) -> None:
    assert tables.position() == tables.value("SELECT count(*) FROM transactions") + tables.value(
        "SELECT count(*) FROM events"
    )
    assert tables.value("SELECT sum(balance) FROM accounts") == 0
