"""Has the kernel write what PostgreSQL's files have become a little at a time.

A table that grows, grows in the kernel's cache, which keeps it for half a minute and then writes all of it.
Whoever commits meanwhile waits: the log shares the disk with tens of megabytes (60 to 200 ms, measured). Asked
every second, the kernel begins with what there is by then.

Nothing rests on it. PostgreSQL syncs its files itself before it relies on them, and hears of an error in
writing there: to ask for writing, without waiting for it, takes no error from anybody.
"""

import ctypes
import os
import time
from contextlib import suppress
from pathlib import Path

_RECENT = 3.0  # seconds since a file was written to: a few looks, whatever the clocks' grain
_FIRST_DATABASE = 16384  # databases below are PostgreSQL's own
_START_WRITING = 2  # SYNC_FILE_RANGE_WRITE
_library = ctypes.CDLL(None)


def start_writing(pgdata: Path) -> None:
    """Ask for all that was written to tables and indexes of late, and return before it is done. Raises OSError
    when there are no databases to be found. Does nothing where the kernel cannot be asked."""
    if not hasattr(_library, "sync_file_range"):  # Linux has it
        return
    since = time.time() - _RECENT
    with os.scandir(pgdata / "base") as databases:
        for database in databases:
            if database.name.isdecimal() and int(database.name) >= _FIRST_DATABASE:
                with suppress(OSError):  # a database that is gone
                    _start_writing_in(database.path, since)


def _start_writing_in(database: str, since: float) -> None:
    with os.scandir(database) as files:
        for file in files:
            with suppress(OSError):  # a table that is gone
                if file.stat().st_mtime >= since:
                    _start_writing(file.path)


def _start_writing(file: str) -> None:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        beginning, to_the_end = ctypes.c_int64(0), ctypes.c_int64(0)
        _library.sync_file_range(descriptor, beginning, to_the_end, ctypes.c_uint(_START_WRITING))
    finally:
        os.close(descriptor)
