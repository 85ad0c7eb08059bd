"""The settings the embedded server runs with, and the file they are written to.

The file is ours (`nostro.conf`, included by postgresql.conf) and rewritten at every start, so a changed
machine or a changed release takes effect; ALTER SYSTEM still wins over it. The few settings that safety rests
on go on the command line instead, where nothing can override them.
"""

from collections.abc import Mapping
from pathlib import Path

from nostro.embedded.binaries import Binaries
from nostro.embedded.machine import free_disk_bytes, memory_bytes

FILE_NAME = "nostro.conf"
INCLUDE_LINE = f"include_if_exists '{FILE_NAME}'\n"
MEBIBYTE = 1024 * 1024

# Without these two, a crash of the machine may lose or tear what was acknowledged.
SAFETY = {"fsync": "on", "full_page_writes": "on"}

FIXED = {
    # Durability, and few but gentle checkpoints: after each, the first change of a page logs the whole page.
    "synchronous_commit": "on",
    "wal_level": "replica",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    # Short transactions by primary key: compiling them costs more than it saves.
    "jit": "off",
    "max_connections": "400",  # some twenty for each API process, and commands beside them
    "huge_pages": "try",
    # Balances change all the time: vacuum early, in small portions, without starving.
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_insert_scale_factor": "0.1",
    "autovacuum_vacuum_cost_limit": "1000",
    # Tables that grow are analysed again and again, at full speed beside whoever commits: with the usual 100 it
    # takes four times as long, and tells the planner nothing more about ids, positions and moments.
    "default_statistics_target": "25",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
    # The log says what happened to the server. Statements, parameters, and the details of a refused row are
    # amounts, names and sometimes secrets: they stay out of it.
    "log_destination": "stderr",
    "logging_collector": "off",  # our supervisor keeps the file and its size
    "log_line_prefix": "%m [%p] ",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


def server_settings(binaries: Binaries, data_dir: Path) -> dict[str, str]:
    """What fits this machine: memory and disk in mebibytes, WAL compression if the build knows a cheap one."""
    wal = _between(256, free_disk_bytes(data_dir) // 8 // MEBIBYTE, 4096)
    return FIXED | {
        "shared_buffers": f"{_between(128, memory_bytes() // 8 // MEBIBYTE, 2048)}MB",
        "max_wal_size": f"{wal}MB",
        # What lies between two checkpoints is kept for reuse: a new segment is filled with zeros first, and
        # whoever commits waits for that, 30 to 100 ms.
        "min_wal_size": f"{wal // 2}MB",
        # pglz takes 0.2 ms of processor time for each page, more than the transfer that changed it.
        "wal_compression": "lz4" if binaries.has_lz4() else "off",
    }


def write_configuration(pgdata: Path, settings: Mapping[str, str]) -> Path:
    """Write the file; a torn one cannot be read as settings, because it is renamed into place."""
    target = pgdata / FILE_NAME
    fresh = pgdata / f"{FILE_NAME}.new"
    lines = [f"{name} = {_quoted(value)}\n" for name, value in sorted(settings.items())]
    fresh.write_text(
        "# Written by Nostro at every start; use ALTER SYSTEM for settings of your own.\n" + "".join(lines)
    )
    fresh.chmod(0o600)
    return fresh.replace(target)


def _between(least: int, wanted: int, most: int) -> int:
    return max(least, min(wanted, most))


def _quoted(value: str) -> str:
    if "\n" in value:
        raise ValueError("a setting is one line")
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
