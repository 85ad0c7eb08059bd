"""The dialect of banking-ledger: what each request is answered with, and the paths that only it has."""

import base64
import json
from collections.abc import Callable

import pytest

from tests.contract.conftest import House
from tests.contract.scenes import NOBODY, SCENES, Stage

REQUIRED = "Missing required fields: fromAccount, toAccount, amount, idempotencyKey"
FUNDS_REQUIRED = "Missing required fields: toAccount, amount, idempotencyKey"
NOT_ACTIVE = "Both accounts must be active to process the transaction"
INVALID_TOKEN = "Unauthorized, token is invalid"

ANSWERS = [
    ("register", 201, None, None),
    ("register twice", 422, "Email already exists in the database", "email_taken"),
    ("register with a short password", 400, None, "invalid_field"),
    ("log in", 200, None, None),
    ("log in with a wrong password", 401, "Invalid email or password", "wrong_credentials"),
    ("log in as nobody", 401, "Invalid email or password", "wrong_credentials"),
    ("log out", 200, None, None),
    ("log out twice", 200, None, None),
    ("log out without a token", 400, "No token found", "token_missing"),
    ("ask without a token", 401, "Unauthorized, token is missing", "token_missing"),
    ("ask with a revoked token", 401, "Unauthorized, token is blacklisted", "token_invalid"),
    ("ask with an invalid token", 401, INVALID_TOKEN, "token_invalid"),
    ("ask with an expired token", 401, INVALID_TOKEN, "token_invalid"),
    ("ask as a user who is gone", 401, None, "token_invalid"),
    ("fund as a normal user", 403, "Forbidden, user is not a system user", "not_system_user"),
    ("open an account", 201, None, None),
    ("list accounts", 200, None, None),
    ("list accounts before the first", 200, None, None),
    ("see a balance", 200, None, None),
    ("see the balance of an unknown account", 404, "Account not found", "account_not_found"),
    ("see the balance of somebody else", 404, "Account not found", "account_not_found"),
    ("transfer", 200, "Transaction processed successfully", None),
    ("transfer again under the same key", 200, None, None),
    (
        "transfer something else under the same key",
        409,
        "Idempotency key has already been used for a different transaction",
        "key_conflict",
    ),
    ("transfer without an amount", 400, REQUIRED, "missing_field"),
    ("transfer nothing", 400, REQUIRED, "invalid_amount"),
    ("transfer to an unknown account", 400, "One or both accounts not found", "account_not_found"),
    ("transfer from an unknown account", 400, "One or both accounts not found", "account_not_found"),
    ("transfer to an account that is not active", 400, NOT_ACTIVE, "account_not_active"),
    (
        "transfer more than there is",
        400,
        "Insufficient balance. Available balance is 10.5.Required balance is 20.25",
        "insufficient_funds",
    ),
    ("bring money in", 201, "Initial funds transaction created successfully", None),
    ("bring money in again under the same key", 200, None, None),
    ("bring money in without an amount", 400, FUNDS_REQUIRED, "missing_field"),
    ("bring money in with blank fields", 400, FUNDS_REQUIRED, "missing_field"),
    ("bring money into an unknown account", 400, "Account not found", "account_not_found"),
    ("bring money in without a system account", 400, None, "system_account_not_found"),
    ("bring money into an account that is not active", 400, NOT_ACTIVE, "account_not_active"),
]


@pytest.fixture(scope="module")
def banking(house_of: Callable[[str], House]) -> House:
    return house_of("banking-ledger")


@pytest.fixture(scope="module")
def stage(banking: House) -> Stage:
    return Stage(banking)


def test_every_scene_has_an_answer() -> None:
    assert {row[0] for row in ANSWERS} == set(SCENES)


@pytest.mark.parametrize(("scene", "status", "message", "code"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_it_answers_as_banking_ledger(
    stage: Stage, scene: str, status: int, message: str | None, code: str | None
) -> None:
    answer = SCENES[scene](stage)
    said = answer.json()
    assert (answer.status_code, said.get("code")) == (status, code), answer.text
    assert said["success"] is (code is None)
    if message is not None:
        assert said["message"] == message
    if code is not None:
        assert said["status"] == "failed"


@pytest.mark.parametrize("dialect", ["banking-ledger", "backend-ledger"])
def test_its_own_paths_answer_in_every_house(house_of: Callable[[str], House], dialect: str) -> None:
    person = house_of(dialect).client.register()
    opened = person.post("/api/accounts/create", {})
    assert opened.status_code == 201
    account = opened.json()["account"]["_id"]
    shown = person.get(f"/api/accounts/{account}")
    assert (shown.status_code, shown.json()["account"]["balance"]) == (200, 0)
    listed = person.get(f"/api/accounts/user/{person.id}")
    assert [one["_id"] for one in listed.json()["accounts"]] == [account]
    missing = house_of(dialect).client.request("GET", f"/api/accounts/{account}")
    assert missing.json()["message"] == "Unauthorized, token is missing"


@pytest.mark.parametrize(
    "path", ["/api/accounts/{nobody}", "/api/accounts/{account}", "/api/accounts/user/{user}"]
)
def test_what_is_not_ones_own_is_not_found(stage: Stage, path: str) -> None:
    asked = path.format(nobody=NOBODY, account=stage.ann_account, user=stage.ann.id)
    answer = stage.bob.get(asked)
    assert (answer.status_code, answer.json()["message"]) == (404, "Account not found")


def test_a_token_lives_for_seven_days(banking: House) -> None:
    payload = banking.client.register().token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["exp"] - claims["iat"] == 7 * 24 * 3600
