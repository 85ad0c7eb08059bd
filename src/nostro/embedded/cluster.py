"""The database cluster on disk: made once, checked and configured at every start.

`pg` exists only when it is complete: initdb works in a directory beside it that is renamed at the end, so
being killed in the middle of a first start costs nothing but the time.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nostro.embedded.binaries import Binaries
from nostro.embedded.configuration import INCLUDE_LINE, SAFETY, server_settings, write_configuration
from nostro.embedded.errors import EmbeddedError
from nostro.embedded.programs import Identity, run
from nostro.embedded.remnants import clear_unfinished
from nostro.embedded.sockets import PORT

SUPERUSER = "postgres"
_BUILTIN_LOCALE_SINCE = 17


@dataclass(frozen=True, slots=True)
class Cluster:
    """One data directory with the programs and the user that work on it."""

    data_dir: Path
    socket_dir: Path
    binaries: Binaries
    identity: Identity
    settings: Mapping[str, str]

    @property
    def pgdata(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.data_dir / "pg"

    def prepare(self) -> bool:
        """Make the cluster if there is none (True), check that the binaries fit it, write the settings."""
        made = not self.pgdata.exists()
        if made:
            self._create()
        self._check_version()
        self._own_everything()
        self.identity.own(write_configuration(self.pgdata, self._all_settings()))
        return made

    def command(self) -> list[str]:
        """How the server is started. What is said here nothing in the data directory can override."""
        settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": _list_element(str(self.socket_dir)),
            "unix_socket_permissions": "0700",
        } | {name: self.settings.get(name, value) for name, value in SAFETY.items()}
        pairs = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [self.binaries.program("postgres"), "-D", str(self.pgdata), *pairs]

    def _all_settings(self) -> dict[str, str]:
        return server_settings(self.binaries, self.data_dir) | dict(self.settings)

    def _create(self) -> None:
        clear_unfinished(self.data_dir, "pg.initdb-*")
        fresh = self.data_dir / f"pg.initdb-{os.getpid()}"
        self._initdb(fresh)
        with (fresh / "postgresql.conf").open("a") as configuration:
            configuration.write("\n" + INCLUDE_LINE)
        fresh.rename(self.pgdata)
        _sync_directory(self.data_dir)

    def _initdb(self, fresh: Path) -> None:
        said = ""
        for locale in _locales(self.binaries.major):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
            self.identity.own(fresh)
            status, said = run(
                self.identity, _initdb_command(self.binaries, fresh, locale), directory=self.data_dir
            )
            if status == 0:
                return
        shutil.rmtree(fresh, ignore_errors=True)
        raise EmbeddedError(
            f"The database could not be created in {self.data_dir}: {' | '.join(said.split(chr(10)))}"
        )

    def _check_version(self) -> None:
        try:
            major = int((self.pgdata / "PG_VERSION").read_text())
        except (OSError, ValueError):
            raise EmbeddedError(f"{self.pgdata} is not a PostgreSQL data directory; move it away.") from None
        if major != self.binaries.major:
            raise EmbeddedError(
                f"The data in {self.pgdata} was made by PostgreSQL {major}, but {self.binaries.bin_dir} is "
                f"version {self.binaries.version}: name the programs of version {major} in NOSTRO_PG_BIN, or "
                f"move the data with a backup and a restore."
            )

    def _own_everything(self) -> None:
        """On a machine that refuses namespaces, root's data is given to the user who can serve it."""
        if self.pgdata.stat().st_uid == self.identity.uid:
            return
        for place, directories, files in os.walk(self.pgdata, topdown=False):
            for name in (*directories, *files):
                self.identity.own(Path(place, name))
        self.identity.own(self.pgdata)  # last: its owner says whether the work was finished


def _initdb_command(binaries: Binaries, fresh: Path, locale: list[str]) -> list[str]:
    return [
        binaries.program("initdb"),
        *("--pgdata", str(fresh), "--username", SUPERUSER, "--encoding", "UTF8", *locale),
        *("--data-checksums", "--auth-local", "trust", "--auth-host", "reject", "--no-instructions"),
    ]


def _locales(major: int) -> list[list[str]]:
    """In order of preference. The built-in locale sorts alike on every machine, whatever its C library."""
    if major >= _BUILTIN_LOCALE_SINCE:
        return [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]]
    return [["--locale=C.UTF-8"], ["--locale=C"]]  # not every C library has the first


def _list_element(path: str) -> str:
    """The setting is a list; quoted, a path may contain commas and blanks."""
    return '"' + path.replace('"', '""') + '"'


def _sync_directory(directory: Path) -> None:
    """A rename is only safe from a power cut once its directory is on disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
