"""Walk all stretches of one arena, and put together what they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .arenas import Arena
from .heap import LargeHole, Pin, StretchView
from .layout import PREV_INUSE, Layout
from .lists import Chunk
from .memory import Memory
from .ranges import Pages
from .stretches import Stretch, behind_foreign
from .terrain import Hole, Terrain, top_trim_range
from .walk import End, Tally, Walker

_FLAGS = 7
_SHOWN_HOLES = 10
_PIN_LEAST = 128 << 10
_PIN_SHARE = 100
"""Chunks in use pin the free memory below them where they are at most a hundredth of it."""
_PIN_CHUNKS = 100_000
NO_PAGES = Pages((), ())


class ArenaWalk(NamedTuple):
    """What the walk of an arena found. Bytes."""

    arena: Arena
    stretches: list[StretchView]
    tally: Tally
    top_bytes: int
    free_chunks: int
    free_bytes: int
    free_returned: int
    free_swapped: int
    top_in_memory: int
    in_memory: int
    trim_inside: int
    trim_top: int

    @property
    def complete(self) -> bool:
        """Whether every chunk was seen, the top among them."""
        return not self.arena.system_mem or (
            any(view.stretch.holds_top for view in self.stretches)
            and all(view.complete for view in self.stretches)
        )


class Plan(NamedTuple):
    """What is known of an arena before it is walked."""

    layout: Layout
    arena: Arena
    stretches: Sequence[Stretch]
    fast: Sequence[Chunk]
    special: int
    """The size of chunks to be noted."""
    brk_end: int
    """End of the heap of the program break, 0 where there is none."""
    trim_page: int
    """What the top is trimmed by: a page, or a huge page where malloc uses those."""
    most_bytes: int


class _Findings:
    def __init__(self) -> None:
        self.views: list[StretchView] = []
        self.free_bytes = self.free_returned = self.free_swapped = 0
        self.in_memory = self.top_in_memory = self.trim_inside = self.trim_top = 0


def walk_arena(
    memory: Memory, plan: Plan, page_size: int, pages: Callable[[int, int], Pages | None]
) -> ArenaWalk:
    """Walk every stretch; where a foreign sbrk ends one, go on behind it."""
    tally = Tally(plan.special)
    found = _Findings()
    header = memory.word(plan.arena.top + plan.layout.pointer_bytes) or 0
    top_bytes = header & ~_FLAGS
    waiting = list(plan.stretches)
    while waiting:
        stretch = waiting.pop(0)
        after = _walk_stretch(memory, plan, stretch, tally, found, page_size, pages, top_bytes)
        if after is not None:
            waiting.insert(0, after)
    return ArenaWalk(
        plan.arena,
        found.views,
        tally,
        top_bytes,
        sum(tally.free.values()),
        found.free_bytes,
        found.free_returned,
        found.free_swapped,
        found.top_in_memory,
        found.in_memory,
        found.trim_inside,
        found.trim_top,
    )


def _walk_stretch(
    memory: Memory,
    plan: Plan,
    stretch: Stretch,
    tally: Tally,
    found: _Findings,
    page_size: int,
    pages: Callable[[int, int], Pages | None],
    top_bytes: int,
) -> Stretch | None:
    """Walk one stretch; return what lies behind a foreign sbrk that ends it."""
    layout, top = plan.layout, plan.arena.top
    known = pages(stretch.start, stretch.end) or NO_PAGES
    within = [chunk for chunk in plan.fast if stretch.start <= chunk.address < stretch.end]
    terrain = Terrain(stretch.start, stretch.end, layout, page_size, known, within)
    walker = Walker(memory, layout, tally, terrain.add)
    stop = top if stretch.holds_top else stretch.end
    end = walker.walk(stretch.first, stop, stretch.end, plan.most_bytes)
    after = None
    # malloc leaves two fences where its memory ends, which is at a page.
    behind = -(-(end.address + 2 * layout.header_bytes) // page_size) * page_size
    if end.why == "fence" and plan.arena.is_main and not stretch.holds_top:
        stretch = stretch._replace(end=min(behind, stretch.end))
    elif end.why == "fence" and stretch.holds_top:
        first = behind_foreign(memory, layout, behind, stretch.end, top)
        if first is None:
            end = End(end.address, "broken")
        else:
            after = Stretch(first, first, stretch.end, True)
            stretch = stretch._replace(end=behind, holds_top=False)
    elif stretch.holds_top and end.why == "stop":
        stretch = stretch._replace(end=min(top + top_bytes, stretch.end))
    merged = terrain.finish(top)
    _count(found, plan, stretch, terrain, merged)
    found.in_memory += terrain.in_memory(stretch.start, stretch.end)
    found.views.append(_view(memory, plan, stretch, end, terrain))
    return after


def _count(
    found: _Findings, plan: Plan, stretch: Stretch, terrain: Terrain, merged_top: int
) -> None:
    found.free_bytes += terrain.free_bytes
    found.free_returned += terrain.free_returned
    found.free_swapped += terrain.free_swapped
    found.trim_inside += terrain.trimmable
    if not stretch.holds_top:
        return
    found.top_in_memory = terrain.in_memory(plan.arena.top, stretch.end)
    # systrim() does nothing where somebody else has moved the break since.
    if plan.arena.is_main and stretch.end == plan.brk_end:
        size = stretch.end - merged_top
        found.trim_top = terrain.in_memory(
            *top_trim_range(merged_top, size, plan.layout, plan.trim_page)
        )


def _view(memory: Memory, plan: Plan, stretch: Stretch, end: End, terrain: Terrain) -> StretchView:
    top = plan.arena.top if stretch.holds_top else stretch.end
    free = terrain.free_bytes

    def used_above(hole: Hole) -> int:
        behind = hole.address + hole.size
        return (end.address - behind) - (free - hole.free_below - hole.size)

    largest = sorted(terrain.holes, reverse=True)[:_SHOWN_HOLES]
    holes = tuple(
        LargeHole(
            hole.address,
            hole.size,
            terrain.returned(hole.address, hole.address + hole.size),
            _size_at(memory, plan.layout, hole.address + hole.size),
            used_above(hole),
        )
        for hole in largest
    )
    pin = None
    if end.why == "stop" and stretch.holds_top:
        pinned = [
            (free - hole.free_below, hole)
            for hole in terrain.holes
            if free - hole.free_below >= max(_PIN_LEAST, _PIN_SHARE * used_above(hole))
        ]
        if pinned:
            free_bytes, hole = max(pinned)
            gone = terrain.free_returned + terrain.free_swapped - hole.gone_below
            sizes = (used_above(hole), free_bytes, free_bytes - gone)
            pin = _pin(memory, plan, hole.address + hole.size, sizes)
    return StretchView(stretch, end.address, end.why, top, terrain.picture(stretch.end), holes, pin)


def _pin(memory: Memory, plan: Plan, first: int, sizes: tuple[int, int, int]) -> Pin | None:
    """Count the chunks in use from ``first`` up to the top."""
    in_use: list[int] = []
    address = first
    for _ in range(_PIN_CHUNKS):
        if address == plan.arena.top:
            return Pin(first, tuple(in_use), *sizes)
        size = _size_at(memory, plan.layout, address)
        if size < plan.layout.minimum:
            return None
        following = memory.word(address + size + plan.layout.pointer_bytes)
        if following is not None and following & PREV_INUSE:
            in_use.append(address)
        address += size
    return None


def _size_at(memory: Memory, layout: Layout, address: int) -> int:
    return (memory.word(address + layout.pointer_bytes) or 0) & ~_FLAGS
