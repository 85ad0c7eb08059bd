"""Starting PostgreSQL's programs: as which user, with which environment, and bound to our own life."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_LAUNCH = str(Path(__file__).with_name("launch.py"))
_KEPT_FROM_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom PostgreSQL runs; launch.py carries it out. `uid` owns what it writes, seen from outside."""

    how: str  # self | namespace | UID:GID
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give a directory or file that we made to the user PostgreSQL runs as, without following links."""
        if path.lstat().st_uid != self.uid:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def spawn(
    identity: Identity, command: list[str], *, directory: Path, death_signal: signal.Signals, log: int
) -> subprocess.Popen[bytes]:
    """Start a program as our direct child, in a session of its own so that Ctrl-C reaches only us.

    The kernel sends `death_signal` when the *thread* that called this ends: call it from one that outlives
    the child.
    """
    prefix = [sys.executable, "-I", "-S", _LAUNCH, identity.how, str(os.getpid()), str(int(death_signal))]
    return subprocess.Popen(
        [*prefix, str(directory), *command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=_environment(),
        start_new_session=True,
    )


def run(identity: Identity, command: list[str], *, directory: Path) -> tuple[int, str]:
    """Run a program to its end; returns its exit status and everything it said."""
    # Killed, not asked: an initdb that tidies up would do so under the feet of the next one.
    child = spawn(identity, command, directory=directory, death_signal=signal.SIGKILL, log=subprocess.PIPE)
    said, complained = child.communicate()
    return child.returncode, (said + (complained or b"")).decode(errors="replace")


def _environment() -> dict[str, str]:
    """Our secrets are none of the server's business, and PG* variables would change what it does."""
    kept = {name: os.environ[name] for name in _KEPT_FROM_ENVIRONMENT if name in os.environ}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}
