"""What this process has just committed, told without asking the journal: the same as the journal tells."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nostro.domain.event import Event
from nostro.domain.money import parse_amount
from nostro.domain.requests import LegWish, Terms
from nostro.domain.transaction import Notes, Operation
from nostro.ledger.events import events_at
from nostro.ledger.follow_ups import follow_up_request
from nostro.ledger.recent import Recent
from nostro.ledger.service import Ledger
from nostro.ledger.transfers import answer
from nostro.store import journal, optimistic
from nostro.store.events import journal_head
from tests.concurrency.bank import Bank, fresh_key, send, token_of, under_the_lock

pytestmark = pytest.mark.anyio


async def told(ledger: Ledger, recent: Recent | None = None) -> list[Event]:
    """The whole journal, with the help of `recent` or without any."""
    async with ledger.database.connection() as connection:
        head = await journal_head(connection)
        return await events_at(connection, range(1, head.position + 1), head, recent)


def kept_by(ledger: Ledger, positions: int = 1000) -> list[int]:
    return [one.transaction.position for one in ledger.recent.at(range(positions))[0]]


@pytest.fixture(params=["if unchanged", "under the lock"])
async def bank(ledger: Ledger, request: pytest.FixtureRequest) -> Bank:
    """Its ledger is one whose journal somebody follows."""
    if request.param == "under the lock":
        under_the_lock(ledger)
    ledger.recent.at([])
    return await Bank.open(ledger)


async def test_what_is_kept_is_what_the_journal_says(bank: Bank) -> None:
    ledger = bank.ledger
    ann, bob = await bank.person(), await bank.person()
    claims = token_of(ann)
    source, target, third = await bank.account(ann, 1000), await bank.account(bob), await bank.account(ann)
    plain = {(await bank.fund(source, 5)).transaction.position}

    async def post(rupees: str, terms: Terms) -> int:
        posted = await ledger.transfers.transfer(
            claims,
            key=fresh_key(),
            from_account=source,
            to_account=target,
            amount=parse_amount(rupees),
            terms=terms,
        )
        return posted.transaction.position

    plain.add(await post("0.05", Terms()))
    plain.add(await post("12.3", Terms(notes=Notes('Für "Bob" \\ {1}', "ref,1"))))
    together = await asyncio.gather(
        *(post("1", Terms()) for _ in range(5)), post("2", Terms(hold=True)), post("3", Terms())
    )
    plain |= {*together} - {together[5]}
    await post("4", Terms(notes=Notes(metadata='{"b": 1e2, "a":  [1.50]}')))
    await post("5", Terms(effective_at=datetime.now(UTC) - timedelta(days=3)))
    await post(
        "6", Terms(legs=(LegWish(source, target, parse_amount("6")), LegWish(source, third, parse_amount("7"))))
    )
    reversed_later = answer(await send(ledger, claims, source, target, "8")).transaction
    plain.add(reversed_later.position)
    await ledger.follow_ups.ask(follow_up_request(Operation.REVERSE, token_of(bob), reversed_later.id))

    assert plain <= {*kept_by(ledger)}
    assert await told(ledger, ledger.recent) == await told(ledger)
    assert len({*kept_by(ledger)} - plain) == 1, "the funds that the first account began with, and nothing else"


async def test_what_was_not_committed_is_not_kept(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = bank.ledger
    ann = await bank.person()
    source, target = await bank.account(ann, 1000), await bank.account(ann)
    failed = 0

    def failing(write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Fails three times; whatever is at fault, nobody can tell."""

        async def write_and_fail(*arguments: Any) -> Any:
            nonlocal failed
            failed += 1
            if failed <= 3:
                raise RuntimeError("not committed")
            return await write(*arguments)

        return write_and_fail

    before = kept_by(ledger)
    monkeypatch.setattr(optimistic, "write_if_unchanged", failing(optimistic.write_if_unchanged))
    monkeypatch.setattr(journal, "commit", failing(journal.commit))
    outcomes = await asyncio.gather(*(send(ledger, token_of(ann), source, target, "1") for _ in range(4)))
    posted = [outcome.transaction.position for outcome in outcomes if not isinstance(outcome, Exception)]
    assert failed > 3
    assert kept_by(ledger) == sorted([*before, *posted])
    assert await told(ledger, ledger.recent) == await told(ledger)


async def test_what_others_commit_is_read(rivals: tuple[Ledger, Ledger]) -> None:
    for ledger in rivals:
        ledger.recent.at([])
    bank = await Bank.open(rivals[0])
    ann = await bank.person()
    accounts = [await bank.account(ann, 1000) for _ in range(6)]
    await asyncio.gather(
        *(
            send(rivals[number % 2], token_of(ann), accounts[number % 6], accounts[(number + 1) % 6], "1")
            for number in range(60)
        )
    )
    here, there = kept_by(rivals[0]), kept_by(rivals[1])
    assert len(here) > 6
    assert len(there) > 6
    assert not {*here} & {*there}
    for ledger in rivals:
        assert await told(ledger, ledger.recent) == await told(ledger)
