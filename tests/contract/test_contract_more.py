"""More answers than the five systems ask for: one body that suits every reader, and every alias in the wild."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from nostro.api.pages import all_errors
from tests.client import Person, fresh
from tests.contract.conftest import DIALECTS, House
from tests.contract.scenes import NOBODY, Stage

PROBLEM = {
    "message",
    "status",
    "success",
    "code",
    "retryable",
    "type",
    "title",
    "detail",
    "instance",
    "httpStatus",
}


@pytest.fixture(scope="module")
def stage(house: House) -> Stage:
    return Stage(house)


# ── one body for every reader ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dialect", DIALECTS)
def test_registering_and_logging_in_answer_with_every_member(
    house_of: Callable[[str], House], dialect: str
) -> None:
    house = house_of(dialect)
    who = {"email": f"{fresh('more')}@example.com", "password": "secret"}
    registered = house.client.request("POST", "/api/auth/register", who | {"name": "Mo"}).json()
    logged_in = house.client.request("POST", "/api/auth/login", who).json()
    for said in (registered, logged_in):
        assert said["message"]
        assert said["success"] is True
        assert len(said["token"].split(".")) == 3
        user = said["user"]
        assert user == user | {"email": who["email"], "name": "Mo", "systemUser": False}
        assert user["_id"] == user["id"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_balance_has_every_member(house_of: Callable[[str], House], dialect: str) -> None:
    person, account = house_of(dialect).funded("12.34")
    said = person.get(f"/api/accounts/balance/{account}").json()
    expected = {"accountId": account, "account": account, "balance": 12.34, "available": 12.34}
    assert said == said | expected | {"currency": "INR"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_accounts_in_lists_carry_their_balance(house_of: Callable[[str], House], dialect: str) -> None:
    person, _ = house_of(dialect).funded("0.5")
    assert [one["balance"] for one in person.get("/api/accounts").json()["accounts"]] == [0.5]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("move", ["transfer", "initial funds"])
def test_a_replay_is_readable_under_transaction_and_at_top_level(
    house_of: Callable[[str], House], dialect: str, move: str
) -> None:
    house, key = house_of(dialect), fresh()
    person, account = house.funded(5)
    other = person.open_account()

    def play() -> dict[str, Any]:
        moved = person.send(account, other, 1, key) if move == "transfer" else house.system.fund(other, 1, key)
        said: dict[str, Any] = moved.json()
        return said

    first, again = play()["transaction"], play()
    assert again["transaction"] == first
    assert {name: again[name] for name in first} == first
    assert again["message"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("asked", "code", "status"),
    [
        ("GET /api/accounts/balance/nonsense", "invalid_id", 400),
        ("POST /api/transactions", "missing_field", 400),
        (f"GET /api/transactions/{NOBODY}", "not_found", 404),
        ("POST /api/transactions/initial-funds", "not_system_user", 403),
        ("GET /api/nothing", "not_found", 404),
        ("PATCH /api/accounts", "method_not_allowed", 405),
    ],
)
def test_an_error_has_the_old_members_and_those_of_rfc_9457(
    house_of: Callable[[str], House], dialect: str, asked: str, code: str, status: int
) -> None:
    house, (method, path) = house_of(dialect), asked.split()
    answer = house.client.request(method, path, {}, token=_anyone(house).token)
    said = answer.json()
    assert said.keys() >= PROBLEM
    assert (answer.status_code, said["code"], said["httpStatus"]) == (status, code, status)
    assert (said["status"], said["success"], said["retryable"]) == ("failed", False, False)
    assert (said["type"], said["instance"]) == (f"/errors/{code}", path)
    assert said["title"]
    assert said["detail"]
    assert said["message"]


_people: dict[str, Person] = {}


def _anyone(house: House) -> Person:
    return _people.setdefault(house.client.url, house.client.register())


@pytest.mark.parametrize("code", [error.code for error in all_errors()])
def test_the_type_of_an_error_leads_to_its_explanation(house: House, code: str) -> None:
    answer = house.client.request("GET", f"/errors/{code}")
    assert answer.status_code == 200
    assert answer.json() == answer.json() | {"code": code}
    assert re.fullmatch(r"[a-z_]+", code)


def test_no_other_error_has_an_explanation(house: House) -> None:
    assert house.client.request("GET", "/errors/nonsense").status_code == 404


# ── aliases ──────────────────────────────────────────────────────────────────────────────────────────

FUNDS = [f"{room}{name}" for room in ("", "system/") for name in (
    "initial-funds", "initial-fund", "initial_funds", "intial-funds"
)]  # fmt: skip


@pytest.mark.parametrize("path", ["/health", "/api/health", "/Health/"])
def test_health_is_told_to_anyone(house: House, path: str) -> None:
    answer = house.client.request("GET", path)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


@pytest.mark.parametrize("prefix", ["/api/auth", "/auth"])
def test_auth_answers_with_and_without_api(house: House, prefix: str) -> None:
    who = {"email": f"{fresh('alias')}@example.com", "password": "secret"}
    assert house.client.request("POST", f"{prefix}/register", who | {"name": "Al"}).status_code == 201
    token = house.client.request("POST", f"{prefix}/login", who).json()["token"]
    assert house.client.request("GET", f"{prefix}/session", token=token).status_code == 200
    assert house.client.request("POST", f"{prefix}/logout", token=token).status_code == 200
    assert house.client.request("GET", f"{prefix}/me", token=token).status_code == 401


@pytest.mark.parametrize("path", ["/api/accounts", "/accounts", "/api/account", "/account"])
def test_accounts_are_opened_and_listed_under_every_name(stage: Stage, path: str) -> None:
    opened = stage.bob.post(path).json()["account"]["_id"]
    assert opened in [one["_id"] for one in stage.bob.get(path).json()["accounts"]]


@pytest.mark.parametrize(
    "path",
    ["/api/accounts/balance/{}", "/api/accounts/{}/balance", "/accounts/{}/balance", "/account/balance/{}"],
)
def test_a_balance_is_found_under_every_name(stage: Stage, path: str) -> None:
    assert stage.ann.get(path.format(stage.ann_account)).json()["accountId"] == stage.ann_account


@pytest.mark.parametrize(
    "path",
    [
        "/api/transactions",
        "/api/transaction",
        "/api/transactions/transfer",
        "/api/transactions/create",
        "/api/transaction/transfer",
        "/transactions",
        "/transactions/transfer",
    ],
)
def test_a_transfer_is_made_under_every_name(stage: Stage, path: str) -> None:
    body = {
        "fromAccount": stage.ann_account,
        "toAccount": stage.bob_account,
        "amount": "0.01",
        "idempotencyKey": fresh(),
    }
    assert stage.ann.post(path, body).status_code == 201


@pytest.mark.parametrize("path", FUNDS)
@pytest.mark.parametrize("room", ["/api/transactions", "/api/transaction", "/transactions"])
def test_money_is_brought_in_under_every_name(stage: Stage, room: str, path: str) -> None:
    body = {"toAccount": stage.bob_account, "amount": "0.01", "idempotencyKey": fresh()}
    assert stage.house.system.post(f"{room}/{path}", body).status_code == 201


# ── who one is, and what became of the money ─────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/api/auth/session", "/api/auth/me"])
def test_session_and_me_tell_who_one_is(stage: Stage, path: str) -> None:
    user = stage.ann.get(path).json()["user"]
    assert user == user | {"_id": stage.ann.id, "email": stage.ann.email, "systemUser": False}
    assert stage.house.system.get(path).json()["user"]["systemUser"] is True
    assert stage.house.client.request("GET", path).status_code == 401


@pytest.fixture(scope="module")
def story(house: House) -> tuple[Person, Person, list[str], list[str]]:
    """Ann pays Bob 3, Bob pays Ann 1, Ann moves 2 between her own; four transactions with the funding."""
    ann, account = house.funded(10)
    bob = house.client.register("Bob")
    bob_account, second = bob.open_account(), ann.open_account()
    moves = [
        ann.send(account, bob_account, 3),
        bob.send(bob_account, account, 1),
        ann.send(account, second, 2),
    ]
    return ann, bob, [account, second, bob_account], [move.json()["transaction"]["_id"] for move in moves]


@pytest.mark.parametrize("path", ["/api/transactions", "/api/transactions/history", "/transactions"])
def test_the_list_shows_the_newest_first_with_direction_and_counterparty(
    story: tuple[Person, Person, list[str], list[str]], path: str
) -> None:
    ann, bob, (_, second, bob_account), ids = story
    said = ann.get(path).json()
    listed = said["transactions"]
    assert (said["total"], said["limit"], said["skip"]) == (4, 50, 0)
    assert [one["_id"] for one in listed[:3]] == ids[::-1]
    assert [one["direction"] for one in listed] == ["INTERNAL", "CREDIT", "DEBIT", "CREDIT"]
    opposite = [(one["counterpartyAccountId"], one["counterpartyUserName"]) for one in listed[:3]]
    assert opposite == [(second, "Ann"), (bob_account, "Bob"), (bob_account, "Bob")]
    assert listed[1]["counterpartyUserEmail"] == bob.email


def test_pages_cut_the_list_without_gap_or_overlap(
    story: tuple[Person, Person, list[str], list[str]],
) -> None:
    ann = story[0]
    whole = [one["_id"] for one in ann.get("/api/transactions").json()["transactions"]]
    pages = [
        ann.get(f"/api/transactions?limit={limit}&skip={skip}").json()["transactions"]
        for limit, skip in ((1, 0), (2, 1), (5, 3), (5, 4))
    ]
    assert [[one["_id"] for one in page] for page in pages] == [whole[:1], whole[1:3], whole[3:], []]


@pytest.mark.parametrize("path", ["/api/transactions?accountId={}", "/api/transactions/account/{}"])
def test_one_account_narrows_the_list(story: tuple[Person, Person, list[str], list[str]], path: str) -> None:
    ann, bob, (_, second, bob_account), ids = story
    said = ann.get(path.format(second)).json()
    assert ([one["_id"] for one in said["transactions"]], said["total"]) == ([ids[2]], 1)
    for foreign in (bob_account, NOBODY):
        assert ann.get(path.format(foreign)).json()["code"] == "account_not_found"
    assert bob.get(path.format(bob_account)).json()["total"] == 2


@pytest.mark.parametrize(
    ("status", "total"), [("COMPLETED", 4), ("completed", 4), ("PENDING", 0), ("FAILED", 0)]
)
def test_the_status_narrows_the_list(
    story: tuple[Person, Person, list[str], list[str]], status: str, total: int
) -> None:
    assert story[0].get(f"/api/transactions?status={status}").json()["total"] == total


def test_one_transaction_is_seen_by_both_sides_and_by_nobody_else(
    house: House, story: tuple[Person, Person, list[str], list[str]]
) -> None:
    ann, bob, _, ids = story
    path = f"/api/transactions/{ids[0]}"
    assert ann.get(path).json()["transaction"]["direction"] == "DEBIT"
    assert bob.get(path).json()["transaction"]["direction"] == "CREDIT"
    stranger = house.client.register().get(path)
    unknown = ann.get(f"/api/transactions/{NOBODY}")
    assert (stranger.status_code, unknown.status_code) == (404, 404)
    assert stranger.json() | {"instance": ""} == unknown.json() | {"instance": ""}


def test_all_accounts_are_for_the_system_user(stage: Stage) -> None:
    said = stage.house.system.get("/api/accounts/all?limit=200").json()
    assert stage.ann_account in [one["_id"] for one in said["accounts"]]
    assert (said["limit"], said["skip"]) == (200, 0)
    assert len(stage.house.system.get("/api/accounts/all?limit=2&skip=1").json()["accounts"]) == 2
    assert stage.ann.get("/api/accounts/all").json()["code"] == "not_system_user"


@pytest.mark.parametrize("spell", [str, str.upper, lambda email: email.replace("@", "%40")])
def test_accounts_by_e_mail_are_for_the_system_user(stage: Stage, spell: Callable[[str], str]) -> None:
    path = f"/api/accounts/by-email/{spell(stage.ann.email)}"
    said = stage.house.system.get(path).json()
    assert said["user"]["_id"] == stage.ann.id
    assert [one["_id"] for one in said["accounts"]] == [stage.ann_account]
    assert stage.ann.get(path).json()["code"] == "not_system_user"


def test_accounts_of_an_unknown_e_mail_are_not_found(house: House) -> None:
    assert house.system.get("/api/accounts/by-email/nobody@example.com").json()["code"] == "not_found"
    assert house.system.get("/api/accounts/by-email/nonsense%00").json()["code"] == "invalid_field"
