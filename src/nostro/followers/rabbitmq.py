"""Events to RabbitMQ: each as one persistent message to the topic exchange `nostro.events`.

What must hold: an event counts as published when the broker has confirmed it, which for a durable queue means
that it is on disk. Its id is in the `message_id`; what is sent twice has the same
(tests/fault/test_brokers.py).
"""

from collections.abc import Sequence

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection, AbstractExchange
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from aiormq.abc import DeliveredMessage

from nostro.domain.event import Event
from nostro.domain.ids import show_id
from nostro.followers.frame import Later
from nostro.followers.waves import message_id, publish_in_order
from nostro.store.documents import encode_document

log = structlog.get_logger(__name__)

EXCHANGE = "nostro.events"
CONNECT_S = 5.0
CONFIRM_S = 10.0
CONTENT_TYPE = "application/cloudevents+json"


class RabbitMqFollower:
    """`url`: amqp:// or amqps://; it may hold a password and is never shown."""

    name = "rabbitmq"

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: AbstractConnection | None = None
        self._exchange: AbstractExchange | None = None

    async def publish(self, events: Sequence[Event]) -> None:
        """Returns when all are confirmed; else `Later`, and the connection is let go."""
        try:
            exchange = self._exchange or await self._connect()
            unwanted: list[int] = []

            async def send(event: Event) -> None:
                if not await _send(exchange, event):
                    unwanted.append(event.position)

            await publish_in_order(events, send)
        except (AMQPError, ChannelInvalidStateError, OSError, TimeoutError) as error:
            await self.close()
            raise Later(f"RabbitMQ: {type(error).__name__}") from error
        except BaseException:
            await self.close()  # what is under way must not arrive behind what is sent next
            raise
        if unwanted:
            # For the operator to know, and no reason to hold up the others.
            log.warning("rabbitmq_no_queue_bound", events=len(unwanted), first_position=min(unwanted))

    async def close(self) -> None:
        """What has not been confirmed is not sent any more."""
        connection, self._connection, self._exchange = self._connection, None, None
        if connection is not None:
            await connection.close()

    async def _connect(self) -> AbstractExchange:
        self._connection = await aio_pika.connect(
            self._url, timeout=CONNECT_S, client_properties={"connection_name": "nostro"}
        )
        channel = await self._connection.channel(publisher_confirms=True, on_return_raises=False)
        self._exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
        return self._exchange


async def _send(exchange: AbstractExchange, event: Event) -> bool:
    """Whether a queue wants it. One that is bound by several of the keys of a message gets it once."""
    message = aio_pika.Message(
        encode_document(event.document(None)),
        content_type=CONTENT_TYPE,
        content_encoding="utf-8",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=message_id(event),
        type=event.type,
        app_id="nostro",
        timestamp=event.time,
        headers={"CC": [f"account.{show_id(account)}" for account in event.accounts]},
    )
    outcome = await exchange.publish(message, event.type, mandatory=True, timeout=CONFIRM_S)
    return not isinstance(outcome, DeliveredMessage)  # it came back
