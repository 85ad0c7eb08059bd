"""The races of a ledger, each between two committers, and each lost once its protection is taken away.

A race is made certain by a rendezvous: the first transaction is held where it has read and not yet written,
until the second is there too or waits for a lock. The same scenario runs twice: as the ledger is, and without
the lock, the order or the constraint that protects it; the second time the check must find the damage.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
import structlog

from nostro.domain.account import AccountStatus
from nostro.domain.errors import NostroError
from nostro.domain.ids import ObjectId
from nostro.domain.posting import decide
from nostro.ledger.attempts import Attempts
from nostro.ledger.identity import new_id
from nostro.store import journal
from nostro.store.queries import SQL
from tests.concurrency.bank import Bank, codes, fresh_key, send, token_of, under_the_lock
from tests.concurrency.conftest import Rivals
from tests.concurrency.rendezvous import Rendezvous, meeting_before

pytestmark = pytest.mark.anyio

Patch = pytest.MonkeyPatch


async def as_superuser(url: str, *statements: str) -> Any:
    """Run the statements; the value of the last one."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


def without_the_lock(patch: Patch, query: str = "lock_accounts") -> None:
    unlocked = SQL[query].replace("FOR NO KEY UPDATE", "")
    assert unlocked != SQL[query]
    patch.setitem(SQL, query, unlocked)


async def is_healthy(rivals: Rivals) -> bool:
    return (await rivals[0].verify()).holds


# ── two spend the same money ─────────────────────────────────────────────────────────────────────────
# An account holds 100. Two processes are asked at once to pay 100 from it. Both read 100, both find it
# enough, both write. The account's row lock, taken with the read, makes the second one wait and read 0.


async def spend_twice_at_once(rivals: Rivals, url: str, patch: Patch) -> Counter[str]:
    bank = await Bank.open(rivals[0])
    ann, bob = await bank.person(), await bank.person()
    source = await bank.account(ann, 100)
    targets = [await bank.account(bob) for _ in rivals]
    under_the_lock(*rivals)
    async with Rendezvous(url) as meeting:
        patch.setattr(journal, "write_batch", meeting_before(journal.write_batch, meeting))
        outcomes = await asyncio.gather(
            *(
                send(ledger, token_of(ann), source, to, "100")
                for ledger, to in zip(rivals, targets, strict=True)
            )
        )
    return codes(outcomes)


async def test_money_is_spent_once_however_two_spends_meet(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    answers = await spend_twice_at_once(rivals, database_url, monkeypatch)
    assert answers == {"posted": 1, "insufficient_funds": 1}
    assert await is_healthy(rivals)


async def test_without_the_lock_the_database_still_refuses_the_second_spend(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    without_the_lock(monkeypatch)
    answers = await spend_twice_at_once(rivals, database_url, monkeypatch)
    assert answers["posted"] == 1
    assert await is_healthy(rivals)


async def test_without_lock_and_constraint_the_money_is_spent_twice(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    without_the_lock(monkeypatch)
    await as_superuser(database_url, "ALTER TABLE entries DROP CONSTRAINT entries_pkey")
    answers = await spend_twice_at_once(rivals, database_url, monkeypatch)
    assert answers == {"posted": 2}
    assert not await is_healthy(rivals)


async def spend_sixty_four_times(rivals: Rivals, rounds: int) -> None:
    """In each round 64 transfers of all there is start at once, half of them in either process."""
    bank = await Bank.open(rivals[0])
    ann, bob = await bank.person(), await bank.person()
    target = await bank.account(bob)
    for number in range(rounds):
        source = await bank.account(ann, 100)
        outcomes = await asyncio.gather(
            *(send(rivals[turn % 2], token_of(ann), source, target, "100") for turn in range(64))
        )
        assert codes(outcomes) == {"posted": 1, "insufficient_funds": 63}, f"round {number}"
        assert await bank.balance(source) == 0
    assert await bank.balance(target) == rounds * 10_000
    assert await is_healthy(rivals)


async def test_of_sixty_four_spends_of_all_there_is_one_succeeds(rivals: Rivals) -> None:
    await spend_sixty_four_times(rivals, rounds=25)


@pytest.mark.full
async def test_of_sixty_four_spends_of_all_there_is_one_succeeds_in_every_round(rivals: Rivals) -> None:
    await spend_sixty_four_times(rivals, rounds=400)


# ── two pay each other ───────────────────────────────────────────────────────────────────────────────
# One process moves money from A to B, the other from B to A. Each locks the account it pays from and then
# waits for the other's for ever. One lock statement, in one order, makes the second wait before it has any.


async def pay_each_other_at_once(
    rivals: Rivals, url: str, patch: Patch, *, in_one_order: bool
) -> tuple[Counter[str], list[str]]:
    """The answers, and why a batch had to be repeated."""
    bank = await Bank.open(rivals[0])
    ann = await bank.person()
    one, other = await bank.account(ann, 100), await bank.account(ann, 100)
    under_the_lock(*rivals)
    lock_accounts, turns = journal.lock_accounts, iter(range(100))

    async def one_by_one(connection: Any, wanted: list[ObjectId], parents: list[ObjectId]) -> Any:
        assert not parents
        locked, latest = {}, []
        for account in sorted(wanted, reverse=next(turns) % 2 == 1):
            heads, moved_at = await lock_accounts(connection, [account])
            locked |= heads
            latest.append(moved_at)
            await meeting.arrive()
        return locked, max(latest)

    async with Rendezvous(url) as meeting:
        if in_one_order:
            patch.setattr(journal, "read_books", meeting_before(journal.read_books, meeting))
        else:
            patch.setattr(journal, "lock_accounts", one_by_one)
        with structlog.testing.capture_logs() as logs:
            outcomes = await asyncio.gather(
                send(rivals[0], token_of(ann), one, other, "10"),
                send(rivals[1], token_of(ann), other, one, "10"),
            )
    return codes(outcomes), [said["reason"] for said in logs if said["event"] == "batch_repeated"]


async def test_two_who_pay_each_other_never_wait_for_each_other(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    answers, repeated = await pay_each_other_at_once(rivals, database_url, monkeypatch, in_one_order=True)
    assert (answers, repeated) == ({"posted": 2}, [])


async def test_locks_in_two_orders_deadlock_and_even_that_reaches_no_client(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    answers, repeated = await pay_each_other_at_once(rivals, database_url, monkeypatch, in_one_order=False)
    assert repeated == ["DeadlockDetectedError"]
    assert answers == {"posted": 2}
    assert await is_healthy(rivals)


# ── one key, sent twice ──────────────────────────────────────────────────────────────────────────────
# A client repeats a request that it believes lost, while the first is still on its way in another process.
# Both look the key up and find nothing. The key is therefore read after the accounts were locked, in a later
# statement; and where the two name different accounts, so that no lock is shared, the constraint decides.


async def keys_read_before_the_lock(
    meeting: Rendezvous, attempts: Attempts, connection: Any, batch: Any
) -> Any:
    """Attempts.under_lock as it must not be."""
    requests = [waiter.request for waiter in batch.waiters]
    await journal.begin(connection)
    books = await journal.read_books(connection, requests, {}, None, new_id)
    await meeting.arrive()
    wanted = {account for r in requests for account in (r.from_account, r.to_account)}
    books.accounts, _ = await journal.lock_accounts(connection, list(wanted))
    outcomes = decide(requests, books, attempts.policy)
    if books.transactions:
        await journal.write_batch(connection, books)
    await journal.commit(connection)
    return list(zip(batch.waiters, outcomes, strict=True))


async def send_one_key_twice_at_once(
    rivals: Rivals, url: str, patch: Patch, *, key_first: bool = False, same: bool = True
) -> tuple[Counter[str], int]:
    """The answers, and how many transactions there are under the key. `same`: the requests are equal."""
    bank = await Bank.open(rivals[0])
    ann = await bank.person()
    sources = [await bank.account(ann, 100) for _ in rivals]
    targets = [await bank.account(ann) for _ in rivals]
    claims, key = token_of(ann), fresh_key()
    under_the_lock(*rivals)
    async with Rendezvous(url) as meeting:
        if key_first:

            async def attempt(attempts: Attempts, connection: Any, batch: Any) -> Any:
                return await keys_read_before_the_lock(meeting, attempts, connection, batch)

            patch.setattr(Attempts, "under_lock", attempt)
        else:
            patch.setattr(journal, "write_batch", meeting_before(journal.write_batch, meeting))
        outcomes = await asyncio.gather(
            *(
                send(ledger, claims, sources[0 if same else nth], targets[0 if same else nth], "10", key)
                for nth, ledger in enumerate(rivals)
            )
        )
    rows = await as_superuser(url, f"SELECT count(*) FROM transactions WHERE idempotency_key = '{key}'")
    return codes(outcomes), rows


async def test_one_key_sent_twice_at_once_moves_money_once(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    answers, rows = await send_one_key_twice_at_once(rivals, database_url, monkeypatch)
    assert (answers, rows) == ({"posted": 1, "replayed": 1}, 1)


async def test_one_key_for_two_transfers_at_once_is_the_first_ones(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    answers, rows = await send_one_key_twice_at_once(rivals, database_url, monkeypatch, same=False)
    assert (answers, rows) == ({"posted": 1, "key_conflict": 1}, 1)
    assert await is_healthy(rivals)


async def test_a_key_read_before_the_lock_is_caught_by_the_constraint(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    answers, rows = await send_one_key_twice_at_once(rivals, database_url, monkeypatch, key_first=True)
    assert (answers, rows) == ({"posted": 1, "replayed": 1}, 1)


@pytest.mark.parametrize(
    "key_first", [True, False], ids=["key read before the lock", "nothing locked in common"]
)
async def test_without_the_constraint_one_key_moves_money_twice(
    rivals: Rivals, database_url: str, monkeypatch: Patch, *, key_first: bool
) -> None:
    await as_superuser(database_url, "DROP INDEX transactions_idempotency_key")
    answers, rows = await send_one_key_twice_at_once(
        rivals, database_url, monkeypatch, key_first=key_first, same=key_first
    )
    assert (answers, rows) == ({"posted": 2}, 2)
    assert not await is_healthy(rivals)


async def test_one_key_sent_a_hundred_times_moves_money_once(rivals: Rivals) -> None:
    """A hundred at once, half of them in either process: one moves money, the rest are told of it."""
    bank = await Bank.open(rivals[0])
    ann = await bank.person()
    source, target = await bank.account(ann, 1000), await bank.account(ann)
    for moved in range(1, 11):
        claims, key = token_of(ann), fresh_key()
        outcomes = await asyncio.gather(
            *(send(rivals[turn % 2], claims, source, target, "10", key) for turn in range(100))
        )
        assert codes(outcomes) == {"posted": 1, "replayed": 99}
        assert len({outcome.transaction.id for outcome in outcomes}) == 1
        assert len(await rivals[0].transfers.by_key(ann.id, key)) == 1
        assert await bank.balance(target) == moved * 1000
    assert await is_healthy(rivals)


# ── a freeze against a spend ─────────────────────────────────────────────────────────────────────────
# A transfer has found its account ACTIVE. Before it writes, an operator freezes the account and is told that
# it is frozen; then the debit is written. Status is read under the same lock that a change of status takes.


async def hold_a_transfer_while(
    rivals: Rivals, url: str, patch: Patch, transfer: Awaitable[Any], change: Callable[[], Awaitable[Any]]
) -> list[Any]:
    """Hold `transfer` where it is about to write until `change` is done, or waits for it; both results."""
    under_the_lock(*rivals)
    about_to_write, changed = asyncio.Event(), asyncio.Event()
    write_batch = journal.write_batch

    async def write_late(*arguments: Any) -> None:
        about_to_write.set()
        await meeting.until(changed.is_set)
        await write_batch(*arguments)

    async def change_meanwhile() -> Any:
        await about_to_write.wait()
        try:
            return await change()
        finally:
            changed.set()

    async with Rendezvous(url) as meeting:
        patch.setattr(journal, "write_batch", write_late)
        return await asyncio.gather(transfer, change_meanwhile(), return_exceptions=True)


async def debits_after_the_freeze(url: str, account: ObjectId) -> int:
    return int(
        await as_superuser(
            url,
            "SELECT count(*) FROM entries e JOIN events v ON v.account_id = e.account_id"
            f" WHERE e.account_id = '\\x{account.hex()}' AND e.direction = 'DEBIT'"
            " AND v.kind = 'ACCOUNT_STATUS_CHANGED' AND e.position > v.position",
        )
    )


async def freeze_while_spending(rivals: Rivals, url: str, patch: Patch) -> int:
    bank = await Bank.open(rivals[0])
    ann = await bank.person()
    source, target = await bank.account(ann, 100), await bank.account(ann)
    outcome, frozen = await hold_a_transfer_while(
        rivals,
        url,
        patch,
        send(rivals[0], token_of(ann), source, target, "10"),
        lambda: rivals[1].accounts.change_status(None, source, AccountStatus.FROZEN, "a court order"),
    )
    assert codes([outcome]) == {"posted": 1}
    assert frozen.status is AccountStatus.FROZEN
    return await debits_after_the_freeze(url, source)


async def test_a_freeze_waits_for_a_spend_that_has_read_the_status(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    assert await freeze_while_spending(rivals, database_url, monkeypatch) == 0


async def test_without_the_lock_a_debit_is_written_after_the_freeze(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    without_the_lock(monkeypatch)
    assert await freeze_while_spending(rivals, database_url, monkeypatch) == 1


async def test_no_debit_is_written_after_an_acknowledged_freeze(rivals: Rivals, database_url: str) -> None:
    """A hundred transfers in both processes, and a freeze among them at another moment in every round."""
    bank = await Bank.open(rivals[0])
    ann = await bank.person()
    target = await bank.account(ann)
    for number in range(10):
        source = await bank.account(ann, 100)

        async def freeze(account: ObjectId = source, after: int = number * 10) -> None:
            for _ in range(after):
                await asyncio.sleep(0)
            await rivals[0].accounts.change_status(None, account, AccountStatus.FROZEN, "a court order")

        spends = [send(rivals[turn % 2], token_of(ann), source, target, "1") for turn in range(100)]
        *outcomes, _ = await asyncio.gather(*spends, freeze())
        answers = codes(outcomes)
        assert answers["posted"] + answers["account_not_active"] == 100, answers
        assert await debits_after_the_freeze(database_url, source) == 0
        assert codes([await send(rivals[1], token_of(ann), source, target, "1")]) == {"account_not_active": 1}
    assert await is_healthy(rivals)


# ── a close against a credit ─────────────────────────────────────────────────────────────────────────
# An empty account is being closed while money is on its way to it. The close has seen a balance of 0, the
# transfer an ACTIVE account. Both take the account's lock before they look.


async def close_while_money_arrives(rivals: Rivals, url: str, patch: Patch) -> tuple[list[Any], str]:
    """Both results, and the account as it stands then: status and balance."""
    bank = await Bank.open(rivals[0])
    ann = await bank.person()
    source, target = await bank.account(ann, 100), await bank.account(ann)
    results = await hold_a_transfer_while(
        rivals,
        url,
        patch,
        send(rivals[0], token_of(ann), source, target, "10"),
        lambda: rivals[1].accounts.change_status(None, target, AccountStatus.CLOSED, "no longer needed"),
    )
    found = f"SELECT status || ' ' || balance FROM accounts WHERE id = '\\x{target.hex()}'"
    return results, await as_superuser(url, found)


async def test_an_account_that_money_is_on_its_way_to_is_not_closed(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    (outcome, refusal), found = await close_while_money_arrives(rivals, database_url, monkeypatch)
    assert codes([outcome]) == {"posted": 1}
    assert isinstance(refusal, NostroError)
    assert refusal.code == "status_conflict"
    assert found == "ACTIVE 1000"


@pytest.mark.parametrize("query", ["lock_account", "lock_accounts"])
async def test_without_a_lock_the_database_still_refuses_money_on_a_closed_account(
    rivals: Rivals, database_url: str, monkeypatch: Patch, query: str
) -> None:
    without_the_lock(monkeypatch, query)
    _, found = await close_while_money_arrives(rivals, database_url, monkeypatch)
    assert found in {"ACTIVE 1000", "CLOSED 0"}
    assert await is_healthy(rivals)


@pytest.mark.parametrize("query", ["lock_account", "lock_accounts"])
async def test_without_lock_and_constraint_a_closed_account_holds_money(
    rivals: Rivals, database_url: str, monkeypatch: Patch, query: str
) -> None:
    without_the_lock(monkeypatch, query)
    await as_superuser(database_url, "ALTER TABLE accounts DROP CONSTRAINT accounts_closed_is_empty")
    _, found = await close_while_money_arrives(rivals, database_url, monkeypatch)
    assert found == "CLOSED 1000"


# ── one account that everybody pays ──────────────────────────────────────────────────────────────────
# Two processes credit one account. Both read its balance and its last entry, both add to what they read, and
# one of the two credits is gone.


async def pay_one_account_at_once(rivals: Rivals, url: str, patch: Patch) -> int:
    """The balance after two credits of 10 rupees, in minor units."""
    bank = await Bank.open(rivals[0])
    ann = await bank.person()
    hot = await bank.account(ann)
    sources = [await bank.account(ann, 100) for _ in rivals]
    under_the_lock(*rivals)
    async with Rendezvous(url) as meeting:
        patch.setattr(journal, "write_batch", meeting_before(journal.write_batch, meeting))
        outcomes = await asyncio.gather(
            *(send(ledger, token_of(ann), of, hot, "10") for ledger, of in zip(rivals, sources, strict=True))
        )
    assert codes(outcomes) == {"posted": 2}
    return await bank.balance(hot)


async def test_two_credits_at_once_both_arrive(rivals: Rivals, database_url: str, monkeypatch: Patch) -> None:
    assert await pay_one_account_at_once(rivals, database_url, monkeypatch) == 2000
    assert await is_healthy(rivals)


async def test_without_lock_and_constraint_a_credit_is_lost(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    without_the_lock(monkeypatch)
    await as_superuser(database_url, "ALTER TABLE entries DROP CONSTRAINT entries_pkey")
    assert await pay_one_account_at_once(rivals, database_url, monkeypatch) == 1000
    assert not await is_healthy(rivals)


# ── a logout against transfers ───────────────────────────────────────────────────────────────────────
# A stolen token is logged out in one process while it is being used in the other. Once the logout is
# acknowledged, nothing that is begun with it succeeds, anywhere; so no process remembers that it was good.


async def log_out_while_sending(rivals: Rivals) -> Counter[str]:
    """The answers to what was sent after the logout had been acknowledged."""
    bank = await Bank.open(rivals[0])
    ann = await bank.person()
    source, target = await bank.account(ann, 1000), await bank.account(ann)
    claims = token_of(ann)
    used = [await send(ledger, claims, source, target, "1") for ledger in rivals]
    assert codes(used) == {"posted": 2}
    before = [asyncio.create_task(send(rivals[turn % 2], claims, source, target, "1")) for turn in range(20)]
    await asyncio.sleep(0)
    await rivals[0].users.log_out(claims)
    after = await asyncio.gather(*(send(rivals[turn % 2], claims, source, target, "1") for turn in range(20)))
    answers = codes(await asyncio.gather(*before))
    assert answers["posted"] + answers["token_invalid"] == 20
    assert await bank.balance(target) == 100 * (codes(used) + answers + codes(after))["posted"]
    return codes(after)


async def test_after_a_logout_no_transfer_succeeds_in_any_process(rivals: Rivals) -> None:
    for _ in range(5):
        assert await log_out_while_sending(rivals) == {"token_invalid": 20}


async def test_a_process_that_remembers_good_tokens_is_found_out(rivals: Rivals, monkeypatch: Patch) -> None:
    read_books, known_good = journal.read_books, set[bytes]()

    async def read_with_memory(connection: Any, batch: Any, *rest: Any) -> Any:
        books = await read_books(connection, batch, *rest)
        books.revoked -= known_good
        known_good.update({request.claims.digest for request in batch} - books.revoked)
        return books

    under_the_lock(*rivals)
    monkeypatch.setattr(journal, "read_books", read_with_memory)
    assert await log_out_while_sending(rivals) == {"posted": 20}


# ── positions ────────────────────────────────────────────────────────────────────────────────────────
# A reader of the journal has seen position 2 and goes on from there; position 1 is committed after that, and
# it never sees it. Positions are taken from one locked row just before COMMIT, so they appear in order.


async def what_a_reader_misses(rivals: Rivals, url: str, patch: Patch) -> int:
    """How many transactions appear, later, at positions before the last one that a reader has seen.

    The reader looks as soon as the later of two transfers is acknowledged.
    """
    bank = await Bank.open(rivals[0])
    ann = await bank.person()
    accounts = [await bank.account(ann, 100) for _ in range(4)]
    under_the_lock(*rivals)
    about_to_commit, acknowledged = asyncio.Event(), asyncio.Event()
    commit = journal.commit

    async def commit_late(connection: Any) -> None:
        if not about_to_commit.is_set():
            about_to_commit.set()
            await meeting.until(acknowledged.is_set)
        await commit(connection)

    async def second() -> tuple[int, int]:
        await about_to_commit.wait()
        outcome = await send(rivals[1], token_of(ann), accounts[2], accounts[3], "10")
        assert codes([outcome]) == {"posted": 1}
        last = await as_superuser(url, "SELECT max(position) FROM transactions")
        seen = await as_superuser(url, count_up_to.format(last))
        acknowledged.set()
        return last, seen

    count_up_to = "SELECT count(*) FROM transactions WHERE position <= {}"
    async with Rendezvous(url) as meeting:
        patch.setattr(journal, "commit", commit_late)
        first = send(rivals[0], token_of(ann), accounts[0], accounts[1], "10")
        outcome, (last, seen) = await asyncio.gather(first, second())
    assert codes([outcome]) == {"posted": 1}
    return int(await as_superuser(url, count_up_to.format(last))) - seen


async def test_a_reader_of_the_journal_never_misses_a_transaction(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    assert await what_a_reader_misses(rivals, database_url, monkeypatch) == 0
    assert await is_healthy(rivals)


async def test_with_positions_from_a_sequence_a_reader_misses_a_slow_commit(
    rivals: Rivals, database_url: str, monkeypatch: Patch
) -> None:
    head, booked, rest = SQL["write_batch"].partition("), booked")
    assert "UPDATE journal_head" in head
    from_a_sequence = "WITH head AS (SELECT nextval('loose_position') - 1 AS before"
    monkeypatch.setitem(SQL, "write_batch", from_a_sequence + booked + rest)
    await as_superuser(
        database_url,
        "CREATE SEQUENCE loose_position",
        "GRANT USAGE ON loose_position TO nostro_runtime",
    )
    assert await what_a_reader_misses(rivals, database_url, monkeypatch) == 1
