"""What an earlier server may have left on the data directory, and getting rid of it.

Never two servers on one directory: before a start, every process that is really PostgreSQL *and* really works
in our data directory is ended. A pid in postmaster.pid proves nothing by itself: it may have been given to
another program since, or belong to a dead child nobody has asked about. Where there is no /proc, PostgreSQL's
own check stands alone.
"""

import functools
import os
import shutil
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from nostro.embedded.errors import EmbeddedError
from nostro.embedded.pidfile import PidFile, read_pid_file, remove_pid_file
from nostro.embedded.processes import answers, initdbs_in, servers_in
from nostro.embedded.sockets import fallback_name

Escalation = tuple[tuple[signal.Signals, float], ...]  # what to send, and how long to wait in seconds

# A fast shutdown writes a checkpoint first; the postmaster ends its children in good order.
_SERVER = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
# Orphans have nobody to do that, and nothing to lose: the next start recovers.
_ORPHANS = ((signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
_UNFINISHED = ((signal.SIGKILL, 5.0),)


def clear_remnants(data_dir: Path, pgdata: Path) -> None:
    """End a server left behind by a killed parent, and its orphans; remove a pid file that forbids a start.

    EmbeddedError when somebody else's server is at work here on purpose, or when a process does not end even
    killed.
    """
    written = read_pid_file(pgdata)
    if written and written.pid in servers_in(pgdata):
        _refuse_if_foreign(written, data_dir)
        _end(_SERVER, lambda: {written.pid} & set(servers_in(pgdata)))
    _end(_ORPHANS, lambda: servers_in(pgdata))
    # What stands there now is stale: torn, or with a pid that was given to another program since. PostgreSQL
    # copes with a pid nobody has, and then looks for more than we can see; it keeps its own check in that case.
    if written is None or answers(written.pid):
        remove_pid_file(pgdata)


def clear_unfinished(data_dir: Path, pattern: str) -> None:
    """Remove what interrupted initdbs have made, and before that, those that are still about to notice."""
    _end(_UNFINISHED, lambda: initdbs_in(data_dir))
    for unfinished in data_dir.glob(pattern):
        _end(_UNFINISHED, functools.partial(servers_in, unfinished))
        shutil.rmtree(unfinished)


def _refuse_if_foreign(written: PidFile, data_dir: Path) -> None:
    place = written.socket_dir
    is_ours = place is None or place == data_dir / "run" or place.name == fallback_name(data_dir)
    if written.single_user or not is_ours:
        raise EmbeddedError(
            f"A PostgreSQL that Nostro did not start works on {data_dir} as process {written.pid}; stop it."
        )


def _end(escalation: Escalation, left: Callable[[], Collection[int]]) -> None:
    for number, patience in escalation:
        for pid in left():
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if _none_within(patience, left):
            return
    pids = ", ".join(map(str, left()))
    raise EmbeddedError(f"An earlier PostgreSQL still runs and cannot be ended (process {pids}).")


def _none_within(seconds: float, left: Callable[[], Collection[int]]) -> bool:
    until = time.monotonic() + seconds
    while left():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
