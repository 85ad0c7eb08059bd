"""What open live streams cost transfers: one service, the same load with and without them, turn by turn.

    python bench/streams.py [--streams 1000] [--rounds 5] [--seconds 4] [--connections 32] [--workload all]

Starts a service of its own on an embedded PostgreSQL in a temporary directory. A tenth of 10,000 accounts are
listened to by their owners; transfers are uniform over all of them. In each round the streams are closed, open
and closed again, and the rate with them is divided by the mean of its two neighbours, so that a machine that
slows down meanwhile slows both. `busy` moves money only between listeners: every transfer is told to two
streams. The streams are read by a process of their own, on the same processors, which checks that each is told
in order.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SYSTEM, PASSWORD = "system@example.com", "a system secret"
OTHERS, ACCOUNTS_OF_EACH = 100, 90
TICKS_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Account:
    id: str
    token: str


class Connection:
    """One keep-alive connection that sends requests and waits for their answers."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._where = (parts.hostname, parts.port)
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> "Connection":
        self._reader, self._writer = await asyncio.open_connection(*self._where)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def send(self, method: str, path: str, token: str = "", body: Any = None) -> tuple[int, bytes]:
        sent = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: nostro\r\nContent-Length: {len(sent)}\r\n"
        head += f"Authorization: Bearer {token}\r\n" if token else ""
        head += "Content-Type: application/json\r\n" if sent else ""
        self._writer.write(head.encode() + b"\r\n" + sent)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(answer[9:12]), await self._reader.readexactly(length)

    async def document(self, method: str, path: str, token: str = "", body: Any = None) -> Any:
        status, said = await self.send(method, path, token, body)
        assert status in {200, 201}, said
        return json.loads(said)


# ── a service and the people in it ───────────────────────────────────────────────────────────────────


class Service:
    """`nostro serve` on an embedded database of its own."""

    def __init__(self, folder: Path) -> None:
        self._environment = os.environ | {"NOSTRO_DATA_DIR": str(folder), "NOSTRO_LOG_LEVEL": "warning"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nostro", "serve", "--port", "0"],
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.url = next(line.split()[-1] for line in self._process.stdout if line.startswith("NOSTRO READY"))
        self.command("user", "create", "--email", SYSTEM, "--name", "S", "--password", PASSWORD, "--system")

    def command(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "nostro", *arguments],
            env=self._environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def processor_s(self) -> tuple[float, float]:
        """Processor time so far: of the service, and of its PostgreSQL."""
        children: dict[int, list[int]] = {}
        used: dict[int, float] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            process = int(stat.parent.name)
            children.setdefault(int(fields[1]), []).append(process)
            # Those of children that have ended, too.
            used[process] = sum(map(int, fields[11:15])) * TICKS_S
        below, found = [self._process.pid], 0.0
        while below:
            process = below.pop()
            below += children.get(process, [])
            found += used.get(process, 0.0)
        own = used[self._process.pid]
        return own, found - own

    def resident_kib(self) -> int:
        """Memory that the service holds now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


async def populate(url: str, listeners: int) -> tuple[list[Account], list[Account]]:
    """Accounts of people who will listen, one each, and of people who will not; all have money."""
    names = iter(range(listeners + OTHERS))
    listening: list[Account] = []
    others: list[Account] = []

    async def work() -> None:
        async with Connection(url) as http:
            login = {"email": SYSTEM, "password": PASSWORD}
            system = (await http.document("POST", "/api/auth/login", body=login))["token"]
            for number in names:
                person = {"email": f"{number}@example.com", "password": "correct horse", "name": str(number)}
                token = (await http.document("POST", "/api/auth/register", body=person))["token"]
                listens = number < listeners
                for _ in range(1 if listens else ACCOUNTS_OF_EACH):
                    opened = await http.document("POST", "/api/accounts", token)
                    account = Account(opened["account"]["_id"], token)
                    (listening if listens else others).append(account)
                    gift = {"toAccount": account.id, "amount": 1_000_000, "idempotencyKey": account.id}
                    await http.document("POST", "/api/transactions/system/initial-funds", system, gift)

    await asyncio.gather(*(work() for _ in range(16)))
    return listening, others


# ── the load ─────────────────────────────────────────────────────────────────────────────────────────


async def transfers(url: str, accounts: Sequence[Account], connections: int, seconds: float) -> int:
    """Send transfers of one minor unit for so long; how many were done."""
    until = time.monotonic() + seconds
    run, done = random.getrandbits(64), 0

    async def work(worker: int) -> None:
        nonlocal done
        async with Connection(url) as http:
            number = 0
            while time.monotonic() < until:
                source, target = random.sample(accounts, 2)
                body = {
                    "fromAccount": source.id,
                    "toAccount": target.id,
                    "amount": 0.01,
                    "idempotencyKey": f"{run}-{worker}-{number}",
                }
                status, said = await http.send("POST", "/api/transactions", source.token, body)
                assert status == 201, said
                number += 1
                done += 1

    await asyncio.gather(*(work(worker) for worker in range(connections)))
    return done


@dataclass
class Measured:
    per_second: float
    service_us: float
    postgres_us: float

    def __str__(self) -> str:
        return f"{self.per_second:,.0f}/s ({self.service_us:.0f}+{self.postgres_us:.0f} µs)"


async def measure(service: Service, accounts: Sequence[Account], options: argparse.Namespace) -> Measured:
    before, begun = service.processor_s(), time.monotonic()
    done = await transfers(service.url, accounts, options.connections, options.seconds)
    elapsed, after = time.monotonic() - begun, service.processor_s()
    own, database = ((late - early) / done * 1e6 for early, late in zip(before, after, strict=True))
    return Measured(done / elapsed, own, database)


# ── those who listen ─────────────────────────────────────────────────────────────────────────────────


async def hold(url: str, tokens: list[str]) -> None:
    """Open a stream for each token; say `open`; on a line of input close them and say what was told."""
    told, parts = 0, urlsplit(url)
    opened = [asyncio.get_running_loop().create_future() for _ in tokens]

    async def listen(token: str, begun: "asyncio.Future[None]") -> None:
        nonlocal told
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**20)
        head = f"GET /api/stream HTTP/1.1\r\nHost: nostro\r\nAuthorization: Bearer {token}\r\n\r\n"
        writer.write(head.encode())
        status = await reader.readline()
        assert b" 200 " in status, status
        position, name = 0, b""
        try:
            while line := await reader.readline():
                if line.startswith(b"event: "):
                    name = line[7:-1]
                elif line.startswith(b"id: "):
                    assert int(line[4:]) >= position, "a stream went back"
                    position = int(line[4:])
                elif line.startswith(b"data: "):
                    assert name != b"end", line
                    told += name == b""
                    if name == b"snapshot":
                        begun.set_result(None)
                    name = b""
            raise ConnectionError("a stream has ended")
        finally:
            writer.close()

    tasks = [asyncio.create_task(listen(*each)) for each in zip(tokens, opened, strict=True)]
    await asyncio.wait([asyncio.gather(*opened), *tasks], return_when=asyncio.FIRST_COMPLETED)
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.sleep(0.5)  # the last events are on their way
    for task in tasks:
        if task.done():
            task.result()
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps(told))


@asynccontextmanager
async def streams(url: str, tokens: list[str], told: list[int]) -> AsyncIterator[None]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--hold", url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    assert child.stdin
    assert child.stdout
    child.stdin.write(json.dumps(tokens).encode() + b"\n")
    assert await child.stdout.readline() == b"open\n"
    yield
    child.stdin.write(b"close\n")
    told.append(json.loads(await child.stdout.readline()))
    assert await child.wait() == 0


# ── rounds ───────────────────────────────────────────────────────────────────────────────────────────


async def compare(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder))
        try:
            print(f"opening accounts for {options.streams} listeners and {OTHERS} others ...", flush=True)
            listening, others = await populate(service.url, options.streams)
            await measure(service, listening + others, options)  # warm
            await idle(service, [account.token for account in listening])
            for name in options.workload or ["all", "busy"]:
                accounts = listening if name == "busy" else listening + others
                await rounds(name, service, accounts, [account.token for account in listening], options)
        finally:
            service.stop()


async def idle(service: Service, tokens: list[str]) -> None:
    """What streams that are told only heartbeats hold, and cost beyond what the service costs without."""
    without, before = await _cost_of_a_moment(service), service.resident_kib()
    async with streams(service.url, tokens, []):
        held = service.resident_kib() - before
        with_them = await _cost_of_a_moment(service)
    own, database = (late - early for early, late in zip(without, with_them, strict=True))
    print(
        f"idle: {held / len(tokens):.0f} KiB each, {own:.1f}+{database:.1f} ms of processor a second",
        flush=True,
    )


async def _cost_of_a_moment(service: Service) -> tuple[float, float]:
    """Milliseconds of processor time a second: of the service, and of its PostgreSQL."""
    before, begun = service.processor_s(), time.monotonic()
    await asyncio.sleep(20)
    after, elapsed = service.processor_s(), time.monotonic() - begun
    return (after[0] - before[0]) / elapsed * 1000, (after[1] - before[1]) / elapsed * 1000


async def rounds(
    name: str, service: Service, accounts: Sequence[Account], tokens: list[str], options: argparse.Namespace
) -> None:
    ratios, costs, told = [], [], []
    without = await measure(service, accounts, options)
    for _ in range(options.rounds):
        async with streams(service.url, tokens, told):
            with_them = await measure(service, accounts, options)
        after = await measure(service, accounts, options)
        ratios.append(2 * with_them.per_second / (without.per_second + after.per_second))
        costs.append(2 * with_them.service_us / (without.service_us + after.service_us))
        print(
            f"{name}: without {without}, with {with_them}, told {told[-1] / options.seconds:,.0f}/s, "
            f"ratio {ratios[-1]:.3f}",
            flush=True,
        )
        without = after
    print(
        f"{name}: ratio {statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f}), "
        f"processor time of the service per transfer x {statistics.median(costs):.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("streams", 1000), ("rounds", 5), ("seconds", 4), ("connections", 32)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--workload", action="append", choices=["all", "busy"], help="default: both")
    parser.add_argument("--hold", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.hold:
        asyncio.run(hold(options.hold, json.loads(sys.stdin.readline())))
    else:
        asyncio.run(compare(options))


if __name__ == "__main__":
    main()
