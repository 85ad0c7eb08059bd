"""A second ledger in plain dicts, written from the published rules: it predicts every answer of the real one.

It shares nothing with domain/posting.py but the words of a request. Amounts are fractions of major units
until the account is known; a world is `users`, `revoked`, `accounts` and `keys`.
"""

from dataclasses import dataclass, field
from typing import Any

LARGEST_AMOUNT = 10**15
LARGEST, SMALLEST = 2**63 - 1, -(2**63)
HOUSE_PLACES = 2

Wish = dict[str, Any]  # user, token, issued_at, kind, key, source (None: initial funds), target, amount
Answer = tuple[str, Any]  # ("posted", wish) or ("replayed", the wish that took the key) or (code, facts)


@dataclass
class World:
    """`users`: id to role and epoch. `accounts`: id to owner, currency, places, status, balance, …"""

    users: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    accounts: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    revoked: set[bytes] = field(default_factory=set)
    keys: dict[tuple[bytes, str, str], Wish] = field(default_factory=dict)
    frozen_receives: bool = False

    def answer(self, wish: Wish) -> Answer:
        """What the ledger must say; a transfer that happens has happened in this world afterwards."""
        target = self.accounts.get(wish["target"])
        source_id = wish["source"] or self._settlement(wish["user"], target)
        source = self.accounts.get(source_id)
        minor = wish["amount"] * 10 ** self._places(wish, source, target)

        user = self.users.get(wish["user"])
        is_void = user is None or wish["token"] in self.revoked or wish["issued_at"] < user["epoch"]
        flaws = {
            "token_invalid": is_void,
            "not_system_user": wish["kind"] == "INITIAL_FUNDS" and not is_void and user["role"] != "SYSTEM",
            "invalid_amount": minor.denominator != 1 or not 0 < minor <= LARGEST_AMOUNT,
            "same_account": source_id == wish["target"],
        }
        flaw = next((code for code, so in flaws.items() if so), None)
        if flaw:
            return flaw, None

        scope = (wish["user"], wish["kind"], wish["key"])
        if scope in self.keys:
            return self._of_a_taken_key(wish, self.keys[scope])

        refusal = self._refusal(wish, source, target, int(minor))
        if refusal is not None:
            return refusal
        source["balance"] -= int(minor)
        target["balance"] += int(minor)
        self.keys[scope] = wish
        return "posted", wish

    def _refusal(self, wish: Wish, source: Any, target: Any, minor: int) -> Answer | None:
        """The first of the ledger's own refusals, in the published order."""
        if target is None or source is None:
            named = wish["source"] is not None or target is None
            return ("account_not_found" if named else "system_account_not_found"), None
        spendable = source["balance"] - source["held"]
        receiving = {"ACTIVE", "FROZEN"} if self.frozen_receives else {"ACTIVE"}
        floor, ceiling = source["floor"], target["ceiling"]
        applies = {
            "not_account_owner": source["owner"] != wish["user"],
            "currency_mismatch": source["currency"] != target["currency"],
            "account_not_active": source["status"] != "ACTIVE" or target["status"] not in receiving,
            "insufficient_funds": floor is not None and spendable - minor < floor,
            "ceiling_exceeded": ceiling is not None and target["balance"] + minor > ceiling,
            "amount_overflow": source["balance"] - minor < SMALLEST or target["balance"] + minor > LARGEST,
        }
        code = next((code for code, so in applies.items() if so), None)
        if code == "insufficient_funds":
            return code, {"required": minor, "available": spendable - floor}
        return (code, None) if code else None

    def _of_a_taken_key(self, wish: Wish, earlier: Wish) -> Answer:
        names = {"source": "fromAccount", "target": "toAccount", "amount": "amount"}
        differing = [shown for name, shown in names.items() if wish[name] != earlier[name]]
        return ("key_conflict", differing) if differing else ("replayed", earlier)

    def _settlement(self, user: bytes, target: Any) -> bytes | None:
        wanted = target and (user, target["currency"], True)
        for account, head in self.accounts.items():
            if (head["owner"], head["currency"], head["settlement"]) == wanted:
                return account
        return None

    def _places(self, wish: Wish, source: Any, target: Any) -> int:
        """Of the paying account if it is the caller's own, else the house's: a stranger's tells nothing."""
        if wish["source"] is None:
            return target["places"] if target else HOUSE_PLACES
        return source["places"] if source and source["owner"] == wish["user"] else HOUSE_PLACES
