"""The people, their accounts and their money, all made over HTTP as any client would.

Account i belongs to person i modulo their number. Every account gets the same large sum from the system
account, so that no workload runs out of money, whichever way it flows.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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


class System(NamedTuple):
    """The system user; its id and its settlement account are known if it was made for this run."""

    email: str
    password: str
    id: str = ""
    settlement: str = ""


class People(NamedTuple):
    """Who was made for the run: tokens and ids of the people, and the system user with its token."""

    tokens: list[str]
    ids: list[str]
    system_token: str
    system: str
    settlement: str


def populate(target: Target, options: BenchOptions, accounts: int, progress: Progress) -> Population:
    """People with `accounts` accounts between them, each with money on it."""
    clerk = Clerk(target, progress)
    system = _system_user(target, options)

    async def all_of_it() -> Population:
        people = await _people(clerk, options, system)
        return Population(people.tokens, await _accounts(clerk, people, accounts))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(all_of_it())


def settle(target: Target, options: BenchOptions, progress: Progress) -> People:
    """People without accounts."""
    system = _system_user(target, options)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_people(Clerk(target, progress), options, system))


def _system_user(target: Target, options: BenchOptions) -> System:
    if options.system_email is not None and options.system_password is not None:
        return System(options.system_email, options.system_password)
    if target.data_dir is None:
        raise BenchError("Without a data directory the e-mail and password of a system user are needed.")
    email, password = f"bench-system-{secrets.token_hex(6)}@example.com", secrets.token_urlsafe(18)
    who = ("--email", email, "--name", "Benchmark system", "--password", password, "--system")
    made = command(options, target.data_dir, "user", "create", *who)
    if made.exit_status != 0:
        raise BenchError(f"No system user could be made: {made.errors or made.answer}")
    return System(email, password, made.answer["_id"], made.answer["accounts"][0]["_id"])


async def _people(clerk: Clerk, options: BenchOptions, system: System) -> People:
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
    logins.append({"email": system.email, "password": system.password})

    def register(n: int) -> bytes:
        return clerk.post("/api/auth/register", people[n])

    def log_in(n: int) -> bytes:
        return clerk.post("/api/auth/login", logins[n])

    ids = await clerk.run("people", len(people), register, 201, _user_id)
    *tokens, system_token = await clerk.run("tokens", len(logins), log_in, 200, _token)
    return People(tokens, ids, system_token, system.id, system.settlement)


async def _accounts(clerk: Clerk, people: People, count: int) -> list[str]:
    batch = secrets.token_hex(6)

    def open_account(n: int) -> bytes:
        return clerk.post("/api/accounts", None, people.tokens[n % len(people.tokens)])

    def fund(n: int) -> bytes:
        body = {"toAccount": ids[n], "amount": FUNDS, "idempotencyKey": f"{batch}-{n}"}
        return clerk.post("/api/transactions/system/initial-funds", body, people.system_token)

    ids = await clerk.run("accounts opened", count, open_account, 201, _account_id)
    if any(len(each) != 24 for each in ids):
        raise BenchError("An account id is not 24 characters long.")
    await clerk.run("accounts funded", count, fund, 201, _nothing)
    return ids


def _nothing(_answer: Any) -> str:
    return ""


def _user_id(answer: Any) -> str:
    return str(answer["user"]["_id"])


def _token(answer: Any) -> str:
    return str(answer["token"])


def _account_id(answer: Any) -> str:
    return str(answer["account"]["_id"])
