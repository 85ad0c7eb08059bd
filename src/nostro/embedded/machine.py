"""What the machine gives us: memory and disk, as far as a container lets us see."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")


def memory_bytes() -> int:
    """Memory this process may use: the machine's, or less where a control group says so."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_limits()])


def free_disk_bytes(directory: Path) -> int:
    """Free space where `directory` lives."""
    return shutil.disk_usage(directory).free


def _limits() -> Iterator[int]:
    for path in _limit_files():
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text.isdigit():  # version 2 writes "max" for no limit
            yield int(text)


def _limit_files() -> Iterator[Path]:
    """Both hierarchies, our group and every group above it: the smallest limit is the one that kills."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            root, name = CGROUP_ROOT, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = CGROUP_ROOT / "memory", "memory.limit_in_bytes"
        else:
            continue
        own = root / group.lstrip("/")
        for place in (own, *own.parents):
            if place == root or root in place.parents:
                yield place / name
