"""The brokers that events go to. Their clients are extras: each is looked for only where its address is set."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec

from nostro.followers.frame import OrderedFollower

# By setting: the module of the client, and the extra that brings it.
_CLIENTS = {"NOSTRO_NATS_URL": ("nats", "nats"), "NOSTRO_AMQP_URL": ("aio_pika", "amqp")}


def missing_client(urls: Mapping[str, str]) -> str | None:
    """Why a broker that is set, by the name of its setting, cannot be spoken to."""
    for name in urls:
        module, extra = _CLIENTS[name]
        if find_spec(module) is None:
            return (
                f"{name}: the client of this broker is not installed; pip install 'nostro[{extra}]', or start "
                "with ./run, which installs it."
            )
    return None


@asynccontextmanager
async def open_brokers(urls: Mapping[str, str]) -> AsyncIterator[list[OrderedFollower]]:
    """A follower for each; it connects when there is something to publish. Closed at the end."""
    opened: list[OrderedFollower] = []
    async with AsyncExitStack() as closing:
        if url := urls.get("NOSTRO_NATS_URL"):
            from nostro.followers.nats import NatsFollower  # noqa: PLC0415 - needs an extra

            nats = NatsFollower(url)
            closing.push_async_callback(nats.close)
            opened.append(nats)
        if url := urls.get("NOSTRO_AMQP_URL"):
            from nostro.followers.rabbitmq import RabbitMqFollower  # noqa: PLC0415 - needs an extra

            rabbitmq = RabbitMqFollower(url)
            closing.push_async_callback(rabbitmq.close)
            opened.append(rabbitmq)
        yield opened
