"""What clients of all three dialects do, by name. A dialect's file says what each of these is answered with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.client import Person, fresh
from tests.contract.conftest import House
from tests.contract.tokens import claims, signed

NOBODY = "0" * 24
Scene = Callable[["Stage"], httpx2.Response]
SCENES: dict[str, Scene] = {}


@dataclass
class Stage:
    """Ann with 100, Bob with nothing, and a prefix for the paths that a dialect serves elsewhere too."""

    house: House
    prefix: str = "/api"
    ann: Person = field(init=False)
    bob: Person = field(init=False)
    ann_account: str = field(init=False)
    bob_account: str = field(init=False)

    def __post_init__(self) -> None:
        self.ann, self.ann_account = self.house.funded(100)
        self.bob = self.house.client.register("Bob")
        self.bob_account = self.bob.open_account()

    def send(self, **changes: Any) -> httpx2.Response:
        """Ann sends Bob 1, but for `changes`; a change to None leaves the field out."""
        body = {
            "fromAccount": self.ann_account,
            "toAccount": self.bob_account,
            "amount": 1,
            "idempotencyKey": fresh(),
        } | changes
        return self.ann.post(f"{self.prefix}/transactions", without_none(body))

    def fund(self, path: str = "system/initial-funds", **changes: Any) -> httpx2.Response:
        body = {"toAccount": self.bob_account, "amount": 1, "idempotencyKey": fresh()} | changes
        return self.house.system.post(f"{self.prefix}/transactions/{path}", without_none(body))

    def as_anyone(self, method: str, path: str, body: object = None, token: str = "") -> httpx2.Response:
        return self.house.client.request(method, path, body, token=token)


def without_none(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def scene(play: Scene) -> Scene:
    SCENES[play.__name__.replace("_", " ").strip()] = play
    return play


# ── registering, logging in and out ──────────────────────────────────────────────────────────────────


def _newcomer() -> dict[str, Any]:
    return {"email": f"{fresh('new')}@example.com", "password": "secret", "name": "Nina"}


@scene
def register(stage: Stage) -> httpx2.Response:
    return stage.as_anyone("POST", "/api/auth/register", _newcomer())


@scene
def register_twice(stage: Stage) -> httpx2.Response:
    newcomer = _newcomer()
    stage.as_anyone("POST", "/api/auth/register", newcomer)
    return stage.as_anyone("POST", "/api/auth/register", newcomer | {"email": f" {newcomer['email'].upper()} "})


@scene
def register_with_a_short_password(stage: Stage) -> httpx2.Response:
    return stage.as_anyone("POST", "/api/auth/register", _newcomer() | {"password": "12345"})


@scene
def log_in(stage: Stage) -> httpx2.Response:
    return stage.as_anyone(
        "POST", "/api/auth/login", {"email": f" {stage.bob.email.upper()}", "password": stage.bob.password}
    )


@scene
def log_in_with_a_wrong_password(stage: Stage) -> httpx2.Response:
    return stage.as_anyone("POST", "/api/auth/login", {"email": stage.bob.email, "password": "wrong one"})


@scene
def log_in_as_nobody(stage: Stage) -> httpx2.Response:
    return stage.as_anyone(
        "POST", "/api/auth/login", {"email": f"{fresh('nobody')}@example.com", "password": "wrong one"}
    )


@scene
def log_out(stage: Stage) -> httpx2.Response:
    return stage.house.client.register().post("/api/auth/logout")


@scene
def log_out_twice(stage: Stage) -> httpx2.Response:
    person = stage.house.client.register()
    person.post("/api/auth/logout")
    return person.post("/api/auth/logout")


@scene
def log_out_without_a_token(stage: Stage) -> httpx2.Response:
    return stage.as_anyone("POST", "/api/auth/logout")


# ── who is asking ────────────────────────────────────────────────────────────────────────────────────


@scene
def ask_without_a_token(stage: Stage) -> httpx2.Response:
    return stage.as_anyone("GET", "/api/accounts")


@scene
def ask_with_a_revoked_token(stage: Stage) -> httpx2.Response:
    person = stage.house.client.register()
    person.post("/api/auth/logout")
    return person.get("/api/accounts")


@scene
def ask_with_an_invalid_token(stage: Stage) -> httpx2.Response:
    return stage.as_anyone("GET", "/api/accounts", token=signed(claims(stage.ann.id), key="another secret"))


@scene
def ask_with_an_expired_token(stage: Stage) -> httpx2.Response:
    return stage.as_anyone("GET", "/api/accounts", token=signed(claims(stage.ann.id, lifetime_s=-10)))


@scene
def ask_as_a_user_who_is_gone(stage: Stage) -> httpx2.Response:
    return stage.as_anyone("GET", "/api/accounts", token=signed(claims(NOBODY)))


@scene
def fund_as_a_normal_user(stage: Stage) -> httpx2.Response:
    return stage.ann.fund(stage.ann_account, 1)


# ── accounts ─────────────────────────────────────────────────────────────────────────────────────────


@scene
def open_an_account(stage: Stage) -> httpx2.Response:
    return stage.house.client.register().post("/api/accounts")


@scene
def list_accounts(stage: Stage) -> httpx2.Response:
    return stage.ann.get("/api/accounts")


@scene
def list_accounts_before_the_first(stage: Stage) -> httpx2.Response:
    return stage.house.client.register("Zoe").get("/api/accounts")


@scene
def see_a_balance(stage: Stage) -> httpx2.Response:
    return stage.bob.get(f"/api/accounts/balance/{stage.bob_account}")


@scene
def see_the_balance_of_an_unknown_account(stage: Stage) -> httpx2.Response:
    return stage.ann.get(f"/api/accounts/balance/{NOBODY}")


@scene
def see_the_balance_of_somebody_else(stage: Stage) -> httpx2.Response:
    return stage.bob.get(f"/api/accounts/balance/{stage.ann_account}")


# ── transfers ────────────────────────────────────────────────────────────────────────────────────────


@scene
def transfer(stage: Stage) -> httpx2.Response:
    return stage.send(amount="1.50")


@scene
def transfer_again_under_the_same_key(stage: Stage) -> httpx2.Response:
    key = fresh()
    stage.send(idempotencyKey=key)
    return stage.send(idempotencyKey=key)


@scene
def transfer_something_else_under_the_same_key(stage: Stage) -> httpx2.Response:
    key = fresh()
    stage.send(idempotencyKey=key)
    return stage.send(idempotencyKey=key, amount=2)


@scene
def transfer_without_an_amount(stage: Stage) -> httpx2.Response:
    return stage.send(amount=None)


@scene
def transfer_nothing(stage: Stage) -> httpx2.Response:
    return stage.send(amount=0)


@scene
def transfer_to_an_unknown_account(stage: Stage) -> httpx2.Response:
    return stage.send(toAccount=NOBODY)


@scene
def transfer_from_an_unknown_account(stage: Stage) -> httpx2.Response:
    return stage.send(fromAccount=NOBODY)


@scene
def transfer_to_an_account_that_is_not_active(stage: Stage) -> httpx2.Response:
    return stage.send(toAccount=dormant_account(stage))


@scene
def transfer_more_than_there_is(stage: Stage) -> httpx2.Response:
    person, account = stage.house.funded("10.5")
    body = {"fromAccount": account, "toAccount": stage.bob_account, "amount": 20.25, "idempotencyKey": fresh()}
    return person.post(f"{stage.prefix}/transactions", body)


# ── initial funds ────────────────────────────────────────────────────────────────────────────────────


@scene
def bring_money_in(stage: Stage) -> httpx2.Response:
    return stage.fund()


@scene
def bring_money_in_again_under_the_same_key(stage: Stage) -> httpx2.Response:
    key = fresh()
    stage.fund(idempotencyKey=key)
    return stage.fund(idempotencyKey=key)


@scene
def bring_money_in_without_an_amount(stage: Stage) -> httpx2.Response:
    return stage.fund(amount=None)


@scene
def bring_money_in_with_blank_fields(stage: Stage) -> httpx2.Response:
    return stage.fund(toAccount="", amount="", idempotencyKey="")


@scene
def bring_money_into_an_unknown_account(stage: Stage) -> httpx2.Response:
    return stage.fund(toAccount=NOBODY)


@scene
def bring_money_in_without_a_system_account(stage: Stage) -> httpx2.Response:
    """The system user's settlement account is in the house currency; this account is in another."""
    return stage.fund(toAccount=stage.bob.open_account(currency="USD"))


@scene
def bring_money_into_an_account_that_is_not_active(stage: Stage) -> httpx2.Response:
    return stage.fund(toAccount=dormant_account(stage))


def dormant_account(stage: Stage) -> str:
    account = stage.bob.open_account()
    answer = stage.bob.post(f"/api/accounts/{account}/status", {"status": "INACTIVE", "reason": "away"})
    assert answer.status_code == 200, answer.text
    return account
