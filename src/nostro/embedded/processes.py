"""Which processes are there, as far as /proc tells."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def answers(pid: int) -> bool:
    """Whether anything has this pid: a live program, or a dead one nobody has asked about yet."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True


def servers_in(pgdata: Path) -> list[int]:
    """Every live PostgreSQL process whose working directory is `pgdata`: server, children, orphans."""
    return list(_working_in(pgdata, "postgres"))


def initdbs_in(directory: Path) -> list[int]:
    """Every live initdb whose working directory is `directory`."""
    return list(_working_in(directory, "initdb"))


def _working_in(directory: Path, program: str) -> Iterator[int]:
    if not directory.is_dir():
        return
    here = directory.stat()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, is a zombie, or is none of ours
            # The kernel adds " (deleted)" to the name when an upgrade has replaced the file.
            if (entry / "exe").readlink().name.split()[0] != program:
                continue
            if os.path.samestat((entry / "cwd").stat(), here):
                yield int(entry.name)
