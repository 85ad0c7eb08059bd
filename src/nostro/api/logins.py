"""Guessing passwords is slowed down per address and source; a right password always starts afresh."""

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from nostro.domain.errors import RateLimited
from nostro.domain.user import folded

WRONG_TRIES = 10
WINDOW_MINUTES = 15


class LoginGuard:
    """Counts wrong passwords in this process. `source` is the client's address as the server saw it."""

    def __init__(self) -> None:
        self._limit = RateLimitItemPerMinute(WRONG_TRIES, WINDOW_MINUTES)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def check(self, email: str, source: str) -> None:
        """Raises `RateLimited` after `WRONG_TRIES` wrong passwords within the window."""
        if not self._limiter.test(self._limit, folded(email), source):
            raise RateLimited

    def wrong(self, email: str, source: str) -> None:
        self._limiter.hit(self._limit, folded(email), source)

    def right(self, email: str, source: str) -> None:
        self._limiter.clear(self._limit, folded(email), source)
