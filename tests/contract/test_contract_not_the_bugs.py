"""What the five systems get wrong, one test per item of the list, in its order. Mail follows the journal: the
tests of mail hold that item."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from nostro.ledger import passwords
from tests.client import Client, Person, fresh
from tests.contract.conftest import House
from tests.contract.scenes import NOBODY, Stage
from tests.contract.tokens import claims, signed


@pytest.fixture(scope="module")
def stage(house: House) -> Stage:
    return Stage(house)


def test_1_transfers_at_once_never_go_below_the_floor(house: House) -> None:
    person, account = house.funded(100)
    other = person.open_account()
    start = threading.Barrier(8)

    def send_all() -> list[int]:
        client = Client(house.service.url)
        start.wait()
        answers = [
            client.request(
                "POST",
                "/api/transactions",
                {"fromAccount": account, "toAccount": other, "amount": 9, "idempotencyKey": fresh()},
                token=person.token,
            )
            for _ in range(4)
        ]
        client.close()
        return [answer.status_code for answer in answers]

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for done in [pool.submit(send_all) for _ in range(8)] for status in done.result()]
    assert (statuses.count(201), statuses.count(400)) == (11, 21)
    assert (person.balance(account), person.balance(other)) == (1, 99)


def test_2_nobody_spends_from_anyone_elses_account(stage: Stage) -> None:
    before = stage.house.tables.position()
    answer = stage.bob.send(stage.ann_account, stage.bob_account, 1_000_000)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_account_owner")
    assert "100" not in answer.json()["message"]
    assert {"available", "required", "shortfall", "currency"}.isdisjoint(answer.json())
    assert stage.house.tables.position() == before


def test_3_a_key_is_one_users_and_stands_for_one_request(stage: Stage) -> None:
    key = fresh()
    assert stage.send(idempotencyKey=key).status_code == 201
    conflict = stage.send(idempotencyKey=key, amount=2)
    assert (conflict.status_code, conflict.json()["message"]) == (
        409,
        "Idempotency key has already been used for a different transaction",
    )
    assert stage.bob.send(stage.bob_account, stage.ann_account, 1, key=key).status_code == 201


def test_4_initial_funds_repeated_are_a_replay(stage: Stage) -> None:
    key, before = fresh(), stage.bob.balance(stage.bob_account)
    answers = [stage.fund(idempotencyKey=key, amount=5) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert stage.bob.balance(stage.bob_account) == before + 5


def test_5_the_answer_says_completed_once_it_is(stage: Stage) -> None:
    made = stage.send().json()["transaction"]
    again = stage.ann.get(f"/api/transactions/{made['_id']}").json()["transaction"]
    assert (made["status"], again["status"]) == ("COMPLETED", "COMPLETED")


def test_6_amounts_are_exact_positive_decimals_of_the_currency(stage: Stage) -> None:
    for amount in (1e-9, "0.000000001", -5, "160.29999999999998"):
        assert stage.send(amount=amount).json()["code"] == "invalid_amount"
    dollars = stage.bob.open_account(currency="USD")
    assert stage.send(toAccount=stage.ann_account).json()["code"] == "same_account"
    assert stage.send(toAccount=dollars).json()["code"] == "currency_mismatch"
    assert stage.send(toAccount=dollars).status_code == 400


@pytest.mark.parametrize("bad", ["abc", "123", "z" * 24, "1" * 25, "[object Object]", "undefined", "null"])
@pytest.mark.parametrize("path", ["/api/accounts/balance/{}", "/api/accounts/user/{}", "/api/transactions/{}"])
def test_7_a_malformed_id_is_400_in_json(stage: Stage, path: str, bad: str) -> None:
    answer = stage.ann.get(path.format(bad))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_id")
    assert "at " not in answer.json()["message"]


@pytest.mark.parametrize("path", ["/api/accounts/balance/{}", "/api/accounts/user/{}", "/api/transactions/{}"])
def test_7_an_unknown_id_is_404_in_json(stage: Stage, path: str) -> None:
    answer = stage.ann.get(path.format(NOBODY))
    assert answer.status_code == 404
    assert answer.json()["success"] is False


@pytest.mark.parametrize("operator", [{"$gt": ""}, {"$ne": None}, {"$regex": ".*"}, ["a"], 1, True])
@pytest.mark.parametrize("field", ["email", "password"])
def test_8_only_strings_log_in(stage: Stage, field: str, operator: object) -> None:
    body = {"email": stage.bob.email, "password": stage.bob.password} | {field: operator}
    answer = stage.house.client.request("POST", "/api/auth/login", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_field")


def test_9_unknown_user_and_wrong_password_are_told_apart_by_nothing(stage: Stage) -> None:
    def guess(email: str) -> httpx2.Response:
        body = {"email": email, "password": "a wrong one"}
        return stage.house.client.request("POST", "/api/auth/login", body)

    wrong, unknown = guess(stage.bob.email), guess(f"{fresh('nobody')}@example.com")
    assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json())
    assert wrong.headers.keys() == unknown.headers.keys()


def test_9_a_user_who_is_not_there_costs_a_comparison_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(password_hash: str, password: str) -> bool:
        compared.append((password_hash.split("$")[1:4], password))
        return True

    monkeypatch.setattr(passwords, "_matches", compare)
    worker = passwords.Passwords()
    assert asyncio.run(worker.matches("a guess", None)) is False
    worker.close()
    assert compared == [(["argon2id", "v=19", "m=19456,t=2,p=1"], "a guess")]


def test_10_logging_out_stores_only_what_was_verified_and_only_once(house: House) -> None:
    person = house.client.register()
    before = house.tables.value("SELECT count(*) FROM revoked_tokens")
    for garbage in ("nonsense", "a.b.c", "x" * 5000, signed(claims(person.id), key="another")):
        assert house.client.request("POST", "/api/auth/logout", token=garbage).status_code == 200
    assert house.tables.value("SELECT count(*) FROM revoked_tokens") == before
    for _ in range(3):
        assert person.post("/api/auth/logout").status_code == 200
    assert house.tables.value("SELECT count(*) FROM revoked_tokens") == before + 1


@pytest.mark.parametrize("dialect", ["backend-ledger", "banking-ledger"])
def test_10_a_revocation_lasts_as_long_as_its_token(house_of: Callable[[str], House], dialect: str) -> None:
    house = house_of(dialect)
    person = house.client.register()
    lifetime = 7 if dialect == "banking-ledger" else 3
    person.post("/api/auth/logout")
    lasts = house.tables.value(
        "SELECT round(extract(epoch FROM expires_at - revoked_at) / 86400) FROM revoked_tokens"
        " ORDER BY revoked_at DESC LIMIT 1"
    )
    assert lasts == lifetime


def test_11_the_cookie_has_its_flags(house: House) -> None:
    who = {"email": f"{fresh('cookie')}@example.com", "password": "secret", "name": "C"}
    cookie = house.client.request("POST", "/api/auth/register", who).headers["set-cookie"]
    flags = {flag.strip().lower() for flag in cookie.split(";")[1:]}
    assert flags == {"httponly", "samesite=lax", "path=/", "max-age=259200"}


@pytest.mark.parametrize("flag", ["systemUser", "isSystemUser", "role", "isAdmin", "token_epoch"])
def test_12_no_body_makes_a_system_user(house: House, flag: str) -> None:
    value = "SYSTEM" if flag == "role" else True
    who = {"email": f"{fresh('climber')}@example.com", "password": "secret", "name": "C", flag: value}
    said = house.client.request("POST", "/api/auth/register", who).json()
    assert said["user"]["systemUser"] is False
    probe = house.client.request("POST", "/api/transactions/initial-funds", {}, token=said["token"])
    assert probe.status_code == 403


def test_14_the_database_itself_refuses_a_change(stage: Stage) -> None:
    """The whole table is in test_database_refuses.py."""
    stage.send()
    with pytest.raises(Exception, match="what the journal holds is never changed"):
        stage.house.tables.script("UPDATE entries SET amount = amount + 1")


def test_15_a_balance_is_read_from_the_head_and_the_history_has_pages(house: House) -> None:
    person, account = house.funded(10)
    other = person.open_account()
    for _ in range(3):
        person.send(account, other, 1)
    head = house.tables.value("SELECT balance FROM accounts WHERE id = decode($1, 'hex')", account)
    assert (head, person.balance(account)) == (700, 7)
    said = person.get("/api/transactions?limit=2").json()
    assert (len(said["transactions"]), said["total"]) == (2, 4)


@pytest.mark.parametrize("status", ["INACTIVE", "CLOSED"])
def test_16_an_account_that_is_not_active_gets_no_initial_funds(house: House, status: str) -> None:
    person = house.client.register()
    account = person.open_account()
    changed = person.post(f"/api/accounts/{account}/status", {"status": status, "reason": "away"})
    assert changed.json()["account"]["status"] == status
    assert house.system.fund(account, 1).json()["code"] == "account_not_active"


@pytest.mark.parametrize("status", ["FROZEN", "SUSPENDED", "BLOCKED"])
def test_16_an_operator_freezes_and_unfreezes(house: House, status: str) -> None:
    person, account = house.funded(5)
    other = person.open_account()
    assert person.post(f"/api/accounts/{account}/status", {"status": status, "reason": "x"}).json()["code"] == (
        "not_operator"
    )
    operator = make_operator(house)
    path = f"/api/accounts/{account}/status"
    frozen = operator.post(path, {"status": status, "reason": "card stolen"}).json()["account"]
    assert frozen["status"] == ("FROZEN" if status == "SUSPENDED" else status)
    assert person.send(account, other, 1).json()["code"] == "account_not_active"
    assert operator.post(path, {"status": "ACTIVE", "reason": "card found"}).status_code == 200
    assert person.send(account, other, 1).status_code == 201


def make_operator(house: House) -> Person:
    person = house.client.register("Olga")
    house.tables.script(f"UPDATE users SET role = 'OPERATOR' WHERE email = '{person.email}'")
    return person


@pytest.mark.parametrize(
    ("status", "code"),
    [("CLOSED", "status_conflict"), ("ACTIVE", "status_conflict"), ("GONE", "invalid_field")],
)
def test_16_a_status_that_cannot_be_is_refused(house: House, status: str, code: str) -> None:
    person, account = house.funded(5)
    answer = person.post(f"/api/accounts/{account}/status", {"status": status, "reason": "x"})
    assert answer.json()["code"] == code
    stranger = house.client.register().post(
        f"/api/accounts/{account}/status", {"status": status, "reason": "x"}
    )
    assert stranger.status_code in (400, 404)
    assert stranger.json()["code"] in ("account_not_found", "invalid_field")
