"""The real ledger, on PostgreSQL, against the model: the answers of a random life, and of a real batch."""

import asyncio
import random
from collections.abc import AsyncIterator
from fractions import Fraction
from typing import Any

import pytest

from nostro.domain.account import AccountStatus
from nostro.domain.books import Posted
from nostro.domain.errors import InsufficientFunds, KeyConflict, NostroError
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount, Currency, parse_amount
from nostro.domain.user import Claims, Role
from nostro.ledger.service import Ledger, open_ledger
from tests.concurrency.bank import token_of
from tests.property.model import Answer, Wish, World

pytestmark = pytest.mark.anyio

PLACES = {"INR": 2, "JPY": 0, "KWD": 3}
ROLES = [Role.CUSTOMER, Role.CUSTOMER, Role.SYSTEM, Role.OPERATOR]
NOBODY = ObjectId(b"\xff" * 12)
AMOUNTS = ["1", "2.5", "7", "0.01", "0.001", "33.30", "100", "1000000", "10000000000000", "9999999999999999"]


class Life:
    """A world with the same people and accounts in the model and in a ledger; one seed, one life.

    Ids differ from ledger to ledger, so a wish names users, tokens and accounts by number.
    """

    def __init__(self, ledger: Ledger, url: str) -> None:
        self.ledger = ledger
        self.world = World()
        self._url = url
        self.users: list[Any] = []
        self.tokens: list[Claims] = []
        self.accounts: list[ObjectId] = []

    async def begin(self, chance: random.Random) -> "Life":
        for number, role in enumerate(ROLES):
            user = await self.ledger.users.register(f"p{number}@example.com", "correct horse", "Ann", role)
            self.users.append(user)
            self.tokens += [token_of(user), token_of(user)]
            self.world.users[user.id] = {"role": role.value, "epoch": user.token_epoch}
        self.tokens.append(Claims(NOBODY, b"\x00" * 32, 10.0**9, 10.0**11))
        # The system user has no settlement account in KWD; its one in INR came with it.
        owners = [*self.users, *self.users[:2]]
        for owner, code in zip(owners, ["INR", "INR", "JPY", "JPY", "KWD", "INR"], strict=True):
            await self._open(owner, Currency(code, PLACES[code]))
        for row in await self.ledger.accounts.of(self.users[2].id):
            if row.id not in self.world.accounts:
                self._know(row.id, self.users[2], row.currency)
        await self._set_limits(chance)
        self.accounts.append(NOBODY)
        return self

    async def _open(self, owner: Any, currency: Currency) -> None:
        self._know((await self.ledger.accounts.open(owner, currency, None)).id, owner, currency)

    def _know(self, account: ObjectId, owner: Any, currency: Currency) -> None:
        self.accounts.append(account)
        self.world.accounts[account] = {
            "owner": owner.id,
            "currency": currency.code,
            "places": currency.exponent,
            "status": "ACTIVE",
            "balance": 0,
            "held": 0,
            "floor": None if owner.role is Role.SYSTEM else 0,
            "ceiling": None,
            "settlement": owner.role is Role.SYSTEM,
        }

    async def _set_limits(self, chance: random.Random) -> None:
        for account, head in self.world.accounts.items():
            if not head["settlement"]:
                head["floor"] = chance.choice([0, 0, -500])
                head["ceiling"] = chance.choice([None, 20_000])
                await self.ledger.limits.set(None, account, self._bounds(head), "as agreed")

    def _bounds(self, head: dict[str, Any]) -> dict[str, Amount | None]:
        bounds = {"floor": head["floor"], "ceiling": head["ceiling"]}
        return {
            name: None if minor is None else Amount(minor, head["places"]) for name, minor in bounds.items()
        }

    def wish(self, chance: random.Random, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        """By number: the same for every ledger of one seed."""
        if earlier and chance.random() < 0.15:
            return dict(chance.choice(earlier))
        kind = chance.choice(["TRANSFER", "TRANSFER", "INITIAL_FUNDS"])
        source = chance.randrange(len(self.accounts))
        owner = self._owner_of(source) if kind == "TRANSFER" else 2
        return {
            "kind": kind,
            "token": 2 * owner + chance.randrange(2)
            if chance.random() < 0.85
            else chance.randrange(len(self.tokens)),
            "key": f"key-{chance.randrange(300)}",
            "source": source if kind == "TRANSFER" else None,
            "target": chance.randrange(len(self.accounts)),
            "amount": chance.choice(AMOUNTS),
        }

    def _owner_of(self, number: int) -> int:
        head = self.world.accounts.get(self.accounts[number])
        ids = [user.id for user in self.users]
        return ids.index(head["owner"]) if head else 0

    def predicted(self, wish: dict[str, Any]) -> Answer:
        claims = self.tokens[wish["token"]]
        return self.world.answer(
            {
                "user": claims.user,
                "token": claims.digest,
                "issued_at": claims.issued_at,
                "kind": wish["kind"],
                "key": wish["key"],
                "source": None if wish["source"] is None else self.accounts[wish["source"]],
                "target": self.accounts[wish["target"]],
                "amount": Fraction(wish["amount"]),
            }
        )

    async def ask(self, wish: dict[str, Any]) -> Posted | NostroError:
        transfers = self.ledger.transfers
        asked = {
            "key": wish["key"],
            "to_account": self.accounts[wish["target"]],
            "amount": parse_amount(wish["amount"]),
        }
        claims = self.tokens[wish["token"]]
        try:
            if wish["source"] is None:
                return await transfers.initial_funds(claims, **asked)
            return await transfers.transfer(claims, from_account=self.accounts[wish["source"]], **asked)
        except NostroError as refusal:
            return refusal

    async def change_a_status(self, chance: random.Random) -> None:
        account = self.accounts[chance.randrange(len(self.accounts) - 1)]
        head = self.world.accounts[account]
        after = chance.choice(["ACTIVE"] * 12 + ["FROZEN", "INACTIVE", "BLOCKED", "CLOSED"])
        may = head["status"] not in {after, "CLOSED"}
        if head["status"] in {"INACTIVE", "BLOCKED"}:
            may = after in {"ACTIVE", "CLOSED"}
        if head["status"] == "FROZEN":
            may = after in {"ACTIVE", "BLOCKED", "CLOSED"}
        may = may and (after != "CLOSED" or head["balance"] == 0)
        if may:
            head["status"] = after
        try:
            await self.ledger.accounts.change_status(None, account, AccountStatus(after), "a test")
            answered = "changed"
        except NostroError as refusal:
            answered = refusal.code
        assert answered == ("changed" if may else "status_conflict")

    async def log_out(self, chance: random.Random) -> None:
        """One token of a user; the other one stays good, and a new one takes the first one's place."""
        number = 2 * chance.randrange(len(self.users))
        claims = self.tokens[number]
        await self.ledger.users.log_out(claims)
        self.world.revoked.add(claims.digest)
        refused = await self.ask(
            {"kind": "TRANSFER", "token": number, "key": "k", "source": 0, "target": 1, "amount": "1"}
        )
        assert isinstance(refused, NostroError)
        assert refused.code == "token_invalid"
        self.tokens[number] = token_of(self.users[number // 2])

    async def must_agree(self) -> None:
        """Balances and statuses as the model has them, and every invariant of the ledger."""
        for account, head in self.world.accounts.items():
            row = await self.ledger.accounts.by_id(account)
            assert (row.balance, row.status.value) == (head["balance"], head["status"])
        verification = await self.ledger.verify()
        assert verification.holds, [finding for finding in verification.findings if not finding.holds]


def said(outcome: Posted | NostroError, first_of: dict[ObjectId, Wish]) -> Answer:
    """The answer in the model's words; `first_of`: which wish made a transaction, by its id."""
    if isinstance(outcome, KeyConflict):
        return outcome.code, outcome.facts["conflictingFields"]
    if isinstance(outcome, InsufficientFunds):
        return outcome.code, {name: outcome.facts[name] for name in ("required", "available")}
    if isinstance(outcome, NostroError):
        return outcome.code, None
    return ("replayed" if outcome.replayed else "posted"), first_of[outcome.transaction.id]


def agree(
    outcomes: list[Posted | NostroError], predictions: list[Answer], first_of: dict[ObjectId, Wish]
) -> None:
    for outcome, predicted in zip(outcomes, predictions, strict=True):
        if isinstance(outcome, Posted) and not outcome.replayed:
            first_of[outcome.transaction.id] = predicted[1]
        assert said(outcome, first_of) == predicted


async def live(ledger: Ledger, url: str, seed: int, steps: int) -> set[str]:
    """A random life of requests, alone and in batches, statuses and logouts; the codes that were answered."""
    chance = random.Random(seed)
    life = await Life(ledger, url).begin(chance)
    first_of: dict[ObjectId, Wish] = {}
    earlier: list[dict[str, Any]] = []
    seen = set()
    for _ in range(steps):
        turn = chance.random()
        if turn < 0.10:
            await life.change_a_status(chance)
        elif turn < 0.14:
            await life.log_out(chance)
        else:
            wishes = []
            for _ in range(chance.choice([1, 1, 1, 2, 5, 20])):
                wishes.append(life.wish(chance, earlier))
                earlier.append(wishes[-1])
            if len({wish["kind"] for wish in wishes}) > 1:
                # Initial funds look for the settlement accounts first, so they arrive after the transfers.
                wishes.sort(key=lambda wish: wish["kind"] == "INITIAL_FUNDS")
                wishes = [wish for wish in wishes if wish["kind"] == wishes[0]["kind"]]
            predictions = [life.predicted(wish) for wish in wishes]
            if wishes[0]["kind"] == "TRANSFER":
                outcomes = list(await asyncio.gather(*map(life.ask, wishes)))
            else:
                outcomes = [await life.ask(wish) for wish in wishes]
            agree(outcomes, predictions, first_of)
            seen |= {code for code, _ in predictions}
    await life.must_agree()
    return seen


async def test_the_ledger_answers_as_the_model_predicts(ledger: Ledger, database_url: str) -> None:
    seen = await live(ledger, database_url, seed=1, steps=250)
    assert seen >= {
        "posted",
        "replayed",
        "token_invalid",
        "not_system_user",
        "invalid_amount",
        "same_account",
        "key_conflict",
        "account_not_found",
        "system_account_not_found",
        "currency_mismatch",
        "account_not_active",
        "insufficient_funds",
        "ceiling_exceeded",
    }


@pytest.mark.full
@pytest.mark.parametrize("seed", range(2, 12))
async def test_the_ledger_answers_as_the_model_predicts_for_long(
    ledger: Ledger, database_url: str, seed: int
) -> None:
    await live(ledger, database_url, seed, steps=2000)


@pytest.fixture
async def another(another_database_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(another_database_url, house_currency=Currency("INR", 2)) as opened:
        yield opened


@pytest.mark.parametrize("seed", range(20, 24))
async def test_a_real_batch_answers_what_the_same_requests_get_one_by_one(
    ledger: Ledger, another: Ledger, database_url: str, another_database_url: str, seed: int
) -> None:
    """Sixty requests at once in one ledger, and one after the other in a second with the same people."""
    together = await Life(ledger, database_url).begin(random.Random(seed))
    singly = await Life(another, another_database_url).begin(random.Random(seed))
    chance = random.Random(seed)
    for life in (together, singly):
        for number in range(len(life.accounts) - 1):
            fund = {"kind": "INITIAL_FUNDS", "token": 4, "key": f"f{number}", "source": None}
            wish = fund | {"target": number, "amount": "150"}
            life.predicted(wish)
            await life.ask(wish)
    earlier: list[dict[str, Any]] = []
    while len(earlier) < 60:
        wish = together.wish(chance, earlier)
        if wish["kind"] == "TRANSFER":
            earlier.append(wish)
    at_once = await asyncio.gather(*map(together.ask, earlier))
    one_by_one = [await singly.ask(wish) for wish in earlier]
    assert [plainly(outcome) for outcome in at_once] == [plainly(outcome) for outcome in one_by_one]
    assert "posted" in {code for code, _ in map(plainly, at_once)}
    for life in (together, singly):
        for wish in earlier:
            life.predicted(wish)
        await life.must_agree()


def plainly(outcome: Posted | NostroError) -> tuple[str, Any]:
    """Without the ids, which differ between two ledgers."""
    if isinstance(outcome, NostroError):
        return outcome.code, outcome.facts
    return ("replayed" if outcome.replayed else "posted"), (outcome.transaction.key, outcome.transaction.amount)
