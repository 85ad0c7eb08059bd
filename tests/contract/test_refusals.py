"""The published precedence of refusals, one row per code: where several apply, the first is the answer, and
nothing is stored."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx2
import pytest

from nostro.domain.errors import (
    PRECEDENCE,
    BodyTooLarge,
    CrossSiteRefused,
    MalformedJson,
    NostroError,
    RateLimited,
    UnsupportedMediaType,
)
from tests.client import Person, fresh
from tests.contract.conftest import House
from tests.contract.scenes import NOBODY
from tests.contract.tokens import claims, signed

CODES = [error.code for error in PRECEDENCE]
EDGE = 2**63 - 1
FOREIGN = "https://evil.example"


@dataclass
class Cast:
    """Who is there to be refused. `system` has a settlement account in INR alone, `ann` 100 INR."""

    house: House
    ann: Person
    ann_account: str
    dormant: str
    in_dollars: str
    bob_account: str
    bob_dormant: str
    full: str
    used_key: str
    bob: Person
    paid: str
    reversed: str
    pending: str = ""
    captured: str = ""
    voided: str = ""
    expired: str = ""

    def about(self, transaction: str, what: str, **body: Any) -> httpx2.Response:
        """What Bob, who received or may receive, asks about a transaction."""
        return self.bob.post(f"/api/transactions/{transaction}/{what}", body)

    def exchange(self, **changes: Any) -> httpx2.Response:
        return self.ann.post("/api/transactions/exchange", self.body(**changes))

    def hold(self, **terms: Any) -> str:
        return str(self.transfer(hold=True, **terms).json()["transaction"]["_id"])

    def transfer(self, **changes: Any) -> httpx2.Response:
        return self.ann.post("/api/transactions", self.body(**changes))

    def body(self, **changes: Any) -> dict[str, Any]:
        """A transfer that would succeed, but for `changes`; None leaves a field out."""
        body = {
            "fromAccount": self.ann_account,
            "toAccount": self.bob_account,
            "amount": 1,
            "idempotencyKey": fresh(),
        } | changes
        return {name: value for name, value in body.items() if value is not None}

    def send(self, content: bytes, token: str | None = None, **headers: str) -> httpx2.Response:
        return self.house.client.request(
            "POST",
            "/api/transactions",
            content=content,
            token=self.ann.token if token is None else token,
            headers={"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()},
        )

    def fund(self, **changes: Any) -> httpx2.Response:
        body = {"toAccount": self.ann_account, "amount": 1, "idempotencyKey": fresh()} | changes
        return self.house.system.post("/api/transactions/system/initial-funds", body)

    def status(self, person: Person, account: str, status: str) -> None:
        answer = person.post(f"/api/accounts/{account}/status", {"status": status, "reason": "a test"})
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def cast(house: House) -> Cast:
    ann, ann_account = house.funded(100)
    bob = house.client.register("Bob")
    cast = Cast(
        house=house,
        ann=ann,
        ann_account=ann_account,
        dormant=ann.open_account(),
        in_dollars=ann.open_account(currency="USD"),
        bob_account=bob.open_account(),
        bob_dormant=bob.open_account(),
        full=bob.open_account(),
        used_key=fresh(),
        bob=bob,
        paid="",
        reversed="",
    )
    cast.paid, cast.reversed = (cast.transfer().json()["transaction"]["_id"] for _ in range(2))
    assert cast.about(cast.reversed, "reverse").status_code == 201
    cast.pending, cast.captured, cast.voided = cast.hold(), cast.hold(), cast.hold()
    cast.expired = cast.hold(expiresIn=1)
    assert cast.about(cast.captured, "capture").status_code == 201
    assert cast.about(cast.voided, "void").status_code == 201
    house.tables.wait_for_expiry(cast.expired)
    # Whoever meets an expired hold has its EXPIRY written, refused or not.
    assert cast.about(cast.expired, "void").json()["code"] == "hold_expired"
    cast.status(ann, cast.dormant, "INACTIVE")
    cast.status(bob, cast.bob_dormant, "INACTIVE")
    assert cast.transfer(idempotencyKey=cast.used_key).status_code == 201
    # What no route sets yet: a ceiling of 50, and (below) balances at the edge of 64 bits.
    set_head(house, cast.full, ceiling="5000")
    return cast


ROWS: dict[str, Callable[[Cast], httpx2.Response]] = {}


def row(code: str) -> Callable[[Callable[[Cast], httpx2.Response]], Callable[[Cast], httpx2.Response]]:
    def remember(play: Callable[[Cast], httpx2.Response]) -> Callable[[Cast], httpx2.Response]:
        ROWS[code] = play
        return play

    return remember


@row("token_missing")
def no_token_and_no_json(cast: Cast) -> httpx2.Response:
    return cast.send(b"{", token="", Origin=FOREIGN)


@row("cross_site_refused")
def a_foreign_page_with_an_invalid_cookie(cast: Cast) -> httpx2.Response:
    return cast.send(b"{", token="", Cookie="token=nonsense", Origin=FOREIGN)


@row("token_invalid")
def a_token_of_nobody_on_a_system_route(cast: Cast) -> httpx2.Response:
    token = signed(claims(NOBODY))
    return cast.house.client.request("POST", "/api/transactions/initial-funds", {}, token=token)


@row("not_system_user")
def a_normal_user_and_no_json(cast: Cast) -> httpx2.Response:
    return cast.ann.post(
        "/api/transactions/initial-funds", content=b"{", headers={"Content-Type": "application/json"}
    )


@row("rate_limited")
def too_many_wrong_passwords_and_then_none_at_all(cast: Cast) -> httpx2.Response:
    email = f"{fresh('guessed')}@example.com"
    for _ in range(10):
        cast.house.client.request("POST", "/api/auth/login", {"email": email, "password": "a guess"})
    return cast.house.client.request("POST", "/api/auth/login", {"email": email})


@row("body_too_large")
def a_large_body_of_the_wrong_type(cast: Cast) -> httpx2.Response:
    return cast.send(b"x" * 102_401, Content_Type="text/plain")


@row("unsupported_media_type")
def a_form_that_is_no_json(cast: Cast) -> httpx2.Response:
    return cast.send(b"fromAccount=1", Content_Type="application/x-www-form-urlencoded")


@row("malformed_json")
def a_field_twice_and_no_end(cast: Cast) -> httpx2.Response:
    return cast.send(b'{"amount":1,"amount":1')


@row("duplicate_field")
def a_field_twice_and_others_missing(cast: Cast) -> httpx2.Response:
    return cast.send(b'{"amount":1,"amount":2}')


@row("missing_field")
def an_empty_key_and_a_bad_id(cast: Cast) -> httpx2.Response:
    return cast.transfer(fromAccount="nonsense", amount="nonsense", idempotencyKey="")


@row("invalid_id")
def a_bad_id_and_a_bad_amount(cast: Cast) -> httpx2.Response:
    return cast.transfer(toAccount="nonsense", amount="nonsense")


@row("invalid_amount")
def a_bad_amount_and_a_bad_key(cast: Cast) -> httpx2.Response:
    return cast.transfer(amount=-1, idempotencyKey="é")


@row("invalid_key")
def a_bad_key_and_the_same_account(cast: Cast) -> httpx2.Response:
    return cast.transfer(toAccount=cast.ann_account, idempotencyKey="é")


@row("unknown_currency")
def a_currency_that_is_none(cast: Cast) -> httpx2.Response:
    return cast.ann.post("/api/accounts", {"currency": "ZZZ"})


@row("same_account")
def the_same_account_under_a_used_key(cast: Cast) -> httpx2.Response:
    return cast.transfer(toAccount=cast.ann_account, idempotencyKey=cast.used_key)


@row("key_conflict")
def a_used_key_and_an_unknown_account(cast: Cast) -> httpx2.Response:
    return cast.transfer(toAccount=NOBODY, idempotencyKey=cast.used_key)


@row("account_not_found")
def an_unknown_account_and_one_of_somebody_else(cast: Cast) -> httpx2.Response:
    return cast.transfer(fromAccount=cast.bob_account, toAccount=NOBODY)


@row("system_account_not_found")
def no_settlement_account_and_a_dormant_receiver(cast: Cast) -> httpx2.Response:
    dormant = cast.ann.open_account(currency="MAD")
    cast.status(cast.ann, dormant, "INACTIVE")
    return cast.fund(toAccount=dormant)


@row("not_account_owner")
def somebody_elses_dormant_account_in_another_currency(cast: Cast) -> httpx2.Response:
    return cast.transfer(fromAccount=cast.bob_dormant, toAccount=cast.in_dollars)


@row("not_receiver")
def a_sender_who_wants_back_what_was_reversed(cast: Cast) -> httpx2.Response:
    return cast.ann.post(f"/api/transactions/{cast.reversed}/reverse", {"amount": 1000})


@row("currency_mismatch")
def a_dormant_account_in_another_currency(cast: Cast) -> httpx2.Response:
    return cast.transfer(fromAccount=cast.dormant, toAccount=cast.in_dollars)


@row("rate_not_found")
def an_exchange_nobody_makes_from_a_dormant_account(cast: Cast) -> httpx2.Response:
    return cast.exchange(fromAccount=cast.dormant, toAccount=cast.ann.open_account(currency="ISK"))


@row("rate_changed")
def an_exchange_at_yesterdays_rate_from_a_dormant_account(cast: Cast) -> httpx2.Response:
    maker = cast.house.system
    maker.open_account(currency="THB")
    cast.house.tables.script(
        "INSERT INTO rates (base, quote, rate, maker, updated_at) "
        f"VALUES ('INR', 'THB', 0.11, '\\x{maker.id}', now()) ON CONFLICT (base, quote) DO NOTHING"
    )
    baht = cast.ann.open_account(currency="THB")
    return cast.exchange(fromAccount=cast.dormant, toAccount=baht, rate="0.12")


@row("not_a_hold")
def a_capture_of_more_than_a_transfer(cast: Cast) -> httpx2.Response:
    return cast.about(cast.paid, "capture", amount=1000)


@row("not_reversible")
def a_reversal_of_more_than_a_hold(cast: Cast) -> httpx2.Response:
    return cast.about(cast.captured, "reverse", amount=1000)


@row("already_captured")
def more_of_a_hold_that_is_captured(cast: Cast) -> httpx2.Response:
    return cast.about(cast.captured, "capture", amount=1000)


@row("already_voided")
def more_of_a_hold_that_is_voided(cast: Cast) -> httpx2.Response:
    return cast.about(cast.voided, "capture", amount=1000)


@row("hold_expired")
def more_of_a_hold_that_is_expired(cast: Cast) -> httpx2.Response:
    return cast.about(cast.expired, "capture", amount=1000)


@row("already_reversed")
def more_of_what_is_reversed(cast: Cast) -> httpx2.Response:
    return cast.about(cast.reversed, "reverse", amount=1000)


@row("exceeds_held_amount")
def more_than_is_held_from_a_frozen_account(cast: Cast) -> httpx2.Response:
    return while_frozen(cast, lambda: cast.about(cast.pending, "capture", amount=1000))


@row("exceeds_reversible_amount")
def more_than_was_paid_back_to_a_frozen_account(cast: Cast) -> httpx2.Response:
    return while_frozen(cast, lambda: cast.about(cast.paid, "reverse", amount=1000))


def while_frozen(cast: Cast, play: Callable[[], httpx2.Response]) -> httpx2.Response:
    account = f"'\\x{cast.ann_account}'"
    cast.house.tables.script(f"UPDATE accounts SET status = 'FROZEN' WHERE id = {account}")
    try:
        return play()
    finally:
        cast.house.tables.script(f"UPDATE accounts SET status = 'ACTIVE' WHERE id = {account}")


@row("account_not_active")
def a_dormant_account_without_money(cast: Cast) -> httpx2.Response:
    return cast.transfer(fromAccount=cast.dormant, amount=1000)


LONG_AGO = "1999-12-31T23:59:59Z"


@row("period_closed")
def a_closed_period_and_a_balance_that_is_none(cast: Cast) -> httpx2.Response:
    cast.house.tables.script(
        "INSERT INTO period_locks VALUES ('INR', '2000-01-01', now()) ON CONFLICT (currency) DO NOTHING"
    )
    try:
        return cast.transfer(effectiveAt=LONG_AGO, ifBalance={"eq": -1}, amount=1000)
    finally:
        cast.house.tables.script("DELETE FROM period_locks")


@row("precondition_failed")
def a_balance_that_is_none_and_a_limit(cast: Cast) -> httpx2.Response:
    return while_limited(cast, lambda: cast.transfer(ifBalance={"eq": -1}, amount=1000))


@row("limit_exceeded")
def a_limit_and_too_little_money(cast: Cast) -> httpx2.Response:
    return while_limited(cast, lambda: cast.transfer(amount=1000))


def while_limited(cast: Cast, play: Callable[[], httpx2.Response]) -> httpx2.Response:
    account = f"'\\x{cast.ann_account}'"
    cast.house.tables.script(
        f"INSERT INTO limits (account_id, single_limit) VALUES ({account}, 100); "
        f"UPDATE accounts SET limited = true WHERE id = {account}"
    )
    try:
        return play()
    finally:
        cast.house.tables.script(
            f"DELETE FROM limits; UPDATE accounts SET limited = false WHERE id = {account}"
        )


@row("insufficient_funds")
def too_little_money_for_an_account_that_is_full(cast: Cast) -> httpx2.Response:
    return cast.transfer(toAccount=cast.full, amount=1000)


@row("ceiling_exceeded")
def a_ceiling_at_the_edge_of_64_bits(cast: Cast) -> httpx2.Response:
    return to_the_edge(cast, ceiling=str(EDGE))


@row("amount_overflow")
def a_balance_at_the_edge_of_64_bits(cast: Cast) -> httpx2.Response:
    return to_the_edge(cast)


def to_the_edge(cast: Cast, ceiling: str = "NULL") -> httpx2.Response:
    account = cast.ann.open_account()
    set_head(cast.house, account, EDGE, ceiling)
    try:
        return cast.transfer(toAccount=account, amount="0.01")
    finally:
        set_head(cast.house, account)


def set_head(house: House, account: str, balance: int = 0, ceiling: str = "NULL") -> None:
    house.tables.script(
        f"UPDATE accounts SET balance = {balance}, ceiling = {ceiling} WHERE id = '\\x{account}'"
    )


def test_every_published_code_has_a_row() -> None:
    assert list(ROWS) == CODES


@pytest.mark.parametrize("code", list(ROWS))
def test_the_first_refusal_that_applies_is_the_answer_and_nothing_is_stored(cast: Cast, code: str) -> None:
    # These rows open an account of their own first, which is an event.
    opened = {
        "system_account_not_found",
        "rate_not_found",
        "rate_changed",
        "ceiling_exceeded",
        "amount_overflow",
    }
    before, transactions = cast.house.tables.position(), count_of_transactions(cast.house)
    answer = ROWS[code](cast)
    assert answer.json()["code"] == code, answer.text
    assert answer.status_code == next(e for e in PRECEDENCE if e.code == code).http_status
    assert answer.json()["retryable"] is (code == "rate_limited")
    assert count_of_transactions(cast.house) == transactions
    assert code in opened or cast.house.tables.position() == before


def count_of_transactions(house: House) -> int:
    return int(house.tables.value("SELECT count(*) FROM transactions"))


# What the API adds to the order of the rules: refusals that never get as far as the rules.
ADDED: set[type[NostroError]] = {CrossSiteRefused, BodyTooLarge, UnsupportedMediaType}
RULES = [
    *("token_missing", "token_invalid", "not_system_user", "rate_limited", "malformed_json", "duplicate_field"),
    *("missing_field", "invalid_id", "invalid_amount", "invalid_key", "unknown_currency", "same_account"),
    *("key_conflict", "account_not_found", "system_account_not_found", "not_account_owner"),
    *("currency_mismatch", "account_not_active", "limit_exceeded", "insufficient_funds", "ceiling_exceeded"),
    "amount_overflow",
]
# What those rules do not name: about an earlier transaction, exchanges, conditions, closed books.
ABOUT_MORE = {
    *("not_receiver", "rate_not_found", "rate_changed", "not_a_hold", "not_reversible", "already_captured"),
    *("already_voided", "hold_expired", "already_reversed", "exceeds_held_amount", "exceeds_reversible_amount"),
    *("period_closed", "precondition_failed"),
}


def test_the_published_order_is_that_of_the_rules() -> None:
    assert [e.code for e in PRECEDENCE if e not in ADDED and e.code not in ABOUT_MORE] == RULES
    assert PRECEDENCE.index(RateLimited) < PRECEDENCE.index(BodyTooLarge) < PRECEDENCE.index(MalformedJson)


@pytest.mark.parametrize(("earlier", "later"), list(pairwise(CODES)))
def test_codes_are_distinct_and_explained(house: House, earlier: str, later: str) -> None:
    assert earlier != later
    explained = house.client.request("GET", f"/errors/{earlier}").json()
    assert (explained["code"], explained["httpStatus"] >= 400) == (earlier, True)


# ── what a refusal tells ─────────────────────────────────────────────────────────────────────────────


def test_too_little_money_tells_the_owner_how_much_is_missing(cast: Cast) -> None:
    said = cast.transfer(fromAccount=cast.ann_account, amount="1000.25").json()
    available = cast.ann.get(f"/api/accounts/balance/{cast.ann_account}").json()["available"]
    assert (said["required"], said["available"], said["currency"]) == (1000.25, available, "INR")
    assert said["shortfall"] == pytest.approx(1000.25 - available)


def test_somebody_elses_account_tells_nothing_about_itself(cast: Cast) -> None:
    """Neither that there is too little in it, nor that it is dormant, nor its currency."""
    answers = [
        cast.transfer(fromAccount=account, toAccount=cast.ann_account, amount=amount).json()
        for account in (cast.bob_account, cast.bob_dormant)
        for amount in ("0.01", 10**12)
    ]
    assert {answer["code"] for answer in answers} == {"not_account_owner"}
    assert len({str(sorted(answer.items())) for answer in answers}) == 1


def test_an_amount_with_too_many_places_comes_before_the_same_account_twice(house: House) -> None:
    """The places are judged where the currency is known, and so must the accounts be compared there."""
    ann, account = house.funded(10)
    assert ann.send(account, account, "0.001").json()["code"] == "invalid_amount"
    assert ann.send(account, account, "0.01").json()["code"] == "same_account"
