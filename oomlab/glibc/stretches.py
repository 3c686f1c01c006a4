"""Where an arena's chunks lie: one stretch or several, each from a first chunk to an end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..mappings import Mapping
from .arenas import Arena, heaps_of
from .layout import PREV_INUSE, Layout
from .memory import Memory, as_words
from .ranges import Pages, Range

_FLAGS = 7
_PROBE_CHUNKS = 256
_MAX_FOREIGN = 64 << 20
"""How far a stretch is searched for behind memory that somebody else took with sbrk."""
_MAX_PROBES = 400_000
"""So many pages are looked at for chunks in mappings of their own."""


class Stretch(NamedTuple):
    """Memory of an arena that lies together."""

    start: int
    """Where the memory begins: a mapping, or sbrk_base."""
    first: int
    """Its first chunk."""
    end: int
    """Where the memory ends."""
    holds_top: bool


class MmappedChunk(NamedTuple):
    """A chunk in a mapping of its own: where that begins, and its size in bytes."""

    address: int
    size: int


def heap_stretches(memory: Memory, layout: Layout, arena: Arena) -> list[Stretch] | None:
    """Return the heaps of an arena that is not main_arena; None where their chain is broken."""
    heaps = heaps_of(memory, layout, arena)
    if not heaps:
        return None
    info_bytes = arena.address - heaps[0].address
    found = []
    for heap in heaps:
        first = heap.address + info_bytes
        if heap.address == heaps[0].address:
            first = layout.chunk_from(arena.address + layout.state_bytes)
        end = heap.address + heap.size
        found.append(Stretch(heap.address, first, end, first <= arena.top < end))
    return found if found[-1].holds_top else None


def chain_end(
    memory: Memory, layout: Layout, first: int, limit: int, top: int, most: int
) -> tuple[int, str]:
    """Follow chunks from ``first``; return where that ends and why.

    Why is ``top``, ``fence``, ``broken``, or ``on`` where it still goes well after ``most`` chunks.
    """
    pointer, address = layout.pointer_bytes, first
    for _ in range(most):
        if address == top:
            return address, "top"
        header = memory.word(address + pointer) if address < limit else None
        if header is None:
            return address, "broken"
        size = header & ~_FLAGS
        if header == layout.header_bytes | PREV_INUSE or header == layout.header_bytes:
            return address, "fence"
        if size < layout.minimum or size % layout.alignment or header & 6 or address + size > limit:
            return address, "broken"
        address += size
    return address, "on"


def behind_foreign(memory: Memory, layout: Layout, start: int, limit: int, top: int) -> int | None:
    """Return the first chunk behind memory that somebody else took with sbrk, None if not found.

    malloc leaves no mark where it goes on: it is the first place whose chunks lead on to the top.
    """
    pointer = layout.pointer_bytes
    start = layout.chunk_from(start)
    data = memory.read(start, min(limit - start, _MAX_FOREIGN))
    words = as_words(data, pointer)
    step = layout.alignment // pointer
    for index in range(1, len(words), step):
        header = words[index]
        if header & _FLAGS != PREV_INUSE or header < layout.minimum:
            continue
        first = start + (index - 1) * pointer
        if chain_end(memory, layout, first, limit, top, _PROBE_CHUNKS)[1] != "broken":
            return first
    return None


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
    budget = _MAX_PROBES
    for one in mappings:
        if not one.anonymous or one.permissions[:2] != "rw":
            continue
        at = one.start
        gone = [*pages(one.start, one.end).returned, *_within(one, taken)]
        for low, high in present(sorted(gone), one.start, one.end):
            at = max(at, low)
            while at < high and budget > 0:
                budget -= 1
                after = _mmapped(memory, layout, at, one, page_size)
                if after is not None:
                    found.mmapped.append(after)
                    at = after.address + after.size
                    continue
                stretch = (
                    _own_stretch(memory, layout, at, one.end, top) if top is not None else None
                )
                if stretch is not None:
                    found.stretches.append(stretch)
                at = stretch.end if stretch is not None else at + page_size
        if len(found.mmapped) >= wanted and top is None:
            break
    return found


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
        if words is None or words[1] & _FLAGS != 2:
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
