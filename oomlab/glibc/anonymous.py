"""malloc's memory in anonymous mappings: mmapped chunks, and stretches where sbrk failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ..mappings import Mapping
from .layout import IS_MMAPPED, PREV_INUSE, Layout
from .memory import Memory, as_words
from .ranges import Pages, Range
from .stretches import Stretch, chain_end

_FLAGS = 7
_PIECE = 1 << 20
_MAX_PAGES = 4_000_000
"""So many pages are looked at for chunks in mappings of their own."""


class MmappedChunk(NamedTuple):
    """A chunk in a mapping of its own: where that begins, and its size in bytes."""

    address: int
    size: int


class Anonymous(NamedTuple):
    """What malloc's memory in anonymous mappings amounts to."""

    mmapped: list[MmappedChunk]
    stretches: list[Stretch]
    """Of main_arena, where sbrk failed and mmap had to do."""


def search_anonymous(
    memory: Memory,
    layout: Layout,
    mappings: Sequence[Mapping],
    taken: Sequence[Range],
    pages: Callable[[int, int], Pages],
    page_size: int,
    *,
    wanted: int,
    top: int | None,
) -> Anonymous:
    """Look for ``wanted`` mmapped chunks, and with ``top`` for stretches of main_arena too.

    Only pages that hold memory are looked at: malloc has written to the first of each.
    """
    found = Anonymous([], [])
    budget = _MAX_PAGES
    flags = (IS_MMAPPED,) if top is None else (IS_MMAPPED, PREV_INUSE)
    for one in mappings:
        if len(found.mmapped) >= wanted and top is None:
            break
        if not one.anonymous or one.permissions[:2] != "rw":
            continue
        at = one.start
        gone = [*pages(one.start, one.end).returned, *_within(one, taken)]
        for low, high in present(sorted(gone), one.start, one.end):
            high = min(high, low + budget * page_size)
            budget -= (high - low) // page_size
            for page in _candidates(memory, layout, low, high, page_size, flags):
                if page < at:
                    continue
                after = _mmapped(memory, layout, page, one, page_size)
                if after is not None:
                    found.mmapped.append(after)
                    at = after.address + after.size
                    continue
                stretch = (
                    _own_stretch(memory, layout, page, one.end, top) if top is not None else None
                )
                if stretch is not None:
                    found.stretches.append(stretch)
                    at = stretch.end
    return found


def _candidates(
    memory: Memory, layout: Layout, low: int, high: int, page_size: int, flags: Sequence[int]
) -> Iterator[int]:
    """Yield the pages on whose first or last place for a chunk a header with some flags may be.

    A program may hold gigabytes that are not malloc's, so they are read in large pieces, and of
    each page only these two words are looked at.
    """
    pointer = memory.pointer_bytes
    words_of_page = page_size // pointer
    first = (layout.chunk_from(low) - low) // pointer + 1
    for start in range(low, high, _PIECE):
        if memory.time_left() <= 0:
            return
        words = as_words(memory.read(start, min(_PIECE, high - start)), pointer)
        heads = zip(
            words[first::words_of_page], words[words_of_page - 1 :: words_of_page], strict=False
        )
        for number, (head, tail) in enumerate(heads):
            if head & _FLAGS in flags or tail & _FLAGS == IS_MMAPPED:
                yield start + number * page_size


def present(returned: Sequence[Range], start: int, end: int) -> list[Range]:
    """Return the ranges between ``start`` and ``end`` that ``returned`` leaves."""
    found, at = [], start
    for low, high in returned:
        if low > at:
            found.append((at, low))
        at = max(at, high)
    if at < end:
        found.append((at, end))
    return found


def _within(one: Mapping, taken: Sequence[Range]) -> list[Range]:
    """Return the parts of a mapping that are taken: it may have grown together with a heap."""
    return [
        (max(start, one.start), min(end, one.end))
        for start, end in taken
        if start < one.end and one.start < end
    ]


def _mmapped(
    memory: Memory, layout: Layout, at: int, one: Mapping, page_size: int
) -> MmappedChunk | None:
    """Return the mmapped chunk whose header is the first or (memalign) the last on a page."""
    for place in (layout.chunk_from(at), at + page_size - layout.header_bytes):
        words = memory.words(place, 2)
        if words is None or words[1] & _FLAGS != IS_MMAPPED:
            continue
        base = place - (words[0] & ~1)  # 2.43 marks huge pages there
        size = words[1] & ~_FLAGS
        # 2.43 leaves the header out of the size.
        for total in (place - base + size, place - base + size + layout.header_bytes):
            if (
                total % page_size == 0 == base % page_size
                and one.start <= base <= at
                and 0 < total <= one.end - base
            ):
                return MmappedChunk(base, total)
    return None


def _own_stretch(memory: Memory, layout: Layout, at: int, limit: int, top: int) -> Stretch | None:
    first = layout.chunk_from(at)
    header = memory.word(first + layout.pointer_bytes)
    if header is None or header & _FLAGS != PREV_INUSE:
        return None
    end, why = chain_end(memory, layout, first, limit, top, 1 << 20)
    if why == "top":
        size = (memory.word(end + layout.pointer_bytes) or 0) & ~_FLAGS
        return Stretch(at, first, end + size, True)
    if why == "fence" and memory.word(end + layout.header_bytes + layout.pointer_bytes) in (
        layout.header_bytes | PREV_INUSE,
    ):
        return Stretch(at, first, end + 2 * layout.header_bytes, False)
    return None
