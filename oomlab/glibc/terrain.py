"""What lies where in a stretch of chunks: holes, which of them hold memory, what trimming frees."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from .layout import Layout
from .lists import Chunk
from .ranges import Overlap, Pages, Range, covered
from .walk import FreeChunks

_CELLS = 1024
"""The picture of a stretch has up to so many cells."""
_HOLES = 64
"""So many of the largest holes are kept."""


class Hole(NamedTuple):
    """A free chunk in a bin, with what lies below it. Bytes."""

    size: int
    address: int
    free_below: int
    """Free below it, in the same stretch."""
    gone_below: int
    """The part of ``free_below`` that is not in memory."""


class Picture(NamedTuple):
    """A stretch in equal cells, with the free bytes of each."""

    start: int
    end: int
    shift: int
    """A cell has ``1 << shift`` bytes."""
    free: list[int]
    returned: list[int]
    """The part of ``free`` that is not in memory."""


class Terrain:
    """Takes the free chunks of one stretch in order of address, then the top."""

    def __init__(
        self,
        start: int,
        end: int,
        layout: Layout,
        page_size: int,
        pages: Pages,
        fast: Sequence[Chunk],
    ) -> None:
        self.start, self.end = start, end
        self._layout, self._page_size = layout, page_size
        self._pages = pages
        self._shift = max(((end - start) // _CELLS).bit_length(), 4)
        count = ((end - start) >> self._shift) + 1
        self._free = [0] * count
        self._returned = [0] * count
        self.free_bytes = 0
        self.free_returned = 0
        self.free_swapped = 0
        self.trimmable = 0
        """Bytes in memory that malloc_trim(0) would give back from within the stretch."""
        self.holes: list[Hole] = []
        self._over_returned = Overlap(pages.returned)
        self._over_swapped = Overlap(pages.swapped)
        self._fast = sorted(fast)
        self._next_fast = 0
        self._run: Range = (0, 0)
        """The last run of chunks that are free once the fastbins are emptied."""

    def add(self, chunks: FreeChunks) -> None:
        """Take the next free chunks."""
        cells, shift, start = self._free, self._shift, self.start
        holes, returned, swapped = self.holes, self._over_returned, self._over_swapped
        trim_from = self._page_size + self._layout.chunk_struct_bytes - 1
        below = self.free_bytes
        for address, size in chunks:
            end = address + size
            gone = self.free_returned + self.free_swapped
            first = (address - start) >> shift
            if first == (end - 1 - start) >> shift:
                cells[first] += size
            else:
                self._spread(cells, address, end)
            if end > returned.start:
                for part in returned.within(address, end):
                    self.free_returned += part[1] - part[0]
                    self._spread(self._returned, *part)
            if end > swapped.start:
                self.free_swapped += sum(b - a for a, b in swapped.within(address, end))
            if len(holes) < _HOLES or size > holes[0].size:
                hole = Hole(size, address, below, gone)
                (heapq.heappush if len(holes) < _HOLES else heapq.heapreplace)(holes, hole)
            below += size
            if self._fast:
                self._join_fast(address)
                self._join(address, end)
            elif size > trim_from:
                self._close((address, end))
        self.free_bytes = below

    def finish(self, top: int) -> int:
        """Take the rest; return where the top begins once the fastbins are emptied."""
        self._join_fast(self.end)
        if self._run[1] == top:
            return self._run[0]
        self._close(self._run)
        return top

    def picture(self, end: int) -> Picture:
        """Return the cells up to ``end``, where the stretch was found to end."""
        count = ((end - self.start - 1) >> self._shift) + 1
        return Picture(self.start, end, self._shift, self._free[:count], self._returned[:count])

    def in_memory(self, start: int, end: int) -> int:
        """Return the bytes between two addresses that are in memory (in swap is not)."""
        gone = covered(self._pages.returned, start, end)
        return end - start - gone - covered(self._pages.swapped, start, end)

    def returned(self, start: int, end: int) -> int:
        """Return the bytes between two addresses that are neither in memory nor in swap."""
        return covered(self._pages.returned, start, end)

    def _join_fast(self, address: int) -> None:
        while self._next_fast < len(self._fast) and self._fast[self._next_fast].address < address:
            chunk = self._fast[self._next_fast]
            self._join(chunk.address, chunk.address + chunk.size)
            self._next_fast += 1

    def _join(self, start: int, end: int) -> None:
        if start == self._run[1]:
            self._run = (self._run[0], end)
        else:
            self._close(self._run)
            self._run = (start, end)

    def _close(self, run: Range) -> None:
        """Count what mtrim() would give back of one free chunk."""
        low, high = trim_range(run, self._layout.chunk_struct_bytes, self._page_size)
        if high > low:
            self.trimmable += self.in_memory(low, high)

    def _spread(self, cells: list[int], start: int, end: int) -> None:
        shift, base = self._shift, self.start
        while start < end:
            cell = (start - base) >> shift
            until = min(end, base + ((cell + 1) << shift))
            cells[cell] += until - start
            start = until


def trim_range(run: Range, struct_bytes: int, page_size: int) -> Range:
    """Return the pages that mtrim() of malloc.c gives back of a free chunk; empty where none."""
    start, end = run
    low = -(-(start + struct_bytes) // page_size) * page_size
    if end - start <= page_size - 1 + struct_bytes or end - low < page_size:
        return (start, start)
    return (low, low + (end - low) // page_size * page_size)


def top_trim_range(top: int, size: int, layout: Layout, page_size: int, *, pad: int = 0) -> Range:
    """Return what systrim() of malloc.c takes off a top chunk; empty where nothing."""
    area = size - layout.minimum - 1
    extra = (area - pad) // page_size * page_size if area > pad else 0
    return (top + size - extra, top + size)
