"""Survey a large file block by block: how many lines begin in each, and whether it has a mark.

Forked processes share the work and are ahead of the one that reads the events; what they tell
of a block is one number. So a log is read as fast as all CPUs can search it.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from ..forked import start_worker
from .marks import LONGEST, Haystack
from .packed import is_packed
from .utf16 import HEAD_BYTES, utf16_of

BLOCK_BYTES = 1 << 17
STRIPE_BLOCKS = 64
"""Workers take turns: each surveys so many blocks, tells, and goes on with its next stripe."""
WORTH_WORKERS_BYTES = 16 << 20
_NUMBER = "I"


class Block(NamedTuple):
    """What a survey tells of one block: ``newlines`` in it, and whether it may hold a mark."""

    newlines: int
    marked: bool


def begin_survey(descriptor: int, workers: int, *, count_lines: bool = True) -> Survey | None:
    """Begin to survey an open file; None where the file or the system is not fit for it."""
    if not (hasattr(os, "fork") and hasattr(os, "preadv")):
        return None
    size = os.fstat(descriptor).st_size
    if size < WORTH_WORKERS_BYTES:
        return None
    start = os.pread(descriptor, HEAD_BYTES, 0)
    if is_packed(start) or utf16_of(start) is not None:
        return None
    return Survey(descriptor, size, workers, count_lines=count_lines)


class Survey:
    """The blocks of an open file's first ``size`` bytes, surveyed by ``workers`` processes.

    Not for a program with threads: it forks. A worker that fails is no loss: its blocks are
    surveyed here.
    """

    def __init__(
        self,
        descriptor: int,
        size: int,
        workers: int,
        block_bytes: int = BLOCK_BYTES,
        stripe_blocks: int = STRIPE_BLOCKS,
        count_lines: bool = True,
    ) -> None:
        self.descriptor, self.size, self.block_bytes = descriptor, size, block_bytes
        self.counts_lines = count_lines
        """Counting them takes as long again as the search for marks."""
        self._stripe_blocks = stripe_blocks
        stripes = -(-size // (block_bytes * stripe_blocks))
        self._stripes = range(stripes)
        self._turns = min(workers, stripes)
        self._workers = [self._start(number) for number in range(self._turns)]

    def blocks(self) -> Iterator[Block]:
        """Yield every block in order."""
        for stripe in self._stripes:
            for value in self._told(stripe):
                yield Block(value >> 1, bool(value & 1))

    @property
    def workers(self) -> int:
        """Return how many processes share the work."""
        return self._turns

    def leave(self) -> None:
        """Close in a forked process what belongs to its parent."""
        for _, pipe in self._workers:
            os.close(pipe)
        self._workers = []

    def close(self) -> None:
        """End the workers, whether they are done or not."""
        while self._workers:
            pid, pipe = self._workers.pop()
            os.close(pipe)
            # Who writes to a closed pipe ends by itself; who is done has ended.
            os.waitpid(pid, 0)

    def _told(self, stripe: int) -> array[int]:
        """Return what the stripe's worker tells of it, or survey it here."""
        values: array[int] = array(_NUMBER)
        if self._turns:
            _, pipe = self._workers[stripe % self._turns]
            expected = len(self._places(stripe)) * values.itemsize
            told = b""
            while len(told) < expected and (more := os.read(pipe, expected - len(told))):
                told += more
            if len(told) == expected:
                values.frombytes(told)
                return values
        return self._survey(stripe, Haystack(LONGEST + self.block_bytes))

    def _places(self, stripe: int) -> range:
        """Return where the blocks of a stripe begin in the file."""
        first = stripe * self._stripe_blocks * self.block_bytes
        last = min(self.size, first + self._stripe_blocks * self.block_bytes)
        return range(first, last, self.block_bytes)

    def _survey(self, stripe: int, haystack: Haystack) -> array[int]:
        buffer, view = haystack.buffer, memoryview(haystack.buffer)
        values = array(_NUMBER)
        for place in self._places(stripe):
            # A mark that lies over a border is found in the later block.
            ahead = min(place, LONGEST)
            wanted = ahead + min(self.block_bytes, self.size - place)
            end = _fill(self.descriptor, view[:wanted], place - ahead)
            newlines = buffer.count(b"\n", ahead, end) if self.counts_lines else 0
            values.append(newlines << 1 | haystack.is_marked(0, end))
        return values

    def _start(self, number: int) -> tuple[int, int]:
        def tell(writing: int) -> None:
            haystack = Haystack(LONGEST + self.block_bytes)
            for stripe in self._stripes[number :: self._turns]:
                os.write(writing, self._survey(stripe, haystack).tobytes())

        return start_worker(tell)


def _fill(descriptor: int, view: memoryview, place: int) -> int:
    """Read into ``view`` from a place of the file on; less only where the file ends."""
    end = 0
    while end < len(view):
        count = os.preadv(descriptor, [view[end:]], place + end)
        if not count:
            break
        end += count
    return end
