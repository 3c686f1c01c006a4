"""What a reading shows of each arena, under the names of mallinfo2."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter

from .heap import ArenaView, MallInfo, Resident
from .layout import NONCONTIGUOUS
from .lists import Chunk
from .parameters import Parameters
from .reading import ArenaReading, Reading


def mallinfo(one: ArenaReading, parameters: Parameters | None) -> MallInfo | None:
    """Return what int_mallinfo() in malloc.c fills in for an arena, None where it is unknown."""
    arena, free = one.walk.arena, one.free
    if free is None or not one.fast.whole or (arena.is_main and parameters is None):
        return None
    fast = sum(chunk.size for chunk in one.fast.chunks)
    available = free[1] + fast + one.walk.top_bytes
    main = arena.is_main and parameters is not None
    return MallInfo(
        arena=arena.system_mem,
        ordblks=free[0] + 1,
        smblks=len(one.fast.chunks),
        hblks=parameters.n_mmaps if main and parameters else 0,
        hblkhd=parameters.mmapped_mem if main and parameters else 0,
        usmblks=0,
        fsmblks=fast,
        uordblks=arena.system_mem - available,
        fordblks=available,
        keepcost=one.walk.top_bytes if main else 0,
    )


def views(reading: Reading, *, pages_known: bool) -> list[ArenaView]:
    """Return the arenas, with the chunks in the tcaches counted where they lie."""
    cached = _by_arena(reading)
    found = []
    for index, one in enumerate(reading.arenas):
        walk, own = one.walk, cached[index]
        used = Counter(walk.tally.used)
        used.subtract(chunk.size for chunk in [*own, *one.fast.chunks])
        resident = Resident(
            walk.in_memory,
            walk.free_bytes - walk.free_returned - walk.free_swapped,
            walk.top_in_memory,
            walk.free_swapped,
            walk.trim_inside,
            walk.trim_top,
        )
        found.append(
            ArenaView(
                address=walk.arena.address,
                is_main=walk.arena.is_main,
                threads=walk.arena.attached_threads,
                info=mallinfo(one, reading.parameters),
                max_system_mem=walk.arena.max_system_mem,
                top_bytes=walk.top_bytes,
                contiguous=not walk.arena.flags & NONCONTIGUOUS,
                stretches=tuple(walk.stretches),
                used_sizes={size: count for size, count in used.items() if count > 0},
                free_sizes=dict(walk.tally.free),
                tcache_chunks=len(own),
                tcache_bytes=sum(chunk.size for chunk in own),
                resident=resident if pages_known and walk.complete else None,
                complete=walk.complete,
            )
        )
    return found


def _by_arena(reading: Reading) -> list[list[Chunk]]:
    """Return the chunks of all tcaches by the arena they lie in: a thread may free another's."""
    bounds = sorted(
        (view.stretch.start, view.stretch.end, index)
        for index, one in enumerate(reading.arenas)
        for view in one.walk.stretches
    )
    found: list[list[Chunk]] = [[] for _ in reading.arenas]
    for cache in reading.tcaches:
        for chunk in cache.chunks:
            at = bisect_right(bounds, (chunk.address, 1 << 64, 0)) - 1
            if at >= 0 and chunk.address < bounds[at][1]:
                found[bounds[at][2]].append(chunk)
    return found
