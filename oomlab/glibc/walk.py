"""Walk chunks by their size fields, in large blocks and a tight loop."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from .layout import IS_MMAPPED, PREV_INUSE, Layout
from .memory import Memory, as_words

BLOCK_BYTES = 16 << 20
_FLAGS = 7
_KEPT_FOR_LISTS = 0.3
"""This share of the time is left to malloc's own lists: they tell the totals without a walk."""

FreeChunks = list[tuple[int, int]]
"""Free chunks by address and size, in order."""


class Tally:
    """What a walk counts: chunks by size."""

    def __init__(self, special: int) -> None:
        self.used: dict[int, int] = defaultdict(int)
        """Chunks in use by size. The tcache and the fastbins hold such chunks too."""
        self.free: dict[int, int] = defaultdict(int)
        self.special = special
        """A size of which every chunk in use is noted (the tcache struct's)."""
        self.marks: list[int] = []
        self.wrong_footers = 0
        """Free chunks whose size the following chunk's prev_size does not repeat."""


class End(NamedTuple):
    """Where a walk ended."""

    address: int
    """The chunk that was not counted any more."""
    why: str
    """``stop``, ``fence`` (a chunk too small to be one), ``broken``, ``unreadable``, ``limit``,
    ``time``."""


class Walker:
    """Walks the chunks of one layout."""

    def __init__(
        self, memory: Memory, layout: Layout, tally: Tally, on_free: Callable[[FreeChunks], None]
    ) -> None:
        self._memory = memory
        self._layout = layout
        self._tally = tally
        self._on_free = on_free
        """Called with the free chunks of each block that was read."""

    def walk(self, first: int, stop: int, limit: int, most_bytes: int) -> End:
        """Count the chunks from ``first`` on, up to the chunk at ``stop``.

        The chunk that would begin at or beyond ``limit``, the end of what is mapped, breaks the
        walk where it isn't ``stop``. After ``most_bytes``, or when time runs
        out, it is broken off.
        """
        address = first
        while address != stop:
            if address > stop or address >= limit:
                return End(address, "broken")
            if address - first >= most_bytes:
                return End(address, "limit")
            if self._memory.time_left() < _KEPT_FOR_LISTS:
                return End(address, "time")
            block_end = min(address + BLOCK_BYTES, stop + self._layout.header_bytes, limit)
            block_end = min(block_end, max(first + most_bytes, address + self._layout.minimum))
            data = self._memory.read(address, block_end - address)
            if len(data) < self._layout.header_bytes:
                return End(address, "unreadable")
            following, why = self._block(address, data, stop)
            if why:
                return End(following, why)
            if following == address:
                following, why = self._large(address, stop)
                if why:
                    return End(following, why)
            address = following
        return End(address, "stop")

    def _block(self, start: int, data: bytes, stop: int) -> tuple[int, str]:
        """Count the chunks whose successors begin in a block; return where to go on, or why not."""
        layout, tally = self._layout, self._tally
        pointer = layout.pointer_bytes
        words = as_words(data, pointer)
        count, shift = len(words), pointer.bit_length() - 1
        minimum, wrong = layout.minimum, (layout.alignment - 1) & ~_FLAGS | IS_MMAPPED
        used, special, marks = tally.used, tally.special, tally.marks
        free: list[tuple[int, int]] = []
        base = start - pointer
        index, header = 1, words[1]
        size = header & ~_FLAGS
        why = ""
        if size < minimum or header & wrong:
            return start, self._kind(header)
        while True:
            following = index + (size >> shift)
            if following >= count:
                break
            header = words[following]
            if header & PREV_INUSE:
                used[size] += 1
                if size == special:
                    marks.append(base + (index << shift))
            else:
                free.append((base + (index << shift), size))
                if words[following - 1] != size:
                    tally.wrong_footers += 1
            index = following
            size = header & ~_FLAGS
            if size < minimum or header & wrong:
                # The top ends at a page: with 4-byte pointers its size may be no multiple.
                why = self._kind(header) if base + (index << shift) != stop else ""
                break
        self._count_free(free)
        return base + (index << shift), why

    def _large(self, address: int, stop: int) -> tuple[int, str]:
        """Count one chunk that is larger than a block."""
        layout, tally = self._layout, self._tally
        pointer = layout.pointer_bytes
        self._memory.forget()
        own = self._memory.word(address + pointer)
        size = (own or 0) & ~_FLAGS
        ends = self._memory.words(address + size, 2)
        if own is None or ends is None:
            return address, "unreadable"
        if ends[1] & PREV_INUSE:
            tally.used[size] += 1
        else:
            self._count_free([(address, size)])
            tally.wrong_footers += ends[0] != size
        if (ends[1] & ~_FLAGS) < layout.minimum and address + size != stop:
            return address + size, self._kind(ends[1])
        return address + size, ""

    def _count_free(self, free: FreeChunks) -> None:
        counts = self._tally.free
        for _, size in free:
            counts[size] += 1
        if free:
            self._on_free(free)

    def _kind(self, header: int) -> str:
        """Say whether a header that is no chunk's is a fence that malloc itself puts there."""
        fences = (self._layout.header_bytes, self._layout.header_bytes | PREV_INUSE, PREV_INUSE)
        return "fence" if header in fences else "broken"
