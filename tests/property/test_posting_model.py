"""The posting rules against a second, independent model: every answer, and what must hold after every batch."""

import copy
import hashlib
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nostro.domain.account import Account, AccountStatus
from nostro.domain.books import Books, Outcome, Policy
from nostro.domain.errors import InsufficientFunds, KeyConflict, NostroError
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount
from nostro.domain.posting import decide
from nostro.domain.requests import TransferRequest
from nostro.domain.transaction import Direction, Operation
from nostro.domain.user import Caller, Claims, Role
from tests.property.model import HOUSE_PLACES, LARGEST, SMALLEST, Answer, Wish, World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = 50
PLACES = {"INR": 2, "JPY": 0, "KWD": 3}
STATUSES = ["ACTIVE"] * 6 + ["INACTIVE", "FROZEN", "BLOCKED", "CLOSED"]
BALANCES = [0, 1, 100, 5000, 10**15, LARGEST - 10**15, LARGEST - 7, LARGEST]
AMOUNTS = ["1", "2", "0.5", "0.01", "0.001", "0.0001", "7", "50", "1000", "9999999999999", "1000000000000000"]


class Dice:
    """Choices out of one number, so that a failing example shrinks towards the first choice of each."""

    def __init__(self, number: int) -> None:
        self._number = number

    def below(self, count: int) -> int:
        self._number, choice = divmod(self._number, count)
        return choice

    def of(self, choices: Any) -> Any:
        return choices[self.below(len(choices))]


def ident(letter: str, number: int) -> ObjectId:
    return ObjectId(f"{letter}{number:011d}".encode())


USERS = [ident("u", number) for number in range(5)]  # the last one is gone
ACCOUNTS = [ident("a", number) for number in range(11)]  # the last one is nobody's


def a_world(dice: Dice) -> World:
    """Two customers, a system user and an operator, whose accounts are in every state there is."""
    world = World(frozen_receives=dice.below(2) == 1)
    for user, role in zip(USERS, ["CUSTOMER", "CUSTOMER", "SYSTEM", "OPERATOR"], strict=False):
        world.users[user] = {"role": role, "epoch": dice.of([0.0, 0.0, 50.0])}
    world.revoked = {b"token-1"} if dice.below(2) else set()
    for number, account in enumerate(ACCOUNTS[:8]):
        currency = dice.of(["INR", "INR", "INR", "JPY", "KWD"])
        balance, held = dice.of(BALANCES), dice.of([0, 0, 0, 60])
        held = min(held, balance)
        world.accounts[account] = {
            "owner": USERS[number % 2 if number < 6 else dice.below(4)],
            "currency": currency,
            "places": PLACES[currency],
            "status": dice.of(STATUSES),
            "balance": balance,
            "held": held,
            "floor": dice.of([0, 0, 0, -500, min(60, balance - held)]),
            "ceiling": dice.of([None, None, None, max(balance, 10**4), balance]),
            "settlement": False,
        }
    for account, currency in zip(ACCOUNTS[8:10], ["INR", "KWD"], strict=True):
        world.accounts[account] = {
            "owner": USERS[2],
            "currency": currency,
            "places": PLACES[currency],
            "status": "ACTIVE",
            "balance": dice.of([0, -(10**6), SMALLEST + 10**15, SMALLEST + 3, SMALLEST]),
            "held": 0,
            "floor": None,
            "ceiling": None,
            "settlement": True,
        }
    return world


def a_wish(dice: Dice, world: World, earlier: Sequence[Wish]) -> Wish:
    """A request: sometimes an earlier one again, sometimes for exactly what is there, or one more."""
    if earlier and dice.below(6) == 5:
        return dice.of(earlier) | {"token": dice.of([b"token-0", b"token-0", b"token-1"])}
    kind = dice.of(["TRANSFER", "TRANSFER", "TRANSFER", "INITIAL_FUNDS"])
    source = None if kind == "INITIAL_FUNDS" else dice.of(ACCOUNTS)
    target = dice.of(ACCOUNTS)
    owner = world.accounts.get(source, {}).get("owner", USERS[2])
    user = owner if dice.below(4) else dice.of(USERS)
    wish = {
        "user": user,
        "token": dice.of([b"token-0", b"token-0", b"token-0", b"token-1"]),
        "issued_at": dice.of([100.0, 100.0, 100.0, 1.0]),
        "kind": kind,
        "key": f"key-{dice.below(40)}",
        "source": source,
        "target": target,
    }
    return wish | {"amount": _an_amount(dice, world, source, target)}


def _an_amount(dice: Dice, world: World, source: Any, target: Any) -> Fraction:
    payer, payee = world.accounts.get(source), world.accounts.get(target)
    limits = [1, 10**15, 10**15 + 1]
    if payer and payer["floor"] is not None:
        spendable = payer["balance"] - payer["held"] - payer["floor"]
        limits += [spendable, spendable + 1]
    if payee:
        room = (LARGEST if payee["ceiling"] is None else payee["ceiling"]) - payee["balance"]
        limits += [room, room + 1]
    if dice.below(2):
        places = payer["places"] if payer else payee["places"] if payee else HOUSE_PLACES
        return Fraction(max(1, dice.of(limits)), 10**places)
    return Fraction(dice.of(AMOUNTS))


def as_request(wish: Wish, number: int) -> TransferRequest:
    digits, scale = wish["amount"].numerator, 0
    while wish["amount"] * 10**scale != int(wish["amount"] * 10**scale):
        scale += 1
    digits = int(wish["amount"] * 10**scale)
    said = repr((wish["kind"], wish["source"], wish["target"], wish["amount"])).encode()
    return TransferRequest(
        id=ident("t", number),
        operation=Operation(wish["kind"]),
        claims=Claims(wish["user"], wish["token"], wish["issued_at"], 10.0**12),
        key=wish["key"],
        digest=hashlib.sha256(said).digest(),
        from_account=wish["source"],
        to_account=wish["target"],
        amount=Amount(digits, scale),
    )


def as_books(world: World) -> Books:
    """What the store would have read of `world`, before anything was posted in it."""
    return Books(
        now=NOW,
        accounts={
            account: Account(
                id=ObjectId(account),
                owner=ObjectId(head["owner"]),
                currency=head["currency"],
                exponent=head["places"],
                status=AccountStatus(head["status"]),
                balance=head["balance"],
                held=head["held"],
                last_seq=0,
                floor=head["floor"],
                ceiling=head["ceiling"],
                settlement=head["settlement"],
            )
            for account, head in world.accounts.items()
        },
        callers={
            ObjectId(user): Caller(ObjectId(user), Role(said["role"]), said["epoch"])
            for user, said in world.users.items()
        },
        revoked=set(world.revoked),
        recorded={},
    )


def next_books(books: Books) -> Books:
    """The books of the next batch: what the last one wrote is what this one reads."""
    return Books(books.now, books.accounts, books.callers, books.revoked, books.recorded)


def said_by(outcome: Outcome, wish_of: dict[ObjectId, Wish]) -> Answer:
    if isinstance(outcome, KeyConflict):
        return outcome.code, outcome.facts["conflictingFields"]
    if isinstance(outcome, InsufficientFunds):
        facts = outcome.facts
        assert facts["shortfall"] == facts["required"] - facts["available"] > 0
        return outcome.code, {"required": facts["required"], "available": facts["available"]}
    if isinstance(outcome, NostroError):
        return outcome.code, None
    return ("replayed" if outcome.replayed else "posted"), wish_of[outcome.transaction.id]


def must_hold(books: Books, before: dict[ObjectId, Account]) -> None:
    """After a batch: money only moved, entries follow each other, no floor was crossed on the way."""
    heads = {account: (head.balance, head.last_seq) for account, head in before.items()}
    assert len(books.entries) == 2 * len(books.transactions)
    for transaction, debit, credit in zip(
        books.transactions, books.entries[::2], books.entries[1::2], strict=True
    ):
        assert (debit.transaction, credit.transaction) == (transaction.id, transaction.id)
        assert (debit.direction, credit.direction) == (Direction.DEBIT, Direction.CREDIT)
        assert debit.amount == credit.amount == transaction.amount > 0
        assert (debit.account, credit.account) == (transaction.from_account, transaction.to_account)
        for entry, change in ((debit, -debit.amount), (credit, credit.amount)):
            balance, seq = heads[entry.account]
            assert (entry.balance_after, entry.seq) == (balance + change, seq + 1)
            assert SMALLEST <= entry.balance_after <= LARGEST
            heads[entry.account] = (entry.balance_after, entry.seq)
        payer, payee = before[debit.account], before[credit.account]
        assert payer.floor is None or debit.balance_after - payer.held >= payer.floor
        assert payee.ceiling is None or credit.balance_after <= payee.ceiling
    for account, head in books.accounts.items():
        assert (head.balance, head.last_seq) == heads[account]
        assert (account in books.moved) == (head.last_seq != before[account].last_seq)


def play(world: World, dice_of: Iterator[Dice], sizes: Iterator[int], steps: int) -> dict[str, int]:
    """Batches of requests, `steps` in all: the rules and the model must agree on each. Counts the answers."""
    books, wish_of, number = as_books(world), {}, 0
    policy = Policy(HOUSE_PLACES, frozen_receives=world.frozen_receives)
    counts: dict[str, int] = {}
    while number < steps:
        earlier = list(wish_of.values())
        wishes = [a_wish(next(dice_of), world, earlier) for _ in range(min(next(sizes), steps - number))]
        requests = [as_request(wish, number + nth) for nth, wish in enumerate(wishes)]
        number += len(wishes)
        wish_of |= {request.id: wish for request, wish in zip(requests, wishes, strict=True)}
        before = copy.deepcopy(books.accounts)
        books = next_books(books)
        outcomes = decide(requests, books, policy)
        for wish, outcome in zip(wishes, outcomes, strict=True):
            predicted = world.answer(wish)
            assert said_by(outcome, wish_of) == predicted, wish
            counts[predicted[0]] = counts.get(predicted[0], 0) + 1
        must_hold(books, before)
        assert {account: head.balance for account, head in books.accounts.items()} == {
            account: head["balance"] for account, head in world.accounts.items()
        }
    return counts


NUMBERS = st.integers(0, 2**64 - 1)
OFTEN = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@OFTEN
@given(NUMBERS, st.lists(NUMBERS, min_size=STEPS, max_size=STEPS), st.integers(1, 12))
def test_the_rules_answer_as_the_model_predicts(start: int, numbers: list[int], size: int) -> None:
    play(a_world(Dice(start)), map(Dice, numbers), iter(lambda: size, 0), STEPS)


@OFTEN
@given(NUMBERS, st.lists(NUMBERS, min_size=1, max_size=20))
def test_a_batch_decides_what_the_same_requests_decide_one_by_one(start: int, numbers: list[int]) -> None:
    world = a_world(Dice(start))
    policy = Policy(HOUSE_PLACES, frozen_receives=world.frozen_receives)
    wishes: list[Wish] = []
    for number in numbers:
        wishes.append(a_wish(Dice(number), world, wishes))
    requests = [as_request(wish, nth) for nth, wish in enumerate(wishes)]
    together, singly = as_books(world), as_books(world)
    in_a_batch = decide(requests, together, policy)

    one_by_one: list[Outcome] = []
    transactions, entries = [], []
    for request in requests:
        singly = next_books(singly)
        one_by_one += decide([request], singly, policy)
        transactions += singly.transactions
        entries += singly.entries

    assert [_shown(outcome) for outcome in in_a_batch] == [_shown(outcome) for outcome in one_by_one]
    assert (together.transactions, together.entries) == (transactions, entries)
    assert together.accounts == singly.accounts


def _shown(outcome: Outcome) -> object:
    if isinstance(outcome, NostroError):
        return type(outcome), outcome.detail, outcome.facts
    return outcome


def _seeded(seed: int, worlds: int, steps: int) -> dict[str, int]:
    chance = random.Random(seed)
    counts: dict[str, int] = {}
    for _ in range(worlds):
        world = a_world(Dice(chance.getrandbits(64)))
        dice = (Dice(chance.getrandbits(64)) for _ in iter(int, 1))
        sizes = (chance.randint(1, 40) for _ in iter(int, 1))
        for code, count in play(world, dice, sizes, steps).items():
            counts[code] = counts.get(code, 0) + count
    return counts


def test_the_examples_reach_every_answer_there_is() -> None:
    assert set(_seeded(seed=1, worlds=60, steps=100)) == {
        "posted",
        "replayed",
        "token_invalid",
        "not_system_user",
        "invalid_amount",
        "same_account",
        "key_conflict",
        "account_not_found",
        "system_account_not_found",
        "not_account_owner",
        "currency_mismatch",
        "account_not_active",
        "insufficient_funds",
        "ceiling_exceeded",
        "amount_overflow",
    }


@pytest.mark.full
def test_the_rules_answer_as_the_model_predicts_over_a_hundred_thousand_steps() -> None:
    _seeded(seed=20260101, worlds=500, steps=200)
