"""Where a run has got to: a bar that redraws itself on a terminal, plain lines anywhere else."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_BAR_WIDTH = 30
_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 10.0


class Progress:
    """One step at a time: `begin`, any number of `reach`, then `end`."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._terminal = self._out.isatty()
        self.title = ""
        self._total = 0.0
        self._began = 0.0
        self._shown = 0.0

    def say(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()

    def begin(self, title: str, total: float) -> None:
        self.title, self._total = title, total
        self._began = self._shown = time.monotonic()
        if self._terminal:
            self._draw(0)
        else:
            self.say(f"{title} …")

    @contextmanager
    def timed(self, title: str, seconds: float) -> Iterator[None]:
        """A step expected to take `seconds`: the bar fills by the clock. The caller still says `end`."""
        over = threading.Event()

        def follow() -> None:
            while not over.wait(0.25):
                self.reach(time.monotonic() - self._began)

        self.begin(title, seconds)
        follower = threading.Thread(target=follow, daemon=True)
        if self._terminal:
            follower.start()
        try:
            yield
        finally:
            over.set()
            if self._terminal:
                follower.join()

    def reach(self, done: float) -> None:
        now = time.monotonic()
        if now - self._shown < (_REDRAW_SECONDS if self._terminal else _LINE_SECONDS):
            return
        self._shown = now
        if self._terminal:
            self._draw(done)
        else:
            self.say(f"{self.title}: {done:,.0f} of {self._total:,.0f}")

    def end(self, outcome: str = "done") -> None:
        lasted = time.monotonic() - self._began
        self.say(
            f"{chr(13) + chr(27) + '[K' if self._terminal else ''}{self.title}: {outcome} ({lasted:.1f} s)"
        )

    def _draw(self, done: float) -> None:
        share = min(1.0, done / self._total) if self._total else 0.0
        filled = int(share * _BAR_WIDTH)
        bar = "#" * filled + "." * (_BAR_WIDTH - filled)
        self._out.write(f"\r\033[K{self.title} [{bar}] {int(share * 100)} %")
        self._out.flush()
