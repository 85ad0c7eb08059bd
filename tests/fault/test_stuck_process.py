"""A process that stops while it holds locks: the others wait for it, but not for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from nostro.ledger.service import open_ledger
from nostro.store import journal
from tests.concurrency.bank import RUPEES, Bank, codes, fresh_key, send, token_of, under_the_lock

pytestmark = pytest.mark.anyio


@pytest.mark.slow
async def test_a_process_stopped_with_locks_in_its_hands_is_made_to_let_go(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process stops between lock and write, as under SIGSTOP, and goes on when all is over.

    The second is refused for as long as the locks are held, and served once PostgreSQL has ended the idle
    transaction. The first, awake again, must not write what it decided on a balance long gone.
    """
    stuck, awake = asyncio.Event(), asyncio.Event()
    async with (
        open_ledger(database_url, house_currency=RUPEES) as one,
        open_ledger(database_url, house_currency=RUPEES) as other,
    ):
        bank = await Bank.open(one)
        ann = await bank.person()
        source, target = await bank.account(ann, 100), await bank.account(ann)
        # A stopped process does not notice its deadlines; and all is over in half the time of a service's.
        one.transfers.committer.deadline_s = 60
        other.transfers.committer.deadline_s = 1.5
        under_the_lock(one, other)
        await shorten_the_patience_of_locks(one)
        monkeypatch.setattr(journal, "write_batch", stopping_once(stuck, awake))
        key = fresh_key()
        asleep = asyncio.create_task(send(one, token_of(ann), source, target, "100", key))
        await stuck.wait()

        answers = [codes([await send(other, token_of(ann), source, target, "60")])]
        while "posted" not in answers[-1]:
            answers.append(codes([await send(other, token_of(ann), source, target, "60")]))
        assert answers[0] == {"database_unavailable": 1}
        assert answers[-1] == {"posted": 1}
        awake.set()
        assert codes([await asleep]) == {"insufficient_funds": 1}
        assert await one.transfers.by_key(ann.id, key) == []
        assert await bank.balance(source) == 4000
        assert (await one.verify()).holds


@pytest.mark.slow
async def test_who_waits_for_those_locks_with_all_it_has_to_write_does_not_know_and_is_told_by_the_key(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second process goes the short way: its one statement waits for the lock, and outlives its client.

    Whether it comes to be written then is not to be known; asked again under its key, it happens once.
    """
    stuck, awake = asyncio.Event(), asyncio.Event()
    async with (
        open_ledger(database_url, house_currency=RUPEES) as one,
        open_ledger(database_url, house_currency=RUPEES) as other,
    ):
        bank = await Bank.open(one)
        ann = await bank.person()
        source, target = await bank.account(ann, 100), await bank.account(ann)
        one.transfers.committer.deadline_s = 60
        other.transfers.committer.deadline_s = 1.5
        under_the_lock(one)
        await shorten_the_patience_of_locks(one)
        monkeypatch.setattr(journal, "write_batch", stopping_once(stuck, awake))
        asleep = asyncio.create_task(send(one, token_of(ann), source, target, "100"))
        await stuck.wait()

        claims, key = token_of(ann), fresh_key()
        answers = [codes([await send(other, claims, source, target, "60", key)])]
        while not answers[-1].keys() & {"posted", "replayed"}:
            answers.append(codes([await send(other, claims, source, target, "60", key)]))
        assert answers[0] == {"outcome_unknown": 1}
        assert {code for answer in answers[1:-1] for code in answer} <= {"outcome_unknown"}
        awake.set()
        assert codes([await asleep]) == {"insufficient_funds": 1}
        assert len(await one.transfers.by_key(ann.id, key)) == 1
        assert await bank.balance(source) == 4000
        assert (await one.verify()).holds


def stopping_once(stuck: asyncio.Event, awake: asyncio.Event) -> Callable[..., Awaitable[None]]:
    """The write of a process that stops before its first one, and goes on when it is awake."""
    write_batch = journal.write_batch

    async def stop_once(*arguments: Any) -> None:
        if not stuck.is_set():
            stuck.set()
            await awake.wait()
        await write_batch(*arguments)

    return stop_once


async def shorten_the_patience_of_locks(ledger: Any) -> None:
    """Let the transaction of `ledger`'s committer be idle for 2.5 s instead of 5."""
    connection = await ledger.database.acquire_committer()
    await connection.execute("SET idle_in_transaction_session_timeout = '2500ms'")
    await ledger.database.release_committer(connection, broken=False)
