"""The directory of the server's socket, and the question whether the server answers there.

There is no TCP port and no password: whoever may enter the directory is trusted. So it is 0700, and it is
checked before every use, because under a shared temporary directory somebody else could have made it first.
"""

import hashlib
import os
import socket
import stat
import struct
import tempfile
from pathlib import Path

from nostro.embedded.errors import EmbeddedError
from nostro.embedded.programs import Identity

PORT = 5432  # only a part of the socket's name; the directory is ours alone
LONGEST_SOCKET_PATH = 107  # bytes in sockaddr_un, less the closing zero

_PROTOCOL_3_0 = 196608
_STARTING_UP = b"C57P03\x00"  # SQLSTATE cannot_connect_now, as a field of an error message


def socket_path(socket_dir: Path) -> Path:
    """The socket's own name, which PostgreSQL derives from the port."""
    return socket_dir / f".s.PGSQL.{PORT}"


def fallback_name(data_dir: Path) -> str:
    """The name a socket directory outside of the data directory has: the same at every start."""
    return "nostro-" + hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:20]


def choose_socket_dir(data_dir: Path) -> Path:
    """`run` beside the data; where that is too long for a socket, a directory among the temporary files.

    So too where the path has a comma: every client takes it for a list of hosts.
    """
    bases = [os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"]  # noqa: S108 - checked when used
    elsewhere = [Path(base) / fallback_name(data_dir) for base in bases if base and Path(base).is_dir()]
    for candidate in (data_dir / "run", *elsewhere):
        if len(os.fsencode(socket_path(candidate))) <= LONGEST_SOCKET_PATH and "," not in str(candidate):
            return candidate
    raise EmbeddedError(f"Neither {data_dir} nor the temporary directory has a path that fits a socket.")


def prepare_socket_dir(socket_dir: Path, identity: Identity) -> None:
    """Make the directory, or make sure that nobody else did."""
    try:
        socket_dir.mkdir(mode=0o700)
    except FileExistsError:
        found = socket_dir.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {identity.uid, os.geteuid()}:
            raise EmbeddedError(
                f"The socket directory {socket_dir} was made by somebody else; remove it and start again."
            ) from None
        socket_dir.chmod(0o700)
    identity.own(socket_dir)


def accepts_connections(socket_dir: Path) -> bool:
    """Whether a client would be served now. The socket opens earlier, so it takes a start-up packet."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(str(socket_path(socket_dir)))
            connection.sendall(_startup_packet())
            answer = connection.recv(4096)
            connection.sendall(b"X\x00\x00\x00\x04")  # a goodbye, or the server would log a lost connection
    except OSError:
        return False
    return answer != b"" and _STARTING_UP not in answer


def _startup_packet() -> bytes:
    parameters = b"user\x00postgres\x00database\x00postgres\x00application_name\x00nostro supervisor\x00\x00"
    return struct.pack("!ii", len(parameters) + 8, _PROTOCOL_3_0) + parameters
