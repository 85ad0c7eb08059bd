"""Passwords: argon2id, one at a time, so that a flood of logins cannot take the cores from the transfers."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from nostro.domain.errors import Overloaded

# OWASP's first recommendation for argon2id: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_LONGEST_QUEUE = 32
# Compared against when there is no such user, so that both answers take the same time.
_NOBODY = _HASHER.hash("nobody's password")


class Passwords:
    """One worker thread and a bounded queue before it; `Overloaded` beyond."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")
        self._queued = 0

    async def hash(self, password: str) -> str:
        hashed: str = await self._run(partial(_HASHER.hash, password))
        return hashed

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """False for a wrong password and for no hash at all, after the same work."""
        matched: bool = await self._run(partial(_matches, password_hash or _NOBODY, password))
        return matched and password_hash is not None

    async def _run(self, work: Any) -> Any:
        if self._queued >= _LONGEST_QUEUE:
            raise Overloaded
        self._queued += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, work)
        finally:
            self._queued -= 1

    def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
