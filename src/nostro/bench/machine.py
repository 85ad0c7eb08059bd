"""The facts about this machine that a reader needs before believing a figure."""

import os
import platform
from pathlib import Path


def facts(data_dir: Path | None) -> dict[str, str]:
    return {
        "cpu": _first("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "filesystem": "unknown" if data_dir is None else _filesystem(data_dir),
    }


def load_average() -> str:
    """Over 1, 5 and 15 minutes: whether anything else was running."""
    return " ".join(f"{load:.2f}" for load in os.getloadavg())


def _first(file: str, name: str) -> str:
    """The value of the first `name : value` line."""
    for line in Path(file).read_text("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _filesystem(path: Path) -> str:
    """The type of the file system `path` is on: that of the longest mount point above it."""
    where = str(path.resolve())
    mounts = [line.split() for line in Path("/proc/mounts").read_text("utf-8", "replace").splitlines()]
    above = [mount for mount in mounts if mount[1] == "/" or f"{where}/".startswith(f"{mount[1]}/")]
    return max(above, key=lambda mount: len(mount[1]))[2] if above else "unknown"
