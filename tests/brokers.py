"""Real brokers for a test: nats-server and rabbitmq-server as Debian packages them, on free loopback ports.

Everything they write is in a directory of the test. Whoever starts one stops it, by its process.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, NamedTuple

import aio_pika
import nats
from nats.js.api import DeliverPolicy

from nostro.followers.rabbitmq import EXCHANGE
from tests.ports import free_port

_START_S, _STOP_S = 90, 30


class Message(NamedTuple):
    """As a consumer gets it: where it was sent to, its id, its headers and the event in it."""

    to: str
    id: str
    headers: dict[str, Any]
    event: dict[str, Any]


class Broker(ABC):
    """`start` and `stop` as often as a test wants; the port and what was stored stay."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def command(self) -> tuple[list[str], dict[str, str]]:
        """The program, and its environment beyond ours."""

    @abstractmethod
    async def prepare(self) -> None:
        """Whatever is published from now on is kept for `received`."""

    @abstractmethod
    async def received(self) -> list[Message]:
        """Everything that was published, in the order in which a consumer gets it."""

    def start(self) -> None:
        """Returns when it accepts connections."""
        command, environment = self.command()
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + _START_S
        while not self._accepts():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError((self.folder / "broker.log").read_text()[-5000:])
            time.sleep(0.05)

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(_STOP_S)
            self.process = None

    def close(self) -> None:
        self.stop()


class NatsServer(Broker):
    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def command(self) -> tuple[list[str], dict[str, str]]:
        program = shutil.which("nats-server") or "/usr/sbin/nats-server"
        store = self.folder / "jetstream"
        return [program, "--addr", "127.0.0.1", "--port", str(self.port), "-js", "-sd", str(store)], {}

    async def prepare(self) -> None:
        return  # the publisher makes the stream, which keeps everything

    async def received(self) -> list[Message]:
        connection = await nats.connect(self.url)
        jetstream = connection.jetstream()
        stored = (await jetstream.stream_info("NOSTRO")).state.messages
        consumer = await jetstream.subscribe(
            "nostro.events.>", ordered_consumer=True, deliver_policy=DeliverPolicy.ALL
        )
        messages = []
        for _ in range(stored):
            message = await consumer.next_msg(timeout=_START_S)
            headers = message.headers or {}
            messages.append(Message(message.subject, headers["Nats-Msg-Id"], headers, json.loads(message.data)))
        await connection.close()
        return messages


class RabbitMqServer(Broker):
    """With an Erlang port mapper and a cookie of its own, so that it meets no other Erlang on the machine."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._mapper_port, self._distribution_port = free_port(), free_port()
        self._mapper = subprocess.Popen(
            ["epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.file = false\nlog.console = true\n"
        )
        (folder / "plugins").write_text("[].\n")

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def command(self) -> tuple[list[str], dict[str, str]]:
        # Not Debian's wrapper in the path, which becomes another user and works in /var/lib.
        return [str(_rabbitmq_programs() / "rabbitmq-server")], {
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_NODENAME": f"nostro{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none"
            ),
        }

    async def prepare(self) -> None:
        connection = await aio_pika.connect(self.url)
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue("everything", durable=True)
        # By two of its keys: a message comes once nevertheless.
        await queue.bind(exchange, "#")
        await queue.bind(exchange, "account.#")
        await connection.close()

    async def unbind(self) -> None:
        """From now on nobody wants anything."""
        connection = await aio_pika.connect(self.url)
        await (await connection.channel()).queue_delete("everything")
        await connection.close()

    async def received(self) -> list[Message]:
        connection = await aio_pika.connect(self.url)
        queue = await (await connection.channel()).declare_queue("everything", durable=True)
        messages = []
        while (message := await queue.get(no_ack=True, fail=False)) is not None:
            messages.append(
                Message(
                    message.routing_key or "",
                    message.message_id or "",
                    dict(message.headers),
                    json.loads(message.body),
                )
            )
        await connection.close()
        return messages

    def close(self) -> None:
        super().close()
        self._mapper.terminate()
        self._mapper.wait(_STOP_S)


def _rabbitmq_programs() -> Path:
    found = shutil.which("rabbitmq-server")
    return Path(found).resolve().parent if found else Path("/usr/lib/rabbitmq/bin")


def missing(kind: type[Broker]) -> str | None:
    """Why a broker of this kind cannot be started here."""
    if kind is NatsServer and shutil.which("nats-server") is None:
        return "nats-server is not installed (Debian: apt-get install nats-server)"
    if kind is RabbitMqServer and not (_rabbitmq_programs() / "rabbitmq-server").exists():
        return "rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)"
    return None
