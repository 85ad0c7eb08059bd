"""The lean path: a plainly sound transfer, hold, capture or balance read, from its bytes to the answer's.

It does what the ordinary path does for a request with nothing special about it, and nothing else. Whatever is
out of the ordinary (a cookie, an origin, an escape in the JSON, an unknown field, a token not seen before,
anything wrong) it leaves alone, and the ordinary path answers. So errors are told in one place, and both paths
judge with the same functions (tests/contract/test_lean_path.py: whatever is sent, both answer the same).
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from starlette.requests import Request

from nostro.api.desk import Desk
from nostro.api.documents import JSON, balance_document, encode
from nostro.api.familiar import Familiar
from nostro.api.paths import ACCOUNTS, TRANSACTIONS
from nostro.api.problems import problem
from nostro.api.sent import plain_capture, plain_transfer
from nostro.api.transactions import REPLAYED, posted_document
from nostro.domain.books import Outcome
from nostro.domain.errors import NostroError
from nostro.domain.ids import parse_id
from nostro.domain.transaction import Operation
from nostro.domain.user import Claims
from nostro.ledger.balances import Balance
from nostro.ledger.follow_ups import follow_up_request
from nostro.ledger.transfers import transfer_request

Headers = list[tuple[bytes, bytes]]

# A sound transfer fits easily; a longer body is the ordinary path's.
LONGEST_BODY = 4096
# Together below what the ordinary path refuses as too large.
MOST_HEADERS, LONGEST_HEADER = 16, 1024
_BALANCE = f"{ACCOUNTS}/balance/"
_ABOUT, _CAPTURE = f"{TRANSACTIONS}/", "/capture"
_JSON_TYPES = frozenset(
    {b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"}
)
# With one of these a request is no longer plain: it may need CORS, CSRF or decoding, or bring its own key.
_SPECIAL = frozenset(
    {b"cookie", b"origin", b"idempotency-key", b"content-encoding", b"sec-fetch-site", b"expect"}
)
PLAIN_HEADERS: Headers = [(b"content-type", JSON.encode())]
_REPLAY_HEADERS: Headers = [*PLAIN_HEADERS, *((n.lower().encode(), v.encode()) for n, v in REPLAYED.items())]


class Answered(NamedTuple):
    """An answer ready to be written; `headers` without those that every answer carries."""

    status: int
    headers: Headers
    body: bytes


class Pending(NamedTuple):
    """What the answer waits for, and how it becomes one."""

    future: "asyncio.Future[Any]"
    answered: Callable[[Any], Answered]


class LeanPath:
    """Takes a request or leaves it; `take` returns None for one that it leaves."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.counts = desk.ledger.counts

    def may_take(self, scope: dict[str, Any]) -> bool:
        """Whether it is worth waiting for the body: right method, right path, no query."""
        return not scope["query_string"] and _is_hot(scope["method"], scope["path"])

    def take(self, scope: dict[str, Any], body: bytes) -> Pending | None:
        claims = self._claims(scope["headers"], has_body=bool(body))
        return None if claims is None else self._begin(scope["method"], scope["path"], claims, body)

    def take_familiar(self, request: Familiar) -> Pending | None:
        """The same for a request whose headers are those of one that was taken before."""
        if len(request.body) > LONGEST_BODY or not _is_hot(request.method, request.path):
            return None
        claims = self._desk.tokens.remembered(request.token.decode("latin-1"))
        return None if claims is None else self._begin(request.method, request.path, claims, request.body)

    def _begin(self, method: str, path: str, claims: Claims, body: bytes) -> Pending | None:
        try:
            if method == "POST":
                begin = self._transfer if path == TRANSACTIONS else self._capture
                return begin(path, claims, body)
            return None if body else self._balance(path, claims)
        except NostroError:
            return None

    def _claims(self, headers: Headers, *, has_body: bool) -> Claims | None:
        """Those of a bearer token verified before; None unless every header is plain."""
        claims, typed = None, not has_body
        if len(headers) > MOST_HEADERS:
            return None
        for name, value in headers:
            if len(value) > LONGEST_HEADER:
                return None
            if name == b"authorization":
                scheme, _, token = value.partition(b" ")
                if claims is not None or scheme not in {b"Bearer", b"bearer"}:
                    return None
                claims = self._desk.tokens.remembered(token.decode("latin-1"))
            elif name == b"content-type":
                typed = value.lower() in _JSON_TYPES
            elif name in _SPECIAL:
                return None
        return claims if typed else None

    def _transfer(self, path: str, claims: Claims, body: bytes) -> Pending | None:
        sent = plain_transfer(body)
        if sent is None:
            return None
        from_account, to_account, amount, key, terms = sent
        request = transfer_request(claims, key, from_account, to_account, amount, terms=terms)
        future = self._desk.ledger.transfers.begin(request)
        situation = "held" if terms.hold else "transferred"
        return Pending(future, lambda outcome: self._posted(path, situation, outcome))

    def _capture(self, path: str, claims: Claims, body: bytes) -> Pending | None:
        sent = plain_capture(body)
        if sent is None:
            return None
        hold = parse_id(path[len(_ABOUT) : -len(_CAPTURE)], "transactionId")
        key, amount, final = sent
        request = follow_up_request(Operation.CAPTURE, claims, hold, key=key, amount=amount, final=final)
        future = self._desk.ledger.follow_ups.begin(request)
        return Pending(future, lambda outcome: self._posted(path, "captured", outcome))

    def _posted(self, path: str, situation: str, outcome: Outcome) -> Answered:
        if isinstance(outcome, NostroError):
            return self._problem(path, outcome, "transfer")
        status, document = posted_document(self._desk.configured_dialect, situation, outcome)
        return Answered(status, _REPLAY_HEADERS if outcome.replayed else PLAIN_HEADERS, encode(document))

    def _balance(self, path: str, claims: Claims) -> Pending:
        account = parse_id(path[len(_BALANCE) :], "accountId")
        future = self._desk.ledger.balances.ask(claims, account)
        return Pending(future, lambda balance: self._balance_read(path, balance))

    def _balance_read(self, path: str, balance: Balance) -> Answered:
        if isinstance(balance, NostroError):
            return self._problem(path, balance, "balance")
        return Answered(200, PLAIN_HEADERS, encode(balance_document(balance)))

    def _problem(self, path: str, error: NostroError, operation: str) -> Answered:
        self.counts.refused(error.code)
        request = Request({"type": "http", "nostro.asked": path})
        response = problem(request, error, self._desk.configured_dialect, operation)
        headers = [header for header in response.raw_headers if header[0] != b"content-length"]
        return Answered(response.status_code, headers, bytes(response.body))


def _is_hot(method: str, path: str) -> bool:
    if method == "POST":
        return path == TRANSACTIONS or (path.startswith(_ABOUT) and path.endswith(_CAPTURE))
    return method == "GET" and path.startswith(_BALANCE)
