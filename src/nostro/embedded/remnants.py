"""What an earlier server may have left on the data directory, and getting rid of it.

Never two servers on one directory: before a start, every process that is really PostgreSQL *and* really works
in our data directory is ended. A pid in postmaster.pid proves nothing by itself: it may have been given to
another program since, or belong to a dead child nobody has asked about. Where there is no /proc, PostgreSQL's
own check stands alone.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nostro.embedded.errors import EmbeddedError
from nostro.embedded.pidfile import PidFile, read_pid_file, remove_pid_file
from nostro.embedded.sockets import fallback_name

# A fast shutdown writes a checkpoint first. The others lose nothing either: the next start recovers.
_ESCALATION = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))


def clear_remnants(data_dir: Path, pgdata: Path) -> None:
    """End a server left behind by a killed parent, and its orphans; remove a pid file that forbids a start.

    EmbeddedError when somebody else's server is at work here on purpose, or when a process does not end even
    killed.
    """
    written = read_pid_file(pgdata)
    left = processes_in(pgdata)
    if written and written.pid in left:
        _refuse_if_foreign(written, data_dir)
        _end(pgdata, only=written.pid)
    _end(pgdata)
    if written and _answers(written.pid):
        # Another program has the pid now, or PostgreSQL would have been ended above.
        remove_pid_file(pgdata)


def processes_in(pgdata: Path) -> list[int]:
    """Every live PostgreSQL process whose working directory is `pgdata`: the server and its children."""
    return list(_postgres_in(pgdata)) if pgdata.is_dir() else []


def _postgres_in(pgdata: Path) -> Iterator[int]:
    here = pgdata.stat()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, is a zombie, or is none of ours
            if not (entry / "exe").readlink().name.startswith("postgres"):
                continue
            if os.path.samestat((entry / "cwd").stat(), here):
                yield int(entry.name)


def _refuse_if_foreign(written: PidFile, data_dir: Path) -> None:
    ours = {data_dir / "run"}
    place = written.socket_dir
    if written.single_user or (place and place not in ours and place.name != fallback_name(data_dir)):
        raise EmbeddedError(
            f"A PostgreSQL that Nostro did not start works on {data_dir} as process {written.pid}; stop it."
        )


def _end(pgdata: Path, only: int | None = None) -> None:
    """`only`: the postmaster, which ends its children in good order. Orphans have nobody to do that."""
    for number, patience in _ESCALATION if only else _ESCALATION[1:]:
        until = time.monotonic() + patience
        left = _signal_all(pgdata, number, only)
        while left and time.monotonic() < until:
            time.sleep(0.01)
            left = [pid for pid in processes_in(pgdata) if only in {None, pid}]
        if not left:
            return
    raise EmbeddedError(
        f"An earlier PostgreSQL still works on {pgdata} and cannot be ended (processes {left})."
    )


def _signal_all(pgdata: Path, number: signal.Signals, only: int | None) -> list[int]:
    pids = [pid for pid in processes_in(pgdata) if only in {None, pid}]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    return pids


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
