"""The server's log file, pg.log: PostgreSQL appends to it, we keep it from growing for ever."""

import os
import shutil
from pathlib import Path

LARGEST_BYTES = 16 * 1024 * 1024  # of pg.log; pg.log.1 keeps as much of what was before


class ServerLog:
    """One log and one predecessor."""

    def __init__(self, path: Path) -> None:
        """`path` is created on first use."""
        self.path = path

    def open(self) -> int:
        """A descriptor for the child; O_APPEND, or it would leave a hole where trim() cut the file."""
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def size(self) -> int:
        """Where the next line begins."""
        return self.path.stat().st_size if self.path.exists() else 0

    def tail(self, since: int, lines: int = 6) -> str:
        """The last lines written after `since`, joined into one."""
        if not self.path.exists():
            return ""
        with self.path.open("rb") as log:
            log.seek(max(since, self.size() - 8192))
            text = log.read().decode(errors="replace")
        return " | ".join(text.splitlines()[-lines:])

    def trim(self, largest: int = LARGEST_BYTES) -> None:
        """Move what is there aside when it is more than `largest` bytes.

        Copied and cut, not renamed: the server and all its children hold the file open. A line written
        between the two steps is lost, which the log of a server may be.
        """
        if self.size() > largest:
            before = self.path.with_name(self.path.name + ".1")
            before.unlink(missing_ok=True)  # it may be another user's, who ran us on this directory once
            shutil.copyfile(self.path, before)
            os.truncate(self.path, 0)
