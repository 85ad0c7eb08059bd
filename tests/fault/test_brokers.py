"""Events at real brokers: at least once, under one id, in order for every account, whoever is killed when."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from nostro.followers.brokers import open_brokers
from nostro.followers.running import follow
from nostro.ledger.events import events_after
from nostro.ledger.service import Ledger
from nostro.store.followers import FollowerState
from tests.brokers import Broker, Message, NatsServer, RabbitMqServer, missing
from tests.client import Client
from tests.concurrency.bank import Bank, fresh_key, send, token_of
from tests.conftest import Service

KINDS = [
    pytest.param(NatsServer, id="nats"),
    pytest.param(RabbitMqServer, id="rabbitmq", marks=pytest.mark.slow),  # takes ten seconds to start
]


@pytest.fixture(scope="module", params=KINDS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    reason = missing(request.param)
    if reason:
        pytest.skip(reason)
    broker: Broker = request.param(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.close()


@pytest.fixture
async def broker(running: Broker, database_url: str) -> Broker:
    """For a ledger with an identity of its own, which databases of one template do not have."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE identity SET id = gen_random_uuid()")
    await connection.close()
    await running.prepare()
    return running


def setting_of(broker: Broker) -> str:
    return "NOSTRO_NATS_URL" if isinstance(broker, NatsServer) else "NOSTRO_AMQP_URL"


@asynccontextmanager
async def publishing(ledger: Ledger, broker: Broker) -> AsyncIterator[None]:
    """Inside: the ledger's events go to the broker."""
    stopping = asyncio.Event()
    async with open_brokers({setting_of(broker): broker.url}) as (follower,):
        task = asyncio.create_task(follow(ledger.database, follower, stopping=stopping))
        try:
            await until(ledger, lambda state: state is not None)
            yield
        finally:
            stopping.set()
            await task


async def until(ledger: Ledger, fits: Callable[[FollowerState | None], bool]) -> None:
    """Until the follower that publishes, if there is one, is as it should be. A service has others, too."""
    while True:
        states = [state for state in await ledger.following.states() if state.name in {"nats", "rabbitmq"}]
        if fits(states[0] if states else None):
            return
        await asyncio.sleep(0.05)


def has_caught_up(state: FollowerState | None) -> bool:
    return state is not None and state.behind == 0


async def of_this_ledger(ledger: Ledger, broker: Broker) -> list[Message]:
    async with ledger.database.connection() as connection:
        (first,) = await events_after(connection, 0, 1)
    return [message for message in await broker.received() if message.event["source"] == first.source]


async def busy_people(ledger: Ledger, transfers: int) -> None:
    """Transfers among four accounts, several at a time."""
    bank = await Bank.open(ledger)
    people = [await bank.person() for _ in range(4)]
    accounts = [await bank.account(person, 100) for person in people]

    async def pay(payer: int) -> None:
        claims = token_of(people[payer])
        for number in range(transfers):
            target = accounts[(payer + 1 + number % 3) % 4]
            await send(ledger, claims, accounts[payer], target, "0.01", fresh_key())

    await asyncio.gather(*(pay(payer) for payer in range(4)))


async def check(ledger: Ledger, messages: list[Message], *, begun: int) -> None:
    """What a consumer that drops known ids has got is what the journal says, in order for every account."""
    first_time = list({message.id: message for message in messages}.values())
    async with ledger.database.connection() as connection:
        events = await events_after(connection, begun, 10_000)
    told = {message.event["position"]: message for message in first_time}
    assert sorted(told) == [event.position for event in events]
    place = {message.event["position"]: number for number, message in enumerate(first_time)}
    last_of: dict[bytes, int] = {}
    for event in events:
        assert told[event.position].event["id"] == event.id
        assert told[event.position].id == f"{event.source}:{event.id}"
        for account in event.accounts:
            assert last_of.get(account, -1) < place[event.position], "out of order for an account"
            last_of[account] = place[event.position]


@pytest.mark.anyio
async def test_every_event_arrives_once_and_in_order_for_every_account(ledger: Ledger, broker: Broker) -> None:
    async with publishing(ledger, broker):
        await busy_people(ledger, 50)
        await until(ledger, has_caught_up)
    messages = await of_this_ledger(ledger, broker)
    assert len({message.id for message in messages}) == len(messages)
    await check(ledger, messages, begun=0)
    transfer = next(message for message in messages if message.event["data"].get("entries"))
    assert transfer.to.endswith("transaction.completed")
    accounts = [entry["account"] for entry in transfer.event["data"]["entries"]]
    if isinstance(broker, NatsServer):
        assert transfer.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
        assert sorted(transfer.headers["Nostro-Accounts"].split(",")) == sorted(accounts)
    else:
        assert sorted(transfer.headers["CC"]) == sorted(f"account.{account}" for account in accounts)


@pytest.mark.anyio
async def test_what_a_killed_publisher_had_sent_is_sent_again_under_the_same_ids(
    ledger: Ledger, broker: Broker, database_url: str
) -> None:
    async with publishing(ledger, broker):
        pass  # from here on it is a follower, and behind
    async with ledger.database.connection() as connection:
        begun = await connection.fetchval("SELECT position FROM journal_head")
    await busy_people(ledger, 10)
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fault.killed_publisher", database_url, broker.url)
    )
    assert await killed.wait() == -signal.SIGKILL
    (state,) = await ledger.following.states()
    assert state.position == begun, "the cursor has not moved"
    async with ledger.database.connection() as connection:
        await connection.execute("UPDATE followers SET lease_until = now()")  # what waiting a minute would do
    async with publishing(ledger, broker):
        await until(ledger, has_caught_up)
    messages = await of_this_ledger(ledger, broker)
    await check(ledger, messages, begun=begun)
    most = max(Counter(message.id for message in messages).values())
    assert most == (1 if isinstance(broker, NatsServer) else 2), "JetStream drops what it has"


@pytest.mark.anyio
async def test_events_wait_in_the_journal_while_the_broker_is_away(ledger: Ledger, broker: Broker) -> None:
    async with publishing(ledger, broker):
        await busy_people(ledger, 2)
        await until(ledger, has_caught_up)
        broker.stop()
        await busy_people(ledger, 2)
        await until(ledger, lambda state: state is not None and bool(state.behind and state.last_error))
        (state,) = await ledger.following.states()
        assert state.last_error is not None
        assert "guest" not in state.last_error, "no password"
        broker.start()
        await until(ledger, has_caught_up)
    await check(ledger, await of_this_ledger(ledger, broker), begun=0)


@pytest.mark.anyio
@pytest.mark.parametrize("running", KINDS[1:], indirect=True)  # JetStream keeps what nobody reads
async def test_events_that_no_queue_is_bound_for_hold_up_nothing(ledger: Ledger, broker: Broker) -> None:
    assert isinstance(broker, RabbitMqServer)
    await broker.unbind()
    async with publishing(ledger, broker):
        await busy_people(ledger, 2)
        await until(ledger, has_caught_up)
        await broker.prepare()
        await busy_people(ledger, 1)
        await until(ledger, has_caught_up)
    assert await of_this_ledger(ledger, broker)


@pytest.mark.anyio
async def test_a_service_publishes_what_happens_in_it(
    ledger: Ledger, broker: Broker, start_service: Callable[..., Service]
) -> None:
    service = start_service(**{setting_of(broker): broker.url})
    await until(ledger, lambda state: state is not None)
    client = Client(service.url)
    client.register("Ann").open_account()
    client.close()
    await until(ledger, has_caught_up)
    types = [message.event["type"] for message in await of_this_ledger(ledger, broker)]
    assert types == ["io.nostro.user.registered", "io.nostro.account.opened"]
    assert service.stop() == 0
    assert "guest" not in service.log.read_text()
