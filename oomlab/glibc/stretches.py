"""Where an arena's chunks lie: one stretch or several, each from a first chunk to an end."""

from __future__ import annotations

from typing import NamedTuple

from .arenas import Arena, heaps_of
from .layout import PREV_INUSE, Layout
from .memory import Memory, as_words

_FLAGS = 7
_PROBE_CHUNKS = 256
_MAX_FOREIGN = 64 << 20
"""How far a stretch is searched for behind memory that somebody else took with sbrk."""


class Stretch(NamedTuple):
    """Memory of an arena that lies together."""

    start: int
    """Where the memory begins: a mapping, or sbrk_base."""
    first: int
    """Its first chunk."""
    end: int
    """Where the memory ends."""
    holds_top: bool


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
