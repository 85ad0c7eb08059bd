"""Somebody who listens to a stream in this process, without HTTP between."""

import asyncio
import random

from nostro.ledger.streams import Ended, Happened, Heartbeat, Snapshot, Stream, Streams, Told
from nostro.store.accounts import AccountRow


class Reader:
    """Follows one stream and keeps what it was told."""

    def __init__(self, streams: Streams, stream: Stream) -> None:
        self.begun = 0
        self.accounts: list[AccountRow] = []
        self.told: list[int] = []
        self.complete_until = 0
        self.beats = 0
        self.end = ""
        self._beaten = asyncio.Event()
        self._stream = stream
        self._streams = streams
        self._task = asyncio.create_task(stream.follow(self._tell))

    async def _tell(self, told: Told) -> None:
        match told:
            case Snapshot(position, accounts):
                self.begun, self.accounts = position, accounts or []
            case Happened(events):
                self.told += [event.position for event in events if event.type == "transaction.completed"]
            case Heartbeat(position):
                self.complete_until = position
                self.beats += 1
                self._beaten.set()
            case Ended(reason):
                self.end = reason
        await asyncio.sleep(random.random() / 500)  # a client takes its time

    async def until(self, position: int) -> None:
        while self.complete_until < position:
            self._beaten.clear()
            await self._beaten.wait()

    async def leave(self) -> None:
        self._stream.end("the client went away")
        await self.ended()

    async def ended(self) -> None:
        """Until the stream has ended by itself."""
        await self._task
        self._streams.close(self._stream)
