"""`nostro bench`: what this machine does, beside raw SQL on the same PostgreSQL."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nostro.bench import WORKLOADS, BenchError, BenchOptions, render, run


def bench(
    workload: Annotated[
        list[str] | None, typer.Option(help=f"Which workloads: {', '.join(WORKLOADS)}; may be repeated.")
    ] = None,
    connections: Annotated[int, typer.Option(help="Keep-alive connections.")] = 64,
    seconds: Annotated[float, typer.Option(help="Length of a measured round.")] = 10.0,
    rounds: Annotated[int, typer.Option(help="Rounds of each workload, pgbench between them.")] = 3,
    rate: Annotated[float | None, typer.Option(help="Open loop: requests due per second.")] = None,
    latency: Annotated[
        bool, typer.Option(help="After the closed loop, an open loop at half the capacity it found.")
    ] = True,
    accounts: Annotated[int | None, typer.Option(help="Accounts (default: as the workload says).")] = None,
    entries: Annotated[
        list[int] | None, typer.Option(help="Size of a ledger for the grown workloads; may be repeated.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="API processes of the server.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, a setting of the server; may be repeated.")
    ] = None,
    pgbench: Annotated[bool, typer.Option(help="Run pgbench TPC-B beside it.")] = True,
    output: Annotated[Path | None, typer.Option(help="Write the figures as JSON to this file.")] = None,
) -> None:
    """Measure transfers over HTTP on a server of its own, beside pgbench TPC-B on the same PostgreSQL.

    Example: nostro bench --workload uniform --workload hot --seconds 10 --rounds 3
    """
    standard = BenchOptions()
    settings = dict(one.partition("=")[::2] for one in setting or ())
    options = BenchOptions(
        workloads=tuple(workload) if workload else standard.workloads,
        connections=connections,
        seconds=seconds,
        rounds=rounds,
        rate=rate,
        latency=latency,
        entries=tuple(entries) if entries else standard.entries,
        server_arguments=("--workers", str(workers)) if workers else (),
        server_settings={**standard.server_settings, **settings},
        accounts=accounts,
        pgbench=pgbench,
        json_path=output,
    )
    try:
        report = run(options)
    except BenchError as error:
        print(f"nostro: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    print(render(report))
    if report.failures:
        raise typer.Exit(1)
