"""Whoever asks for a balance sees everything that was acknowledged before, whatever looks are under way."""

import asyncio
from typing import Any

import pytest

from nostro.domain.ids import ObjectId
from nostro.ledger.balances import READERS
from nostro.ledger.service import Ledger
from nostro.store import accounts
from tests.concurrency.bank import Bank, codes, send, token_of

pytestmark = pytest.mark.anyio


class Gate:
    """Looks at balances that have been had, and are not told before the gate opens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._look = accounts.balances_for
        self._open = asyncio.Event()
        self._held = asyncio.Semaphore(0)
        monkeypatch.setattr(accounts, "balances_for", self._look_and_wait)

    async def _look_and_wait(self, connection: Any, asked: Any) -> Any:
        seen = await self._look(connection, asked)
        self._held.release()
        await self._open.wait()
        return seen

    async def holds(self, number: int) -> None:
        async with asyncio.timeout(10):
            for _ in range(number):
                await self._held.acquire()

    def open(self) -> None:
        self._open.set()


@pytest.mark.parametrize("under_way", range(1, READERS + 1))
async def test_a_balance_is_never_that_of_a_look_that_began_before_it_was_asked_for(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, under_way: int
) -> None:
    bank = await Bank.open(ledger)
    ann = await bank.person()
    source, target = await bank.account(ann, 100), await bank.account(ann)
    gate = Gate(monkeypatch)

    def ask(account: ObjectId) -> "asyncio.Task[Any]":
        return asyncio.create_task(ledger.balances.read(token_of(ann), account))

    before = []
    for _ in range(under_way):
        before.append(ask(source))
        await gate.holds(1)
    assert codes([await send(ledger, token_of(ann), source, target, "30")]) == {"posted": 1}
    after = [ask(source), ask(target)]
    gate.open()
    assert [(await told).balance for told in before] == [10_000] * under_way
    assert [(await told).balance for told in after] == [7_000, 3_000]
