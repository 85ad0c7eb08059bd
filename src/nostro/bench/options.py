"""What can be asked of a benchmark, and the bounds that keep it harmless: one machine, limited counts,
limited time.
"""

import ipaddress
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

MAX_RUN_SECONDS = 6 * 3600.0
# Reports tell their values, so no secret is among them; and nothing outside the scratch directory is reached.
_SETTING = re.compile("NOSTRO_(?!DATABASE_URL|DATA_DIR|NATS_URL|AMQP_URL)[A-Z_]+")


class BenchError(Exception):
    """The benchmark cannot go on; the text is one sentence for the person who started it."""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """One run. Without `url` it starts a server of its own on a scratch directory and removes both
    afterwards.
    """

    workloads: tuple[str, ...] = ("uniform", "hot", "one-by-one", "balance")
    connections: int = 64
    seconds: float = 10.0
    rounds: int = 3
    warmup_seconds: float = 2.0
    accounts: int | None = None
    """None: as many as the workload names (10,000, or 100,000 for zipf)."""
    people: int = 4
    """How many users own the accounts, in turn."""
    rate: float | None = None
    """Open loop: requests fall due at this rate per second, whether or not earlier ones were answered."""
    latency: bool = True
    """Without `rate`: after the closed loop, as many rounds of an open loop at half the capacity it found."""
    entries: tuple[int, ...] = (100_000, 1_000_000)
    """The sizes of the ledgers that workloads with a history run on."""

    pgbench: bool = True
    pgbench_scale: int = 50
    pgbench_clients: tuple[int, ...] = (8, 16, 32)
    pgbench_seconds: int | None = None
    """Length of each yardstick run; None: as long as a ledger round."""

    url: str | None = None
    system_email: str | None = None
    system_password: str | None = None
    data_dir: Path | None = None
    """With `url`: where that server keeps its data. Needed for pgbench, WAL figures and verification."""

    scratch_dir: Path | None = None
    """Where the scratch directory is made; it should be on the disk that is to be measured."""
    keep_scratch: bool = False
    json_path: Path | None = None
    verify: bool = True
    command_seconds: float = 1800.0
    """How long a command beside the service, such as the verification, may take."""
    seed: int = 1
    server_command: tuple[str, ...] = field(default=(sys.executable, "-m", "nostro"))
    server_arguments: tuple[str, ...] = ()
    """Appended to `serve`, for instance another number of worker processes."""
    server_settings: Mapping[str, str] = field(default_factory=lambda: {"NOSTRO_MAIL": "off"})
    """Settings of the server. The mailbox of development would be filled by load that no developer makes."""

    @property
    def beside_yardstick(self) -> bool:
        """Not in an open loop: there the rate is ours, and a ratio would say nothing."""
        return self.pgbench and self.rate is None

    @property
    def round_seconds(self) -> float:
        """At most: of one workload, warm-up, yardstick and open loop included."""
        loops = 2 if self.latency and self.rate is None else 1
        yardstick = self.yardstick_seconds * len(self.pgbench_clients) if self.beside_yardstick else 0
        return loops * (self.warmup_seconds + self.seconds) + yardstick

    @property
    def yardstick_seconds(self) -> int:
        return max(1, round(self.seconds)) if self.pgbench_seconds is None else self.pgbench_seconds


def check(options: BenchOptions, known_workloads: frozenset[str]) -> None:
    """Refuse what would be unbounded, unknown or aimed at another machine. Raises BenchError."""
    unknown = [name for name in options.workloads if name not in known_workloads]
    if unknown or not options.workloads:
        choice = ", ".join(sorted(known_workloads))
        raise BenchError(f"Unknown workload {', '.join(unknown) or '(none)'}: choose from {choice}.")
    if foreign := [name for name in options.server_settings if not _SETTING.fullmatch(name)]:
        raise BenchError(f"{foreign[0]} cannot be measured: only NOSTRO_… can, but no address of a server.")
    _within("connections", options.connections, 1, 1024)
    _within("seconds", options.seconds, 0.5, 600)
    _within("rounds", options.rounds, 1, 100)
    _within("warm-up seconds", options.warmup_seconds, 0, 60)
    _within("command seconds", options.command_seconds, 1, 7200)
    _within("people", options.people, 1, 64)
    _within("pgbench scale", options.pgbench_scale, 1, 1000)
    _within("pgbench seconds", options.yardstick_seconds, 1, 600)
    _within("number of pgbench runs", len(options.pgbench_clients), 1, 16)
    for clients in options.pgbench_clients:
        _within("pgbench clients", clients, 1, 256)
    if options.accounts is not None:
        _within("accounts", options.accounts, 4, 1_000_000)
    if options.rate is not None:
        _within("rate", options.rate, 1, 100_000)
    for entries in options.entries:
        _within("entries", entries, 1_000, 20_000_000)
    if options.url is not None:
        loopback_address(options.url)
        if options.data_dir is None and (options.system_email is None or options.system_password is None):
            raise BenchError("A server that already runs needs data_dir, or a system_email and password.")
    if options.json_path is not None and not options.json_path.absolute().parent.is_dir():
        raise BenchError(f"The directory of {options.json_path} does not exist.")
    planned = options.round_seconds * options.rounds * len(options.workloads)
    if planned > MAX_RUN_SECONDS:
        raise BenchError(f"This run would measure for {planned:.0f} s; the limit is {MAX_RUN_SECONDS:.0f} s.")


def loopback_address(url: str) -> tuple[str, int]:
    """The numeric address and port behind `url`; BenchError unless it is plain HTTP to this very machine."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        raise BenchError(f"{url} is not an http:// address.")
    port = parts.port or 80
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise BenchError(f"{parts.hostname} does not resolve: {error}.") from error
    if not found or not all(ipaddress.ip_address(address).is_loopback for address in found):
        raise BenchError(f"{parts.hostname} is not this machine: the benchmark only loads loopback addresses.")
    return min(found), port


def _within(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise BenchError(f"{what} must be between {low:g} and {high:g}, not {value:g}.")
