"""What this process knows of accounts and callers, so that it need not ask before every batch.

Nothing here is the truth: whatever is decided on it is written only if the database finds it so
(store/optimistic.py). A decision moves the heads here at once, so that the next one is made on what the batches
under way will leave; when one of them fails its heads are forgotten, and whatever was decided on them is found
to be wrong (tests/concurrency/test_batches_in_a_row.py).
"""

import itertools
from collections.abc import Iterable, Mapping

from nostro.domain.ids import ObjectId
from nostro.store.optimistic import Head, KnownCaller

# About half a kilobyte each.
MOST_REMEMBERED = 20_000
LONGEST_MISTRUST = 64


class Heads:
    """At most `most` of each: the accounts used least recently go first, and the callers read first.

    `forgotten`: how often any accounts were forgotten because they were wrong.
    """

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._accounts: dict[ObjectId, Head] = {}
        self._callers: dict[ObjectId, KnownCaller] = {}
        self.forgotten = 0
        self._locked_until_trusted = 0
        self._next_mistrust = 1

    def of(self, accounts: Iterable[ObjectId]) -> dict[ObjectId, Head]:
        """Those of `accounts` that are remembered, themselves: a decision moves them."""
        known = self._accounts
        return {account: head for account in accounts if (head := known.get(account)) is not None}

    def has(self, heads: Mapping[ObjectId, Head], since: int) -> bool:
        """Whether these, which were remembered when `forgotten` was `since`, are not forgotten."""
        known = self._accounts
        return self.forgotten == since or all(known.get(account) is head for account, head in heads.items())

    def remember(self, heads: dict[ObjectId, Head]) -> None:
        """They were read, or used again. Who came before whom matters only when some will soon have to go."""
        if len(self._accounts) > self._most * 3 // 4:
            for account in heads:
                self._accounts.pop(account, None)
        self._accounts.update(heads)
        _forget_oldest(self._accounts, self._most)

    def forget(self, accounts: Iterable[ObjectId]) -> None:
        """They are not what they were thought to be, or not for sure."""
        self.forgotten += 1
        for account in accounts:
            self._accounts.pop(account, None)

    def forget_everything(self) -> None:
        """The server may be another one, that never had what this one was told of the last."""
        self.forgotten += 1
        self._accounts.clear()
        self._callers.clear()

    def callers(self, users: Iterable[ObjectId]) -> dict[ObjectId, KnownCaller]:
        return {user: caller for user in users if (caller := self._callers.get(user)) is not None}

    def remember_callers(self, callers: dict[ObjectId, KnownCaller]) -> None:
        self._callers.update(callers)
        _forget_oldest(self._callers, self._most)

    def forget_callers(self, users: Iterable[ObjectId]) -> None:
        for user in users:
            self._callers.pop(user, None)

    def trusted(self) -> bool:
        """Whether the next batch may try what is remembered; asked once for each batch."""
        if self._locked_until_trusted == 0:
            return True
        self._locked_until_trusted -= 1
        return False

    def was_right(self) -> None:
        self._next_mistrust = max(1, self._next_mistrust // 2)

    def was_wrong(self) -> None:
        """Somebody else moves the same accounts: a process beside this one. Or a key was taken. Deciding twice
        costs more than locking first, so for some batches nothing is tried, and for more of them each time."""
        self._locked_until_trusted = self._next_mistrust
        self._next_mistrust = min(self._next_mistrust * 2, LONGEST_MISTRUST)


def _forget_oldest(remembered: dict[ObjectId, Head] | dict[ObjectId, KnownCaller], most: int) -> None:
    """A sixteenth at once: to find its first, a dict passes over all that were taken out before it."""
    if len(remembered) > most:
        too_many = len(remembered) - most + most // 16
        for oldest in list(itertools.islice(remembered, too_many)):
            del remembered[oldest]
