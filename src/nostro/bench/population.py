"""The people, their accounts and their money, all made over HTTP as any client would.

Account i belongs to person i modulo their number. Every account gets the same large sum from the system
account, so that no workload runs out of money, whichever way it flows.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import uvloop

from nostro.bench.options import BenchError, BenchOptions
from nostro.bench.progress import Progress
from nostro.bench.server import Target, command
from nostro.bench.wire import Line, connect, request

FUNDS = 100_000_000
"""Major units per account: more than a day at 1,000 transfers of 1 per second, even for the one hot
account.
"""
_LINES = 64
_SILENCE_SECONDS = 60.0


Make = Callable[[int], bytes]
"""Makes request number n only when it is its turn: a hundred thousand of them need not exist at once."""


@dataclass(frozen=True, slots=True)
class Population:
    tokens: list[str]
    accounts: list[str]


class Errand:
    """Sends `size` requests over all lines and keeps, in their order, what `read` makes of the answers."""

    def __init__(self, size: int, make: Make, expects: int, read: Callable[[Any], str]) -> None:
        self.size = size
        self.make = make
        self.expects = expects
        self.read = read
        self.answers = [""] * size
        self.sent = 0
        self.done = 0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, lines: Sequence[Line]) -> None:
        for line in lines:
            self._send(line)

    def _send(self, line: Line) -> None:
        if self.sent < self.size and not self.finished.done():
            line.place = self.sent
            self.sent += 1
            line.send(self.make(line.place))

    def answered(self, line: Line, status: int) -> None:
        body = line.reader.body
        if status != self.expects:
            self.fail(f"The server answered {status} while people and accounts were being made: {body[:300]!r}")
            return
        try:
            self.answers[line.place] = self.read(msgspec.json.decode(body))
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            self.fail(f"The server's answer could not be read ({error!r}): {body[:300]!r}")
            return
        self.done += 1
        if self.done == self.size:
            self.finished.set_result(None)
        else:
            self._send(line)

    def lost(self, _line: Line, reason: str) -> None:
        self.fail(f"A connection was lost while people and accounts were being made: {reason}.")

    def fail(self, reason: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(BenchError(reason))


class Clerk:
    """Says what has to be done; knows the address and shows how far it has got."""

    def __init__(self, target: Target, progress: Progress) -> None:
        self.target = target
        self.host = f"{target.address}:{target.port}"
        self.progress = progress

    def post(self, path: str, body: dict[str, Any] | None, token: str | None = None) -> bytes:
        return request("POST", path, self.host, msgspec.json.encode(body or {}), token)

    async def run(
        self, title: str, size: int, make: Make, expects: int, read: Callable[[Any], str]
    ) -> list[str]:
        errand = Errand(size, make, expects, read)
        lines = await connect(errand, self.target.address, self.target.port, min(_LINES, size))
        self.progress.begin(title, size)
        errand.start(lines)
        try:
            await self._watch(errand)
        finally:
            for line in lines:
                line.close()
        self.progress.end()
        return errand.answers

    async def _watch(self, errand: Errand) -> None:
        before, silent = 0, 0.0
        while not errand.finished.done():
            await asyncio.wait({errand.finished}, timeout=0.1)
            silent = 0.0 if errand.done > before else silent + 0.1
            before = errand.done
            self.progress.reach(errand.done)
            if silent > _SILENCE_SECONDS:
                errand.fail(f"The server was silent for {_SILENCE_SECONDS:.0f} s: {self.progress.title}.")
        errand.finished.result()


def populate(target: Target, options: BenchOptions, accounts: int, progress: Progress) -> Population:
    email, password = _system_user(target, options)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_populate(Clerk(target, progress), options, accounts, email, password))


def _system_user(target: Target, options: BenchOptions) -> tuple[str, str]:
    if options.system_email is not None and options.system_password is not None:
        return options.system_email, options.system_password
    if target.data_dir is None:
        raise BenchError("Without a data directory the e-mail and password of a system user are needed.")
    email, password = f"bench-system-{secrets.token_hex(6)}@example.com", secrets.token_urlsafe(18)
    words = (
        "user",
        "create",
        "--email",
        email,
        "--name",
        "Benchmark system",
        "--password",
        password,
        "--system",
    )
    made = command(options, target.data_dir, *words)
    if made.exit_status != 0:
        raise BenchError(f"No system user could be made: {made.errors or made.answer}")
    return email, password


async def _populate(
    clerk: Clerk, options: BenchOptions, accounts: int, email: str, password: str
) -> Population:
    batch = secrets.token_hex(6)
    people = [
        {
            "email": f"bench-{batch}-{n}@example.com",
            "password": secrets.token_urlsafe(18),
            "name": f"Bench {n}",
        }
        for n in range(options.people)
    ]
    logins = [{"email": each["email"], "password": each["password"]} for each in people]

    def register(n: int) -> bytes:
        return clerk.post("/api/auth/register", people[n])

    def log_in(n: int) -> bytes:
        return clerk.post("/api/auth/login", logins[n])

    def open_account(n: int) -> bytes:
        return clerk.post("/api/accounts", None, tokens[n % len(tokens)])

    def fund(n: int) -> bytes:
        body = {"toAccount": ids[n], "amount": FUNDS, "idempotencyKey": f"{batch}-{n}"}
        return clerk.post("/api/transactions/system/initial-funds", body, system_token)

    await clerk.run("people", len(people), register, 201, _nothing)
    logins.append({"email": email, "password": password})
    *tokens, system_token = await clerk.run("tokens", len(logins), log_in, 200, _token)
    ids = await clerk.run("accounts opened", accounts, open_account, 201, _account_id)
    if any(len(each) != 24 for each in ids):
        raise BenchError("An account id is not 24 characters long.")
    await clerk.run("accounts funded", accounts, fund, 201, _nothing)
    return Population(tokens, ids)


def _nothing(_answer: Any) -> str:
    return ""


def _token(answer: Any) -> str:
    return str(answer["token"])


def _account_id(answer: Any) -> str:
    return str(answer["account"]["_id"])
