"""Processor time and memory as the kernel counts them, by group: API, PostgreSQL, the whole machine.

The time of a group is that of its living processes plus that of the children they have waited for, so a
process that ends between two readings is not lost. The kernel counts in ticks of 10 ms.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class CpuReading:
    """Seconds since some moment in the past; only differences mean something. None: not known."""

    api: float | None
    postgres: float | None
    machine: float

    def since(self, earlier: "CpuReading") -> "CpuReading":
        return CpuReading(
            api=_difference(self.api, earlier.api),
            postgres=_difference(self.postgres, earlier.postgres),
            machine=self.machine - earlier.machine,
        )


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the API processes together, in KiB: resident now, and at most so far."""

    resident_kib: int
    peak_kib: int


def read_cpu(server_pid: int | None, postmaster_pid: int | None) -> CpuReading:
    """`server_pid` may be PostgreSQL's parent: the API is its tree without PostgreSQL's."""
    parents = _parents()
    postgres = family(postmaster_pid, parents) if postmaster_pid else set()
    api = family(server_pid, parents) - postgres if server_pid else set()
    return CpuReading(
        api=_seconds(api) if server_pid else None,
        postgres=_seconds(postgres) if postmaster_pid else None,
        machine=_busy_seconds(),
    )


def read_memory(server_pid: int, postmaster_pid: int | None) -> Memory:
    parents = _parents()
    api = family(server_pid, parents)
    if postmaster_pid:
        api -= family(postmaster_pid, parents)
    sizes = [_sizes(pid) for pid in api]
    return Memory(sum(size.get("VmRSS", 0) for size in sizes), sum(size.get("VmHWM", 0) for size in sizes))


def family(root: int, parents: dict[int, int]) -> set[int]:
    """`root` and everything below it; empty when it is gone."""
    found = {root} if root in parents else set()
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        grown = bool(more)
        found |= more
    return found


def _parents() -> dict[int, int]:
    found: dict[int, int] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            found[int(entry.name)] = int(fields[1])
    return found


def _stat(pid: int) -> list[str]:
    """The fields after the command's name, which may itself hold blanks and brackets; empty when the
    process is gone.
    """
    try:
        return (_PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def _seconds(pids: Iterable[int]) -> float:
    ticks = 0
    for pid in pids:
        if fields := _stat(pid):
            ticks += sum(
                int(each) for each in fields[11:15]
            )  # user, system, and both of the children waited for
    return ticks / _TICKS_PER_SECOND


def _busy_seconds() -> float:
    user, nice, system, _idle, _iowait, irq, softirq, steal = (
        int(each) for each in (_PROC / "stat").read_text("ascii").split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_SECOND


def _sizes(pid: int) -> dict[str, int]:
    try:
        lines = (_PROC / str(pid) / "status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    return {
        name: int(rest.split()[0])
        for name, _, rest in (line.partition(":") for line in lines)
        if name.startswith("Vm")
    }


def _difference(later: float | None, earlier: float | None) -> float | None:
    return None if later is None or earlier is None else later - earlier
