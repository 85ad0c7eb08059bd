"""Who uses the data directory: one owner, who runs the server, and any number of guests, who only connect.

    nostro.lock   exclusive: the owner, for as long as its server may run; its pid and role are written inside
    users.lock    shared: every guest, while it is connected; exclusive: an owner that is a mere command,
                  before it stops the server, so that it never pulls it away from under a guest

Taken in this order: nostro.lock, then users.lock. A guest never waits for either of them while it holds one:
it tries, lets go and tries again. The kernel releases both when their holder dies, however it dies.
"""

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nostro.embedded.processes import answers

Role = Literal["service", "command"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds nostro.lock, in its own words."""

    pid: int
    role: str

    def is_alive(self) -> bool:
        """False when the words are older than the lock: its holder has not written its own yet."""
        return answers(self.pid)


class DataDirectoryLock:
    """Our own part in the two locks; every instance stands for one party, also inside one process."""

    def __init__(self, data_dir: Path) -> None:
        """Make the files; they belong to the owner of the directory, so that root does not lock users out."""
        self._owner_file = _open(data_dir / "nostro.lock")
        self._users_file = _open(data_dir / "users.lock")
        self.is_owner = False

    def try_own(self, role: Role) -> bool:
        """Become the owner if there is none."""
        if not _try(self._owner_file, fcntl.LOCK_EX):
            return False
        os.ftruncate(self._owner_file, 0)
        os.pwrite(self._owner_file, f"{os.getpid()} {role}\n".encode(), 0)
        self.is_owner = True
        return True

    def owner(self) -> Owner | None:
        """Who owns it now; None when it says nothing readable yet."""
        words = os.pread(self._owner_file, 100, 0).split()
        with suppress(ValueError):
            pid, role = words
            return Owner(int(pid), role.decode())
        return None

    def try_use(self) -> bool:
        """Become a guest, unless the owner is about to stop."""
        return _try(self._users_file, fcntl.LOCK_SH)

    def stop_using(self) -> None:
        """Let the owner stop, as far as we are concerned."""
        fcntl.flock(self._users_file, fcntl.LOCK_UN)

    def wait_for_guests(self) -> None:
        """Return when the last guest has left; later ones are turned away until the owner is gone."""
        fcntl.flock(self._users_file, fcntl.LOCK_EX)

    def close(self) -> None:
        """Let go of everything."""
        if self.is_owner:
            os.ftruncate(self._owner_file, 0)
        self.is_owner = False
        for descriptor in (self._owner_file, self._users_file):
            os.close(descriptor)


def _open(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    directory = path.parent.stat()
    if os.geteuid() == 0 and os.fstat(descriptor).st_uid != directory.st_uid:
        os.fchown(descriptor, directory.st_uid, directory.st_gid)
    return descriptor


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
