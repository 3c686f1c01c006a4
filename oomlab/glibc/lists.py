"""The lists of free chunks that the chunks themselves don't show: fastbins, tcache and bins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .arenas import Arena
from .layout import NBINS, Layout, TcacheLayout
from .memory import Memory

_FLAGS = 7
MAX_NODES = 2_000_000
"""A list is followed so far: some seconds; what lies beyond is told, not counted."""
_TIMED_NODES = 1 << 12


class Chunk(NamedTuple):
    """A chunk by its address and its size in bytes."""

    address: int
    size: int


class Chain(NamedTuple):
    """A list as far as it was followed."""

    chunks: list[Chunk]
    whole: bool
    """Whether it was followed to its end."""


def _enough(memory: Memory, chunks: Sequence[Chunk]) -> bool:
    """Tell whether a list is too long to be followed any further."""
    timed = len(chunks) % _TIMED_NODES == _TIMED_NODES - 1
    return len(chunks) >= MAX_NODES or (timed and memory.time_left() <= 0)


def fastbin(memory: Memory, layout: Layout, head: int, *, mangled: bool) -> Chain:
    """Follow a fastbin from its head."""
    chunks: list[Chunk] = []
    address = head
    seen: set[int] = set()
    while address:
        if address in seen or not layout.may_be_chunk(address) or _enough(memory, chunks):
            return Chain(chunks, False)
        words = memory.words(address + layout.pointer_bytes, 2)
        if words is None or words[0] & ~_FLAGS < layout.minimum:
            return Chain(chunks, False)
        seen.add(address)
        chunks.append(Chunk(address, words[0] & ~_FLAGS))
        place = address + layout.header_bytes
        address = words[1] ^ (place >> 12) if mangled else words[1]
    return Chain(chunks, True)


def fastbins(memory: Memory, layout: Layout, arena: Arena, *, mangled: bool) -> Chain:
    """Follow all fastbins of an arena."""
    chunks: list[Chunk] = []
    whole = True
    for head in arena.fastbins:
        chain = fastbin(memory, layout, head, mangled=mangled)
        chunks += chain.chunks
        whole = whole and chain.whole
    return Chain(chunks, whole)


class Tcache(NamedTuple):
    """One thread's cache of free chunks."""

    address: int
    """Of the chunk that holds it."""
    chunks: list[Chunk]


def tcache(
    memory: Memory,
    layout: Layout,
    kind: TcacheLayout,
    address: int,
    *,
    mangled: bool,
    tcache_count: int,
) -> Tcache | None:
    """Return the tcache that the chunk at ``address`` holds, or None where it holds none.

    Every count must agree with its list, and every chunk's size with its bin.
    """
    body = address + layout.header_bytes
    counts = memory.numbers(body, kind.bins, kind.count_code)
    heads = memory.words(body + kind.entries_offset(layout.pointer_bytes), kind.bins)
    if counts is None or heads is None:
        return None
    # A bin of 2.42 and newer may hold none at all: then it has no slots either.
    down = kind.counts_down
    expected = [
        tcache_count - count if down and (count or head) else count
        for count, head in zip(counts, heads, strict=True)
    ]
    # A chunk of the program's own of this size hardly agrees with itself 64 times.
    if not all(
        0 <= want <= tcache_count and (head == 0) == (want == 0) and head % layout.alignment == 0
        for want, head in zip(expected, heads, strict=True)
    ):
        return None
    chunks: list[Chunk] = []
    for number, (want, head) in enumerate(zip(expected, heads, strict=True)):
        own = layout.minimum + number * layout.alignment if number < kind.small_bins else None
        found = _entries(memory, layout, head, own, mangled=mangled, most=want)
        if len(found) != want:
            return None
        chunks += found
    return Tcache(address, chunks)


def _entries(
    memory: Memory, layout: Layout, head: int, size: int | None, *, mangled: bool, most: int
) -> list[Chunk]:
    found: list[Chunk] = []
    body = head
    while body and len(found) <= most:
        words = memory.words(body - layout.pointer_bytes, 2)
        if body % layout.alignment or words is None:
            return []
        own = words[0] & ~_FLAGS
        if own < layout.minimum or (size is not None and own != size):
            return []
        found.append(Chunk(body - layout.header_bytes, own))
        body = words[1] ^ (body >> 12) if mangled else words[1]
    return found


def bins(memory: Memory, layout: Layout, arena: Arena) -> Iterator[Chain]:
    """Follow each of the 127 rings of free chunks, backwards as malloc does."""
    pointer = layout.pointer_bytes
    heads = memory.words(arena.bins_address, 2 * NBINS - 2)
    if heads is None:
        yield Chain([], False)
        return
    for index in range(0, 2 * NBINS - 2, 2):
        yield _ring(memory, layout, arena.bins_address + (index - 2) * pointer, heads, index)


def _ring(memory: Memory, layout: Layout, place: int, heads: Sequence[int], index: int) -> Chain:
    chunks: list[Chunk] = []
    address, after = heads[index + 1], place
    while address != place:
        words = memory.words(address, 4) if layout.may_be_chunk(address) else None
        # Each chunk must point forward to where we came from.
        if words is None or words[2] != after or _enough(memory, chunks):
            return Chain(chunks, False)
        chunks.append(Chunk(address, words[1] & ~_FLAGS))
        address, after = words[3], address
    return Chain(chunks, heads[index] == after)
