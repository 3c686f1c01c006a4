"""What a survey of a heap amounts to, and the advice that follows from its figures."""

from __future__ import annotations

from typing import NamedTuple

from ..glibc.heap import ArenaView, Pin, Survey
from ..units import human


class Parts(NamedTuple):
    """All of the heap by kind, in chunks and bytes. The bytes sum to arena + hblkhd."""

    used_chunks: int
    used_bytes: int
    tcache_chunks: int
    tcache_bytes: int
    fast_chunks: int
    fast_bytes: int
    holes: int
    hole_bytes: int
    top_bytes: int
    mmapped_chunks: int
    mmapped_bytes: int
    overhead_bytes: int
    """malloc's own: states of arenas, fences, and what somebody else took with sbrk."""


class InMemory(NamedTuple):
    """How many bytes are in memory, by kind."""

    arenas: int
    holes: int
    top: int
    mmapped: int
    swapped_holes: int
    trim_inside: int
    trim_top: int

    @property
    def used(self) -> int:
        """In use, with tcache, fastbins and overhead, which share its pages."""
        return self.arenas - self.holes - self.top

    @property
    def trim(self) -> int:
        """What malloc_trim(0) would give back now."""
        return self.trim_inside + self.trim_top


class SizeClass(NamedTuple):
    """Chunks of ``low`` up to but not ``high`` bytes."""

    low: int
    high: int
    used_chunks: int
    used_bytes: int
    free_chunks: int
    free_bytes: int


def parts(survey: Survey) -> Parts | None:
    """Return the heap by kind, None where it could not be followed to its end."""
    total = survey.total
    if total is None or not all(arena.complete for arena in survey.arenas):
        return None
    used_chunks = sum(sum(arena.used_sizes.values()) for arena in survey.arenas)
    used = sum(_bytes(arena.used_sizes) for arena in survey.arenas)
    cached = sum(arena.tcache_bytes for arena in survey.arenas)
    top = sum(arena.top_bytes for arena in survey.arenas)
    return Parts(
        used_chunks=used_chunks,
        used_bytes=used,
        tcache_chunks=sum(arena.tcache_chunks for arena in survey.arenas),
        tcache_bytes=cached,
        fast_chunks=total.smblks,
        fast_bytes=total.fsmblks,
        holes=total.ordblks - len(survey.arenas),
        hole_bytes=total.fordblks - total.fsmblks - top,
        top_bytes=top,
        mmapped_chunks=total.hblks,
        mmapped_bytes=total.hblkhd,
        overhead_bytes=total.uordblks - used - cached,
    )


def in_memory(survey: Survey) -> InMemory | None:
    """Return how much of it is in memory, None where that can't be told of every arena."""
    known = [arena.resident for arena in survey.arenas if arena.resident is not None]
    if len(known) < len(survey.arenas) or survey.mmapped_resident is None:
        return None
    return InMemory(
        arenas=sum(one.arena for one in known),
        holes=sum(one.free for one in known),
        top=sum(one.top for one in known),
        mmapped=survey.mmapped_resident,
        swapped_holes=sum(one.swapped_free for one in known),
        trim_inside=sum(one.trim_inside for one in known),
        trim_top=sum(one.trim_top for one in known),
    )


def histogram(survey: Survey) -> list[SizeClass]:
    """Return chunks in use and holes by powers of two of their size."""
    classes: dict[int, list[int]] = {}
    for arena in survey.arenas:
        for column, sizes in enumerate((arena.used_sizes, arena.free_sizes)):
            for size, count in sizes.items():
                if not size:
                    continue  # a heap that moves while it is read may list chunks of no size
                row = classes.setdefault(size.bit_length(), [0, 0, 0, 0])
                row[2 * column] += count
                row[2 * column + 1] += size * count
    return [SizeClass(1 << (bits - 1), 1 << bits, *row) for bits, row in sorted(classes.items())]


def pins(survey: Survey) -> list[tuple[ArenaView, Pin]]:
    """Return chunks in use that keep the top from shrinking, the most kept first."""
    found = [
        (arena, view.pin)
        for arena in survey.arenas
        for view in arena.stretches
        if view.pin is not None
    ]
    return sorted(found, key=lambda one: -one[1].free_bytes)


def pin_words(survey: Survey, arena: ArenaView, pin: Pin) -> str:
    """Say what a pin holds, in a sentence."""
    view = next(view for view in arena.stretches if view.pin is pin)
    cached = {chunk.address for cache in survey.tcaches for chunk in cache.chunks}
    cached |= {chunk.address for chunk in survey.fast}
    free_already = sum(address in cached for address in pin.chunks)
    count = len(pin.chunks)
    what = "one chunk" if count == 1 else f"{count} chunks"
    kept = f" ({'it is' if count == 1 else f'{free_already} are'} free in a tcache or fastbin)"
    return (
        f"{what} of {human(pin.used_bytes)} in use at offset {pin.address - view.stretch.start:#x}"
        f"{kept if free_already else ''} keep{'s' if count == 1 else ''} {human(pin.free_bytes)} "
        f"of free memory ({human(pin.resident_bytes)} of it in memory) from joining the top"
    )


def _bytes(sizes: dict[int, int]) -> int:
    return sum(size * count for size, count in sizes.items())
