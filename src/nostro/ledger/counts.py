"""What the service counts: batches, who waits, answers, refusals. Plain integers, added to where they happen.

Counting costs a few additions per batch and one per request; naming and adding up is left to whoever asks
(api/metrics.py). Nothing in here says whose money moved, or how much.

Several API processes count in memory they share, each in cells of its own: any of them can tell the sums, and
what one counted outlives it. A cell has one writer, so nothing is locked.
"""

import mmap
import tempfile
from bisect import bisect_left
from typing import IO

from nostro.domain.errors import NostroError
from nostro.ledger.queue import Queue

# Upper bounds; one more cell counts what is above the last.
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
BATCH_US = (500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 5_000_000)


def _codes(error: type[NostroError]) -> set[str]:
    return {error.code}.union(*(_codes(each) for each in error.__subclasses__()))


CODES = tuple(sorted(_codes(NostroError)))
_CODE_NUMBERS = {code: number for number, code in enumerate(CODES)}

# Where each count begins among the cells of a process.
SIZES = 0
SIZE_SUM = SIZES + len(BATCH_SIZES) + 1
DURATIONS = SIZE_SUM + 1
DURATION_SUM_US = DURATIONS + len(BATCH_US) + 1
SINGLES_WAITING = DURATION_SUM_US + 1
BULK_WAITING = SINGLES_WAITING + 1
STREAMS_OPEN = BULK_WAITING + 1
STREAMS_CUT_OFF = STREAMS_OPEN + 1
LEAN = STREAMS_CUT_OFF + 1
ORDINARY = LEAN + 6  # by the hundreds of the status, 1 to 5
REFUSALS = ORDINARY + 6
CELLS = REFUSALS + len(CODES)

_CELL_BYTES = 8


class Counts:
    """The cells of process number `own` among those of all. Without `memory`: of a process that is alone."""

    def __init__(self, memory: memoryview | None = None, own: int = 0) -> None:
        self._all = memory or memoryview(bytearray(CELLS * _CELL_BYTES)).cast("q")
        self._own = self._all[own * CELLS : (own + 1) * CELLS]
        # Whoever waited for the process that had these cells before does not wait any more, nor listen to it.
        self._own[SINGLES_WAITING] = self._own[BULK_WAITING] = self._own[STREAMS_OPEN] = 0

    def batch(self, size: int, seconds: float, queue: Queue) -> None:
        """A batch of `size` requests was answered, `seconds` after it was taken; `queue` is who waits now."""
        own, lasted_us = self._own, int(seconds * 1e6)
        own[SIZES + bisect_left(BATCH_SIZES, size)] += 1
        own[SIZE_SUM] += size
        own[DURATIONS + bisect_left(BATCH_US, lasted_us)] += 1
        own[DURATION_SUM_US] += lasted_us
        own[SINGLES_WAITING], own[BULK_WAITING] = queue.lengths()

    def answered(self, way: int, status: int) -> None:
        """A request was answered, on the way `LEAN` or `ORDINARY`."""
        self._own[way + status // 100] += 1

    def streams(self, number: int) -> None:
        """So many live streams are open in this process."""
        self._own[STREAMS_OPEN] = number

    def stream_cut_off(self) -> None:
        """One whose client did not read."""
        self._own[STREAMS_CUT_OFF] += 1

    def refused(self, code: str) -> None:
        self._own[REFUSALS + _CODE_NUMBERS[code]] += 1

    def total(self, cell: int) -> int:
        """What all processes counted in `cell`."""
        return sum(self._all[cell::CELLS])

    @property
    def processes(self) -> int:
        return len(self._all) // CELLS


def memory_for(processes: int) -> IO[bytes]:
    """A file without a name, to be inherited by that many processes and mapped by each."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.truncate(processes * CELLS * _CELL_BYTES)
    return file


def shared_counts(descriptor: int, own: int) -> Counts:
    """The counts of process number `own` in the memory that `memory_for` made."""
    return Counts(memoryview(mmap.mmap(descriptor, 0)).cast("q"), own)
