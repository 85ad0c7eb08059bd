"""A service under load, and how it is held to what it said."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.client import Client, Person
from tests.conftest import Service
from tests.fault.history import PATIENCE_S, History, Load, ask, read_history, rows_of, what_is_wrong

SYSTEM = ("system@example.com", "a system secret")


@dataclass
class Scene:
    """A service, how to start it again, and a person with money on four accounts."""

    service: Service
    again: Callable[[], Service]
    url: str
    ann: Person
    accounts: list[str]
    history: History

    @contextmanager
    def load(self, seed: int) -> Iterator[Load]:
        with Load(self.history, lambda: self.service.url, self.ann.token, self.accounts, seed=seed) as load:
            load.until("ok", 20)
            yield load
        print(f"seed {seed}: {dict(self.history.counts)}")  # noqa: T201 - shown when a test fails

    def settle(self) -> None:
        """Hold the ledger to the history, then ask again for what is unknown, and hold it to that."""
        asked = read_history(self.history.path)
        assert what_is_wrong(asked, self._rows()) == []
        with httpx2.Client(timeout=PATIENCE_S) as http:
            for key, request in asked.items():
                if request["outcome"] == "unknown":
                    event, said = ask(
                        http,
                        self.service.url,
                        self.ann.token,
                        key,
                        request["source"],
                        request["target"],
                        request["rupees"],
                    )
                    assert event == "ok", said
                    request |= {"outcome": event, "id": said["id"]}
        assert what_is_wrong(asked, self._rows()) == []
        verified = self.service.command("verify")
        assert verified.returncode == 0, verified.stdout

    def _rows(self) -> list[Any]:
        return asyncio.run(rows_of(self.url, self.ann.id))


def with_a_system_user(service: Service) -> Service:
    made = service.command(
        *("user", "create", "--email", SYSTEM[0], "--name", "System", "--password", "-", "--system"),
        stdin=f"{SYSTEM[1]}\n",
    )
    assert made.returncode == 0, made.stderr
    return service


@contextmanager
def a_scene(service: Service, again: Callable[[], Service], url: str, folder: Path) -> Iterator[Scene]:
    client = Client(service.url)
    system, ann = client.log_in(*SYSTEM), client.register("Ann")
    accounts = [ann.open_account() for _ in range(4)]
    assert [system.fund(account, 1_000_000).status_code for account in accounts] == [201] * 4
    history = History(folder / "history.jsonl")
    yield Scene(service, again, url, ann, accounts, history)
    history.close()
    client.close()


def data_dir_of(service: Service) -> Path:
    return Path(service.environment["NOSTRO_DATA_DIR"])


def processes_in(directory: Path) -> list[int]:
    """Processes that work in the directory, as every process of a server does."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(directory.resolve()):
                found.append(int(process.name))
        except OSError:
            continue  # it ended meanwhile
    return found
