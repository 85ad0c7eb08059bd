"""Whether what clients saw fits one order of everything that also fits the clock (strict serializability).

An account is a list that every transfer adds its id to, and so are all of a person's transactions; a transfer
adds to three lists at once. In the end the lists are known, and with them who came before whom (Adya's
dependencies):

    ww    a transfer and the next one in a list
    wr    the last transfer that a reader saw, and the reader
    rw    a reader, and the first transfer that it did not see
    rt    whatever was answered before something else was asked

If these make a circle, no order explains what was seen, and the edges in it name the anomaly.
"""

import itertools
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Self

import httpx2

from tests.fault.history import Load

ALL = "all of them"
Lists = Mapping[str, Sequence[str]]  # the ids of transactions in the order of each list
Edge = tuple[str, str]


@dataclass(frozen=True)
class Sight:
    """A reader was shown the newest of a list, oldest first. Asked and answered at `begun` and `ended`."""

    name: str
    list: str
    newest: tuple[str, ...]
    begun: int
    ended: int


@dataclass(frozen=True)
class Done:
    """A transfer that stands in the ledger; `ended` is None if nobody was told so."""

    id: str
    begun: int
    ended: int | None


def anomalies(lists: Lists, sights: Sequence[Sight], done: Sequence[Done]) -> list[str]:
    """One sentence per sight that no list explains; or what the circle is, if there is one."""
    wrong = [f"{sight.name}: saw what never was so" for sight in sights if _seen(lists, sight) is None]
    if wrong:
        return wrong
    ww = [pair for ids in lists.values() for pair in itertools.pairwise(ids)]
    wr = [(ids[-1], sight.name) for sight in sights if (ids := lists[sight.list][: _seen(lists, sight)])]
    rw = [(sight.name, ids[0]) for sight in sights if (ids := lists[sight.list][_seen(lists, sight) :])]
    rt = list(_by_the_clock(sights, done))
    for name, edges in (
        ("G0: writes in a circle", ww),
        ("G1c: information in a circle", ww + wr),
        ("a circle with what was not seen (G-single, G2-item)", ww + wr + rw),
        ("against the clock", ww + wr + rw + rt),
    ):
        if circle := _circle(edges):
            return [f"{name}: {' → '.join(circle)}"]
    return []


def _seen(lists: Lists, sight: Sight) -> int | None:
    """How much of the list there was when it was seen; None if it never looked like that."""
    ids = lists[sight.list]
    if not sight.newest:
        return 0
    if sight.newest[-1] not in ids:
        return None
    length = ids.index(sight.newest[-1]) + 1
    return length if tuple(ids[:length][-len(sight.newest) :]) == sight.newest else None


def _by_the_clock(sights: Sequence[Sight], done: Sequence[Done]) -> Iterator[Edge]:
    """By way of moments, one after the other, instead of an edge for every two that follow each other."""
    named = [(sight.name, sight.begun, sight.ended) for sight in sights]
    named += [(transfer.id, transfer.begun, transfer.ended) for transfer in done]
    moments = sorted(
        [(begun, "begins", name) for name, begun, _ in named]
        + [(ended, "ends", name) for name, _, ended in named if ended is not None]
    )
    latest = "the beginning"
    for nth, (_, what, name) in enumerate(moments):
        if what == "begins":
            yield latest, name
        else:
            yield latest, f"moment {nth}"
            latest = f"moment {nth}"
            yield name, latest


def _circle(edges: Iterable[Edge]) -> list[str]:
    """The nodes of a circle, or none."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for before, after in edges:
        sorter.add(after, before)
    try:
        sorter.prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


class Witnesses(Load):
    """They move money and look at it, by turns."""

    sights: list[Sight]

    def __enter__(self) -> Self:
        self.sights = []
        return super().__enter__()

    def act(self, http: httpx2.Client, key: str, chance: random.Random) -> bool:
        return super().act(http, key, chance) if chance.random() < 0.5 else self._look(http, key, chance)

    def _look(self, http: httpx2.Client, name: str, chance: random.Random) -> bool:
        what = chance.choice([*self.accounts, ALL])
        path = "/api/transactions" if what == ALL else f"/api/accounts/{what}/entries"
        token = {"Authorization": f"Bearer {self.token}"}
        begun = time.monotonic_ns()
        try:
            answer = http.get(f"{self.where()}{path}?limit=50", headers=token)
            said: dict[str, Any] = answer.json()
        except (httpx2.TransportError, ValueError):
            return False
        ended = time.monotonic_ns()
        if answer.status_code != 200:
            assert answer.status_code == 503, answer.text
            return False
        newest = [one["_id"] for one in said.get("transactions", ())]
        newest += [one["transactionId"] for one in said.get("entries", ())]
        self.sights.append(Sight(f"reader {name}", what, tuple(reversed(newest)), begun, ended))
        return True
