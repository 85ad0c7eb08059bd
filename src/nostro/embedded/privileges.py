"""As whom PostgreSQL runs when we are root, which it refuses to run as.

Root tries, in this order: the user who owns the data directory; a user namespace, in which root's files stay
root's but root's powers are gone (nothing is chowned, no user is added); the users `postgres` and `nobody`.
Data that exists keeps the owner it has, unless that is root and namespaces are refused: then it is given to
the unprivileged user.
"""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from nostro.embedded.binaries import Binaries
from nostro.embedded.errors import EmbeddedError
from nostro.embedded.launch import NOBODY
from nostro.embedded.programs import Identity, run

NAMESPACE = Identity("namespace", 0, 0)


def choose_identity(data_dir: Path, pgdata: Path, binaries: Binaries) -> Identity:
    """The first way that is able to run the server's program and to enter the data directory."""
    owner = _owner(pgdata) if pgdata.exists() else None
    if os.geteuid() != 0:
        return _ourselves(pgdata, owner)
    for identity in _candidates(data_dir, owner):
        if _works(identity, data_dir, binaries):
            return identity
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root, user namespaces are not allowed here, and no unprivileged "
        f"user can reach both {data_dir} and {binaries.bin_dir}: start Nostro as an ordinary user, or "
        f"move both to where every user may enter."
    )


def _ourselves(pgdata: Path, owner: Identity | None) -> Identity:
    if owner is not None and owner.uid != os.geteuid():
        raise EmbeddedError(
            f"The database in {pgdata} belongs to user {_name(owner.uid)}: start Nostro as that user."
        )
    return Identity("self", os.geteuid(), os.getegid())


def _candidates(data_dir: Path, owner: Identity | None) -> Iterator[Identity]:
    if owner is not None and owner.uid != 0:
        yield owner
        return
    if owner is None and _owner(data_dir).uid != 0:
        yield _owner(data_dir)
    yield NAMESPACE
    # Our own directory is passed through, its contents stay private by their own modes.
    data_dir.chmod(data_dir.stat().st_mode | 0o001)
    yield from _unprivileged_users()


def _unprivileged_users() -> Iterator[Identity]:
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        yield _user(user.pw_uid, user.pw_gid)
    yield _user(NOBODY, NOBODY)


def _works(identity: Identity, data_dir: Path, binaries: Binaries) -> bool:
    status, _ = run(identity, [binaries.program("postgres"), "--version"], directory=data_dir)
    return status == 0


def _owner(path: Path) -> Identity:
    stat = path.stat()
    return _user(stat.st_uid, stat.st_gid)


def _user(uid: int, gid: int) -> Identity:
    return Identity(f"{uid}:{gid}", uid, gid)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
