"""What is sent: each workload picks accounts its own way and says which answer it expects.

A new workload is one function that returns a `NextRequest`, and one row in WORKLOADS.
"""

import random
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from typing import Any

import msgspec

from nostro.bench.wire import head, request

TRANSFER_PATH = "/api/transactions"
BULK_PATH = "/api/transactions/bulk"
ZIPF_EXPONENT = 0.99
READS_PER_TRANSFER = 4
TRANSFERS_PER_BULK = 1000
BUSY = 0
"""The place of the account whose history is read; a seeded ledger gives it a fifth of all entries."""

NextRequest = Callable[[], tuple[bytes, int]]
"""Makes the next request and says which kind of the workload's kinds it is. If it has a method `hear`, it is
told the number of the kind and the body of every answer that was as it should be.
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of request: the only status that counts as done, what must stand at the beginning of its answer,
    how many operations (transfers) it carries, and whether each of these leaves a transaction in the journal.
    """

    name: str
    expects: int
    operations: int = 1
    records: bool = False
    says: bytes = b""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything a workload may use: where to send, who owns which account, and a source of chance.

    Account i belongs to the holder of token i modulo the number of tokens.
    """

    host: str
    tokens: Sequence[str]
    accounts: Sequence[str]
    round_key: str
    """8 characters no earlier round has used: idempotency keys begin with it."""
    chance: random.Random
    deep_cursor: str = ""
    """Leads to page 10,000 of the busy account's statement, where a workload reads it."""


@dataclass(frozen=True, slots=True)
class Workload:
    """`kinds`: the first is what the workload is about; comparisons look at its latency."""

    name: str
    sentence: str
    kinds: tuple[Kind, ...]
    script: Callable[[Stage], NextRequest]
    accounts: int = 10_000
    connections: int | None = None
    """Fixed number of connections, for workloads whose point it is."""
    beside_yardstick: bool = True
    """Whether a ratio to TPC-B means anything: only where every operation is a transfer."""
    at_half: bool = True
    """Whether its latency is measured at half its capacity, too: not where the point is another."""
    background: Callable[[Stage], NextRequest] | None = None
    """What one more connection sends meanwhile, in a closed loop."""
    against: str | None = None
    """The workload it is compared with, measured turn by turn with it."""
    seeded: bool = False
    """Runs on ledgers seeded to each of the sizes asked for, and is compared with itself on the smallest."""
    with_it: tuple[str, ...] = ()
    """Workloads that are measured whenever this one is."""


TRANSFER = Kind("transfer", 201, records=True)
HOLD = Kind("hold", 201, records=True)
CAPTURE = Kind("capture", 201, records=True)
BULK = Kind("bulk", 200, TRANSFERS_PER_BULK, records=True, says=b'{"message":"Bulk processed","success":true,')
BALANCE = Kind("balance", 200)
FIRST_PAGE = Kind("first page", 200)
DEEP_PAGE = Kind("page 10,000", 200)


def transfer_between(stage: Stage, pair: Callable[[], tuple[int, int]], more: bytes = b"") -> NextRequest:
    """Transfers of 1 between the accounts `pair` picks, each with a key of its own; `more` ends the body."""
    ids = [account.encode("ascii") for account in stage.accounts]
    key_prefix = b'","amount":1,"idempotencyKey":"' + stage.round_key.encode("ascii") + b"-"
    opening, middle, closing = b'{"fromAccount":"', b'","toAccount":"', b'"' + more + b"}"
    body_bytes = len(opening) + 24 + len(middle) + 24 + len(key_prefix) + 10 + len(closing)
    heads = [head("POST", TRANSFER_PATH, stage.host, body_bytes, token) + opening for token in stage.tokens]
    people = len(heads)
    numbers = count().__next__

    def next_request() -> tuple[bytes, int]:
        debit, credit = pair()
        return b"".join(
            (
                heads[debit % people],
                ids[debit],
                middle,
                ids[credit],
                key_prefix,
                b"%010d" % numbers(),
                closing,
            )
        ), 0

    return next_request


class HoldsAndCaptures:
    """Every hold is captured as soon as it is there, by its payer."""

    def __init__(self, stage: Stage) -> None:
        self._hold = _holds(stage)
        self._held: deque[tuple[bytes, int]] = deque()
        self._payers: dict[str, int] = {account: place for place, account in enumerate(stage.accounts)}
        body_bytes = len(b'{"idempotencyKey":"') + len(stage.round_key) + len("-c0000000000") + len(b'"}')
        self._heads = [
            head("POST", f"{TRANSFER_PATH}/%b/capture", stage.host, body_bytes, token) for token in stage.tokens
        ]
        self._opening = b'{"idempotencyKey":"' + stage.round_key.encode("ascii") + b"-c"
        self._numbers = count().__next__

    def __call__(self) -> tuple[bytes, int]:
        if not self._held:
            return self._hold()[0], 1
        hold, payer = self._held.popleft()
        body = b'%b%010d"}' % (self._opening, self._numbers())
        return self._heads[payer % len(self._heads)] % hold + body, 0

    def hear(self, kind: int, body: bytes) -> None:
        if kind == 1:
            made = msgspec.json.decode(body, type=_Answer).transaction
            self._held.append((made.id.encode("ascii"), self._payers[made.payer]))


class _Made(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    payer: str = msgspec.field(name="fromAccount")


class _Answer(msgspec.Struct):
    transaction: _Made


def bulks(stage: Stage, kind: int) -> NextRequest:
    """Requests with many transfers each, from any account of one person to any other; the people take turns."""
    ids = stage.accounts
    people, size, draw = len(stage.tokens), len(ids), stage.chance.random
    heads = [head("POST", BULK_PATH, stage.host, None, token).removesuffix(b"\r\n") for token in stage.tokens]
    turns = count().__next__

    def one(person: int, key: str) -> str:
        debit = person + int(draw() * (size // people)) * people
        credit = (debit + 1 + int(draw() * (size - 1))) % size
        return (
            f'{{"fromAccount":"{ids[debit]}","toAccount":"{ids[credit]}","amount":1,"idempotencyKey":"{key}"}}'
        )

    def next_request() -> tuple[bytes, int]:
        turn = turns()
        person = turn % people
        keys = f"{stage.round_key}-b{turn:06d}-"
        body = f"[{','.join([one(person, f'{keys}{n}') for n in range(TRANSFERS_PER_BULK)])}]".encode("ascii")
        length = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        return heads[person] + length + body, kind

    return next_request


def reads_of(stage: Stage, paths: Sequence[str], pick: Callable[[], int], kind: int) -> NextRequest:
    """GET paths[n], n as picked, each by the owner of account n."""
    before = [f"GET {path} HTTP/1.1\r\n".encode("ascii") for path in paths]
    after = [request("GET", "/", stage.host, token=token).partition(b"\r\n")[2] for token in stage.tokens]
    people = len(after)

    def next_request() -> tuple[bytes, int]:
        account = pick()
        return before[account] + after[account % people], kind

    return next_request


def balance_of(stage: Stage, pick: Callable[[], int], kind: int) -> NextRequest:
    return reads_of(stage, [f"/api/accounts/balance/{account}" for account in stage.accounts], pick, kind)


def two_different(pick: Callable[[], int]) -> Callable[[], tuple[int, int]]:
    def pair() -> tuple[int, int]:
        debit = credit = pick()
        while credit == debit:
            credit = pick()
        return debit, credit

    return pair


def evenly(stage: Stage) -> Callable[[], int]:
    size, chance = len(stage.accounts), stage.chance.random
    return lambda: int(chance() * size)


def zipf(size: int, exponent: float, chance: random.Random) -> Callable[[], int]:
    """Ranks 0 … size - 1, rank k with a weight of 1 / (k + 1) ** exponent."""
    edges = list(accumulate(1 / rank**exponent for rank in range(1, size + 1)))
    whole, draw, last = edges[-1], chance.random, size - 1
    return lambda: min(bisect_right(edges, draw() * whole), last)


def _uniform(stage: Stage) -> NextRequest:
    return transfer_between(stage, two_different(evenly(stage)))


def _hot(stage: Stage) -> NextRequest:
    others, chance = len(stage.accounts) - 1, stage.chance.random
    return transfer_between(stage, lambda: (0, 1 + int(chance() * others)))


def _hot_pair(stage: Stage) -> NextRequest:
    turns = count().__next__
    return transfer_between(stage, lambda: (0, 1) if turns() & 1 else (1, 0))


def _zipf(stage: Stage) -> NextRequest:
    # Shuffled, so that the busiest accounts do not also share a page for having been opened one after the
    # other.
    places = list(range(len(stage.accounts)))
    stage.chance.shuffle(places)
    rank = zipf(len(places), ZIPF_EXPONENT, stage.chance)
    return transfer_between(stage, two_different(lambda: places[rank()]))


def _balance(stage: Stage) -> NextRequest:
    return balance_of(stage, evenly(stage), 0)


def _read_mix(stage: Stage) -> NextRequest:
    transfer, balance = _uniform(stage), balance_of(stage, evenly(stage), 1)
    share, chance = 1 / (1 + READS_PER_TRANSFER), stage.chance.random
    return lambda: transfer() if chance() < share else balance()


def _holds(stage: Stage) -> NextRequest:
    return transfer_between(stage, two_different(evenly(stage)), b',"hold":true')


def _bulk(stage: Stage) -> NextRequest:
    return bulks(stage, 0)


def _bulk_in_the_background(stage: Stage) -> NextRequest:
    return bulks(stage, 1)


def _first_page(stage: Stage) -> NextRequest:
    paths = [f"/api/accounts/{account}/entries" for account in stage.accounts]
    return reads_of(stage, paths, evenly(stage), 0)


def _deep_page(stage: Stage) -> NextRequest:
    path = f"/api/accounts/{stage.accounts[BUSY]}/entries?cursor={stage.deep_cursor}"
    return reads_of(stage, [path], lambda: BUSY, 0)


_GROWN_READ: dict[str, Any] = {
    "connections": 4,
    "beside_yardstick": False,
    "at_half": False,
    "seeded": True,
}

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload("uniform", "from any account to any other, all equally likely", (TRANSFER,), _uniform),
        Workload("hot", "every debit from one account, credits to all the others", (TRANSFER,), _hot),
        Workload("hot-pair", "two accounts pay each other, in turn", (TRANSFER,), _hot_pair),
        Workload(
            "zipf",
            f"both sides drawn by Zipf's law, exponent {ZIPF_EXPONENT}",
            (TRANSFER,),
            _zipf,
            accounts=100_000,
        ),
        Workload(
            "one-by-one",
            "one connection, so each transfer waits for the one before",
            (TRANSFER,),
            _uniform,
            connections=1,
        ),
        Workload(
            "balance", "balances of any account, no transfers", (BALANCE,), _balance, beside_yardstick=False
        ),
        Workload(
            "read-mix",
            f"{READS_PER_TRANSFER} balances to one uniform transfer",
            (TRANSFER, BALANCE),
            _read_mix,
            beside_yardstick=False,
        ),
        Workload(
            "hold", "uniform, but only set aside", (HOLD,), _holds, against="uniform", with_it=("uniform",)
        ),
        Workload(
            "capture",
            "holds, each captured as soon as it is there",
            (CAPTURE, HOLD),
            HoldsAndCaptures,
            beside_yardstick=False,
            against="hold",
            with_it=("uniform", "hold"),
        ),
        Workload(
            "bulk",
            f"{TRANSFERS_PER_BULK:,} uniform transfers in each request",
            (BULK,),
            _bulk,
            connections=2,
            at_half=False,
        ),
        Workload(
            "singles",
            "four connections of uniform transfers, with nothing beside them",
            (TRANSFER,),
            _uniform,
            connections=4,
            beside_yardstick=False,
            at_half=False,
        ),
        Workload(
            "singles-beside-bulk",
            f"the same beside one connection that sends {TRANSFERS_PER_BULK:,} transfers a request",
            (TRANSFER, BULK),
            _uniform,
            connections=4,
            beside_yardstick=False,
            at_half=False,
            background=_bulk_in_the_background,
            against="singles",
            with_it=("singles",),
        ),
        Workload(
            "grown",
            "uniform, on ledgers that were seeded first",
            (TRANSFER,),
            _uniform,
            beside_yardstick=False,
            at_half=False,
            seeded=True,
            with_it=("grown-balance", "grown-first-page", "grown-page-10000"),
        ),
        Workload("grown-balance", "balances of any account, there", (BALANCE,), _balance, **_GROWN_READ),
        Workload(
            "grown-first-page",
            "the newest 50 entries of any account, there",
            (FIRST_PAGE,),
            _first_page,
            **_GROWN_READ,
        ),
        Workload(
            "grown-page-10000",
            "50 entries at page 10,000 of the busiest account, or at its end",
            (DEEP_PAGE,),
            _deep_page,
            **_GROWN_READ,
        ),
    )
}


def asked_for(names: Sequence[str]) -> list[Workload]:
    """The workloads called `names` and those that are measured with them, each once."""
    found: dict[str, Workload] = {}
    for name in names:
        for each in (*WORKLOADS[name].with_it, name):
            found.setdefault(each, WORKLOADS[each])
    return list(found.values())
