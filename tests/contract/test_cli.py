"""The command line: every command explains itself with an example, prints JSON, refuses with 1 and a code,
works beside a service and without one; `verify` finds whatever was tampered with.

Most commands run in this process, which spares each of them the start of an interpreter."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop
from structlog.testing import capture_logs

from nostro.app import mail_test, open_service, serve
from nostro.cli.commands import command_line
from nostro.cli.session import Runtime
from tests.client import Person, fresh
from tests.conftest import JWT_SECRET, OURS
from tests.contract.conftest import House, Tables
from tests.contract.scenes import NOBODY
from tests.fault.embedded_process import until

SOURCE = Path(__file__).parent.parent.parent / "src"
COMMANDS = [
    *("serve", "config", "version", "verify", "transfer", "bench", "mail test"),
    *("user create", "user list", "account open", "account list", "account show", "account edit"),
    *("account status", "account events", "account limits"),
    *("currency list", "currency register", "rate list", "rate set"),
    *("transaction show", "transaction capture", "transaction void", "transaction extend"),
    "transaction reverse",
    *("order list", "order show", "order pause", "order resume", "order cancel"),
    *("period close", "period reopen", "period list", "report trial-balance", "statement"),
    *("followers", "followers replay", "followers failures", "followers retry"),
    *("webhooks listen", "webhooks trigger"),
]
INVARIANTS = sorted(path.stem for path in (SOURCE / "nostro/store/sql/invariants").glob("*.sql"))

RUNTIME = Runtime(open_service, serve, uvloop.run, mail_test)


class Completed(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Nostro = Callable[..., Completed]


@pytest.fixture
def nostro(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Nostro:
    """`nostro …` in this process, with nothing of ours in its environment but what is given."""

    def run(*arguments: str, stdin: str = "", **environment: str) -> Completed:
        for name in [name for name in os.environ if name.startswith((*OURS, "PORT"))]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["nostro", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        try:
            with capture_logs():  # which a process of its own writes to standard error
                status = command_line(RUNTIME)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
        return Completed(status, *capsys.readouterr())

    return run


@pytest.fixture
def beside(house: House, nostro: Nostro) -> Nostro:
    """`nostro …` beside the running service, with its settings."""
    return partial(nostro, NOSTRO_DATABASE_URL=house.tables.dsn, JWT_SECRET=JWT_SECRET)


def said(done: Completed) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_explains_itself_with_an_example(nostro: Nostro, command: str) -> None:
    done = nostro(*command.split(), "--help")
    assert done.returncode == 0
    assert f"Example: nostro {command}" in " ".join(done.stdout.split())


def test_the_commands_are_those_that_are_tested(nostro: Nostro) -> None:
    listed = nostro("--help").stdout.split("Commands:")[1]
    names = [line.split()[0] for line in listed.splitlines() if line.strip()]
    assert set(names) == {command.split()[0] for command in COMMANDS}


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("user", "nonsense"),
        ("transfer",),
        ("verify", "--nonsense"),
        ("user", "list", "--limit", "0"),
    ],
)
def test_what_is_not_understood_ends_with_2(nostro: Nostro, arguments: tuple[str, ...]) -> None:
    assert nostro(*arguments).returncode == 2


@pytest.mark.parametrize(
    ("environment", "setting"),
    [
        ({"PORT": "nonsense"}, "PORT"),
        ({"NOSTRO_DIALECT": "klingon"}, "NOSTRO_DIALECT"),
        ({"NOSTRO_LOG_LEVEL": "loud"}, "NOSTRO_LOG_LEVEL"),
        ({"NOSTRO_ENV": "production", "JWT_SECRET": "short"}, "JWT_SECRET"),
        ({"JWT_SECRET_FILE": "/nowhere/at/all"}, "JWT_SECRET_FILE"),
    ],
)
def test_a_setting_that_cannot_be_is_named(nostro: Nostro, environment: dict[str, str], setting: str) -> None:
    done = nostro("config", "--json", **environment)
    assert done.returncode == 1
    assert setting in json.loads(done.stdout)["message"]


# ── beside a running service ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("flag", "role"),
    [(None, "CUSTOMER"), ("--operator", "OPERATOR"), ("--auditor", "AUDITOR"), ("--system", "SYSTEM")],
)
def test_the_command_line_gives_the_roles(house: House, beside: Nostro, flag: str | None, role: str) -> None:
    email = f"{fresh('role')}@example.com"
    flags = [flag] if flag else []
    made = said(
        beside(
            *("user", "create", "--email", email.upper(), "--name", "R", "--password", "-", "--json", *flags),
            stdin="a secret\n",
        )
    )
    assert (made["role"], made["email"], made["systemUser"]) == (role, email, role == "SYSTEM")
    assert [one["currency"] for one in made["accounts"]] == (["INR"] if role == "SYSTEM" else [])
    assert house.client.log_in(email, "a secret").id == made["_id"]


def test_a_user_has_one_role(house: House, beside: Nostro) -> None:
    done = beside(
        *("user", "create", "--email", "x@example.com", "--name", "X", "--password", "secret"),
        *("--system", "--operator"),
    )
    assert done.returncode == 2
    assert house.tables.value("SELECT count(*) FROM users WHERE email = 'x@example.com'") == 0


def test_accounts_are_opened_listed_shown_and_their_status_changed(house: House, beside: Nostro) -> None:
    person, account = house.funded("12.5")
    opened = said(beside("account", "open", "--email", person.email, "--currency", "KWD", "--json"))
    assert (opened["user"], opened["currency"], opened["status"]) == (person.id, "KWD", "ACTIVE")
    shown = said(beside("account", "show", account, "--json"))
    assert (shown["balance"], shown["available"]) == ("12.5", "12.5")
    frozen = said(beside("account", "status", account, "SUSPENDED", "--reason", "fraud", "--json"))
    assert frozen["status"] == "FROZEN"
    assert person.send(account, person.open_account(), 1).json()["code"] == "account_not_active"
    event = house.tables.rows(
        "SELECT * FROM events WHERE account_id = $1 ORDER BY position DESC", bytes.fromhex(account)
    )
    assert (event[0]["kind"], event[0]["actor"]) == ("ACCOUNT_STATUS_CHANGED", None)
    assert json.loads(event[0]["details"]) == {"before": "ACTIVE", "after": "FROZEN", "reason": "fraud"}
    listed = said(beside("account", "list", "--limit", "100000", "--json"))
    assert account in [one["_id"] for one in listed]
    people = said(beside("user", "list", "--limit", "100000", "--json"))
    assert person.email in [one["email"] for one in people]
    assert "password" not in json.dumps(people)


def test_accounts_are_described_and_limited(house: House, beside: Nostro) -> None:
    person, account = house.funded(10)
    said(beside("account", "edit", account, "--name", "Rent", "--metadata", '{"rooms": 2.50}', "--json"))
    shown = said(beside("account", "edit", account, "--name", "", "--reference", "FLAT-12", "--json"))
    assert (shown["name"], shown["reference"], shown["metadata"]) == (None, "FLAT-12", {"rooms": 2.5})
    limits = ("account", "limits", account)
    reason = ("--reason", "agreed", "--json")
    made = said(beside(*limits, "--floor", "-5.50", "--daily", "100", "--hourly", "3", *reason))
    assert made["limits"] == {
        "floor": "-5.5",
        "ceiling": None,
        "single": None,
        "daily": "100",
        "monthly": None,
        "hourly": 3,
    }
    assert person.send(account, person.open_account(), "15.5").status_code == 201
    assert said(beside(*limits, "--json"))["used"] == {"hourly": 1, "daily": "15.5", "monthly": "15.5"}
    assert said(beside(*limits, "--daily", "none", "--hourly", "none", *reason))["used"] == {}
    assert "floor    -5.5" in beside(*limits).stdout
    events = said(beside("account", "events", account, "--json"))
    assert [event["kind"] for event in events] == [
        *("LIMITS_CHANGED", "LIMITS_CHANGED", "ACCOUNT_DETAILS_CHANGED", "ACCOUNT_DETAILS_CHANGED"),
        "ACCOUNT_OPENED",
    ]
    assert events[0]["details"]["before"]["daily"] == 10_000
    assert "by the command line" in beside("account", "events", account).stdout


def test_assets_are_registered_and_exchanged_at_a_rate(house: House, beside: Nostro) -> None:
    code = fresh("A").replace("-", "").upper()[:12]
    made = said(beside("currency", "register", code, "--exponent", "9", "--name", "Watts", "--json"))
    assert made == {"code": code, "exponent": 9, "name": "Watts", "custom": True}
    assert made in said(beside("currency", "list", "--json"))
    said(beside("account", "open", "--email", house.system.email, "--currency", code, "--json"))
    rate = ("rate", "set", "INR", code.lower(), "0.50", "--email", house.system.email)
    assert said(beside(*rate, "--json"))["rate"] == "0.5"
    assert f"1 INR = 0.5 {code}  by {house.system.id}" in beside("rate", "list").stdout
    assert house.system.get(f"/api/rates/INR/{code}").json()["rate"]["rate"] == 0.5


def test_a_transfer_by_hand_follows_the_same_rules_and_the_same_keys(house: House, beside: Nostro) -> None:
    person, account = house.funded(10)
    other, key = person.open_account(), fresh()
    command = ("transfer", "--from", account, "--to", other, "--amount", "2.50", "--key", key, "--json")
    first, again = said(beside(*command)), said(beside(*command))
    assert (first["amount"], first["status"], first["replayed"]) == ("2.5", "COMPLETED", False)
    assert (again["_id"], again["replayed"]) == (first["_id"], True)
    assert person.send(account, other, 2.5, key).headers["idempotency-replayed"] == "true"
    assert person.balance(account) == 7.5


def test_standing_orders_are_listed_shown_paused_resumed_and_cancelled(house: House, beside: Nostro) -> None:
    person, account = house.funded(10)
    asked = {"fromAccount": account, "toAccount": person.open_account(), "amount": "2.50", "everyDays": 1}
    made = [
        person.post("/api/standing-orders", asked | {"startsAt": starts, "idempotencyKey": fresh()}).json()
        for starts in (None, "2190-01-01T00:00:00Z")
    ]
    now, later = (one["standingOrder"]["_id"] for one in made)
    listed = said(beside("order", "list", "--email", person.email, "--json"))
    assert [one["_id"] for one in listed] == [later, now]
    until(lambda: said(beside("order", "show", now, "--json"))["runs"])
    shown = said(beside("order", "show", now, "--json"))
    assert (shown["amount"], shown["schedule"]) == ("2.5", "every 1 days")
    assert (shown["runs"][0]["status"], shown["runs"][0]["attempts"]) == ("EXECUTED", 1)
    for verb, status in (("pause", "PAUSED"), ("resume", "ACTIVE"), ("cancel", "CANCELLED")):
        assert said(beside("order", verb, later, "--json"))["status"] == status
    (left,) = said(beside("order", "list", "--email", person.email, "--status", "active", "--json"))
    assert left["_id"] == now


REFUSALS = [
    ("transfer --from {account} --to {other} --amount 1000", "insufficient_funds"),
    ("transfer --from {account} --to {other} --amount 1e2", "invalid_amount"),
    ("transfer --from {account} --to {other} --amount 0.001", "invalid_amount"),
    ("transfer --from {account} --to {account} --amount 1", "same_account"),
    ("transfer --from nonsense --to {other} --amount 1", "invalid_id"),
    (f"transfer --from {NOBODY} --to {{other}} --amount 1", "account_not_found"),
    (f"transfer --from {{account}} --to {NOBODY} --amount 1", "account_not_found"),
    ("transfer --from {account} --to {other} --amount 1 --key ééé", "invalid_key"),
    ("account show nonsense", "invalid_id"),
    (f"account show {NOBODY}", "account_not_found"),
    ("account status {account} GONE --reason x", "invalid_field"),
    ("account status {account} ACTIVE --reason x", "status_conflict"),
    ("account status {account} CLOSED --reason x", "status_conflict"),
    ("account open --email nobody@example.com", "not_found"),
    ("account open --email {email} --currency ZZZ", "unknown_currency"),
    ("account open --email system@example.com", "status_conflict"),
    ("account edit {account} --metadata []", "invalid_field"),
    (f"account edit {NOBODY} --name x", "account_not_found"),
    ("account limits {account} --daily 5", "missing_field"),
    ("account limits {account} --daily -5 --reason x", "invalid_amount"),
    ("account limits {account} --hourly 1.5 --reason x", "invalid_field"),
    ("account limits {account} --floor 10.01 --reason x", "limit_conflict"),
    (f"account limits {NOBODY}", "account_not_found"),
    (f"account events {NOBODY}", "account_not_found"),
    ("currency register USD --exponent 2 --name Dollars", "invalid_field"),
    ("rate set INR KWD 1 --email {email}", "not_system_user"),
    ("rate set INR TND 1 --email system@example.com", "system_account_not_found"),
    ("rate set INR KWD 0 --email system@example.com", "invalid_field"),
    ("rate set INR KWD 1 --email nobody@example.com", "not_found"),
    ("order list --email nobody@example.com", "not_found"),
    ("order list --status LATE", "invalid_field"),
    ("order show nonsense", "invalid_id"),
    (f"order cancel {NOBODY}", "not_found"),
    ("user create --email {email} --name X --password secret", "email_taken"),
    ("user create --email nonsense --name X --password secret", "invalid_field"),
    ("user create --email new@example.com --name X --password 12345", "invalid_field"),
]


@pytest.fixture(scope="module")
def owner(house: House) -> tuple[Person, str, str]:
    person, account = house.funded(10)
    return person, account, person.open_account()


@pytest.mark.parametrize(("command", "code"), REFUSALS, ids=[row[0] for row in REFUSALS])
def test_a_refusal_ends_with_1_and_its_code(
    house: House, beside: Nostro, owner: tuple[Person, str, str], command: str, code: str
) -> None:
    person, account, other = owner
    filled = command.format(account=account, other=other, email=person.email).split()
    before = house.tables.position()
    done = beside(*filled, "--json")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, code), done.stderr
    assert f"({code})" in done.stderr
    assert "Traceback" not in done.stderr
    assert house.tables.position() == before


# ── without a service ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_without_a_service_each_command_starts_the_database_for_itself(nostro: Nostro, tmp_path: Path) -> None:
    def run(*arguments: str) -> Any:
        return said(nostro(*arguments, "--data-dir", str(tmp_path / "var"), "--json"))

    made = run("user", "create", "--email", "s@example.com", "--name", "S", "--password", "secret", "--system")
    opened = run("account", "open", "--email", "s@example.com", "--currency", "USD")
    assert (made["accounts"][0]["currency"], opened["currency"]) == ("INR", "USD")
    report = run("verify")
    assert (report["holds"], report["positions"]) == (True, 3)


@pytest.mark.parametrize("flawed", [False, True])
def test_as_a_process_of_its_own_it_ends_the_same(house: House, flawed: bool) -> None:
    done = house.service.command("account", "show", "nonsense" if flawed else house.funded(1)[1], "--json")
    assert done.returncode == flawed
    assert json.loads(done.stdout).get("code") == ("invalid_id" if flawed else None)


# ── verify ───────────────────────────────────────────────────────────────────────────────────────────

TRANSFER = "(SELECT max(position) FROM transactions)"
TAMPERED = {
    "01_debits_equal_credits": f"UPDATE entries SET amount = amount + 1 WHERE position = {TRANSFER}",
    "02_entries_follow_each_other": "UPDATE entries SET balance_after = balance_after + 1 WHERE seq = 1",
    "03_heads_are_the_last_entries": "UPDATE accounts SET balance = balance + 1 WHERE NOT settlement",
    "04_never_below_the_floor": "UPDATE entries e SET balance_after = -5 FROM accounts a "
    "WHERE a.id = e.account_id AND NOT a.settlement AND e.seq = 1",
    "05_positions_are_dense": "UPDATE journal_head SET position = position + 1",
    "06_movements_and_entries_match": f"DELETE FROM entries WHERE position = {TRANSFER} "
    "AND direction = 'CREDIT'",
    "07_one_transaction_per_key": "DROP INDEX transactions_idempotency_key; "
    "UPDATE transactions SET idempotency_key = 'one', operation = 'TRANSFER', "
    "requested_by = (SELECT id FROM users ORDER BY id LIMIT 1)",
    "08_currencies_sum_to_zero": "UPDATE accounts SET balance = balance + 1 WHERE settlement",
    "09_every_name_is_known": f"UPDATE transactions SET requested_by = '\\x{NOBODY}' "
    f"WHERE position = {TRANSFER}",
    "10_openings_are_in_the_journal": "DELETE FROM events WHERE kind = 'ACCOUNT_OPENED'",
    "13_limits_count_what_was_spent": "UPDATE accounts SET limited = true WHERE NOT settlement",
    "14_currencies_have_their_places": "UPDATE accounts SET exponent = 3 WHERE NOT settlement",
    "11_stories_add_up": "INSERT INTO summaries (position, amount, status, account_id, updated_at) "
    f"SELECT position, amount, 'COMPLETED', from_account, now() FROM transactions WHERE position = {TRANSFER}",
    "12_held_amounts_follow_each_other": f"UPDATE transactions SET kind = 'HOLD' WHERE position = {TRANSFER}",
    "15_standing_orders_are_carried_out_once": "UPDATE transactions SET idempotency_key = 'standing-order·a·1' "
    f"WHERE position = {TRANSFER}",
}


@pytest.fixture(scope="module")
def quiet(open_house: Callable[..., House]) -> House:
    """A ledger of two transactions that nobody else works on."""
    house = open_house()
    person, account = house.funded(100)
    assert person.send(account, person.open_account(), 1).status_code == 201
    return house


def test_every_invariant_is_tampered_with() -> None:
    assert sorted(TAMPERED) == INVARIANTS


def test_an_untouched_ledger_holds(quiet: House, nostro: Nostro) -> None:
    report = said(nostro("verify", "--json", NOSTRO_DATABASE_URL=quiet.tables.dsn))
    assert [one["invariant"] for one in report["invariants"]] == INVARIANTS
    assert report["holds"] is True
    assert (report["positions"], report["entries"]) == (quiet.tables.position(), 4)


@pytest.mark.parametrize("invariant", TAMPERED)
def test_verify_ends_with_1_and_names_the_first_offender(
    nostro: Nostro, new_tampered: Callable[[str], Tables], invariant: str
) -> None:
    tampered = new_tampered(TAMPERED[invariant])
    done = nostro("verify", "--json", NOSTRO_DATABASE_URL=tampered.dsn, JWT_SECRET=JWT_SECRET)
    report = json.loads(done.stdout)
    assert (done.returncode, report["holds"]) == (1, False)
    finding = next(one for one in report["invariants"] if one["invariant"] == invariant)
    assert finding["holds"] is False
    assert finding["offender"]
    assert finding["finding"]


@pytest.fixture
def sample(house: House) -> Iterator[str]:
    """A follower three positions behind, with a delivery of each kind."""
    house.funded(1)
    house.tables.script(
        """
        INSERT INTO followers (name, position) SELECT 'sample', position - 3 FROM journal_head;
        INSERT INTO deliveries (follower, position, target, payload, status, attempts, last_error, sent_at)
        VALUES ('sample', 1, 'one', '{}', 'SENT', 1, NULL, now()),
               ('sample', 1, 'two', '{}', 'SET_ASIDE', 10, 'answered 410', NULL),
               ('sample', 2, 'two', '{}', 'PENDING', 2, 'answered 500', NULL)
        """
    )
    yield "sample"
    house.tables.script(
        "DELETE FROM deliveries WHERE follower = 'sample'; DELETE FROM followers WHERE name = 'sample'"
    )


def test_followers_show_their_place_and_their_failures(beside: Nostro, sample: str) -> None:
    (state,) = [one for one in said(beside("followers", "--json")) if one["name"] == sample]
    assert (state["name"], state["behind"], state["pending"], state["setAside"]) == (sample, 3, 1, 1)
    assert state["behindSeconds"] >= 0
    assert state["lastError"] == "answered 500"
    assert "sample" in beside("followers").stdout
    failed = said(beside("followers", "failures", sample, "--json"))
    assert [(one["position"], one["target"], one["status"]) for one in failed] == [
        (1, "two", "SET_ASIDE"),
        (2, "two", "PENDING"),
    ]
    assert "answered 410" in beside("followers", "failures", sample).stdout


def test_what_was_set_aside_is_sent_again_when_asked(house: House, beside: Nostro, sample: str) -> None:
    first, second = said(beside("followers", "failures", sample, "--json"))
    assert said(beside("followers", "retry", sample, second["id"], "--json")) == {"name": sample, "due": 1}
    assert said(beside("followers", "retry", sample, "--json"))["due"] == 1
    rows = house.tables.rows("SELECT status, attempts FROM deliveries WHERE target = 'two'")
    assert [tuple(row) for row in rows] == [("PENDING", 0), ("PENDING", 0)]
    assert said(beside("followers", "retry", sample, first["id"], "--json"))["due"] == 1


def test_a_follower_is_set_back_to_a_position_that_there_is(house: House, beside: Nostro, sample: str) -> None:
    assert said(beside("followers", "replay", sample, "--from", "1", "--json")) == {"name": sample, "from": 1}
    assert house.tables.value("SELECT position FROM followers WHERE name = 'sample'") == 0
    for position in ("0", str(house.tables.position() + 2)):
        done = beside("followers", "replay", sample, "--from", position, "--json")
        assert (done.returncode, json.loads(done.stdout)["code"]) == (1, "invalid_field")


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "nobody", "--from", "1"),
        ("failures", "nobody"),
        ("retry", "nobody"),
        ("retry", "sample", "sample-1-0000000000000000"),
        ("retry", "sample", "mail-1-0000000000000000"),
        ("retry", "sample", "no id"),
    ],
)
def test_an_unknown_follower_or_delivery_is_not_found(
    beside: Nostro, sample: str, arguments: tuple[str, ...]
) -> None:
    done = beside("followers", *arguments, "--json")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, "not_found")


@pytest.fixture
def new_tampered(quiet: House) -> Iterator[Callable[[str], Tables]]:
    """The quiet ledger, its triggers off, after `statements`; put back as it was when the test ends."""
    made: list[Tables] = []

    def make(statements: str) -> Tables:
        quiet.tables.script("CREATE SCHEMA IF NOT EXISTS kept")
        for table in ("entries", "transactions", "events", "accounts", "journal_head"):
            quiet.tables.script(f"CREATE TABLE kept.{table} AS TABLE public.{table}")
        quiet.tables.script(f"BEGIN; SET LOCAL session_replication_role = replica; {statements}; COMMIT")
        made.append(quiet.tables)
        return quiet.tables

    yield make
    for tables in made:
        tables.script("BEGIN; SET LOCAL session_replication_role = replica")
        for table in ("entries", "transactions", "events", "accounts", "journal_head"):
            tables.script(f"DELETE FROM public.{table}; INSERT INTO public.{table} TABLE kept.{table}")
        tables.script("COMMIT; DROP SCHEMA kept CASCADE")


def test_a_hold_is_made_captured_and_refunded_by_hand(house: House, beside: Nostro) -> None:
    ann, source = house.funded(100)
    target = house.client.register("Bob").open_account()
    made = said(
        beside(
            *("transfer", "--from", source, "--to", target, "--amount", "40", "--hold", "--expires-in", "60"),
            *("--reference", "FLAT-12", "--json"),
        )
    )
    assert (made["status"], made["kind"], made["held"]) == ("PENDING", "HOLD", "40")
    part = said(beside("transaction", "capture", made["_id"], "--amount", "10", "--json"))
    assert (
        said(beside("transaction", "extend", made["_id"], "--expires-in", "90", "--json"))["kind"]
        == "EXTENSION"
    )
    assert said(beside("transaction", "void", made["_id"], "--json"))["amount"] == "30"
    back = said(beside("transaction", "reverse", part["_id"], "--reason", "Broken", "--json"))
    assert (back["kind"], back["amount"]) == ("REVERSAL", "10")
    shown = said(beside("transaction", "show", made["_id"], "--json"))
    assert [one["kind"] for one in shown["related"]] == ["CAPTURE", "EXTENSION", "VOID"]
    assert ann.balance(source) == 100
    refused = beside("transaction", "reverse", part["_id"], "--force", "--json")
    assert (refused.returncode, json.loads(refused.stdout)["code"]) == (1, "not_operator")
