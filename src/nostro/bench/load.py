"""The parent's side of the load generator: starts it, hears when its window opens and closes, reads what it
counted.

The generator is told everything on standard input (one JSON line) and answers on standard output with three
JSON lines: the window opens, the window closes, the result. Between the first two the parent takes its own
readings.
"""

import subprocess
import sys
from collections.abc import Callable

import msgspec

from nostro.bench.options import BenchError

GRACE_SECONDS = 30.0
"""How long after the window an answer may still come before it counts as missing."""


class LoadPlan(msgspec.Struct, frozen=True):
    workload: str
    host: str
    port: int
    connections: int
    warmup_seconds: float
    seconds: float
    rate: float | None
    tokens: list[str]
    accounts: list[str]
    round_key: str
    seed: int
    deep_cursor: str = ""


class KindResult(msgspec.Struct, frozen=True):
    """One kind of request. `done_in_window` makes the rate; the latencies also hold answers that came just
    after.
    """

    name: str
    operations: int
    done_in_window: int
    done_in_all: int
    latency_buckets: list[tuple[int, int]]
    latency_max_us: int


class LoadResult(msgspec.Struct, frozen=True):
    window_seconds: float
    cpu_seconds: float
    """Of the generator, within the window."""
    kinds: list[KindResult]
    unexpected: dict[str, int]
    """Answers nobody wanted, by status and code, from the first request on."""
    sample: str
    """The beginning of the first such answer."""
    late_us: int
    """Open loop: 99 of 100 requests left at most this much after they were due."""


class _Signal(msgspec.Struct, frozen=True):
    phase: str
    result: LoadResult | None = None


def generate(plan: LoadPlan, at_window_edge: Callable[[], None]) -> LoadResult:
    """Run one round in a process of its own; `at_window_edge` is called as the window opens and as it
    closes.
    """
    limit = plan.warmup_seconds + plan.seconds + GRACE_SECONDS + 30
    command = [sys.executable, "-m", "nostro.bench.generator", str(int(limit))]
    with subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is answered by the parent, which ends it
    ) as process:
        try:
            return _converse(process, plan, at_window_edge)
        finally:
            process.kill()


def _converse(
    process: subprocess.Popen[bytes], plan: LoadPlan, at_window_edge: Callable[[], None]
) -> LoadResult:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(plan) + b"\n")
    process.stdin.close()
    for line in process.stdout:
        signal = msgspec.json.decode(line, type=_Signal)
        if signal.result is not None:
            return signal.result
        at_window_edge()
    raise BenchError(f"The load generator ended early with status {process.wait()}; its reason stands above.")
