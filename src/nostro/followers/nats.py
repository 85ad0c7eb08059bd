"""Events to NATS JetStream: each as one message on `nostro.events.<type>`.

What must hold: an event counts as published when JetStream has stored it. Its id is in the header
`Nats-Msg-Id`, so that JetStream drops what is sent twice within its duplicate window
(tests/fault/test_brokers.py).
"""

from collections.abc import Sequence

import nats
import nats.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import NotFoundError

from nostro.domain.event import Event
from nostro.followers.frame import Later
from nostro.followers.waves import message_id, publish_in_order
from nostro.store.documents import encode_document

log = structlog.get_logger(__name__)

STREAM, SUBJECTS = "NOSTRO", "nostro.events.>"
# Of a stream that we make; NATS's own default, said so that nobody has to look it up.
DUPLICATE_WINDOW_S = 120.0
CONNECT_S = 5
ACKNOWLEDGE_S = 10.0
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


class NatsFollower:
    """`url`: one server or several, separated by commas; it may hold a password and is never shown."""

    name = "nats"

    def __init__(self, url: str) -> None:
        self._servers = [server.strip() for server in url.split(",")]
        self._connection: Client | None = None
        self._jetstream: JetStreamContext | None = None

    async def publish(self, events: Sequence[Event]) -> None:
        """Returns when all are stored; else `Later`, and the connection is let go."""
        try:
            jetstream = self._jetstream or await self._connect()
            await publish_in_order(events, lambda event: _send(jetstream, event))
        except (nats.errors.Error, OSError, TimeoutError) as error:
            await self.close()
            raise Later(f"NATS: {type(error).__name__}") from error
        except BaseException:
            await self.close()  # what is under way must not arrive behind what is sent next
            raise

    async def close(self) -> None:
        """What has not been acknowledged is not sent any more."""
        connection, self._connection, self._jetstream = self._connection, None, None
        if connection is not None:
            await connection.close()

    async def _connect(self) -> JetStreamContext:
        """Without the client's own reconnecting: it would send what it kept meanwhile behind what is newer."""
        self._connection = await nats.connect(
            self._servers,
            name="nostro",
            allow_reconnect=False,
            connect_timeout=CONNECT_S,
            error_cb=_note,
        )
        self._jetstream = self._connection.jetstream(timeout=ACKNOWLEDGE_S)
        await _ensure_stream(self._jetstream)
        return self._jetstream


async def _ensure_stream(jetstream: JetStreamContext) -> None:
    """An existing stream for our subjects stays as its operator made it."""
    try:
        await jetstream.find_stream_name_by_subject(SUBJECTS)
    except NotFoundError:
        await jetstream.add_stream(
            StreamConfig(
                name=STREAM,
                subjects=[SUBJECTS],
                storage=StorageType.FILE,
                duplicate_window=DUPLICATE_WINDOW_S,
            )
        )


async def _send(jetstream: JetStreamContext, event: Event) -> None:
    await jetstream.publish(
        f"nostro.events.{event.type}",
        encode_document(event.document(None)),
        headers={
            "Nats-Msg-Id": message_id(event),
            "Content-Type": CONTENT_TYPE,
            "Nostro-Accounts": ",".join(account.hex() for account in event.accounts),
        },
    )


async def _note(error: Exception) -> None:
    log.warning("nats_connection", error=type(error).__name__)
