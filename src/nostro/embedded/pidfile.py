"""postmaster.pid: what a server says about itself while it runs, and what a killed one leaves behind."""

from dataclasses import dataclass
from pathlib import Path

_SOCKET_DIR_LINE = 4  # counted from zero, as PostgreSQL's pidfile.h does from one
_STATUS_LINE = 7


@dataclass(frozen=True, slots=True)
class PidFile:
    """`single_user`: maintenance by hand, without a socket; such a server negates its pid there."""

    pid: int
    single_user: bool
    socket_dir: Path | None
    is_ready: bool


def read_pid_file(pgdata: Path) -> PidFile | None:
    """None when there is no such file, or only the torn beginning of one."""
    try:
        lines = (pgdata / "postmaster.pid").read_text(errors="replace").splitlines()
        number = int(lines[0])
    except (OSError, ValueError, IndexError):
        return None
    lines += [""] * (_STATUS_LINE + 1 - len(lines))  # a starting server adds line after line
    place = lines[_SOCKET_DIR_LINE]
    return PidFile(
        abs(number), number < 0, Path(place) if place else None, lines[_STATUS_LINE].strip() == "ready"
    )


def remove_pid_file(pgdata: Path) -> None:
    """Forget a server that is known to be gone."""
    (pgdata / "postmaster.pid").unlink(missing_ok=True)
