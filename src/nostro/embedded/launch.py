"""Becomes one of PostgreSQL's programs: a script run in a process of its own, before exec.

What has to happen between fork and exec is done here instead of in a preexec function, because our process
has threads, and a forked copy of a threaded process may only call what is async-signal-safe.

    launch.py IDENTITY PARENT SIGNAL DIRECTORY PROGRAM [ARGUMENT …]

IDENTITY is `self`, `namespace` or `UID:GID`. SIGNAL is what the kernel sends us when the
thread that started us dies.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
NOBODY = 65534
CANNOT_LAUNCH = 125  # like env(1) and unshare(1): the program was not reached


def main(identity: str, parent: str, death_signal: str, directory: str, *command: str) -> None:
    """Take the identity, tie our life to the parent's, and become the program."""
    become(identity)
    if sys.platform == "linux":
        _call("prctl", PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent):  # it died before the kernel had been asked to tell us
        raise OSError("the program that started this one is gone")
    os.chdir(directory)
    _ordinary_signals()
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


def become(identity: str) -> None:
    """`namespace`: still root's files, but no root's powers, and PostgreSQL sees an ordinary user."""
    if identity == "self":
        return
    if identity == "namespace":
        _enter_namespace()
        return
    uid, gid = map(int, identity.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", CLONE_NEWUSER)
    # Without giving up setgroups the kernel refuses the group map to a root without CAP_SETGID.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {gid} 1")


def _ordinary_signals() -> None:
    """Shells start background jobs with SIGINT ignored, and threads may block signals: both survive exec."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _call(function: str, *arguments: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.stderr.write(f"cannot start {sys.argv[5]}: {error}\n")
        sys.exit(CANNOT_LAUNCH)
