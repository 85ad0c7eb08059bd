"""Each workload sends what it says: whole requests, unique keys, the right accounts, the owner's token."""

import json
import random
from collections import Counter
from typing import Any

import pytest

from nostro.bench.workload import READS_PER_TRANSFER, TRANSFERS_PER_BULK, WORKLOADS, Stage, asked_for, zipf

TOKENS = ["token-a", "token-b", "token-c"]
ACCOUNTS = [f"{n:024x}" for n in range(50)]


def stage(seed: int = 1) -> Stage:
    return Stage("127.0.0.1:3000", TOKENS, ACCOUNTS, "0123abcd", random.Random(seed))


def body_of(sent: bytes) -> dict[str, Any]:
    head, _, body = sent.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    return dict(json.loads(body))


def transfers(name: str, count: int) -> list[tuple[int, int]]:
    """The (debit, credit) accounts of the first `count` requests, by number."""
    next_request = WORKLOADS[name].script(stage())
    found = []
    for _ in range(count):
        sent, kind = next_request()
        assert WORKLOADS[name].kinds[kind].expects == 201
        body = body_of(sent)
        found.append((int(body["fromAccount"], 16), int(body["toAccount"], 16)))
    return found


@pytest.mark.parametrize("name", ["uniform", "hot", "hot-pair", "zipf", "one-by-one", "hold"])
def test_a_transfer_is_between_two_accounts_and_spent_by_the_owner_with_a_key_of_its_own(name: str) -> None:
    next_request = WORKLOADS[name].script(stage())
    keys = set()
    for _ in range(500):
        sent, _ = next_request()
        body = body_of(sent)
        owner = TOKENS[int(body["fromAccount"], 16) % len(TOKENS)]
        assert f"Authorization: Bearer {owner}\r\n".encode() in sent
        assert body["fromAccount"] != body["toAccount"]
        assert body["amount"] == 1
        keys.add(body["idempotencyKey"])
    assert len(keys) == 500


def test_hot_debits_one_account_and_credits_all_the_others() -> None:
    pairs = transfers("hot", 2000)
    assert {debit for debit, _ in pairs} == {0}
    assert {credit for _, credit in pairs} == set(range(1, 50))


def test_hot_pair_goes_back_and_forth() -> None:
    assert transfers("hot-pair", 4) == [(1, 0), (0, 1), (1, 0), (0, 1)]


def test_uniform_reaches_every_account_on_both_sides() -> None:
    pairs = transfers("uniform", 3000)
    assert {debit for debit, _ in pairs} == {credit for _, credit in pairs} == set(range(50))


def test_zipf_gives_each_rank_its_share() -> None:
    size, draws = 1000, 200_000
    pick = zipf(size, 0.99, random.Random(5))
    seen = Counter(pick() for _ in range(draws))
    whole = sum(1 / rank**0.99 for rank in range(1, size + 1))
    for rank in (0, 1, 2, 9, 99):
        wanted = draws / (rank + 1) ** 0.99 / whole
        assert abs(seen[rank] - wanted) < 5 * wanted**0.5
    assert 0 <= min(seen) <= max(seen) < size


def test_the_same_seed_picks_the_same_accounts() -> None:
    assert transfers("zipf", 100) == transfers("zipf", 100)


def test_the_mix_reads_four_balances_to_a_transfer() -> None:
    workload = WORKLOADS["read-mix"]
    next_request = workload.script(stage())
    seen = Counter(workload.kinds[next_request()[1]].name for _ in range(20_000))
    assert seen["balance"] / seen["transfer"] == pytest.approx(READS_PER_TRANSFER, rel=0.1)


def test_a_bulk_is_of_one_owner_with_a_key_for_each_transfer() -> None:
    next_request = WORKLOADS["bulk"].script(stage())
    keys, owners = set(), Counter[str]()
    for _ in range(6):
        sent, kind = next_request()
        assert WORKLOADS["bulk"].kinds[kind].operations == TRANSFERS_PER_BULK
        head, _, body = sent.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        transfers = json.loads(body)
        assert len(transfers) == TRANSFERS_PER_BULK
        [owner] = {TOKENS[int(each["fromAccount"], 16) % len(TOKENS)] for each in transfers}
        assert f"Authorization: Bearer {owner}\r\n".encode() in head
        assert all(each["fromAccount"] != each["toAccount"] for each in transfers)
        owners[owner] += 1
        keys |= {each["idempotencyKey"] for each in transfers}
    assert len(keys) == 6 * TRANSFERS_PER_BULK
    assert owners == dict.fromkeys(TOKENS, 2)


def test_a_hold_that_was_heard_of_is_captured_next_by_its_payer() -> None:
    next_request: Any = WORKLOADS["capture"].script(stage())
    first, kind = next_request()
    assert (WORKLOADS["capture"].kinds[kind].name, body_of(first)["hold"]) == ("hold", True)
    made = {"_id": f"{77:024x}", "fromAccount": ACCOUNTS[4], "toAccount": ACCOUNTS[5]}
    next_request.hear(kind, json.dumps({"success": True, "transaction": made}).encode())
    sent, kind = next_request()
    assert WORKLOADS["capture"].kinds[kind].name == "capture"
    assert sent.startswith(f"POST /api/transactions/{77:024x}/capture HTTP/1.1\r\n".encode())
    assert b"Authorization: Bearer token-b\r\n" in sent
    assert list(body_of(sent)) == ["idempotencyKey"]
    next_request.hear(kind, b"anything")
    assert WORKLOADS["capture"].kinds[next_request()[1]].name == "hold"


def test_what_is_compared_is_measured_together() -> None:
    assert [each.name for each in asked_for(["singles-beside-bulk", "singles"])] == [
        "singles",
        "singles-beside-bulk",
    ]
    names = {each.name for each in WORKLOADS.values()}
    for workload in WORKLOADS.values():
        assert set(workload.with_it) <= names
        assert workload.against is None or workload.against in workload.with_it


def test_a_balance_is_asked_by_the_owner() -> None:
    next_request = WORKLOADS["balance"].script(stage())
    for _ in range(100):
        sent, _ = next_request()
        account = int(sent.split(b" ")[1].rpartition(b"/")[2], 16)
        assert f"Authorization: Bearer {TOKENS[account % 3]}".encode() in sent
        assert sent.endswith(b"\r\n\r\n")
