"""What is sent: each workload picks accounts its own way and says which answer it expects.

A new workload is one function that returns a `NextRequest`, and one row in WORKLOADS.
"""

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, count

from nostro.bench.wire import head, request

TRANSFER_PATH = "/api/transactions"
ZIPF_EXPONENT = 0.99
READS_PER_TRANSFER = 4

NextRequest = Callable[[], tuple[bytes, int]]
"""Makes the next request and says which kind of the workload's kinds it is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of request: the only status that counts as done, and how many operations (transfers) it
    carries.
    """

    name: str
    expects: int
    operations: int = 1


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


@dataclass(frozen=True, slots=True)
class Workload:
    name: str
    sentence: str
    kinds: tuple[Kind, ...]
    script: Callable[[Stage], NextRequest]
    accounts: int = 10_000
    connections: int | None = None
    """Fixed number of connections, for workloads whose point it is."""
    beside_yardstick: bool = True
    """Whether a ratio to TPC-B means anything: only where every operation is a transfer."""


TRANSFER = Kind("transfer", 201)
BALANCE = Kind("balance", 200)


def transfer_between(stage: Stage, pair: Callable[[], tuple[int, int]]) -> NextRequest:
    """Transfers of 1 between the accounts `pair` picks, each with a key of its own."""
    ids = [account.encode("ascii") for account in stage.accounts]
    key_prefix = b'","amount":1,"idempotencyKey":"' + stage.round_key.encode("ascii") + b"-"
    opening, middle, closing = b'{"fromAccount":"', b'","toAccount":"', b'"}'
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


def balance_of(stage: Stage, pick: Callable[[], int], kind: int) -> NextRequest:
    before = [f"GET /api/accounts/balance/{account} HTTP/1.1\r\n".encode("ascii") for account in stage.accounts]
    after = [request("GET", "/", stage.host, token=token).partition(b"\r\n")[2] for token in stage.tokens]
    people = len(after)

    def next_request() -> tuple[bytes, int]:
        account = pick()
        return before[account] + after[account % people], kind

    return next_request


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
    )
}
