"""A benchmark that anyone can repeat: what the ledger does per second, what that costs, beside what
PostgreSQL alone does.

What must always hold:

* the ledger is spoken to over HTTP only, as any client would; only the history of a ledger that is to be large
  from the start is put into its tables from the side (seed.py), before anything is measured;
* the yardstick (pgbench TPC-B) runs on the same PostgreSQL server, in the same minutes, turn by turn with
  the ledger;
* only this machine is ever put under load: every target is a loopback address;
* a run with an answer nobody expected, or a ledger that does not verify afterwards, is a failed run;
* figures are rounded against us: rates and ratios down, latencies and costs up.

The story of a run is `run.py`. `generator.py` is a program of its own, so that its processor time is never
taken for the server's.
"""

from nostro.bench.figures import BenchReport
from nostro.bench.options import BenchError, BenchOptions
from nostro.bench.report import render
from nostro.bench.run import run
from nostro.bench.workload import WORKLOADS

__all__ = ["WORKLOADS", "BenchError", "BenchOptions", "BenchReport", "render", "run"]
