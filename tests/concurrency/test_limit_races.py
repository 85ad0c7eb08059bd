"""Limits and rates set while money is on its way, each race also without the lock that decides it.

Floors, limits and their usage are read and written under the lock of the account; a rate under the locks of the
maker's settlement accounts, which every exchange at it takes first.
"""

import asyncio
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

import pytest

from nostro.domain.errors import LimitConflict, LimitExceeded, NostroError
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount, Currency
from nostro.domain.transaction import Operation
from nostro.ledger.service import Ledger
from nostro.ledger.transfers import transfer_request
from nostro.store.limits import LimitsRow
from tests.concurrency.bank import Bank, codes, fresh_key, send, token_of
from tests.concurrency.conftest import Rivals
from tests.concurrency.test_races import (
    Patch,
    as_superuser,
    hold_a_transfer_while,
    is_healthy,
    without_the_lock,
)

pytestmark = pytest.mark.anyio

DOLLARS = Currency("USD", 2)


async def limit(ledger: Ledger, account: ObjectId, **rupees: int) -> LimitsRow:
    """On the command line; hourly is a number of transfers."""
    wishes = {name: value if name == "hourly" else Amount(value, 0) for name, value in rupees.items()}
    _, found = await ledger.limits.set(None, account, wishes, "agreed")
    return found


# ── a floor against a debit ──────────────────────────────────────────────────────────────────────────
# A transfer has found enough above the floor of 0. Before it writes, an operator raises the floor to 50 and is
# told so; then the transfer leaves 40 in the account.


async def raise_the_floor_while_spending(rivals: Rivals, url: str, patch: Patch) -> list[Any]:
    bank = await Bank.open(rivals[0])
    ann = await bank.person()
    source, target = await bank.account(ann, 100), await bank.account(ann)
    return await hold_a_transfer_while(
        rivals,
        url,
        patch,
        send(rivals[0], token_of(ann), source, target, "60"),
        lambda: limit(rivals[1], source, floor=50),
    )


async def test_a_floor_waits_for_a_spend_that_has_read_the_old_one(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    outcome, refusal = await raise_the_floor_while_spending(rivals, database_url, monkeypatch)
    assert codes([outcome]) == {"posted": 1}
    assert isinstance(refusal, LimitConflict)
    assert refusal.facts["available"] == 4000
    assert await is_healthy(rivals)


async def test_without_the_lock_a_spend_goes_below_an_acknowledged_floor(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    without_the_lock(monkeypatch)
    outcome, found = await raise_the_floor_while_spending(rivals, database_url, monkeypatch)
    assert codes([outcome]) == {"posted": 1}
    assert found.bounds.floor == 5000
    assert not await is_healthy(rivals)


# ── a daily limit against a debit ────────────────────────────────────────────────────────────────────
# A transfer of an account without limits is about to be written. A daily limit is set meanwhile: what was spent
# today is counted, and the transfer is not among it, neither there nor by the committer.


async def limit_the_day_while_spending(rivals: Rivals, url: str, patch: Patch) -> tuple[LimitsRow, Any]:
    """What is used right after the limit was set, and the answer to the next transfer."""
    bank = await Bank.open(rivals[0])
    ann = await bank.person()
    source, target = await bank.account(ann, 100), await bank.account(ann)
    outcome, found = await hold_a_transfer_while(
        rivals,
        url,
        patch,
        send(rivals[0], token_of(ann), source, target, "30"),
        lambda: limit(rivals[1], source, daily=50),
    )
    assert codes([outcome]) == {"posted": 1}
    return found, await send(rivals[1], token_of(ann), source, target, "25")


async def test_a_limit_counts_a_spend_that_was_on_its_way(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    found, refusal = await limit_the_day_while_spending(rivals, database_url, monkeypatch)
    assert found.usage["daily"].used == 3000
    assert isinstance(refusal, LimitExceeded)
    assert (refusal.facts["limit"], refusal.facts["remaining"]) == ("daily", 2000)
    assert await is_healthy(rivals)


async def test_without_the_lock_a_spend_is_counted_by_nobody(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    without_the_lock(monkeypatch)
    found, outcome = await limit_the_day_while_spending(rivals, database_url, monkeypatch)
    assert found.usage["daily"].used == 0
    assert codes([outcome]) == {"posted": 1}
    assert not await is_healthy(rivals)


async def test_no_more_is_spent_than_a_limit_set_among_a_hundred_transfers_allows(rivals: Rivals) -> None:
    bank = await Bank.open(rivals[0])
    ann = await bank.person()
    target = await bank.account(ann)
    for number in range(10):
        source = await bank.account(ann, 100)

        async def set_limit(account: ObjectId = source, after: int = number * 10) -> LimitsRow:
            for _ in range(after):
                await asyncio.sleep(0)
            return await limit(rivals[1], account, daily=40, hourly=60)

        spends = [send(rivals[turn % 2], token_of(ann), source, target, "1") for turn in range(100)]
        *outcomes, found = await asyncio.gather(*spends, set_limit())
        answers = codes(outcomes)
        assert answers["posted"] == max(40, found.usage["daily"].used // 100), answers
        assert answers["posted"] + answers["limit_exceeded"] == 100, answers
    assert await is_healthy(rivals)


# ── a rate against an exchange ───────────────────────────────────────────────────────────────────────
# An exchange has read a rate of 2. Before it writes, the maker sets 3 and is told so; then the journal gets an
# exchange at 2 behind the change.


async def exchanges_at_the_old_rate(rivals: Rivals, url: str, patch: Patch) -> int:
    bank = await Bank.open(rivals[0])
    await rivals[0].accounts.open(bank.system, DOLLARS)
    await rivals[0].rates.set(bank.system, "INR", "USD", Decimal(2))
    ann = await bank.person()
    source = await bank.account(ann, 100)
    dollars = (await rivals[0].accounts.open(ann, DOLLARS)).id
    outcome, changed = await hold_a_transfer_while(
        rivals,
        url,
        patch,
        exchange(rivals[0], ann, source, dollars),
        lambda: rivals[1].rates.set(bank.system, "INR", "USD", Decimal(3)),
    )
    assert codes([outcome]) == {"posted": 1}
    assert changed.rate == 3
    return int(
        await as_superuser(
            url,
            "SELECT count(*) FROM transactions t JOIN events v ON v.position < t.position"
            " WHERE t.rate = 2 AND v.kind = 'RATE_CHANGED' AND v.details->>'after' = '3'",
        )
    )


def exchange(ledger: Ledger, owner: Any, source: ObjectId, target: ObjectId) -> Awaitable[Any]:
    wanted = transfer_request(
        token_of(owner), fresh_key(), source, target, Amount(10, 0), operation=Operation.EXCHANGE
    )
    return ledger.transfers.ask(wanted)


async def test_no_exchange_is_written_at_an_older_rate(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    assert await exchanges_at_the_old_rate(rivals, database_url, monkeypatch) == 0


async def test_without_the_lock_an_exchange_is_written_at_an_older_rate(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    without_the_lock(monkeypatch)
    assert await exchanges_at_the_old_rate(rivals, database_url, monkeypatch) == 1


async def test_two_makers_who_set_one_rate_at_once_are_told_apart(rivals: Rivals) -> None:
    makers = [(await Bank.open(ledger)).system for ledger in rivals]
    for ledger, maker in zip(rivals, makers, strict=True):
        await ledger.accounts.open(maker, DOLLARS)

    async def set_rate(turn: int) -> str:
        try:
            row = await rivals[turn].rates.set(makers[turn], "INR", "USD", Decimal(turn + 1))
        except NostroError as refusal:
            return refusal.code
        return f"{row.rate}"

    for _ in range(5):
        answers = await asyncio.gather(set_rate(0), set_rate(1))
        assert answers.count("rate_taken") == 1, answers
    assert await is_healthy(rivals)
