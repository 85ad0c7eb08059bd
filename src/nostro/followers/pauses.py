"""Targets that are left alone for a while, because what was sent to them failed several times in a row.

One process's memory: it decides only what is tried next, never whether something is delivered.
"""

from dataclasses import dataclass, field

FAILURES_BEFORE_A_PAUSE = 3
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
MOST_REMEMBERED = 10_000


@dataclass(slots=True)
class Pauses:
    """Times are those of the event loop's clock, in seconds."""

    _failures: dict[str, int] = field(default_factory=dict)
    _until: dict[str, float] = field(default_factory=dict)

    def succeeded(self, target: str) -> None:
        self._failures.pop(target, None)
        self._until.pop(target, None)

    def failed(self, target: str, now: float) -> None:
        """From the third failure in a row on, a pause that doubles.

        What fails while its target is paused was sent before, and tells nothing new.
        """
        if self._until.get(target, 0.0) > now:
            return
        if len(self._failures) >= MOST_REMEMBERED:
            self._failures.clear()
        count = self._failures[target] = self._failures.get(target, 0) + 1
        if count >= FAILURES_BEFORE_A_PAUSE:
            doublings = min(count - FAILURES_BEFORE_A_PAUSE, 10)
            self._until[target] = now + min(FIRST_PAUSE_S * 2**doublings, LONGEST_PAUSE_S)

    def paused(self, now: float) -> list[str]:
        """Who is left alone at `now`."""
        self._until = {target: until for target, until in self._until.items() if until > now}
        return list(self._until)
