"""The yardstick: pgbench's TPC-B, prepared statements, on the very server that carries the ledger, in its
own database.

TPC-B is three updates, one select and one insert in a transaction: what PostgreSQL alone does for a thing
the size of a transfer, without HTTP, keys, ownership or proofs. The best of several client counts is taken,
which favours pgbench.
"""

import os
import re
import resource
from dataclasses import dataclass

from nostro.bench.options import BenchError, BenchOptions
from nostro.bench.postgres import Postgres
from nostro.bench.processes import read_cpu
from nostro.bench.progress import Progress

DATABASE = "pgbench"
_TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: ([0-9]+)", re.MULTILINE)
_DONE = re.compile(r"^number of transactions actually processed: ([0-9]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pace:
    """One pgbench run."""

    clients: int
    per_second: float
    postgres_us: float | None
    """Processor time of PostgreSQL per transaction."""
    client_us: float


def prepare(postgres: Postgres, options: BenchOptions, progress: Progress) -> None:
    """Make the database and its tables, and run once unmeasured."""
    progress.begin(f"pgbench tables, scale {options.pgbench_scale}", 1)
    if not postgres.ask(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"):  # noqa: S608 - a constant
        postgres.ask(f"CREATE DATABASE {DATABASE}")
    postgres.program("pgbench", "-i", "-q", "-s", str(options.pgbench_scale), DATABASE, timeout_seconds=1800)
    run_once(postgres, options.pgbench_clients[-1], max(1, round(options.warmup_seconds)))
    progress.end()


def best(postgres: Postgres, options: BenchOptions) -> tuple[Pace, list[Pace]]:
    """Every client count once; the fastest, and all of them."""
    paces = [run_once(postgres, clients, options.yardstick_seconds) for clients in options.pgbench_clients]
    return max(paces, key=lambda pace: pace.per_second), paces


def run_once(postgres: Postgres, clients: int, seconds: int) -> Pace:
    threads = min(clients, os.cpu_count() or 1)
    before, own_before = read_cpu(None, postgres.postmaster_pid), _children_seconds()
    out = postgres.program(
        "pgbench",
        *("-M", "prepared", "-c", str(clients), "-j", str(threads), "-T", str(seconds)),
        DATABASE,
        timeout_seconds=seconds + 300,
    )
    spent = read_cpu(None, postgres.postmaster_pid).since(before)
    return reading(out, clients, spent.postgres, _children_seconds() - own_before)


def reading(out: str, clients: int, postgres_seconds: float | None, client_seconds: float) -> Pace:
    """What pgbench printed, as figures. Raises BenchError when transactions failed."""
    tps, done, failed = _TPS.search(out), _DONE.search(out), _FAILED.search(out)
    if tps is None or done is None or int(done[1]) == 0:
        raise BenchError(f"pgbench printed no result: {out.strip()[-300:]}")
    if failed is not None and int(failed[1]):
        raise BenchError(f"pgbench reports {failed[1]} failed transactions.")
    transactions = int(done[1])
    return Pace(
        clients=clients,
        per_second=float(tps[1]),
        postgres_us=None if postgres_seconds is None else postgres_seconds * 1e6 / transactions,
        client_us=client_seconds * 1e6 / transactions,
    )


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
