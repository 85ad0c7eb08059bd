"""Reads of a database that goes away: answered in time, and served again as soon as it is back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest

from nostro.domain.errors import DatabaseUnavailable, NostroError
from nostro.domain.ids import ObjectId
from nostro.domain.user import Claims
from nostro.ledger.balances import BalanceReader
from nostro.ledger.service import Ledger, open_ledger
from nostro.store import accounts
from tests.concurrency.bank import RUPEES, Bank, token_of
from tests.fault.proxy import Proxy

pytestmark = pytest.mark.anyio


class Scene:
    def __init__(self, proxy: Proxy, ledger: Ledger, claims: Claims, account: ObjectId) -> None:
        self.proxy, self.ledger, self.claims, self.account = proxy, ledger, claims, account

    def look(self) -> Awaitable[Any]:
        return self.ledger.balances.read(self.claims, self.account)


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    async with Proxy(database_url).open() as proxy, open_ledger(proxy.url, house_currency=RUPEES) as ledger:
        bank = await Bank.open(ledger)
        ann = await bank.person()
        yield Scene(proxy, ledger, token_of(ann), await bank.account(ann, 100))


@pytest.mark.slow
async def test_who_waits_behind_a_look_that_fails_is_answered_with_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing arrives any more. Six hundred ask; both readers are stuck with what they took."""
    looks = 0
    answer = BalanceReader._answer

    async def count(reader: BalanceReader, batch: list[Any]) -> None:
        nonlocal looks
        looks += bool(batch)
        await answer(reader, batch)

    assert (await scene.look()).balance == 10_000
    monkeypatch.setattr(BalanceReader, "_answer", count)
    scene.proxy.blackhole()
    outcomes = await asyncio.gather(*(scene.look() for _ in range(600)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {DatabaseUnavailable}
    assert looks <= 2
    scene.proxy.heal()
    assert (await scene.look()).balance == 10_000


async def test_balances_survive_a_server_that_hung_up(scene: Scene) -> None:
    assert (await scene.look()).balance == 10_000
    scene.proxy.cut()
    await asyncio.sleep(0.05)
    assert (await scene.look()).balance == 10_000


@pytest.mark.parametrize("leaked", [asyncio.CancelledError, RuntimeError])
async def test_whatever_breaks_a_look_the_next_one_is_served(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, leaked: type[BaseException]
) -> None:
    """As often as there are readers, and once more."""
    balances_for = accounts.balances_for

    async def break_down(*_: Any) -> Any:
        raise leaked

    monkeypatch.setattr(accounts, "balances_for", break_down)
    for _ in range(3):
        with pytest.raises(NostroError) as caught:
            await scene.look()
        assert caught.value.code == "internal_error"
    monkeypatch.setattr(accounts, "balances_for", balances_for)
    assert (await scene.look()).balance == 10_000
