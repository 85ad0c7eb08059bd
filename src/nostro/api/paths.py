"""One spelling for every path that clients use: aliases, any case, with or without a trailing slash.

`canonical` names the path the routes know, and the dialect when only one dialect has the path that was asked
for. Ids, keys and addresses inside a path keep their spelling.
"""

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from nostro.settings import DialectName

TRANSACTIONS = "/api/transactions"
BULK = "/api/transactions/bulk"
EXCHANGE = "/api/transactions/exchange"
INITIAL_FUNDS = "/api/transactions/system/initial-funds"
ACCOUNTS = "/api/accounts"
STANDING_ORDERS = "/api/standing-orders"
WEBHOOKS = "/api/webhooks"
MAIL_PREFERENCES = "/api/users/me/mail-preferences"

_ROOMS = {
    "auth": "auth",
    "account": "accounts",
    "accounts": "accounts",
    "transaction": "transactions",
    "transactions": "transactions",
}
_FUNDS = frozenset({"initial-funds", "initial-fund", "initial_funds", "intial-funds"})
_OBJECT_ID_LENGTH = 24
# A key of 255 characters, each of them percent-encoded, fits with its prefix.
LONGEST_PATH = 1024


class Canonical(NamedTuple):
    path: str
    dialect: DialectName | None = None


@lru_cache(maxsize=4096)
def canonical(path: str) -> Canonical:
    """`path` is as it was sent, percent-encoded. In the answer only "/" and "%" still are, so that an
    idempotency key may contain them; who reads a key or an address from a path unquotes it."""
    parts = [_decoded(part) for part in path.split("/") if part]
    words = [part.lower() for part in parts]
    bare = not words or words[0] != "api"
    if not bare:
        parts, words = parts[1:], words[1:]
    if words == ["health"]:
        return Canonical("/health")
    room = _ROOMS.get(words[0]) if words else None
    match room:
        case "auth":
            return Canonical("/".join(["/api/auth", *words[1:]]))
        case "accounts":
            return _account_path(parts[1:], words[1:])
        case "transactions":
            found = _transaction_path(parts[1:], words[1:])
            return Canonical(found.path, DialectName.LEDGERFLOW) if bare else found
        case _:
            return Canonical("/" + "/".join(words) if bare else "/".join(["/api", *words]))


def _decoded(part: str) -> str:
    return unquote(part).replace("%", "%25").replace("/", "%2F")


def _account_path(parts: list[str], words: list[str]) -> Canonical:
    match words:
        case ["create"]:
            return Canonical(ACCOUNTS, DialectName.BANKING_LEDGER)
        case ["user", _]:
            return Canonical(f"{ACCOUNTS}/user/{parts[1]}", DialectName.BANKING_LEDGER)
        case [_, "balance"]:
            return Canonical(f"{ACCOUNTS}/balance/{parts[0]}")
        case [word] if len(word) == _OBJECT_ID_LENGTH:
            return Canonical(f"{ACCOUNTS}/{word}", DialectName.BANKING_LEDGER)
        case _:
            return Canonical(_joined(ACCOUNTS, parts, words))


def _transaction_path(parts: list[str], words: list[str]) -> Canonical:
    match words:
        case ["transfer" | "create"]:
            return Canonical(TRANSACTIONS)
        case [spelling] | ["system", spelling] if spelling in _FUNDS:
            return Canonical(INITIAL_FUNDS)
        case ["by-key", _]:
            return Canonical(f"{TRANSACTIONS}/by-key/{parts[1]}")
        case _:
            return Canonical(_joined(TRANSACTIONS, parts, words))


# Words that are routes; whatever stands beside them in a path is a client's own and keeps its spelling.
_WORDS = frozenset(
    {"all", "balance", "by-email", "by-key", "history", "account", "bulk", "status", "system", "user"}
    | {"activate", "reopen", "deactivate", "freeze", "suspend", "block", "close", "events", "limits"}
    | {"capture", "exchange", "extend", "reverse", "void"}
    | {"entries", "series", "statement"}
)


def _joined(prefix: str, parts: list[str], words: list[str]) -> str:
    spelt = [word if word in _WORDS else part for part, word in zip(parts, words, strict=True)]
    return "/".join([prefix, *spelt])
