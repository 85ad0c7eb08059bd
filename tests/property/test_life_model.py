"""The posting rules over the whole life of a transaction, against a second ledger that knows only facts."""

import copy
import hashlib
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nostro.domain.account import Account, AccountStatus
from nostro.domain.books import Books, Outcome, Policy, Posted, Rate
from nostro.domain.errors import InsufficientFunds, LimitExceeded, NostroError, PreconditionFailed
from nostro.domain.ids import ObjectId
from nostro.domain.limits import Limits
from nostro.domain.money import Amount
from nostro.domain.posting import decide, decide_together
from nostro.domain.requests import PLAIN, Condition, FollowUp, LegWish, Part, Request, Terms, TransferRequest
from nostro.domain.transaction import Direction, Kind, Operation, Transaction, TransactionStatus
from nostro.domain.user import Caller, Claims, Role
from tests.property.life import HOUSE_PLACES, Answer, Ledger, Wish
from tests.property.test_posting_model import Dice, ident

STEPS = 50
BEGIN = datetime(2026, 1, 31, 23, 50, tzinfo=UTC)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
PLACES = {"INR": 2, "JPY": 0, "KWD": 3}
ANN, BOB, HOUSE, CLERK = (ident("u", number) for number in range(4))
NOBODYS = ident("a", 99)
AMOUNTS = ["1", "2", "5", "7", "10", "30", "50", "2.5", "33.33", "100", "0.01", "0.001"]
LEAPS = [0, 0, 1, 5, 30, 61, 3600, 90_000]


def a_ledger(dice: Dice) -> Ledger:
    """Ann and Bob with accounts in three currencies, the house with settlement accounts in two, a clerk."""
    ledger = Ledger(BEGIN, {ANN: "CUSTOMER", BOB: "CUSTOMER", HOUSE: "SYSTEM", CLERK: "OPERATOR"})
    owners = [ANN, BOB, ANN, BOB, ANN, BOB, BOB, CLERK]
    currencies = ["INR", "INR", "INR", "INR", "INR", "JPY", "KWD", "INR"]
    for number, (owner, currency) in enumerate(zip(owners, currencies, strict=True)):
        ledger.accounts[ident("a", number)] = _head(dice, owner, currency)
    for number, currency in enumerate(["INR", "JPY"]):
        ledger.accounts[ident("s", number)] = _head(dice, HOUSE, currency, settlement=True)
    ledger.rates = {
        ("INR", "JPY"): (Fraction("1.75"), HOUSE),
        ("JPY", "INR"): (Fraction("0.57"), HOUSE),
        ("INR", "KWD"): (Fraction("0.0036"), HOUSE),
    }
    if dice.below(2):
        ledger.closed["INR"] = BEGIN - timedelta(days=10)
    return ledger


def _head(dice: Dice, owner: bytes, currency: str, *, settlement: bool = False) -> dict[str, Any]:
    limits = dice.of([None, None, None, {"single": 5000, "hourly": 4}, {"daily": 8000}, {"monthly": 12_000}])
    return {
        "owner": owner,
        "currency": currency,
        "places": PLACES[currency],
        "status": dice.of(["ACTIVE"] * 9 + ["FROZEN"]),
        "floor": None if settlement else dice.of([0, 0, 0, -500]),
        "ceiling": None if settlement else dice.of([None, None, 14_000]),
        "settlement": settlement,
        "limits": None if settlement else limits,
    }


class Table:
    """What a store would have written: rows, what is left of their legs, counters, and the entries in order."""

    def __init__(self, ledger: Ledger) -> None:
        self.accounts = {ObjectId(a): _account(a, head) for a, head in ledger.accounts.items()}
        self.rows: dict[ObjectId, Transaction] = {}
        self.legs_left: dict[ObjectId, Any] = {}
        self.limits = {
            ObjectId(a): _limits(a, head["limits"]) for a, head in ledger.accounts.items() if head["limits"]
        }
        self.entries: list[Any] = []
        self._expiries = 0

    def books(self, ledger: Ledger) -> Books:
        rows = copy.deepcopy(self.rows)
        books = Books(
            now=ledger.now,
            accounts=copy.deepcopy(self.accounts),
            callers={ObjectId(u): Caller(ObjectId(u), Role(role), 0.0) for u, role in ledger.users.items()},
            revoked=set(),
            recorded={row.scope: row for row in copy.deepcopy(rows).values()},
            limits=copy.deepcopy(self.limits),
            closed_until=dict(ledger.closed),
            rates={
                pair: Rate(Decimal(rate.numerator) / rate.denominator, ObjectId(maker))
                for pair, (rate, maker) in ledger.rates.items()
            },
            new_id=self._new_id,
        )
        for story in rows.values():
            story.legs = self.legs_left[story.id]
        books.stories = rows
        books.expired = [
            story
            for story in rows.values()
            if story.status is TransactionStatus.PENDING
            and story.expires_at is not None
            and story.expires_at <= ledger.now
        ]
        return books

    def _new_id(self) -> ObjectId:
        self._expiries += 1
        return ident("x", self._expiries)

    def write(self, books: Books) -> None:
        for position, row in enumerate(books.transactions, start=len(self.rows) + 1):
            row.position = position
            self.rows[row.id], self.legs_left[row.id] = row, row.legs
        for story in books.continued.values():
            row = self.rows[story.id]
            for name in ("captured", "let_go", "reversed", "status", "failure_reason", "expires_at"):
                setattr(row, name, getattr(story, name))
            if story is not row:
                self.legs_left[story.id] = story.legs
        self.entries += books.entries
        self.accounts = books.accounts
        self.limits |= books.counted


def _account(account: bytes, head: dict[str, Any]) -> Account:
    return Account(
        id=ObjectId(account),
        owner=ObjectId(head["owner"]),
        currency=head["currency"],
        exponent=head["places"],
        status=AccountStatus(head["status"]),
        balance=0,
        held=0,
        last_seq=0,
        floor=head["floor"],
        ceiling=head["ceiling"],
        settlement=head["settlement"],
        limited=bool(head["limits"]),
    )


def _limits(account: bytes, said: dict[str, int]) -> Limits:
    names = ("single", "daily", "monthly", "hourly")
    return Limits(ObjectId(account), *(said.get(name) for name in names), *[LONG_AGO, 0] * 3)  # type: ignore[arg-type]


# ── wishes ───────────────────────────────────────────────────────────────────────────────────────────


def a_wish(dice: Dice, ledger: Ledger, earlier: Sequence[Wish]) -> Wish:
    turn = dice.below(20)
    if earlier and turn == 19:
        return dict(dice.of(earlier))
    if ledger.facts and turn >= 9:
        return _a_follow_up(dice, ledger)
    return _a_transfer(dice, ledger)


def _an_account(dice: Dice, ledger: Ledger, *, of: bytes | None = None, like: bytes | None = None) -> bytes:
    """Mostly one of a user, or one other than `like` in the same currency; sometimes any, or nobody's."""
    currency = ledger.accounts.get(like or b"", {}).get("currency")
    fitting = [
        account
        for account, head in ledger.accounts.items()
        if account != like and of in {None, head["owner"]} and currency in {None, head["currency"]}
    ]
    return bytes(dice.of(fitting if fitting and dice.below(12) else [*ledger.accounts, NOBODYS]))


def _a_transfer(dice: Dice, ledger: Ledger) -> Wish:
    user = dice.of([ANN, ANN, BOB, HOUSE])
    operation = "INITIAL_FUNDS" if user == HOUSE and dice.below(8) else dice.of(["TRANSFER"] * 6 + ["EXCHANGE"])
    source = None if operation == "INITIAL_FUNDS" else _an_account(dice, ledger, of=user)
    wish: Wish = {
        "user": user,
        "operation": operation,
        "key": f"key-{dice.below(60)}",
        "source": source,
        "target": _a_target(dice, ledger, operation, source),
        "hold": False,
        "amount": Fraction(dice.of(AMOUNTS)),
        "expires_in": None,
        "legs": (),
        "split": (),
        "conditions": (),
        "effective_at": None,
        "restate": False,
        "rate": None,
    }
    if operation == "TRANSFER":
        shape = dice.below(6)
        if shape == 1:
            wish["hold"], wish["expires_in"] = True, dice.of([None, 1, 10, 60, 3000])
        elif shape == 2:
            _many_legs(wish, dice, ledger)
        elif shape == 3:
            _a_split(wish, dice, ledger)
    elif operation == "EXCHANGE":
        wish["rate"] = dice.of([None, None, Fraction("1.75"), Fraction("1.5")])
    _more_terms(wish, dice, ledger)
    return wish


def _a_target(dice: Dice, ledger: Ledger, operation: str, source: bytes | None) -> bytes:
    return _an_account(dice, ledger, like=source if operation == "TRANSFER" else None)


def _many_legs(wish: Wish, dice: Dice, ledger: Ledger) -> None:
    legs = []
    for _ in range(2 + dice.below(2)):
        source = _an_account(dice, ledger, of=wish["user"])
        legs.append((source, _an_account(dice, ledger, like=source), Fraction(dice.of(AMOUNTS))))
    wish["legs"] = tuple(legs)
    wish["source"], wish["target"], wish["amount"] = wish["legs"][0]


def _a_split(wish: Wish, dice: Dice, ledger: Ledger) -> None:
    whole = [
        [("share", Fraction(1, 3)), ("share", Fraction(1, 3)), ("remainder", None)],
        [("share", Fraction(1, 40)), ("remainder", None)],
        [("amount", Fraction(1)), ("share", Fraction(1, 2)), ("remainder", None)],
        [("share", Fraction(1, 2)), ("share", Fraction(1, 2))],
        [("share", Fraction(3, 4)), ("share", Fraction(3, 4))],
        [("amount", Fraction("0.5"))],
    ]
    wish["split"] = tuple((_an_account(dice, ledger, like=wish["source"]), *part) for part in dice.of(whole))
    wish["target"] = wish["split"][0][0]


def _more_terms(wish: Wish, dice: Dice, ledger: Ledger) -> None:
    if not wish["hold"] and dice.below(10) == 9:
        wish["effective_at"] = BEGIN + dice.of([-20, -5, -1, 40]) * timedelta(days=1)
        wish["restate"] = dice.below(2) == 1
    if dice.below(12) == 11:
        test, value = dice.of(["gte", "lte", "eq"]), Fraction(dice.of(["0", "1", "50", "99.99"]))
        wish["conditions"] = ((dice.of(["from", "from", "to"]), test, value),)


def _a_follow_up(dice: Dice, ledger: Ledger) -> Wish:
    fact = ledger.facts[-1 - dice.below(min(len(ledger.facts), 12))]
    holds = [fact for fact in ledger.facts if fact["kind"] == "HOLD"]
    if holds and dice.below(2):
        fact = holds[-1 - dice.below(min(len(holds), 4))]
    operation = dice.of(
        ["CAPTURE", "CAPTURE", "VOID", "EXTEND"] if fact["kind"] == "HOLD" else ["REVERSE"] * 5 + ["VOID"]
    )
    owners = [ledger.accounts[fact[side]]["owner"] for side in ("source", "target")]
    left = ledger.left(fact) if fact["kind"] == "HOLD" else fact["amount"] - ledger.reversed(fact)
    exact = Fraction(left + dice.of([0, 0, 1]), 10 ** fact["places"])
    return {
        "user": dice.of([*owners, owners[1], CLERK, ANN]),
        "operation": operation,
        "key": f"key-{dice.below(60)}",
        "parent": fact["id"] if dice.below(30) else NOBODYS,
        "amount": dice.of([None, Fraction(dice.of(AMOUNTS)), exact or None])
        if operation in {"CAPTURE", "REVERSE"}
        else None,
        "final": operation == "CAPTURE" and dice.below(4) == 3,
        "expires_in": dice.of([1, 60, 4000]) if operation == "EXTEND" else 0,
        "force": operation == "REVERSE" and dice.below(12) == 11,
    }


# ── as the ledger is asked, and what it says ──────────────────────────────────────────────────────────


def as_request(wish: Wish, number: int) -> Request:
    claims = Claims(ObjectId(wish["user"]), b"token", 100.0, 10.0**12)
    apart = {"conditions", "restate", "user", "key"}
    said = repr(sorted((name, value) for name, value in wish.items() if name not in apart))
    digest = hashlib.sha256(said.encode()).digest()
    ident_, operation = ident("t", number), Operation(wish["operation"])
    if "parent" in wish:
        return FollowUp(
            id=ident_,
            operation=operation,
            claims=claims,
            key=wish["key"],
            digest=digest,
            parent=ObjectId(wish["parent"]),
            amount=wish["amount"] and _amount(wish["amount"]),
            final=wish["final"],
            expires_in_s=wish["expires_in"],
            force=wish["force"],
        )
    terms = _terms(wish)
    source = wish["source"] and ObjectId(wish["source"])
    return TransferRequest(
        id=ident_,
        operation=operation,
        claims=claims,
        key=wish["key"],
        digest=digest,
        from_account=source,
        to_account=ObjectId(wish["target"]),
        amount=_amount(wish["amount"]),
        terms=PLAIN if terms == PLAIN else terms,
    )


def _amount(amount: Fraction) -> Amount:
    scale = next(scale for scale in range(7) if (amount * 10**scale).denominator == 1)
    return Amount(int(amount * 10**scale), scale)


def _terms(wish: Wish) -> Terms:
    parts = {
        "amount": lambda account, value: Part(account, amount=_amount(value)),
        "share": lambda account, value: Part(account, share=value),
        "remainder": lambda account, _: Part(account),
    }
    return Terms(
        hold=wish["hold"],
        expires_in_s=wish["expires_in"],
        legs=tuple(LegWish(ObjectId(s), ObjectId(t), _amount(a)) for s, t, a in wish["legs"]),
        split=tuple(parts[what](ObjectId(account), value) for account, what, value in wish["split"]),
        conditions=tuple(
            Condition(side == "from", "balance", test, Decimal(value.numerator) / value.denominator)
            for side, test, value in wish["conditions"]
        ),
        effective_at=wish["effective_at"],
        restate=wish["restate"],
        expected_rate=wish["rate"] and Decimal(wish["rate"].numerator) / wish["rate"].denominator,
    )


def said_by(outcome: Outcome) -> Answer:
    if isinstance(outcome, Posted):
        return ("replayed" if outcome.replayed else "posted"), outcome.transaction.id
    facts = outcome.facts
    if isinstance(outcome, InsufficientFunds):
        return outcome.code, (facts["required"], facts["available"])
    if isinstance(outcome, LimitExceeded):
        return outcome.code, (facts["limit"], facts["remaining"])
    if isinstance(outcome, PreconditionFailed):
        return outcome.code, facts["balance"]
    return outcome.code, None


# ── what must hold after every step ───────────────────────────────────────────────────────────────────


def must_hold(table: Table, ledger: Ledger) -> None:
    for account, head in table.accounts.items():
        assert (head.balance, head.held) == (ledger.balance(account), _held_by_rows(table, account))
        assert head.floor == ledger.accounts[account]["floor"]
        assert head.floor is None or head.available >= head.floor
        _entries_follow_each_other([e for e in table.entries if e.account == account], head)
    for currency in PLACES:
        assert sum(h.balance for h in table.accounts.values() if h.currency == currency) == 0
    for fact in ledger.facts:
        row = table.rows[fact["id"]]
        assert row.reversed == ledger.reversed(fact) <= row.amount
        if row.kind is Kind.HOLD:
            assert row.captured == ledger.captured(fact)
            assert row.captured + row.let_go <= row.amount
        if row.kind is not Kind.HOLD or not ledger.expired(fact):
            assert row.status.value == ledger.status(fact)


def _held_by_rows(table: Table, account: ObjectId) -> int:
    return sum(r.left for r in table.rows.values() if r.kind is Kind.HOLD and r.from_account == account)


def _entries_follow_each_other(entries: Sequence[Any], head: Account) -> None:
    balance = 0
    for seq, entry in enumerate(entries, start=1):
        balance += entry.amount if entry.direction is Direction.CREDIT else -entry.amount
        assert (entry.seq, entry.balance_after) == (seq, balance)
        assert entry.amount > 0
    assert (head.last_seq, head.balance) == (len(entries), balance)


def play(dice: Dice, dice_of: Iterator[Dice], sizes: Iterator[int], steps: int) -> dict[str, int]:
    """Batches of wishes, `steps` in all, with time passing between them. Counts the answers."""
    ledger = a_ledger(dice)
    table, number, wishes_so_far = Table(ledger), 0, []
    counts: dict[str, int] = {}
    for nth, wish in enumerate(_opening_gifts(ledger)):
        books = table.books(ledger)
        [outcome] = decide([as_request(wish, 10**6 + nth)], books, Policy(HOUSE_PLACES))
        assert said_by(outcome) == ledger.answer(wish, ident("t", 10**6 + nth))
        table.write(books)
    while number < steps:
        ledger.now += timedelta(seconds=next(dice_of).of(LEAPS))
        wishes = [a_wish(next(dice_of), ledger, wishes_so_far) for _ in range(min(next(sizes), steps - number))]
        books = table.books(ledger)
        outcomes = decide(
            [as_request(wish, number + nth) for nth, wish in enumerate(wishes)], books, Policy(HOUSE_PLACES)
        )
        known = set(table.rows)
        for wish, outcome in zip(wishes, outcomes, strict=True):
            if wish.get("parent") in known or "parent" not in wish:
                predicted = ledger.answer(wish, ident("t", number))
            else:
                predicted = ("not_found", None)
            assert said_by(outcome) == predicted, wish
            counts[predicted[0]] = counts.get(predicted[0], 0) + 1
            number += 1
        wishes_so_far += wishes
        table.write(books)
        must_hold(table, ledger)
    return counts


def _opening_gifts(ledger: Ledger) -> list[Wish]:
    """A hundred rupees for each of the customers' accounts."""
    plain = _a_transfer(Dice(0), ledger) | {"user": HOUSE, "operation": "INITIAL_FUNDS", "source": None}
    plain |= {"amount": Fraction(100), "hold": False, "legs": (), "split": (), "conditions": ()}
    return [
        plain | {"target": account, "key": f"gift-{nth}", "effective_at": None, "rate": None}
        for nth, (account, head) in enumerate(ledger.accounts.items())
        if head["currency"] == "INR" and not head["settlement"]
    ]


NUMBERS = st.integers(0, 2**256 - 1)
OFTEN = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.mark.slow
@OFTEN
@given(NUMBERS, st.lists(NUMBERS, min_size=2 * STEPS, max_size=2 * STEPS), st.integers(1, 6))
def test_the_rules_answer_as_the_facts_say(start: int, numbers: list[int], size: int) -> None:
    play(Dice(start), map(Dice, numbers), iter(lambda: size, 0), STEPS)


def lives(seeds: range, steps: int) -> dict[str, int]:
    """Random lives, the same for the same seeds; every answer that was given."""
    counts: dict[str, int] = {}
    for seed in seeds:
        chance = random.Random(seed)
        dice_of = iter(lambda chance=chance: Dice(chance.getrandbits(256)), None)
        sizes = iter(lambda chance=chance: chance.choice([1, 1, 2, 5]), 0)
        for code, count in play(Dice(chance.getrandbits(256)), dice_of, sizes, steps).items():
            counts[code] = counts.get(code, 0) + count
    return counts


EVERY_ANSWER = {
    *("posted", "replayed", "key_conflict", "insufficient_funds", "limit_exceeded", "ceiling_exceeded"),
    *("account_not_active", "account_not_found", "not_account_owner", "currency_mismatch", "same_account"),
    *("invalid_amount", "invalid_field", "precondition_failed", "period_closed", "rate_changed"),
    *("rate_not_found", "not_found", "not_a_hold", "already_captured", "already_voided", "hold_expired"),
    *("exceeds_held_amount", "not_receiver", "not_operator", "not_reversible", "already_reversed"),
    *("exceeds_reversible_amount", "system_account_not_found"),
}


def test_random_lives_meet_every_answer() -> None:
    counts = lives(range(60), 60)
    assert counts.keys() >= EVERY_ANSWER, EVERY_ANSWER - counts.keys()
    assert counts["posted"] > 500


@pytest.mark.full
def test_a_hundred_thousand_steps() -> None:
    lives(range(1000, 2000), 100)


@OFTEN
@given(NUMBERS, st.lists(NUMBERS, min_size=40, max_size=40))
def test_together_all_of_them_happen_or_none(start: int, numbers: list[int]) -> None:
    ledger = a_ledger(Dice(start))
    table, dice_of = Table(ledger), map(Dice, numbers)
    for number in range(30):
        books = table.books(ledger)
        decide([as_request(a_wish(next(dice_of), ledger, []), number)], books, Policy(HOUSE_PLACES))
        table.write(books)
    books = table.books(ledger)
    requests = [as_request(a_wish(dice, ledger, []), 100 + nth) for nth, dice in enumerate(dice_of)]
    outcomes = decide_together(requests, books, Policy(HOUSE_PLACES))
    if any(isinstance(outcome, NostroError) for outcome in outcomes):
        assert all(isinstance(outcome, NostroError) for outcome in outcomes)
        assert books.transactions == books.entries == []
        assert books.moved == books.continued == books.counted == {}
    else:
        assert {o.transaction.id for o in outcomes if isinstance(o, Posted) and not o.replayed} <= {
            transaction.id for transaction in books.transactions
        }
