"""The dialect of ledgerflow: what each request is answered with, under /api and on its paths without /api."""

import base64
import json
from collections.abc import Callable

import pytest

from tests.client import fresh
from tests.contract.conftest import House
from tests.contract.scenes import SCENES, Stage

REQUIRED = "All fields are required"
NOT_ACTIVE = "Both accounts must be active to perform a transaction"
INVALID_TOKEN = "Unauthorized access, token is invalid"

ANSWERS = [
    ("register", 201, None, None),
    ("register twice", 409, "User already exists", "email_taken"),
    ("register with a short password", 400, None, "invalid_field"),
    ("log in", 200, "User Logged In", None),
    ("log in with a wrong password", 401, "Invalid email or password", "wrong_credentials"),
    ("log in as nobody", 401, "Invalid email or password", "wrong_credentials"),
    ("log out", 200, "User logged out successfully", None),
    ("log out twice", 200, "User logged out successfully", None),
    ("log out without a token", 400, "Token is required for logout", "token_missing"),
    ("ask without a token", 401, "Unauthorized access, token is missing", "token_missing"),
    ("ask with a revoked token", 401, "Unauthorized access, token is blacklisted", "token_invalid"),
    ("ask with an invalid token", 401, INVALID_TOKEN, "token_invalid"),
    ("ask with an expired token", 401, INVALID_TOKEN, "token_invalid"),
    ("ask as a user who is gone", 401, None, "token_invalid"),
    ("fund as a normal user", 403, "Access denied, system user required", "not_system_user"),
    ("open an account", 201, None, None),
    ("list accounts", 200, None, None),
    ("list accounts before the first", 404, "Open your first account Zoe!!", "not_found"),
    ("see a balance", 200, None, None),
    ("see the balance of an unknown account", 404, "Account not found!!", "account_not_found"),
    ("see the balance of somebody else", 404, "Account not found!!", "account_not_found"),
    ("transfer", 201, "Transaction successful", None),
    ("transfer again under the same key", 200, None, None),
    (
        "transfer something else under the same key",
        409,
        "Idempotency key has already been used for a different transaction",
        "key_conflict",
    ),
    ("transfer without an amount", 400, REQUIRED, "missing_field"),
    ("transfer nothing", 400, REQUIRED, "invalid_amount"),
    ("transfer to an unknown account", 404, "Account not found", "account_not_found"),
    ("transfer from an unknown account", 404, "Account not found", "account_not_found"),
    ("transfer to an account that is not active", 400, NOT_ACTIVE, "account_not_active"),
    ("transfer more than there is", 400, "Insufficient balance. Current balance: 10.5", "insufficient_funds"),
    ("bring money in", 201, "Initial funds transaction created successfully", None),
    ("bring money in again under the same key", 200, None, None),
    ("bring money in without an amount", 400, REQUIRED, "missing_field"),
    ("bring money in with blank fields", 400, REQUIRED, "missing_field"),
    ("bring money into an unknown account", 404, "Account not found", "account_not_found"),
    ("bring money in without a system account", 404, "System account not found", "system_account_not_found"),
    ("bring money into an account that is not active", 400, NOT_ACTIVE, "account_not_active"),
]
MOVES = [row for row in ANSWERS if row[0].startswith(("transfer", "bring"))]


@pytest.fixture(scope="module")
def ledgerflow(house_of: Callable[[str], House]) -> House:
    return house_of("ledgerflow")


@pytest.fixture(scope="module")
def stage(ledgerflow: House) -> Stage:
    return Stage(ledgerflow)


@pytest.fixture(scope="module")
def stage_without_api(house: House) -> Stage:
    """The default dialect's house, asked at the paths that only ledgerflow has."""
    return Stage(house, prefix="")


def test_every_scene_has_an_answer() -> None:
    assert {row[0] for row in ANSWERS} == set(SCENES)


@pytest.mark.parametrize(("scene", "status", "message", "code"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_it_answers_as_ledgerflow(
    stage: Stage, scene: str, status: int, message: str | None, code: str | None
) -> None:
    _check(stage, scene, status, message, code)


@pytest.mark.parametrize(("scene", "status", "message", "code"), MOVES, ids=[row[0] for row in MOVES])
def test_paths_without_api_answer_as_ledgerflow_in_every_house(
    stage_without_api: Stage, scene: str, status: int, message: str | None, code: str | None
) -> None:
    _check(stage_without_api, scene, status, message, code)


def _check(stage: Stage, scene: str, status: int, message: str | None, code: str | None) -> None:
    answer = SCENES[scene](stage)
    said = answer.json()
    assert (answer.status_code, said.get("code")) == (status, code), answer.text
    assert said["success"] is (code is None)
    if message is not None:
        assert said["message"] == message


def test_a_replay_is_the_bare_transaction_at_top_level(stage: Stage) -> None:
    key = fresh()
    first = stage.send(idempotencyKey=key).json()["transaction"]
    again = stage.send(idempotencyKey=key)
    said = again.json()
    assert again.status_code == 200
    assert {name: said[name] for name in first} == first


def test_initial_funds_answer_under_the_old_spelling(stage_without_api: Stage) -> None:
    answer = stage_without_api.fund(path="system/intial-funds")
    assert (answer.status_code, answer.json()["message"]) == (
        201,
        "Initial funds transaction created successfully",
    )


def test_logging_out_works_with_get(ledgerflow: House) -> None:
    person = ledgerflow.client.register()
    assert person.get("/api/auth/logout").status_code == 200
    assert person.get("/api/accounts").status_code == 401
    assert ledgerflow.client.request("GET", "/api/auth/logout").json()["message"] == (
        "Token is required for logout"
    )


def test_the_token_says_whether_its_user_is_a_system_user(ledgerflow: House) -> None:
    assert _claims(ledgerflow.client.register().token)["userType"] == "USER"
    assert _claims(ledgerflow.system.token)["userType"] == "SYSTEM"


def test_a_token_lives_for_three_days(ledgerflow: House) -> None:
    claims = _claims(ledgerflow.client.register().token)
    assert claims["exp"] - claims["iat"] == 3 * 24 * 3600


def _claims(token: str) -> dict[str, int | str]:
    payload = token.split(".")[1]
    found: dict[str, int | str] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found
