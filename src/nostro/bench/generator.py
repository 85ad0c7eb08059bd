"""The load generator, a program of its own: `python -m nostro.bench.generator SECONDS`, see load.py for
what it is told.

Closed loop: every connection sends its next request when the answer to the one before has arrived, so the
rate is what the server makes of it. Open loop: requests fall due at a fixed rate; one that finds no free
connection waits, and its latency counts from the moment it was due, not from when it left.
"""

import asyncio
import gc
import random
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from typing import Any

import msgspec
import uvloop

from nostro.bench.latency import Histogram
from nostro.bench.load import GRACE_SECONDS, KindResult, LoadPlan, LoadResult
from nostro.bench.wire import Line, connect
from nostro.bench.workload import WORKLOADS, Kind, NextRequest, Stage

_MAX_DIFFERENT_ERRORS = 32
_TICK_SECONDS = 0.001
_clock_ns = time.perf_counter_ns


class Tally:
    """What happened to one kind of request."""

    __slots__ = ("done_before", "done_in_window", "expects", "kind", "latency", "says")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.expects = kind.expects
        self.says = kind.says
        self.latency = Histogram()
        self.done_before = 0
        self.done_in_window = 0

    def open_window(self) -> None:
        self.done_before = self.latency.total
        self.latency = Histogram()

    def close_window(self) -> None:
        self.done_in_window = self.latency.total

    def result(self) -> KindResult:
        return KindResult(
            name=self.kind.name,
            operations=self.kind.operations,
            done_in_window=self.done_in_window,
            done_in_all=self.done_before + self.latency.total,
            latency_buckets=self.latency.filled(),
            latency_max_us=self.latency.max_us,
        )


class ClosedLoop:
    """Each line sends again as soon as it is answered; its `place` says which of the scripts it follows."""

    def __init__(self, kinds: tuple[Kind, ...], scripts: list[NextRequest]) -> None:
        self.tallies = [Tally(kind) for kind in kinds]
        self.scripts = scripts
        self.hears = [getattr(script, "hear", None) for script in scripts]
        self.lines: list[Line] = []
        self.late = Histogram()
        self.unexpected: dict[str, int] = {}
        self.sample = ""
        self.running = True
        self.drained = asyncio.Event()

    def start(self) -> None:
        now = _clock_ns()
        for line in self.lines:
            self.send(line, now)

    def send(self, line: Line, since_ns: int) -> None:
        request, line.kind = self.scripts[line.place]()
        line.since_ns = since_ns
        line.send(request)

    def answered(self, line: Line, status: int) -> None:
        now = _clock_ns()
        tally = self.tallies[line.kind]
        if status == tally.expects and line.reader.starts_with(tally.says):
            tally.latency.record((now - line.since_ns) // 1000)
            if hear := self.hears[line.place]:
                hear(line.kind, line.reader.body)
        else:
            self.refused(status, line.reader.body)
        self.free(line, now)

    def free(self, line: Line, now: int) -> None:
        if self.running:
            self.send(line, now)
        else:
            self.look_for_the_end()

    def refused(self, status: int, body: bytes) -> None:
        self.note(f"{status} {_code_of(body)}".rstrip(), body.decode("utf-8", "replace"))

    def lost(self, line: Line, reason: str) -> None:
        line.busy = False
        self.note("connection lost", reason)
        self.look_for_the_end()

    def note(self, what: str, sample: str, times: int = 1) -> None:
        if what not in self.unexpected and len(self.unexpected) >= _MAX_DIFFERENT_ERRORS:
            what = "others"
        self.unexpected[what] = self.unexpected.get(what, 0) + times
        self.sample = self.sample or sample[:500]

    def open_window(self) -> None:
        for tally in self.tallies:
            tally.open_window()
        self.late = Histogram()

    def close_window(self) -> None:
        self.running = False
        for tally in self.tallies:
            tally.close_window()

    def look_for_the_end(self) -> None:
        if not self.running and not self.outstanding():
            self.drained.set()

    def outstanding(self) -> int:
        return sum(line.busy for line in self.lines)


class OpenLoop(ClosedLoop):
    """Requests of the first script fall due by the clock; the loop's timer makes each up to a millisecond late,
    which counts as latency. What runs in the background stays a closed loop.
    """

    def __init__(self, kinds: tuple[Kind, ...], scripts: list[NextRequest], rate: float) -> None:
        super().__init__(kinds, scripts)
        self.interval_ns = 1e9 / rate
        self.started_ns = 0
        self.fallen_due = 0
        self.waiting: deque[int] = deque()
        self.idle: list[Line] = []

    def start(self) -> None:
        self.idle = [line for line in self.lines if line.place == 0]
        self.started_ns = _clock_ns()
        for line in self.lines:
            if line.place:
                self.send(line, self.started_ns)
        self._tick(asyncio.get_running_loop())

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self.running:
            return
        now = _clock_ns()
        while (due := self.started_ns + int(self.fallen_due * self.interval_ns)) <= now:
            self.waiting.append(due)
            self.fallen_due += 1
        while self.waiting and self.idle:
            self._send_waiting(self.idle.pop(), now)
        loop.call_later(_TICK_SECONDS, self._tick, loop)

    def _send_waiting(self, line: Line, now: int) -> None:
        due = self.waiting.popleft()
        self.late.record((now - due) // 1000)
        self.send(line, due)

    def free(self, line: Line, now: int) -> None:
        # After the window too: what fell due within it is owed an answer, or the slowest would be left out.
        if line.place:
            super().free(line, now)
        elif self.waiting:
            self._send_waiting(line, now)
        else:
            self.idle.append(line)
            self.look_for_the_end()

    def outstanding(self) -> int:
        return super().outstanding() + len(self.waiting)


def _code_of(body: bytes) -> str:
    try:
        answer: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return ""
    if not isinstance(answer, dict):
        return ""
    return str(answer.get("code") or answer.get("message") or "")[:80]


def _say(phase: str, result: LoadResult | None = None) -> None:
    sys.stdout.buffer.write(msgspec.json.encode({"phase": phase, "result": result}) + b"\n")
    sys.stdout.buffer.flush()


async def play(plan: LoadPlan) -> LoadResult:
    workload = WORKLOADS[plan.workload]
    chance = random.Random(plan.seed)  # noqa: S311 - picks accounts, keeps no secret
    host = f"{plan.host}:{plan.port}"
    stage = Stage(host, plan.tokens, plan.accounts, plan.round_key, chance, plan.deep_cursor)
    scripts = [script(stage) for script in (workload.script, workload.background) if script is not None]
    loop = (
        ClosedLoop(workload.kinds, scripts)
        if plan.rate is None
        else OpenLoop(workload.kinds, scripts, plan.rate)
    )
    loop.lines = await connect(loop, plan.host, plan.port, plan.connections + len(scripts) - 1)
    for line in loop.lines[plan.connections :]:
        line.place = 1
    loop.start()
    await asyncio.sleep(plan.warmup_seconds)
    return await _measure(loop, plan)


async def _measure(loop: ClosedLoop, plan: LoadPlan) -> LoadResult:
    loop.open_window()
    _say("opens")
    cpu, began = time.process_time(), _clock_ns()
    await asyncio.sleep(plan.seconds)
    loop.close_window()
    window_seconds = (_clock_ns() - began) / 1e9
    cpu_seconds = time.process_time() - cpu
    _say("closes")
    await _drain(loop)
    return LoadResult(
        window_seconds=window_seconds,
        cpu_seconds=cpu_seconds,
        kinds=[tally.result() for tally in loop.tallies],
        unexpected=loop.unexpected,
        sample=loop.sample,
        late_us=loop.late.percentile(99),
    )


async def _drain(loop: ClosedLoop) -> None:
    if loop.outstanding():
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await loop.drained.wait()
    if missing := loop.outstanding():
        loop.note("no answer", f"no answer within {GRACE_SECONDS:.0f} s after the window", missing)
    for line in loop.lines:
        line.close()


def main() -> None:
    signal.alarm(int(sys.argv[1]))  # a generator whose parent died must not go on for ever
    # Nothing made per request is part of a cycle, and a collection would be a pause that looks like latency.
    gc.disable()
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=LoadPlan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        _say("result", runner.run(play(plan)))


if __name__ == "__main__":
    main()
