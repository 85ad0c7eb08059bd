"""What a load did and was told, in a file that survives it; and the checker that holds the ledger to it.

A line is written, and synced to disk, before a request is sent (`invoke`) and after it is answered: `ok` with
the transaction, `fail` when it was definitely refused, `unknown` for everything else, a broken connection
among it. A request without an answer in the file is unknown, too.
"""

import itertools
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import asyncpg
import httpx2

PATIENCE_S = 20.0
# Answers that say nothing was done. Everything else that is not a success may have happened.
_NOTHING_DONE = {"database_unavailable", "overloaded", "storage_full"}

Row = tuple[str, str, str, str, int]  # key, id, from, to, amount in minor units


class History:
    """A JSON line per event, synced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a")
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def note(self, event: str, key: str, **facts: Any) -> None:
        with self._lock:
            self._file.write(json.dumps({"event": event, "key": key} | facts) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.counts[event] += 1

    def close(self) -> None:
        self._file.close()


def read_history(path: Path) -> dict[str, dict[str, Any]]:
    """By key: what was asked, and the outcome: ok (with the id), or fail or unknown (and why)."""
    asked: dict[str, dict[str, Any]] = {}
    for line in path.read_text().splitlines():
        said = json.loads(line)
        if said["event"] == "invoke":
            asked[said["key"]] = said | {"outcome": "unknown"}
        else:
            asked[said["key"]] |= {"outcome": said["event"], "id": said.get("id"), "why": said.get("why")}
    return asked


def what_is_wrong(asked: dict[str, dict[str, Any]], rows: Iterable[Row]) -> list[str]:
    """One sentence per contradiction between what clients were told and what the ledger holds."""
    wrong, found = [], Counter[str]()
    for key, transaction, source, target, amount in rows:
        found[key] += 1
        request = asked.get(key)
        if request is None:
            wrong.append(f"{key}: nobody asked for it")
        elif (request["source"], request["target"], request["rupees"] * 100) != (source, target, amount):
            wrong.append(f"{key}: stands there with other content")
        elif request["outcome"] == "fail":
            wrong.append(f"{key}: was refused and stands there")
        elif request["outcome"] == "ok" and request["id"] != transaction:
            wrong.append(f"{key}: was acknowledged under another id")
    wrong += [f"{key}: stands there {count} times" for key, count in found.items() if count > 1]
    wrong += [
        f"{key}: was acknowledged and is lost"
        for key, request in asked.items()
        if request["outcome"] == "ok" and not found[key]
    ]
    return wrong


async def rows_of(url: str, user: str) -> list[Row]:
    """Every transfer of `user`, read past the service."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT idempotency_key, encode(id, 'hex') AS id, encode(from_account, 'hex') AS source,"
            " encode(to_account, 'hex') AS target, amount FROM transactions"
            " WHERE requested_by = $1 AND kind = 'TRANSFER'",
            bytes.fromhex(user),
        )
        return [tuple(row.values()) for row in rows]
    finally:
        await connection.close()


class Load:
    """Threads that move money between a person's accounts until the block ends, and note what they are told.
    `asked`: by key, when that was, and when it was answered (None: never, or not with a success)."""

    def __init__(
        self,
        history: History,
        where: Callable[[], str],
        token: str,
        accounts: list[str],
        *,
        seed: int,
        threads: int = 4,
    ) -> None:
        self.history = history
        self.asked: dict[str, tuple[int, int | None]] = {}
        self.where = where
        self.token = token
        self.accounts = accounts
        self._ending = threading.Event()
        self._answered = threading.Condition()
        self._failed: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number, random.Random(f"{seed} {number}")))
            for number in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        assert not self._failed, self._failed

    def until(self, event: str, more: int) -> None:
        """Return when `more` answers of that kind have been given; fail when they never are."""
        wanted = self.history.counts[event] + more
        with self._answered:
            came = self._answered.wait_for(lambda: self.history.counts[event] >= wanted, timeout=60)
        assert came, f"{event} {self.history.counts[event]}, wanted {wanted}"

    def _run(self, number: int, chance: random.Random) -> None:
        try:
            with httpx2.Client(timeout=PATIENCE_S) as http:
                for turn in itertools.count(1):
                    if self._ending.is_set():
                        return
                    if not self.act(http, f"load-{number}-{turn}", chance):
                        self._ending.wait(0.05)  # a client that is refused waits before it comes again
        except BaseException as error:  # noqa: BLE001 - shown by __exit__
            self._failed.append(error)

    def act(self, http: httpx2.Client, key: str, chance: random.Random) -> bool:
        """Send a transfer; whether it was done."""
        source, target = chance.sample(self.accounts, 2)
        rupees = chance.randint(1, 5)
        self.history.note("invoke", key, source=source, target=target, rupees=rupees)
        begun = time.monotonic_ns()
        self.asked[key] = (begun, None)
        event, said = ask(http, self.where(), self.token, key, source, target, rupees)
        if event == "ok":
            self.asked[key] = (begun, time.monotonic_ns())
        self.history.note(event, key, **said)
        with self._answered:
            self._answered.notify_all()
        return event == "ok"


def ask(  # noqa: PLR0917 - as one says it: where, who, which, from, to, how much
    http: httpx2.Client, url: str, token: str, key: str, source: str, target: str, rupees: int
) -> tuple[str, dict[str, Any]]:
    """Send one transfer; the event it comes to."""
    body = {"fromAccount": source, "toAccount": target, "amount": rupees, "idempotencyKey": key}
    try:
        answer = http.post(f"{url}/api/transactions", json=body, headers={"Authorization": f"Bearer {token}"})
        said = answer.json()
    except (httpx2.TransportError, ValueError) as error:
        return "unknown", {"why": type(error).__name__}
    if answer.status_code in {200, 201}:
        return "ok", {"id": said["transaction"]["_id"]}
    assert answer.status_code != 500, answer.text
    if answer.status_code < 500 or said["code"] in _NOTHING_DONE:
        return "fail", {"why": said["code"]}
    assert (answer.status_code, said["code"]) == (503, "outcome_unknown"), answer.text
    return "unknown", {"why": said["code"]}
