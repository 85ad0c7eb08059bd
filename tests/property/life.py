"""A second ledger for the whole life of a transaction, written from the published rules.

It keeps a list of facts and works everything out anew from them: balances, what is held, what is left and what
counts against a limit. It shares nothing with domain/ but the words of a wish. Tokens are the part of
model.py.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

LARGEST_AMOUNT = 10**15
LARGEST, SMALLEST = 2**63 - 1, -(2**63)
HOUSE_PLACES = 2

Wish = dict[str, Any]
Answer = tuple[str, Any]  # ("posted" or "replayed", id of the transaction) or (code, facts)

ORDER = [
    *("not_system_user", "invalid_field", "invalid_amount", "same_account", "key_conflict", "not_found"),
    *("account_not_found", "system_account_not_found", "not_account_owner", "currency_mismatch"),
]
MOVING = {"TRANSFER", "INITIAL_FUNDS", "EXCHANGE", "CAPTURE", "REVERSAL"}


class Refusal(Exception):
    """What the ledger must say no with."""

    def __init__(self, code: str, facts: Any = None) -> None:
        super().__init__(code)
        self.code, self.facts = code, facts


@dataclass
class Ledger:
    """`users`: id to role. `accounts`: id to owner, currency, places, status, floor, ceiling and so on."""

    now: datetime
    users: dict[bytes, str] = field(default_factory=dict)
    accounts: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    rates: dict[tuple[str, str], tuple[Fraction, bytes]] = field(default_factory=dict)
    closed: dict[str, datetime] = field(default_factory=dict)
    facts: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[tuple[bytes, str, str], tuple[Wish, bytes]] = field(default_factory=dict)

    # ── what follows from the facts ──────────────────────────────────────────────────────────────────

    def balance(self, account: bytes) -> int:
        legs = [leg for fact in self.facts if fact["kind"] in MOVING for leg in fact["legs"]]
        return sum(amount for _, target, amount in legs if target == account) - sum(
            amount for source, _, amount in legs if source == account
        )

    def held(self, account: bytes) -> int:
        return sum(
            self.left(fact)
            for fact in self.facts
            if fact["kind"] == "HOLD" and fact["source"] == account and not self.over(fact)
        )

    def about(self, fact: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
        return [one for one in self.facts if one.get("parent") == fact["id"] and one["kind"] in kinds]

    def captured(self, hold: dict[str, Any]) -> int:
        return sum(capture["amount"] for capture in self.about(hold, "CAPTURE"))

    def left(self, hold: dict[str, Any]) -> int:
        """What nobody has captured, while nobody has let it go."""
        if self.about(hold, "VOID") or any(one["final"] for one in self.about(hold, "CAPTURE")):
            return 0
        return int(hold["amount"]) - self.captured(hold)

    def expires(self, hold: dict[str, Any]) -> datetime | None:
        return ([hold, *self.about(hold, "EXTENSION")][-1])["expires"]

    def expired(self, hold: dict[str, Any]) -> bool:
        end = self.expires(hold)
        return end is not None and end <= self.now and self.left(hold) > 0

    def over(self, hold: dict[str, Any]) -> bool:
        return self.left(hold) == 0 or self.expired(hold)

    def reversed(self, fact: dict[str, Any]) -> int:
        return sum(one["amount"] for one in self.about(fact, "REVERSAL"))

    def status(self, fact: dict[str, Any]) -> str:
        if fact["kind"] == "HOLD":
            done = "COMPLETED" if self.captured(fact) else "FAILED"
            return done if self.over(fact) else "PENDING"
        return "REVERSED" if fact["kind"] in MOVING and self.reversed(fact) == fact["amount"] else "COMPLETED"

    def spent(self, account: bytes, since: datetime) -> tuple[int, int]:
        """How often the account has paid since then, and how much of it stays paid."""
        times = total = 0
        for fact in self.facts:
            if fact["kind"] in {"TRANSFER", "INITIAL_FUNDS", "EXCHANGE", "HOLD"} and fact["time"] >= since:
                own = sum(amount for source, _, amount in fact["legs"] if source == account)
                times += own > 0
                total += own
                if fact["kind"] == "HOLD" and own and self.over(fact):
                    total -= int(fact["amount"]) - self.captured(fact)
        return times, total

    # ── what must be answered ────────────────────────────────────────────────────────────────────────

    def answer(self, wish: Wish, ident: bytes) -> Answer:
        """What the ledger must say; what happens has happened here afterwards, under the id `ident`."""
        decide = self._follow_up if "parent" in wish else self._transfer
        try:
            return decide(wish, ident)
        except Refusal as refusal:
            return refusal.code, refusal.facts

    def _taken(self, wish: Wish) -> bytes | None:
        taken = self.keys.get((wish["user"], wish["operation"], wish["key"]))
        if taken is None:
            return None
        apart = {"conditions", "restate", "user"}
        earlier, ident = taken
        names = {*wish, *earlier} - apart
        if any(wish.get(name) != earlier.get(name) for name in names):
            raise Refusal("key_conflict")
        return ident

    def _record(self, wish: Wish, **fact: Any) -> Answer:
        self.facts.append({"time": self.now, "by": wish["user"], "parent": None, "final": False, **fact})
        self.keys[wish["user"], wish["operation"], wish["key"]] = (wish, fact["id"])
        return "posted", fact["id"]

    def _transfer(self, wish: Wish, ident: bytes) -> Answer:
        operation = wish["operation"]
        if operation == "INITIAL_FUNDS" and self.users[wish["user"]] != "SYSTEM":
            raise Refusal("not_system_user")
        legs = self._legs(wish)
        if any(source == target for source, target, _, _ in legs):
            raise Refusal("same_account")
        earlier = self._taken(wish)
        if earlier is not None:
            return "replayed", earlier
        self._sides(wish, legs)
        moves = [(source, target, amount) for source, target, amount, _ in legs]
        counter = None
        if operation == "EXCHANGE":
            moves, counter = self._halves(wish, moves[0])
        self._states(moves)
        self._terms(wish, legs[0][0], legs[0][1])
        self._limits(moves)
        self._money(moves)
        currency = self.accounts[moves[0][0]]["currency"]
        amount = moves[0][2] if counter else sum(move[2] for move in moves)
        expires = wish["expires_in"] and self.now + timedelta(seconds=wish["expires_in"])
        return self._record(
            wish,
            id=ident,
            kind="HOLD" if wish["hold"] else operation,
            source=moves[0][0],
            target=moves[-1][1] if counter else moves[0][1],
            legs=moves,
            amount=amount,
            currency=currency,
            places=self.accounts[moves[0][0]]["places"],
            expires=expires,
        )

    def _legs(self, wish: Wish) -> list[tuple[Any, bytes, int, int]]:
        if wish["legs"]:
            legs = [self._leg(wish, *leg) for leg in wish["legs"]]
        else:
            legs = [self._leg(wish, wish["source"], wish["target"], wish["amount"])]
        if wish["split"]:
            source, _, total, places = legs[0]
            legs = [
                (source, account, amount, places)
                for account, amount in self._parts(total, places, wish["split"])
                if amount
            ]
        if sum(leg[2] for leg in legs) > LARGEST_AMOUNT:
            raise Refusal("invalid_amount")
        return legs

    def _leg(self, wish: Wish, source: Any, target: bytes, amount: Fraction) -> tuple[Any, bytes, int, int]:
        head = self.accounts.get(target)
        if source is None:
            source = self._settlement(wish["user"], head["currency"]) if head else None
            places = head["places"] if head else HOUSE_PLACES
        else:
            own = self.accounts.get(source, {}).get("owner") == wish["user"]
            places = self.accounts[source]["places"] if own else HOUSE_PLACES
        minor = amount * 10**places
        if minor.denominator != 1 or not 0 < minor <= LARGEST_AMOUNT:
            raise Refusal("invalid_amount")
        return source, target, int(minor), places

    def _parts(self, total: int, places: int, split: Any) -> list[tuple[bytes, int]]:
        """Fixed amounts as they are; the rest to whoever is furthest behind the exact share, unit by unit."""
        fixed = 0
        for _, what, value in split:
            if what == "amount":
                if (value * 10**places).denominator != 1:
                    raise Refusal("invalid_amount")
                fixed += int(value * 10**places)
        exact = {nth: total * value for nth, (_, what, value) in enumerate(split) if what == "share"}
        rest = total - fixed - sum(exact.values())
        takers = [nth for nth, part in enumerate(split) if part[1] == "remainder"]
        if rest < 0 or (rest > 0 and not takers):
            raise Refusal("invalid_field")
        exact |= {nth: Fraction(rest) for nth in takers}
        given = shared_out(total - fixed, exact)
        return [
            (account, int(value * 10**places) if what == "amount" else given[nth])
            for nth, (account, what, value) in enumerate(split)
        ]

    def _settlement(self, user: bytes, currency: str) -> bytes | None:
        for account, head in self.accounts.items():
            if (head["owner"], head["currency"], head["settlement"]) == (user, currency, True):
                return account
        return None

    def _sides(self, wish: Wish, legs: list[tuple[Any, bytes, int, int]]) -> None:
        codes = []
        first = self.accounts.get(legs[0][0])
        for source, target, *_ in legs:
            payer, payee = self.accounts.get(source), self.accounts.get(target)
            if payee is None:
                codes.append("account_not_found")
            elif payer is None:
                codes.append("system_account_not_found" if source is None else "account_not_found")
            elif payer["owner"] != wish["user"]:
                codes.append("not_account_owner")
            elif wish["operation"] != "EXCHANGE" and (
                payer["currency"] != payee["currency"] or (first and payer["currency"] != first["currency"])
            ):
                codes.append("currency_mismatch")
        if codes:
            raise Refusal(min(codes, key=ORDER.index))

    def _halves(self, wish: Wish, move: tuple[bytes, bytes, int]) -> tuple[list[Any], int]:
        source, target, amount = move
        payer, payee = self.accounts[source], self.accounts[target]
        if payer["currency"] == payee["currency"]:
            raise Refusal("currency_mismatch")
        pair = (payer["currency"], payee["currency"])
        if pair not in self.rates:
            raise Refusal("rate_not_found")
        rate, maker = self.rates[pair]
        if wish["rate"] not in {None, rate}:
            raise Refusal("rate_changed")
        first, second = self._settlement(maker, pair[0]), self._settlement(maker, pair[1])
        if first is None or second is None:
            raise Refusal("system_account_not_found")
        arriving = amount * rate * Fraction(10) ** (payee["places"] - payer["places"]) // 1
        if not arriving:
            raise Refusal("invalid_amount")
        if arriving > LARGEST_AMOUNT:
            raise Refusal("amount_overflow")
        return [(source, first, amount), (second, target, arriving)], arriving

    def _states(self, moves: list[tuple[bytes, bytes, int]]) -> None:
        for source, target, _ in moves:
            if {self.accounts[source]["status"], self.accounts[target]["status"]} != {"ACTIVE"}:
                raise Refusal("account_not_active")

    def _terms(self, wish: Wish, source: bytes, target: bytes) -> None:
        happened = wish["effective_at"]
        if happened is not None:
            if happened > self.now:
                raise Refusal("invalid_field")
            closed = self.closed.get(self.accounts[source]["currency"])
            trusted = wish["restate"] and self.users[wish["user"]] in {"SYSTEM", "OPERATOR"}
            if closed and happened < closed and not trusted:
                raise Refusal("period_closed")
        for side, test, value in wish["conditions"]:
            account = source if side == "from" else target
            head = self.accounts[account]
            if head["owner"] != wish["user"] and self.users[wish["user"]] == "CUSTOMER":
                raise Refusal("not_account_owner")
            actual = Fraction(self.balance(account), 10 ** head["places"])
            if not {"gte": actual >= value, "lte": actual <= value, "eq": actual == value}[test]:
                raise Refusal("precondition_failed", self.balance(account))

    def _limits(self, moves: list[tuple[bytes, bytes, int]]) -> None:
        hour = self.now.replace(minute=0, second=0, microsecond=0)
        day = hour.replace(hour=0)
        for account in dict.fromkeys(move[0] for move in moves):
            limits = self.accounts[account]["limits"]
            if not limits:
                continue
            amount = sum(paid for source, _, paid in moves if source == account)
            if "hourly" in limits and self.spent(account, hour)[0] >= limits["hourly"]:
                raise Refusal("limit_exceeded", ("hourly", 0))
            lefts = {
                "single": limits.get("single"),
                "daily": limits["daily"] - self.spent(account, day)[1] if "daily" in limits else None,
                "monthly": limits["monthly"] - self.spent(account, day.replace(day=1))[1]
                if "monthly" in limits
                else None,
            }
            for name, left in lefts.items():
                if left is not None and left < amount:
                    raise Refusal("limit_exceeded", (name, max(left, 0)))

    def _money(self, moves: list[tuple[bytes, bytes, int]], *, overdraw: bool = False) -> None:
        heads = {account: self.balance(account) for move in moves for account in move[:2]}
        for source, target, amount in moves:
            floor, ceiling = self.accounts[source]["floor"], self.accounts[target]["ceiling"]
            spendable = heads[source] - self.held(source)
            if floor is not None and spendable - amount < floor and not overdraw:
                raise Refusal("insufficient_funds", (amount, spendable - floor))
            if ceiling is not None and heads[target] + amount > ceiling:
                raise Refusal("ceiling_exceeded")
            if heads[source] - amount < SMALLEST or heads[target] + amount > LARGEST:
                raise Refusal("amount_overflow")
            heads[source] -= amount
            heads[target] += amount

    # ── about an earlier transaction ─────────────────────────────────────────────────────────────────

    def _follow_up(self, wish: Wish, ident: bytes) -> Answer:
        found = [fact for fact in self.facts if fact["id"] == wish["parent"]]
        if not found:
            raise Refusal("not_found")
        fact, operator = found[0], self.users[wish["user"]] == "OPERATOR"
        parties = {fact["by"], *(self.accounts[fact[side]]["owner"] for side in ("source", "target"))}
        if not operator and wish["user"] not in parties:
            raise Refusal("not_found")
        asked = None
        if wish["amount"] is not None:
            asked = wish["amount"] * 10 ** fact["places"]
            if asked.denominator != 1 or asked > LARGEST_AMOUNT:
                raise Refusal("invalid_amount")
        earlier = self._taken(wish)
        if earlier is not None:
            return "replayed", earlier
        if wish["operation"] == "REVERSE":
            return self._reverse(wish, ident, fact, asked)
        return self._about_hold(wish, ident, fact, asked)

    def _about_hold(self, wish: Wish, ident: bytes, hold: dict[str, Any], asked: Any) -> Answer:
        source, target = hold["source"], hold["target"]
        payer_or_operator = (
            wish["user"] == self.accounts[source]["owner"] or self.users[wish["user"]] == "OPERATOR"
        )
        if wish["operation"] == "EXTEND" and not payer_or_operator:
            raise Refusal("not_account_owner")
        if hold["kind"] != "HOLD":
            raise Refusal("not_a_hold")
        if self.about(hold, "VOID"):
            raise Refusal("already_voided")
        if self.expired(hold):
            raise Refusal("hold_expired")
        left = self.left(hold)
        if not left:
            raise Refusal("already_captured")
        more: dict[str, Any] = {"source": source, "target": target, "legs": [], "expires": None}
        more |= {"currency": hold["currency"], "places": hold["places"]}
        kinds = {"CAPTURE": "CAPTURE", "VOID": "VOID", "EXTEND": "EXTENSION"}
        more |= {"id": ident, "kind": kinds[wish["operation"]], "amount": left}
        if wish["operation"] == "EXTEND":
            more["expires"] = self.now + timedelta(seconds=wish["expires_in"])
        if wish["operation"] == "CAPTURE":
            amount = left if asked is None else int(asked)
            if amount > left:
                raise Refusal("exceeds_held_amount")
            self._states([(source, target, amount)])
            self._money([(source, target, amount)], overdraw=True)
            more |= {"amount": amount, "legs": [(source, target, amount)], "final": wish["final"]}
        return self._record(wish, **(more | {"parent": hold["id"]}))

    def _reverse(self, wish: Wish, ident: bytes, fact: dict[str, Any], asked: Any) -> Answer:
        operator = self.users[wish["user"]] == "OPERATOR"
        if wish["force"] and not operator:
            raise Refusal("not_operator")
        legs = fact["legs"] or [(fact["source"], fact["target"], 0)]
        receivers = {self.accounts[target]["owner"] for _, target, _ in legs}
        if not operator and receivers != {wish["user"]}:
            raise Refusal("not_receiver")
        if fact["kind"] not in MOVING - {"REVERSAL"}:
            raise Refusal("not_reversible")
        left = fact["amount"] - self.reversed(fact)
        if not left:
            raise Refusal("already_reversed")
        amount = left if asked is None else int(asked)
        if amount > left:
            raise Refusal("exceeds_reversible_amount")
        if wish["force"] and len(fact["legs"]) > 1:
            raise Refusal("invalid_field")
        moves = self._back(fact, amount, left)
        self._states([move for _, move in moves])
        self._money([move for _, move in moves], overdraw=wish["force"])
        if wish["force"]:
            self._lower_floor(moves[0][1])
        return self._record(
            wish,
            id=ident,
            kind="REVERSAL",
            parent=fact["id"],
            source=fact["target"],
            target=fact["source"],
            legs=[move for _, move in moves],
            numbers=[nth for nth, _ in moves],
            amount=amount,
            currency=fact["currency"],
            places=fact["places"],
            expires=None,
        )

    def _lower_floor(self, move: tuple[bytes, bytes, int]) -> None:
        head = self.accounts[move[0]]
        rest = self.balance(move[0]) - self.held(move[0]) - move[2]
        if head["floor"] is not None and rest < head["floor"]:
            head["floor"] = rest

    def _back(self, fact: dict[str, Any], amount: int, left: int) -> list[tuple[int, tuple[bytes, bytes, int]]]:
        """By leg: each currency's part shared out by what is left of its legs; the last leg flows first."""
        lefts = [leg[2] - self._gone(fact, nth) for nth, leg in enumerate(fact["legs"])]
        currencies = [self.accounts[leg[0]]["currency"] for leg in fact["legs"]]
        flows: dict[int, int] = {}
        for currency in dict.fromkeys(currencies):
            own = {nth: Fraction(lefts[nth]) for nth, each in enumerate(currencies) if each == currency}
            total = sum(own.values())
            part = amount if currency == fact["currency"] else -(-total * amount // left)
            if part:
                flows |= shared_out(int(part), {nth: part * each / total for nth, each in own.items()})
        moves = [
            (nth, (fact["legs"][nth][1], fact["legs"][nth][0], flow)) for nth, flow in flows.items() if flow
        ]
        return moves[::-1]

    def _gone(self, fact: dict[str, Any], nth: int) -> int:
        return sum(
            leg[2]
            for back in self.about(fact, "REVERSAL")
            for number, leg in zip(back["numbers"], back["legs"], strict=True)
            if number == nth
        )


def shared_out(total: int, exact: dict[int, Fraction]) -> dict[int, int]:
    """Whole units close to `exact`: one more to whoever is furthest behind, until `total` is given out."""
    given = {nth: int(share) for nth, share in exact.items()}
    while sum(given.values()) < total:
        behind = max(exact, key=lambda nth: (exact[nth] - given[nth], -nth))
        given[behind] += 1
    return given
