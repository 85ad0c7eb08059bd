"""What the driver raises, told apart once: by SQLSTATE and class, never by the text of a message."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from nostro.domain.errors import DatabaseUnavailable

# Serialization failure, deadlock, lock not available, query cancelled by a timeout: the same again may pass.
_TRANSIENT = {"40001", "40P01", "55P03", "57014", "25P03"}
# Two processes took one key or one position at once: the loser reads the winner's row when it tries again.
_UNIQUE = "23505"
# Connection exceptions, operator intervention (shutdown, crash), out of resources (disk full, memory), and a
# server that is read-only, as a standby or a failed-over primary is.
_LOST_CLASSES = ("08", "53", "57", "58")
_READ_ONLY = "25006"

CONNECTION_FAILURES = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncio.IncompleteReadError,
    TimeoutError,
)


def is_connection_lost(error: BaseException) -> bool:
    """The server is gone, going, or cannot write: a new connection, perhaps later, may do better."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return (state.startswith(_LOST_CLASSES) and state not in _TRANSIENT) or state == _READ_ONLY
    return isinstance(error, CONNECTION_FAILURES)


def is_transient(error: BaseException) -> bool:
    """The same statements again, at once, may pass."""
    return isinstance(error, asyncpg.PostgresError) and (
        error.sqlstate in _TRANSIENT or error.sqlstate == _UNIQUE
    )


def broken_constraint(error: BaseException) -> str | None:
    """The name of the constraint that refused, or None if that is not what happened."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        name = error.constraint_name
        return str(name) if name else None
    return None


@contextmanager
def translated() -> Iterator[None]:
    """Inside: a lost or refused connection, or a transient failure, is `DatabaseUnavailable`."""
    try:
        yield
    except (asyncpg.PostgresError, *CONNECTION_FAILURES) as error:
        if is_connection_lost(error) or (is_transient(error) and broken_constraint(error) is None):
            raise DatabaseUnavailable from error
        raise
