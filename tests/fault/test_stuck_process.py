"""A process that stops while it holds locks: the others wait for it, but not for ever."""

import asyncio
from typing import Any

import pytest

from nostro.ledger.service import open_ledger
from nostro.store import journal
from tests.concurrency.bank import RUPEES, Bank, codes, fresh_key, send, token_of

pytestmark = pytest.mark.anyio


@pytest.mark.slow
async def test_a_process_stopped_with_locks_in_its_hands_is_made_to_let_go(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process stops between lock and write, as under SIGSTOP, and goes on when all is over.

    The second is refused for as long as the locks are held, and served once PostgreSQL has ended the idle
    transaction. The first, awake again, must not write what it decided on a balance long gone.
    """
    write_batch, stuck, awake = journal.write_batch, asyncio.Event(), asyncio.Event()

    async def stop_once(*arguments: Any) -> None:
        if not stuck.is_set():
            stuck.set()
            await awake.wait()
        await write_batch(*arguments)

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
        await shorten_the_patience_of_locks(one)
        monkeypatch.setattr(journal, "write_batch", stop_once)
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


async def shorten_the_patience_of_locks(ledger: Any) -> None:
    """Let the transaction of `ledger`'s committer be idle for 2.5 s instead of 5."""
    connection = await ledger.database.acquire_committer()
    await connection.execute("SET idle_in_transaction_session_timeout = '2500ms'")
    await ledger.database.release_committer(connection, broken=False)
