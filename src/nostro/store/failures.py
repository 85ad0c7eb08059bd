"""What the driver raises, told apart once: by SQLSTATE and class, never by the text of a message."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from nostro.domain.errors import DatabaseUnavailable, StorageFull

# Serialization failure, deadlock, lock not available, query cancelled by a timeout: the same again may pass.
# So may a statement that was prepared before a migration; the driver has forgotten it by then.
_TRANSIENT = {"40001", "40P01", "55P03", "57014"}
_OUTDATED = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)
# Two processes took one key at once: the loser reads the winner's row when it tries again. Any other double
# would be one again.
_KEY_TAKEN = "transactions_idempotency_key"
# A table cannot grow. The server goes on and has undone what it was asked; a full log ends it instead.
_STORAGE_FULL = "53100"
# Connection exceptions, a login or a database that is refused or not there, out of resources (memory,
# connections), operator intervention (shutdown, crash), I/O errors; idle in a transaction for too long; a
# COMMIT whose end is not known; and a server that is read-only, as a standby or a failed-over primary is.
_LOST_CLASSES = ("08", "28", "3D", "53", "57", "58")
_LOST = {"25P03", "40003", "25006"}
_KNOWN = _TRANSIENT | {_STORAGE_FULL}

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
        return (state.startswith(_LOST_CLASSES) and state not in _KNOWN) or state in _LOST
    return isinstance(error, CONNECTION_FAILURES) and not isinstance(error, _OUTDATED) and not _unfit(error)


def _unfit(error: BaseException) -> bool:
    """A value that the driver cannot encode: an interface error too, but the request's fault."""
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)


def is_transient(error: BaseException) -> bool:
    """The same statements again, at once, may pass."""
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate in _TRANSIENT:
        return True
    return isinstance(error, _OUTDATED) or broken_constraint(error) == _KEY_TAKEN


def is_storage_full(error: BaseException) -> bool:
    """Nothing was written, and nothing can be until there is room again."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate == _STORAGE_FULL


def is_passing(error: BaseException) -> bool:
    """Not the fault of what was asked: the same again, now or later, may pass."""
    return is_connection_lost(error) or is_transient(error) or is_storage_full(error)


def broken_constraint(error: BaseException) -> str | None:
    """The name of the constraint that refused, or None if that is not what happened."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        name = error.constraint_name
        return str(name) if name else None
    return None


@contextmanager
def translated() -> Iterator[None]:
    """Inside: a lost or refused connection, or a transient failure, is `DatabaseUnavailable`; a full disk is
    `StorageFull`."""
    try:
        yield
    except (asyncpg.PostgresError, *CONNECTION_FAILURES) as error:
        if is_passing(error):
            raise (StorageFull if is_storage_full(error) else DatabaseUnavailable) from error
        raise
