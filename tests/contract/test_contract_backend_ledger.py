"""The dialect of backend-ledger, the default: what each request is answered with."""

from collections.abc import Callable

import pytest

from tests.client import fresh
from tests.contract.conftest import House
from tests.contract.scenes import NOBODY, SCENES, Stage

REQUIRED = "FromAccount, toAccount, amount and idempotencyKey are required"
FUNDS_REQUIRED = "toAccount, amount and idempotencyKey are required"
NOT_ACTIVE = "Both fromAccount and toAccount must be ACTIVE to process transaction"
INVALID_TOKEN = "Unauthorized access, token is invalid"

ANSWERS = [
    ("register", 201, "User registered successfully", None),
    ("register twice", 422, "User already exists with email.", "email_taken"),
    ("register with a short password", 400, None, "invalid_field"),
    ("log in", 200, "User logged in successfully", None),
    ("log in with a wrong password", 401, "Email or password is INVALID", "wrong_credentials"),
    ("log in as nobody", 401, "Email or password is INVALID", "wrong_credentials"),
    ("log out", 200, "User logged out successfully", None),
    ("log out twice", 200, "User logged out successfully", None),
    ("log out without a token", 200, "User logged out successfully", None),
    ("ask without a token", 401, "Unauthorized access, token is missing", "token_missing"),
    ("ask with a revoked token", 401, INVALID_TOKEN, "token_invalid"),
    ("ask with an invalid token", 401, INVALID_TOKEN, "token_invalid"),
    ("ask with an expired token", 401, INVALID_TOKEN, "token_invalid"),
    ("ask as a user who is gone", 401, "Unauthorized access, user no longer exists", "token_invalid"),
    ("fund as a normal user", 403, "Forbidden access, not a system user", "not_system_user"),
    ("open an account", 201, "Account created successfully", None),
    ("list accounts", 200, None, None),
    ("list accounts before the first", 200, None, None),
    ("see a balance", 200, None, None),
    ("see the balance of an unknown account", 404, "Account not found", "account_not_found"),
    ("see the balance of somebody else", 404, "Account not found", "account_not_found"),
    ("transfer", 201, "Transaction completed successfully", None),
    ("transfer again under the same key", 200, "Transaction already processed", None),
    (
        "transfer something else under the same key",
        409,
        "Idempotency key has already been used for a different transaction",
        "key_conflict",
    ),
    ("transfer without an amount", 400, REQUIRED, "missing_field"),
    ("transfer nothing", 400, REQUIRED, "invalid_amount"),
    ("transfer to an unknown account", 400, "Invalid fromAccount or toAccount", "account_not_found"),
    ("transfer from an unknown account", 400, "Invalid fromAccount or toAccount", "account_not_found"),
    ("transfer to an account that is not active", 400, NOT_ACTIVE, "account_not_active"),
    (
        "transfer more than there is",
        400,
        "Insufficient balance. Current balance is 10.5. Requested amount is 20.25",
        "insufficient_funds",
    ),
    ("bring money in", 201, "Initial funds transaction completed successfully", None),
    ("bring money in again under the same key", 200, "Transaction already processed", None),
    ("bring money in without an amount", 400, FUNDS_REQUIRED, "missing_field"),
    ("bring money in with blank fields", 400, FUNDS_REQUIRED, "missing_field"),
    ("bring money into an unknown account", 400, "Invalid toAccount", "account_not_found"),
    (
        "bring money in without a system account",
        400,
        "System user account not found",
        "system_account_not_found",
    ),
    ("bring money into an account that is not active", 400, NOT_ACTIVE, "account_not_active"),
]


@pytest.fixture(scope="module")
def stage(house: House) -> Stage:
    return Stage(house)


def test_every_scene_has_an_answer() -> None:
    assert {row[0] for row in ANSWERS} == set(SCENES)


@pytest.mark.parametrize(("scene", "status", "message", "code"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_it_answers_as_backend_ledger(
    stage: Stage, scene: str, status: int, message: str | None, code: str | None
) -> None:
    answer = SCENES[scene](stage)
    said = answer.json()
    assert (answer.status_code, said.get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert said["success"] is (code is None)
    if message is not None:
        assert said["message"] == message
    if code is not None:
        assert said["status"] == "failed"


@pytest.mark.parametrize("field", ["fromAccount", "toAccount", "amount", "idempotencyKey"])
@pytest.mark.parametrize("blank", [None, "", 0, False], ids=["absent", "empty", "0", "false"])
def test_a_field_missing_or_blank_is_one_sentence(stage: Stage, field: str, blank: object) -> None:
    answer = stage.send(**{field: blank})
    assert (answer.status_code, answer.json()["message"]) == (400, REQUIRED), answer.text


@pytest.mark.parametrize("field", ["toAccount", "amount", "idempotencyKey"])
@pytest.mark.parametrize("blank", [None, "", 0, False], ids=["absent", "empty", "0", "false"])
def test_an_initial_funds_field_missing_or_blank_is_one_sentence(
    stage: Stage, field: str, blank: object
) -> None:
    answer = stage.fund(**{field: blank})
    assert (answer.status_code, answer.json()["message"]) == (400, FUNDS_REQUIRED), answer.text


def test_the_root_is_a_text_for_programs_and_a_page_for_browsers(house: House) -> None:
    text = house.client.request("GET", "/")
    assert (text.status_code, text.text) == (200, "Ledger Service is up and running")
    assert text.headers["content-type"].startswith("text/plain")
    page = house.client.request("GET", "/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Accept" in page.headers["vary"]


def test_registering_answers_the_user_the_token_and_a_cookie_with_that_token(house: House) -> None:
    email = f"{fresh('Mixed.Case')}@Example.COM"
    answer = house.client.request(
        "POST",
        "/api/auth/register",
        {"email": f"  {email} ", "password": "secret", "name": "Mia"},
    )
    said = answer.json()
    user = said["user"]
    assert (user["email"], user["name"], len(user["_id"])) == (email.lower(), "Mia", 24)
    assert "password" not in answer.text
    assert answer.headers["set-cookie"].startswith(f"token={said['token']};")


def test_logging_out_clears_the_cookie(house: House) -> None:
    answer = house.client.register().post("/api/auth/logout")
    assert answer.headers["set-cookie"].startswith('token="";')
    assert "Max-Age=0" in answer.headers["set-cookie"]


def test_an_account_has_the_members_that_clients_read(stage: Stage) -> None:
    account = stage.bob.post("/api/accounts", {"currency": "usd", "name": "Savings"}).json()["account"]
    expected = {"user": stage.bob.id, "status": "ACTIVE", "currency": "USD", "name": "Savings", "__v": 0}
    assert {name: account[name] for name in expected} == expected
    assert account["_id"] == account["id"]
    assert account["createdAt"] == account["updatedAt"]


def test_accounts_are_listed_in_order_of_opening_and_only_ones_own(house: House) -> None:
    person = house.client.register()
    assert person.get("/api/accounts").json()["accounts"] == []
    opened = [person.open_account() for _ in range(3)]
    assert [account["_id"] for account in person.get("/api/accounts").json()["accounts"]] == opened


def test_a_balance_names_its_account(stage: Stage) -> None:
    said = stage.ann.get(f"/api/accounts/balance/{stage.ann_account}").json()
    assert said["accountId"] == stage.ann_account
    assert said["balance"] == stage.ann.balance(stage.ann_account)


def test_a_transaction_has_the_members_that_clients_read(stage: Stage) -> None:
    key = fresh()
    made = stage.send(idempotencyKey=key, amount="1.25").json()["transaction"]
    expected = {
        "fromAccount": stage.ann_account,
        "toAccount": stage.bob_account,
        "amount": 1.25,
        "status": "COMPLETED",
        "idempotencyKey": key,
        "__v": 0,
    }
    assert {name: made[name] for name in expected} == expected
    assert len(made["_id"]) == 24
    assert made["createdAt"] == made["updatedAt"]


def test_initial_funds_come_from_the_system_users_account(stage: Stage) -> None:
    source = stage.fund().json()["transaction"]["fromAccount"]
    own = stage.house.system.get("/api/accounts").json()["accounts"]
    assert source in [account["_id"] for account in own]


def test_an_unknown_account_and_somebody_elses_get_the_same_answer(stage: Stage) -> None:
    unknown, foreign = (
        stage.bob.get(f"/api/accounts/balance/{account}").json() | {"instance": ""}
        for account in (NOBODY, stage.ann_account)
    )
    assert unknown == foreign


@pytest.mark.slow
def test_bdt_is_a_house_currency_too(open_house: Callable[..., House]) -> None:
    house = open_house(NOSTRO_CURRENCY="BDT")
    person, account = house.funded("12.5")
    assert person.get("/api/accounts").json()["accounts"][0]["currency"] == "BDT"
    assert person.balance(account) == 12.5
